"""Routers of a simulated network: ways, fragments, what they say of what they cannot pass on."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest

from corten.sim import Machine, Net
from corten.sim.packet import checksum
from corten.sim.router import fragments
from tests.sim.services import ask, echo_datagrams, echo_lines, exchange


@pytest.fixture
def net() -> Iterator[Net]:
    with Net(seed=5, ipv6=True) as made:
        yield made


def ends(net: Net) -> tuple[Machine, Machine]:
    server, client = net.host("server"), net.host("client")
    server.start(echo_lines())
    server.start(echo_datagrams())
    return server, client


def of_family(machine: Machine, version: int) -> str:
    return next(each for each in machine.addresses if (":" in each) == (version == 6))


@pytest.mark.parametrize("version", [4, 6])
def test_a_chain_of_routers(net: Net, version: int) -> None:
    server, client = ends(net)
    routers = [net.router(f"r{i}") for i in range(3)]
    net.link(client, routers[0], delay=0.010)
    for a, b in pairwise(routers):
        net.link(a, b, delay=0.010)
    net.link(routers[2], server, delay=0.010)
    assert client.run(ask(of_family(server, version))) == b"HELLO\n"
    assert 0.16 <= net.now < 0.3  # four links, there and back, twice; ARP or ND at the ends
    ttl = {
        frame[22 if version == 4 else 21]
        for _, who, _, frame, _ in net.network.trace.packets()
        if who == "r2.1" and frame[12:14] == (b"\x08\x00" if version == 4 else b"\x86\xdd")
    }
    assert 61 in ttl


def test_the_shortest_way_is_taken(net: Net) -> None:
    server, client = ends(net)
    a, b, c = (net.router(name) for name in "abc")
    net.link(client, a)
    long_way = [net.link(a, b), net.link(b, c)]
    short = net.link(a, c)
    net.link(c, server)
    client.run(ask("server"))
    assert short.packets > 4
    assert not any(link.packets for link in long_way)


def test_a_host_on_two_links_uses_the_one_that_leads_there(net: Net) -> None:
    server, client = ends(net)
    home, away = net.router("home"), net.router("away")
    first = net.link(client, home)
    second = net.link(client, away)
    net.link(away, server)
    assert client.run(ask("server")) == b"HELLO\n"
    assert second.packets > 5
    assert not any(frame[12:14] == b"\x08\x00" for frame in _frames(net, "home"))
    assert first.packets < 20


def _frames(net: Net, who: str) -> list[bytes]:
    return [frame for _, name, _, frame, _ in net.network.trace.packets() if name == who]


@pytest.mark.parametrize("version", [4, 6])
def test_a_narrow_link_beyond_the_router_is_learnt(net: Net, version: int) -> None:
    """RFC 1191, RFC 8201: too large packets come back, and smaller ones follow."""
    server, client = ends(net)
    here, there = net.router("here"), net.router("there")
    net.link(client, here)
    net.link(here, there, mtu=1300)
    net.link(there, server)

    async def send() -> bytes:
        reader, writer = await asyncio.open_connection(of_family(server, version), 7)
        writer.write(b"x" * 20_000 + b"\n")
        reply = await reader.readline()
        writer.close()
        return reply

    assert client.run(send()) == b"X" * 20_000 + b"\n"
    sizes = [len(frame) for frame in _frames(net, "client")]
    assert max(sizes) == 1514
    assert sizes.count(1314) > 10
    assert max(len(frame) for frame in _frames(net, "here.1")) == 1314


def test_datagrams_are_cut_once_the_narrow_link_is_known() -> None:
    """The first one comes back; the host cuts the second one itself (RFC 1191 3)."""
    with Net(seed=5) as net:
        server, client = ends(net)
        router = net.router("router")
        net.link(client, router)
        net.link(router, server, mtu=576)
        data = bytes(range(256)) * 5

        async def twice() -> bytes:
            try:
                async with asyncio.timeout(1):
                    return await exchange("server", data)
            except (TimeoutError, OSError):
                return await exchange("server", data)

        assert client.run(twice()) == data
        assert sum(len(frame) <= 590 for frame in _frames(net, "router.1")) >= 3


def test_a_router_cuts_what_may_be_cut() -> None:
    with Net(seed=5) as net:
        server, client = ends(net)
        router = net.router("router")
        net.link(client, router)
        net.link(router, server, mtu=576)
        client.run(exchange("server", b"ping"))
        datagram = packet(struct.pack("!HHHH", 9000, 7, 1208, 0) + bytes(1200))
        here, there = (
            bytes(map(int, text.split("."))) for text in (client.addresses[0], server.addresses[0])
        )
        head = datagram[:10] + b"\0\0" + here + there
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        frame = router.ports[0].mac_octets + bytes(6) + b"\x08\x00" + head + datagram[20:]
        router.arrive(net.network.now, router.ports[0], frame, True)
        net.run(asyncio.sleep(1))
        echo = [frame for frame in _frames(net, "server") if len(frame) > 100]
        assert sum(len(frame) - 34 for frame in echo) == 1208


@pytest.mark.parametrize("version", [4, 6])
def test_nowhere_is_unreachable(net: Net, version: int) -> None:
    _, client = ends(net)
    net.link(client, net.router("router"))
    where = "192.0.2.1" if version == 4 else "2001:db8::1"
    with pytest.raises(OSError, match="unreachable"):
        client.run(ask(where), within=600)


def test_two_parts_of_a_network_do_not_meet(net: Net) -> None:
    server, client = ends(net)
    net.link(client, net.router("here"))
    net.link(server, net.router("there"))
    with pytest.raises(OSError, match="unreachable"):
        client.run(ask(of_family(server, 4)), within=600)


def test_routes_are_found_again_when_links_are_added(net: Net) -> None:
    server, client = ends(net)
    here, there = net.router("here"), net.router("there")
    net.link(client, here)
    net.link(server, there)
    client.run(asyncio.sleep(1))
    net.link(here, there)
    assert client.run(ask("server")) == b"HELLO\n"


# -- fragments --------------------------------------------------------------------------------


def packet(body: bytes, word: int = 0) -> bytes:
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 7, word, 64, 17, 0, b"aaaa", b"bbbb"
    )
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def test_fragments_are_eight_octets_apart_and_whole() -> None:
    body = bytes(i & 0xFF for i in range(1000))
    parts = fragments(packet(body), 300)
    assert [len(part) for part in parts] == [300, 300, 300, 180]
    words = [struct.unpack_from("!H", part, 6)[0] for part in parts]
    assert words == [0x2000, 0x2000 | 35, 0x2000 | 70, 105]
    assert b"".join(part[20:] for part in parts) == body
    assert not any(checksum(part[:20]) for part in parts)


def test_a_fragment_in_the_middle_stays_one() -> None:
    parts = fragments(packet(bytes(160), 0x2000 | 10), 100)
    words = [struct.unpack_from("!H", part, 6)[0] for part in parts]
    assert words == [0x2000 | 10, 0x2000 | 20]


def test_what_may_not_be_cut_is_not() -> None:
    assert fragments(packet(bytes(1000), 0x4000), 300) == []
