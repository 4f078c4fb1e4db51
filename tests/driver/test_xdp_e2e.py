"""AF_XDP over veth pairs: bytes, deaths, long frames, and the kernel beside us on the device."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.namespace import Namespace
from bench.process import Process
from corten.core.frame import CHECKSUM_GOOD, ReceiveBatch, TransmitBatch
from corten.driver.device import Wanted
from corten.driver.xdp_device import XdpDevice, open_device
from corten.endpoint.error import CortenError
from tests.driver.veth import HOST, NAME, PEER, has_program, lay, lay_ipv6
from tests.netns import Client, Program, namespace, pattern
from tests.worker.test_serve_e2e import Served, call, workers_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
xdp = pytest.importorskip("corten.driver.xdp", exc_type=ImportError)

ADDRESS, ADDRESS6 = "10.9.0.2", "fd09::2"
LINK = f"xdp:{NAME},address={ADDRESS}/24"
Pair = tuple[Namespace, Namespace]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Our side and the client's, nothing between them yet."""
    with namespace("ours") as ours, namespace("theirs") as theirs:
        yield ours, theirs


def exchange(client: Client, most: int = 2_000_000) -> None:
    """Bytes both ways."""
    for length in (0, 1, 1460, 100_000, most):
        assert client.ask(f"/{length}") == pattern(length)
    body = pattern(most // 2)
    assert client.ask("/sum", body).decode() == hashlib.sha256(body).hexdigest()
    client.close()


@pytest.mark.parametrize(
    ("queues", "workers", "options"),
    [
        (1, 1, "offload=on"),
        (4, 1, "offload=off,ring=64"),
        (4, 2, "offload=on,mode=generic"),  # there a veth's last queue gets nothing
        (4, 4, "offload=on,copy=on,mode=native"),
    ],
)
def test_bytes_both_ways(pair: Pair, queues: int, workers: int, options: str) -> None:
    ours, theirs = pair
    lay(ours, theirs, queues)
    with Served(ours, [f"{LINK},{options}"], workers=workers) as served:
        assert served.ready == [ADDRESS]
        for _ in range(workers * 2):
            exchange(call(theirs))
        theirs.command(["ping", "-c", "3", "-i", "0.05", "-W", "2", "-s", "1400", ADDRESS])
        assert len(workers_of(theirs, workers)) == workers
        assert served.program.end(signal.SIGTERM) == 0
    assert not has_program(ours)


def test_ipv6(pair: Pair) -> None:
    ours, theirs = pair
    lay(ours, theirs, 2)
    try:
        lay_ipv6(ours, theirs)
    except OSError as error:
        pytest.skip(f"no IPv6: {error}")
    with Served(ours, [f"{LINK},address={ADDRESS6}/64"], workers=2) as served:
        for address in (ADDRESS6, ADDRESS):
            exchange(call(theirs, address))
            exchange(call(theirs, address))
        theirs.command(["ping", "-6", "-c", "2", "-i", "0.05", "-W", "2", ADDRESS6])
        assert served.program.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_jumbo_frames_in_several_chunks(pair: Pair, mode: str) -> None:
    ours, theirs = pair
    lay(ours, theirs, mtu=9000)
    with Served(ours, [f"{LINK},mode={mode}"]) as served:
        exchange(call(theirs))
        theirs.command(["ping", "-c", "1", "-W", "2", "-M", "do", "-s", "8972", ADDRESS])
        assert served.program.end(signal.SIGTERM) == 0


def test_a_killed_worker_is_back_and_harms_no_other(pair: Pair) -> None:
    ours, theirs = pair
    lay(ours, theirs, 4)
    with Served(ours, [LINK], workers=2) as served:
        for _ in range(3):
            before = workers_of(theirs, 2)
            (victim, lost), (_, kept) = before[0], before[1]
            os.kill(victim, signal.SIGKILL)
            assert kept.ask("/100000") == pattern(100_000)
            while True:
                pid, index = served.program.wait_for("up", 5.0)
                if index == 0 and pid not in {p for p, _ in before.values()}:
                    break
            after = workers_of(theirs, 2)
            assert after[0][0] != victim
            assert after[1][0] == before[1][0]
            with pytest.raises(ConnectionError):  # its connections are reset by its successor
                lost.ask("/1")
            for _, client in (*before.values(), *after.values()):
                client.close()
        assert served.program.end(signal.SIGTERM) == 0


def test_nothing_is_left_when_everything_was_killed(pair: Pair) -> None:
    ours, theirs = pair
    lay(ours, theirs, 2)
    with Served(ours, [LINK], workers=2) as served:
        assert has_program(ours)
        assert served.program.end(signal.SIGKILL) == -signal.SIGKILL
    until = time.monotonic() + 5.0
    while has_program(ours) and time.monotonic() < until:
        time.sleep(0.02)
    assert not has_program(ours)
    with Served(ours, [LINK], workers=2) as served:  # its queues are free again
        exchange(call(theirs), 1000)
        assert served.program.end(signal.SIGTERM) == 0


# -- the kernel beside us -------------------------------------------------------------------


def sshd(space: Namespace, folder: Path) -> Process:
    """The kernel's own service on the device, for a key that is thrown away."""
    for name in ("host", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True)
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress {HOST}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "StrictModes no\nPidFile none\nPermitRootLogin yes\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nUsePAM no\n",
        encoding="ascii",
    )
    # it wants a directory that a machine without its service has not: in a /run of its own
    script = "mount -t tmpfs none /run && mkdir /run/sshd && exec $0 -D -e -f $1"
    path = shutil.which("sshd") or "/usr/sbin/sshd"
    made = Process(["unshare", "-m", "sh", "-c", script, path, str(config)], space, None)
    made.expect("Server listening")
    return made


def test_ssh_and_ping_to_the_kernel_while_we_serve(pair: Pair, tmp_path: Path) -> None:
    ours, theirs = pair
    lay(ours, theirs, 2)
    user = pwd.getpwuid(os.getuid()).pw_name
    ssh = ["ssh", "-i", str(tmp_path / "user"), "-o", "StrictHostKeyChecking=no", "-o"]
    ssh += ["UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", f"{user}@{HOST}"]
    wrk = ["wrk", "-t1", "-c50", "-d4s", f"http://{ADDRESS}/10000"]
    daemon = sshd(ours, tmp_path)
    try:
        with Served(ours, [LINK], workers=2) as served:
            load = Process(wrk, theirs, None)
            try:
                theirs.command(["ping", "-c", "5", "-i", "0.1", "-W", "2", HOST])
                assert theirs.command([*ssh, "echo", "here"]) == "here\n"
                text = theirs.command([*ssh, "head", "-c", "3000000", "/dev/zero"])
                assert text == "\0" * 3_000_000
                ours.command(["ping", "-c", "2", "-i", "0.1", "-W", "2", PEER])
                report = load.wait(20.0)
            finally:
                load.stop()
            assert int(re.findall(r"(\d+) requests in", report)[0]) > 50
            assert "Socket errors" not in report
            assert "Non-2xx" not in report
            assert served.program.end(signal.SIGTERM) == 0
    finally:
        daemon.stop()


# -- the driver alone -----------------------------------------------------------------------


def opened(pair: Pair, **more: Any) -> tuple[XdpDevice, Any]:
    with pair[0].inside():
        device = open_device(Wanted("xdp", NAME, ours=[f"{ADDRESS}/24"], **more))
        return device, xdp.open_queue(device.queue(0).own())


def datagrams(pair: Pair, device: XdpDevice, lengths: list[int]) -> None:
    """From the peer's kernel, one of each length; numbered by their first octet."""
    words = ["neigh", "replace", ADDRESS, "lladdr", device.mac, "dev", NAME]
    pair[1].ip(*words)
    with pair[1].inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for i, length in enumerate(lengths):
            sender.sendto(bytes([i]) + bytes(length - 1), (ADDRESS, 9))


def received(driver: Any, batch: ReceiveBatch, count: int) -> list[tuple[bytes, int]]:
    """So many datagrams' payloads and flags; other frames do not count. As a worker does, it looks
    until nothing comes: the last burst's chunks are given back then."""
    found: list[tuple[bytes, int]] = []
    until = time.monotonic() + 5.0
    taken = 1
    while (taken or len(found) < count) and time.monotonic() < until:
        if not taken:
            select.select(driver.filenos(), [], [], 0.1)
        taken = driver.receive(batch)
        frames = [(batch.frame(i), batch.frame_flags[i]) for i in range(taken)]
        found += [(frame[42:], flags) for frame, flags in frames if frame[23] == 17]
        batch.clear()
    return found


def test_a_burst_ends_and_goes_on(pair: Pair) -> None:
    """More than a ring holds come, in bursts: every chunk goes round."""
    lay(*pair)
    device, driver = opened(pair, options={"ring": 64})
    batch = driver.make_batch()
    for _ in range(6):
        datagrams(pair, device, [40] * 50)
        found = received(driver, batch, 50)
        assert [payload[0] for payload, _ in found] == list(range(50))
    assert driver.received >= 300
    assert driver.receive_dropped == 0
    driver.close()
    device.close()


def test_frames_of_every_length_lie_in_one_memory(pair: Pair) -> None:
    lay(*pair, mtu=9000)
    device, driver = opened(pair)
    lengths = [40, 3796, 3800, 8000, 41, 8972, 1]
    for batch in (driver.make_batch(), ReceiveBatch()):  # its own, and one that a wrapper has
        datagrams(pair, device, lengths)
        found = [payload for payload, _ in received(driver, batch, len(lengths))]
        assert [len(payload) for payload in found] == lengths
        assert [payload[0] for payload in found] == list(range(len(lengths)))
        assert not any(any(payload[1:]) for payload in found)
    driver.close()
    device.close()


@pytest.mark.parametrize(
    ("checksum", "flags"), [("auto", CHECKSUM_GOOD), ("trust", CHECKSUM_GOOD), ("verify", 0)]
)
def test_a_checksum_that_the_kernel_left_undone(pair: Pair, checksum: str, flags: int) -> None:
    lay(*pair)
    device, driver = opened(pair, options={"checksum": checksum})
    datagrams(pair, device, [100])
    assert [found for _, found in received(driver, driver.make_batch(), 1)] == [flags]
    driver.close()
    device.close()


def test_a_checksum_that_was_made_is_for_the_stack_to_verify(pair: Pair) -> None:
    lay(*pair)
    pair[1].command(["ethtool", "-K", NAME, "tx", "off"])
    device, driver = opened(pair)
    datagrams(pair, device, [100])
    assert [found for _, found in received(driver, driver.make_batch(), 1)] == [0]
    driver.close()
    device.close()


def test_frames_go_out_whole_and_in_order(pair: Pair) -> None:
    lay(*pair, mtu=9000)
    device, driver = opened(pair, options={"ring": 64})
    with pair[1].inside():
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        ear.bind((NAME, 0x88B5))
    sent: list[bytes] = []
    for lengths in ([60, 1514, 4032, 4033, 9014, 60], [64] * 200):
        outgoing = TransmitBatch()
        for length in lengths:
            sent.append(b"\xff" * 6 + bytes(6) + b"\x88\xb5" + pattern(length - 14))
            assert outgoing.append(sent[-1])
        assert driver.transmit(outgoing) == len(lengths)
    ear.settimeout(5.0)
    assert [ear.recv(10000) for _ in sent] == sent
    assert driver.transmit_dropped == 0
    ear.close()
    driver.close()
    device.close()


def test_what_cannot_be_sent_is_a_counted_drop(pair: Pair) -> None:
    """The device is down: the ring takes what it holds, and no more."""
    lay(*pair)
    device, driver = opened(pair, options={"ring": 64})
    pair[0].ip("link", "set", NAME, "down")
    outgoing = TransmitBatch()
    for _ in range(100):
        outgoing.append(bytes(60))
    assert driver.transmit(outgoing) == 64
    assert driver.transmit_dropped == 36
    assert driver.transmit(outgoing) == 0
    pair[0].ip("link", "set", NAME, "up")
    assert driver.transmit(outgoing) > 0
    driver.close()
    assert driver.transmit(outgoing) == 0
    driver.close()
    assert driver.filenos() == []
    device.close()


def test_a_removed_device_ends_the_link(pair: Pair) -> None:
    lay(*pair)
    device, driver = opened(pair)
    pair[0].ip("link", "delete", NAME)
    with pytest.raises(CortenError, match="was removed"):
        for _ in range(1000):
            driver.is_ready()
    driver.close()
    device.close()


def test_a_queue_that_is_taken_is_waited_for_but_not_for_ever(pair: Pair) -> None:
    lay(*pair)
    device, driver = opened(pair)
    with pair[0].inside(), pytest.raises(CortenError, match="queue 0 is another program's"):
        xdp.open_queue(device.queue(0).own())
    driver.close()
    del driver
    with pair[0].inside():
        xdp.open_queue(device.queue(0).own()).close()
    device.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("address=dhcp", "hears no DHCP server"),
        ("address=slaac", "hears no routers"),
        ("address=10.9.0.2/24,host=10.9.0.1", "has no host"),
        ("address=10.9.0.2/24,ring=100", "a power of two from 64 to 16384"),
        ("address=10.9.0.2/24,copy=zero", "cannot do zero-copy: use copy=auto"),
        ("address=10.9.0.1/24", "10.9.0.1 is in use"),
    ],
)
def test_what_is_refused_is_one_line(pair: Pair, options: str, says: str) -> None:
    lay(*pair)
    text = json.dumps({"links": [f"xdp:{NAME},{options}"]})
    program = Program(pair[0], "-m", "tests.worker.server", text)
    try:
        error = program.wait_for("error")
        assert says in error
        assert "\n" not in error
        assert program.end() == 2
    finally:
        program.close()
    assert not has_program(pair[0])
