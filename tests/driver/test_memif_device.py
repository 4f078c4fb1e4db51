"""memif's owner: sockets and their leavings, peers that come, go, stall and lie, one line each."""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.driver import memif_device
from corten.driver import memif_message as m
from corten.driver.device import Wanted
from corten.driver.memif_device import open_device
from corten.driver.memif_memory import lay_out
from corten.endpoint.error import CortenError
from tests.descriptors import descriptors
from tests.driver.memif_link import Link, received, send

FRAME = bytes(60)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    Link.close_all()


@pytest.fixture
def link(tmp_path: Path) -> Link:
    return Link(tmp_path, connect=False)


class Stranger:
    """A client of our own making."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.end.settimeout(5)
        self.end.connect(link.name)
        link.keeper.turn()
        assert isinstance(self.hear(), m.Hello)

    def hear(self) -> m.Message | None:
        data = self.end.recv(200)
        return m.unpack(data) if data else None

    def say(self, message: m.Message, *fds: int) -> m.Message | None:
        socket.send_fds(self.end, [m.pack(message)], list(fds))
        self.link.keeper.turn()
        return self.hear()

    def init(self) -> None:
        assert self.say(m.Init(m.VERSION, 0, 0, b"", b"stranger")) == m.Ack()


def refusal(answer: m.Message | None) -> str:
    assert isinstance(answer, m.Disconnect)
    return answer.reason.decode()


# -- the socket -------------------------------------------------------------------------------


def test_the_socket_is_its_owners_alone_and_goes_with_the_device(link: Link) -> None:
    mode = os.stat(link.name).st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    link.server.close()
    assert not os.path.exists(link.name)


def test_a_dead_servers_socket_is_replaced(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    left.bind(str(tmp_path / "memif.sock"))
    left.listen()
    left.close()
    link = Link(tmp_path)
    send(link.ends[1], FRAME)
    assert received(link.ends[0]) == [FRAME]


def test_another_programs_socket_is_left_alone(tmp_path: Path) -> None:
    link = Link(tmp_path, connect=False)
    with pytest.raises(CortenError, match="in use by another program"):
        link.device("server", 1)
    assert os.path.exists(link.name)


def test_an_abstract_socket(tmp_path: Path) -> None:
    name = f"@corten-test-{os.getpid()}"
    one = open_device(Wanted("memif", name, mtu=1500))
    with pytest.raises(CortenError, match="in use by another program"):
        open_device(Wanted("memif", name, mtu=1500))
    two = open_device(Wanted("memif", name, mtu=1500, options={"role": "client"}))
    assert one.mac != two.mac
    one.close()
    two.close()


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("{folder}/none/x.sock", {}, "no directory"),
        ("{folder}/file", {}, "is there and is no socket"),
        ("{folder}/file", {"role": "client"}, "is there and is no socket"),
        ("{folder}/" + "x" * 108, {}, "at most 107 octets"),
        ("{folder}/x.sock", {"size": 8}, "size= is for role=client"),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path, name: str, options: dict[str, object], says: str
) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(CortenError, match=says) as caught:
        open_device(Wanted("memif", name.format(folder=tmp_path), mtu=1500, options=options))
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "precious"


# -- peers come and go ------------------------------------------------------------------------


def test_a_client_waits_for_a_server_and_comes_back(tmp_path: Path) -> None:
    link = Link(tmp_path, connect=False)
    changes: list[str] = []
    link.server.close()
    link.keeper.functions.clear()
    client = link.client = link.device("client", 1)
    client.changed = lambda: changes.append("client")
    for _ in range(2):
        assert client.queue(0).fds == []
        server = link.server = link.device("server", 1)
        server.changed = lambda: changes.append("server")
        client._tick()  # type: ignore[attr-defined]  # what the timer does
        link.keeper.turn()
        assert changes == ["server", "client"]
        link.open()
        send(link.ends[0], FRAME)
        assert received(link.ends[1]) == [FRAME]
        changes.clear()
        server.close()
        link.keeper.functions = {
            fd: each for fd, each in link.keeper.functions.items() if fd in alive(client)
        }
        link.keeper.turn()
        assert changes == ["client"]
        changes.clear()


def alive(client: object) -> set[int]:
    """The descriptors of a client that is connected."""
    return {client._timer, client._peer.end.fileno()}  # type: ignore[attr-defined]


def test_a_client_that_goes_makes_room_for_the_next(tmp_path: Path) -> None:
    link = Link(tmp_path)
    assert link.client is not None
    stranger = Stranger(link)
    assert refusal(stranger.say(m.Init(m.VERSION, 0, 0, b"", b""))) == "Already connected"
    assert stranger.hear() is None
    before = descriptors()
    for _ in range(5):
        link.client.close()
        for fd in list(link.keeper.functions):
            if not os.path.exists(f"/proc/self/fd/{fd}"):
                del link.keeper.functions[fd]
        link.keeper.turn()
        assert link.server.queue(0).fds == []
        link.client = link.device("client", 1, **link.client_options)
        link.keeper.turn()
        link.renew()
        send(link.ends[0], FRAME)
        assert received(link.ends[1]) == [FRAME]
    assert abs(descriptors() - before) <= 2
    stranger.end.close()


def test_a_wrong_secret_is_told_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    link = Link(tmp_path, connect=False, secret="right")
    link.client = client = link.device("client", 1, secret="wrong")
    for _ in range(3):
        link.keeper.turn()
        assert client.queue(0).fds == []
        client._tick()  # type: ignore[attr-defined]  # what the timer does
    assert [record.message for record in caplog.records].count(
        f"link memif:{link.name}: no connection: Incorrect secret"
    ) == 2, "each side says it once"


def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    silent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    silent.bind(str(tmp_path / "silent.sock"))
    silent.listen()
    memif_device.FIRST_SECONDS = 0.0
    wanted = Wanted("memif", str(tmp_path / "silent.sock"), mtu=1500, options={"role": "client"})
    client = open_device(wanted)
    for _ in range(30):
        client._tick()  # type: ignore[attr-defined]  # what the timer does
    accepted = []
    silent.setblocking(False)
    while len(accepted) < 10:
        try:
            accepted.append(silent.accept()[0])
        except BlockingIOError:
            break
    assert 2 <= len(accepted) <= 3
    for end in accepted:
        end.close()
    client.close()
    silent.close()


# -- peers that stall and lie -----------------------------------------------------------------


def test_those_who_stall_give_way(link: Link) -> None:
    strangers = [Stranger(link) for _ in range(6)]
    assert strangers[0].hear() is None
    assert strangers[1].hear() is None
    strangers[5].init()
    for stranger in strangers:
        stranger.end.close()
    link.keeper.turn()


def test_anything_but_a_message_ends_it(link: Link) -> None:
    for data in (b"GET / HTTP/1.1\r\n\r\n", bytes(128), b"\1\0".ljust(500, b"\0"), b"\xff" * 128):
        stranger = Stranger(link)
        stranger.end.send(data)
        link.keeper.turn()
        assert refusal(stranger.hear())
        assert stranger.hear() is None
        stranger.end.close()


def sealed(size: int, seals: int = fcntl.F_SEAL_SHRINK) -> int:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def test_regions_that_could_fail_are_refused(link: Link, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(8192))
    with open(tmp_path / "file", "r+b") as file:
        rows = [
            (os.dup(file.fileno()), "Region cannot be mapped"),
            (sealed(8192, 0), "Region not sealed against shrinking"),
            (sealed(4096), "Region file too small"),
            (sealed(8192, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE), "Region cannot be mapped"),
            (os.eventfd(0), "Region cannot be mapped"),
        ]
    for fd, says in rows:
        stranger = Stranger(link)
        stranger.init()
        assert refusal(stranger.say(m.AddRegion(0, 8192), fd)) == says
        stranger.end.close()
        os.close(fd)


def test_rings_that_are_none_are_refused(link: Link) -> None:
    reader, writer = os.pipe()
    for cookie, fd, says in ((0, None, "Wrong cookie"), (m.COOKIE, writer, "Invalid interrupt fd")):
        region = sealed(1 << 16)
        os.pwrite(region, cookie.to_bytes(4, "little"), 0)
        interrupt = os.eventfd(0) if fd is None else fd
        stranger = Stranger(link)
        stranger.init()
        assert stranger.say(m.AddRegion(0, 1 << 16), region) == m.Ack()
        assert refusal(stranger.say(m.AddRing(1, 0, 0, 0, 4, 0), interrupt)) == says
        stranger.end.close()
        os.close(region)
    os.close(reader)
    os.close(writer)


def test_descriptors_that_nobody_asked_for_are_closed(link: Link) -> None:
    before = descriptors()
    reader, writer = os.pipe()
    for _ in range(3):
        stranger = Stranger(link)
        answer = stranger.say(m.Init(m.VERSION, 0, 0, b"", b""), *[writer] * 5)
        assert answer == m.Ack()
        stranger.end.close()
        link.keeper.turn()
    os.close(writer)
    assert os.read(reader, 1) == b"", "nobody holds its other end"
    os.close(reader)
    assert descriptors() == before


# -- the memory -------------------------------------------------------------------------------


@pytest.mark.parametrize(("rings", "log2_size", "buffer_len"), [(1, 8, 2048), (3, 10, 256)])
def test_the_layout_is_as_dpdk_lays_it_out(rings: int, log2_size: int, buffer_len: int) -> None:
    layout = lay_out(rings, log2_size, buffer_len)
    length = 128 + (16 << log2_size)
    places = [ring.offset for ring in (*layout.c2s, *layout.s2c)]
    assert places == [i * length for i in range(2 * rings)]
    (region,) = layout.regions
    assert region.size >= 2 * rings * (length + (buffer_len << log2_size))
    assert os.fstat(region.fd).st_size == region.size
    assert fcntl.fcntl(region.fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
    with mmap.mmap(region.fd, region.size) as memory:
        for at in places:
            assert memory[at : at + 4] == m.COOKIE.to_bytes(4, "little")
    for fd in layout.fds():
        os.close(fd)
