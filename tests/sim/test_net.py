"""Net: hosts, links, names and programs; cut and healed; the same from the same seed."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.endpoint.error import CortenError
from corten.sim import Machine, Net, SimulationFailure, Weather
from corten.wire import pcapng
from tests.cli.command import ROOT, environment
from tests.plain import IS_PLAIN
from tests.sim.services import ask, echo_datagrams, echo_lines, exchange


@pytest.fixture
def net() -> Iterator[Net]:
    with Net(seed=5, check=True) as made:
        yield made


def pair(net: Net) -> tuple[Machine, Machine]:
    server, client = net.host("server", "10.0.0.1"), net.host("client")
    server.start(echo_lines())
    return server, client


# -- programs -------------------------------------------------------------------------------


def test_a_program_runs_unchanged(net: Net) -> None:
    server, client = pair(net)
    net.link(client, server, delay=0.150)
    assert client.run(ask("server")) == b"HELLO\n"
    assert net.now == pytest.approx(0.75)  # an announcement, the handshake, the line


def test_datagrams(net: Net) -> None:
    server, client = net.host("server"), net.host("client")
    net.link(client, server)
    server.start(echo_datagrams())
    assert client.run(exchange("server", b"to and fro")) == b"to and fro"


def test_a_task_that_was_started_ends_the_run_with_its_error(net: Net) -> None:
    server, client = net.host("server"), net.host("client")
    net.link(client, server)

    async def fail() -> None:
        await asyncio.sleep(1)
        raise ValueError("out of order")

    server.start(fail())
    with pytest.raises(ValueError, match="out of order"):
        client.run(asyncio.sleep(10))
    assert net.now == pytest.approx(1)
    assert client.run(asyncio.sleep(10, "well")) == "well"  # once is enough


def test_several_runs_share_what_was_started(net: Net) -> None:
    server, client = pair(net)
    net.link(client, server)
    assert [client.run(ask("server", b"%d\n" % i)) for i in range(3)] == [b"0\n", b"1\n", b"2\n"]


def test_a_task_without_a_host_cannot_open_anything(net: Net) -> None:
    with pytest.raises(CortenError, match=r"runs on no host: start it with host\.run"):
        net.run(ask("server"))


def test_closing_ends_every_task_and_connection() -> None:
    ended = []

    async def wait() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(True)

    with Net() as net:
        server, client = pair(net)
        net.link(client, server)
        client.start(wait())
        client.run(ask("server"))
    net.close()
    assert ended == [True]
    assert not net.loop.tasks()
    assert not any(machine.connections() for machine in net.machines)


# -- links ----------------------------------------------------------------------------------


def test_a_link_is_cut_and_heals(net: Net) -> None:
    server, client = pair(net)
    link = net.link(client, server, delay=0.010)

    async def talk() -> list[float]:
        reader, writer = await asyncio.open_connection("server", 7)
        times = []
        for _ in range(30):
            writer.write(b"x\n")
            await reader.readline()
            times.append(net.now)
            await asyncio.sleep(0.5)
        writer.close()
        return times

    net.at(5.0, link.cut)
    net.at(9.0, link.heal)
    times = client.run(talk())
    assert not any(5.02 < time < 9 for time in times)
    assert sum(time > 9 for time in times) > 15
    assert "client-server        -- cut" in net.trace()
    assert "link down" in net.trace()


def test_jitter_delays_and_keeps_the_order(net: Net) -> None:
    server, client = pair(net)
    link = net.link(client, server, delay=0.010, jitter=0.050)
    client.run(ask("server", b"x" * 50_000 + b"\n"))
    assert "ooo" not in net.trace()
    assert link.lost == 0
    assert 0.06 < net.now < 0.8


def test_each_kind_of_weather_comes_from_the_seed(net: Net) -> None:
    server, client = pair(net)
    link = net.link(client, server, loss=0.05, duplicate=0.05, reorder=0.05, corrupt=0.02)
    for _ in range(5):
        assert client.run(ask("server", b"x" * 60_000 + b"\n")) == b"X" * 60_000 + b"\n"
    assert link.lost
    for what in ("-- lost", "-- duplicated", "flipped"):
        assert what in net.trace()
    link.weather = Weather()
    lost = link.lost
    client.run(ask("server"))
    assert link.lost == lost


def test_a_rate_and_its_queue(net: Net) -> None:
    server, client = pair(net)
    net.link(client, server, rate=1e6, delay=0.010)
    client.run(ask("server", b"x" * 60_000 + b"\n"))
    assert 0.9 < net.now < 1.6  # twice half a second


@pytest.mark.parametrize("name", ["loss", "duplicate", "reorder", "corrupt"])
def test_a_fraction_is_none(net: Net, name: str) -> None:
    a, b = net.host("a"), net.host("b")
    with pytest.raises(CortenError, match=f"{name}=5: a fraction from 0 to 1 is wanted"):
        net.link(a, b, **{name: 5})


def test_the_mtu_of_a_link_counts_at_its_ends(net: Net) -> None:
    server, client = pair(net)
    net.link(client, server, mtu=600)
    client.run(ask("server", b"x" * 5_000 + b"\n"))
    frames = [frame for _, _, _, frame, _ in net.network.trace.packets()]
    assert max(len(frame) for frame in frames) == 614


# -- names and addresses ----------------------------------------------------------------------


def test_names_come_from_the_book_in_no_time(net: Net) -> None:
    server, client = pair(net)
    net.link(client, server)
    loop = net.loop
    infos = client.run(loop.getaddrinfo("Server", 80, type=socket.SOCK_STREAM))
    assert [info[4] for info in infos] == [("10.0.0.1", 80)]
    assert client.addresses == ["10.0.0.2"]
    with pytest.raises(socket.gaierror):
        client.run(loop.getaddrinfo("nobody", 80))
    assert net.now == 0


def test_a_name_server_is_asked_over_the_network(net: Net) -> None:
    names, client, server = net.host("names"), net.host("client"), net.host("server")
    middle = net.router("middle")
    for host in (names, client, server):
        net.link(host, middle, delay=0.050)
    server.start(echo_lines())
    net.nameserver(names)
    assert client.run(ask("server")) == b"HELLO\n"
    assert f"> {names.addresses[0]}.53: UDP" in net.trace()
    with pytest.raises(socket.gaierror, match="nobody: no such name"):
        client.run(ask("nobody"))


def test_a_host_resolves_for_handlers_too(net: Net) -> None:
    server, client = pair(net)
    net.link(client, server)
    found: list[object] = []
    for name in ("server", "10.9.9.9", "fd00::9", "localhost", "nobody"):
        client.resolve(name, lambda addresses, error: found.append(addresses or str(error)))
    net.run(asyncio.sleep(1))
    assert found == [
        ["10.0.0.1"],
        ["10.9.9.9"],
        ["fd00::9"],
        ["::1", "127.0.0.1"],
        "nobody: no such name in this network",
    ]


def test_ipv6(net: Net) -> None:
    server, client = net.host("server", "fd00::1"), net.host("client")
    net.link(client, server)
    server.start(echo_lines())
    assert client.addresses == ["fd00::2"]
    assert client.run(ask("server")) == b"HELLO\n"
    assert " IP " not in net.trace()


def test_both_families() -> None:
    with Net(ipv6=True, check=True) as net:
        server, client = net.host("server"), net.host("client")
        net.link(client, server)
        server.start(echo_lines())
        assert net.book["server"] == ["10.0.0.2", "fd00::2"]
        assert client.run(ask("10.0.0.2")) == client.run(ask("fd00::2")) == b"HELLO\n"


def test_addresses_of_different_subnets_reach_each_other_on_one_link(net: Net) -> None:
    server, client = net.host("server", "10.1.2.3"), net.host("client", "192.168.7.9")
    net.link(client, server)
    server.start(echo_lines())
    assert client.run(ask("server")) == b"HELLO\n"


def test_a_host_hears_itself(net: Net) -> None:
    server, client = pair(net)
    net.link(client, server)
    assert server.run(ask("127.0.0.1")) == server.run(ask("localhost")) == b"HELLO\n"


def test_names_and_addresses_are_had_once(net: Net) -> None:
    net.host("server", "10.0.0.1")
    with pytest.raises(CortenError, match="'server' already: choose another name"):
        net.host("server")
    with pytest.raises(CortenError, match=r"10\.0\.0\.1 is another host's address"):
        net.host("other", "10.0.0.1")
    with pytest.raises(CortenError, match=r"'10\.0\.0' is no address: write"):
        net.host("third", "10.0.0")


# -- telling ----------------------------------------------------------------------------------


def test_a_failure_tells_the_seed_and_the_packets(net: Net, tmp_path: Path) -> None:
    server, client = pair(net)
    link = net.link(client, server)
    net.pcapng = tmp_path / "run.pcapng"
    link.cut()
    with pytest.raises(
        SimulationFailure, match=r"not done at 2 s(.|\n)*ask on client waits"
    ) as caught:
        client.run(ask("server"), within=2)
    note = caught.value.__notes__[0]
    assert "who-has 10.0.0.1 tell 10.0.0.2" in note
    assert "seed 5: Net(seed=5)" in note
    packets = pcapng.read(net.pcapng.read_bytes())
    assert [packet.comment for packet in packets][:2] == [
        "client #0: link down",
        "server #1: link down",
    ]


def test_nothing_left_to_happen_is_an_error_at_once(net: Net) -> None:
    server, client = pair(net)
    net.link(client, server)

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(SimulationFailure, match=r"nothing is left to happen\n"):
        client.run(wait())
    assert net.now < 1


# -- again ------------------------------------------------------------------------------------


async def chat(net: Net, seconds: float) -> int:
    """A minute of two connections at once, with pauses and time-outs."""
    late = 0

    async def one(pause: float) -> None:
        nonlocal late
        reader, writer = await asyncio.open_connection("server", 7)
        while net.now < seconds:
            writer.write(b"x" * int(pause * 20_000) + b"\n")
            reply = asyncio.ensure_future(reader.readline())
            done, _ = await asyncio.wait({reply}, timeout=0.5)
            late += not done
            await reply
            await asyncio.sleep(pause)
        writer.close()

    async with asyncio.TaskGroup() as group:
        group.create_task(one(0.2))
        group.create_task(one(0.3))
    return late


def test_another_process_sees_the_same() -> None:
    """No order comes from addresses of objects, nor from the hashes of strings."""
    code = "from tests.sim import test_net as t; print(t.digest(t.minute(11, 10.0)))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={**environment(), "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {f"{digest(minute(11, 10.0))}\n"}


def digest(run: tuple[str, bytes, int]) -> str:
    return hashlib.blake2s(repr(run).encode()).hexdigest()


def minute(seed: int, seconds: float = 60.0) -> tuple[str, bytes, int]:
    with Net(seed) as net:
        server, client = pair(net)
        net.link(client, server, delay=0.040, jitter=0.010, loss=0.03, reorder=0.02, rate=5e6)
        late = client.run(chat(net, seconds))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.pcapng"
            net.write_pcapng(path)
            return net.trace(), path.read_bytes(), late


@pytest.mark.slow
def test_a_minute_with_loss_is_the_same_bit_for_bit_from_its_seed() -> None:
    seconds = 20.0 if IS_PLAIN else 60.0
    first, second, other = (minute(seed, seconds) for seed in (11, 11, 12))
    assert first == second
    assert first[0] != other[0]
    assert first[0].count("\n") > 25 * seconds
    assert "lost" in first[0]
    assert first[2]
