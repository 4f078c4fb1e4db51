"""What joins a stack to an asyncio loop: addresses, ports, names, the errors of asyncio."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from corten.aio.network import Network
from corten.worker.node import Node
from tests.aio.joined import CLIENT, SERVER, SERVER6, Recorder, networks, run, until


def test_which_addresses_are_ours(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, _):
            assert one.owns(SERVER)
            assert one.serves(SERVER)
            assert one.serves(CLIENT)
            assert not one.owns(CLIENT)
            assert one.serves(SERVER6)
            for other in ("127.0.0.1", "::1", "192.0.2.1", "2001:db8::1", "name", ""):
                assert not one.serves(other)
                assert not one.owns(other)

    run(main, factory)


def test_a_gateway_makes_everything_ours_but_loopback(factory: Any) -> None:
    async def main() -> None:
        async with networks(gateway="10.7.0.254") as (one, _):
            assert one.serves("192.0.2.1")
            assert not one.serves("127.0.0.1")

    run(main, factory)


@pytest.mark.parametrize("host", [SERVER, SERVER6, None, "", "0.0.0.0", [SERVER, SERVER6]])
def test_servers_at_one_address_at_some_and_at_all(factory: Any, host: Any) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            server = await one.create_server(Recorder, host, 80)
            reached = []
            for address in (SERVER, SERVER6):
                try:
                    transport, _ = await two.create_connection(Recorder, address, 80)
                except ConnectionRefusedError:
                    continue
                reached.append(address)
                assert transport.get_extra_info("peername")[:2] == (address, 80)
                assert len(transport.get_extra_info("sockname")) == (4 if ":" in address else 2)
                transport.close()
            assert reached == [host] if host in (SERVER, SERVER6) else [SERVER, SERVER6]
            assert all(each.getsockname()[1] == 80 for each in server.sockets)
            server.close()

    run(main, factory)


def test_any_port(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            servers = [await one.create_server(Recorder, SERVER, 0) for _ in range(3)]
            ports = {server.sockets[0].getsockname()[1] for server in servers}
            assert len(ports) == 3
            for port in ports:
                transport, _ = await two.create_connection(Recorder, SERVER, port)
                transport.close()
            for server in servers:
                server.close()

    run(main, factory)


def test_a_port_that_is_taken(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, _):
            server = await one.create_server(Recorder, SERVER, 80)
            with pytest.raises(OSError, match="in use") as caught:
                await one.create_server(Recorder, [SERVER6, SERVER], 80)
            assert caught.value.errno == errno.EADDRINUSE
            again = await one.create_server(Recorder, SERVER6, 80)  # what was open is closed
            again.close()
            server.close()

    run(main, factory)


def test_refused_and_unreachable(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (_, two):
            with pytest.raises(ConnectionRefusedError) as caught:
                await two.create_connection(Recorder, SERVER, 81)
            assert caught.value.errno == errno.ECONNREFUSED
            with pytest.raises(OSError, match="no route"):
                await two.create_connection(Recorder, "192.0.2.1", 81)

    run(main, factory)


def test_who_gives_up_waiting_leaves_nothing(factory: Any) -> None:
    async def main() -> None:
        node = Node()
        node.add(lambda packet: None, ["10.8.0.2/24"])  # nobody answers
        network = Network(node)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(network.create_connection(Recorder, "10.8.0.1", 80), 0.05)
        await asyncio.sleep(0.01)
        assert node.stack.connections() == []
        network.close()
        node.close()

    run(main, factory)


def test_the_local_end(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            server = await one.create_server(Recorder, SERVER, 80)
            transport, _ = await two.create_connection(
                Recorder, SERVER, 80, local_addr=(CLIENT, 4000)
            )
            assert transport.get_extra_info("sockname") == (CLIENT, 4000)
            transport.close()
            server.close()

    run(main, factory)


def test_of_several_addresses_the_first_that_answers(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            server = await one.create_server(Recorder, SERVER, 80)
            two.host.names.resolver.hosts["both.test"] = [SERVER6, SERVER]
            for delay in (None, 0.01):
                transport, _ = await two.create_connection(
                    Recorder, "both.test", 80, happy_eyeballs_delay=delay
                )
                assert transport.get_extra_info("peername") == (SERVER, 80)
                transport.close()
            server.close()
            with pytest.raises(OSError, match=r"Multiple exceptions|Connect call failed"):
                await two.create_connection(Recorder, "both.test", 80)
            with pytest.raises(ExceptionGroup):
                await two.create_connection(Recorder, "both.test", 80, all_errors=True)

    run(main, factory)


def test_names_and_numbers(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, _):
            one.host.names.resolver.hosts["a.test"] = [SERVER6, SERVER]
            for host in ("10.7.0.1", b"10.7.0.1", "fd00::1", None):
                assert await one.getaddrinfo(
                    host, "http", type=socket.SOCK_STREAM
                ) == socket.getaddrinfo(
                    host, "http", type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
                )
            both = await one.getaddrinfo("a.test", 80, type=socket.SOCK_STREAM)
            assert [info[4] for info in both] == [(SERVER6, 80, 0, 0), (SERVER, 80)]
            only = await one.getaddrinfo("a.test", 80, family=socket.AF_INET)
            assert {info[4] for info in only} == {(SERVER, 80)}
            with pytest.raises(socket.gaierror):
                await one.getaddrinfo("b.test", 80)  # nobody to ask
            with pytest.raises(socket.gaierror):
                await one.getaddrinfo("a.test", 80, flags=socket.AI_NUMERICHOST)

    run(main, factory)


def test_what_is_the_kernels_is_refused(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, _):
            with socket.socket() as sock:
                for call in (
                    one.create_server(Recorder, sock=sock),
                    one.create_connection(Recorder, sock=sock),
                    one.create_datagram_endpoint(Recorder, sock=sock),
                ):
                    with pytest.raises(ValueError, match="kernel"):
                        await call

    run(main, factory)


def test_what_is_for_tls_alone_is_refused_without(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, _):
            for options in ({"ssl_handshake_timeout": 0.0}, {"ssl_shutdown_timeout": 1.0}):
                with pytest.raises(ValueError, match="only meaningful with ssl"):
                    await one.create_server(Recorder, SERVER, 80, **options)
                with pytest.raises(ValueError, match="only meaningful with ssl"):
                    await one.create_connection(Recorder, SERVER, 80, **options)
            with pytest.raises(ValueError, match="server_hostname"):
                await one.create_connection(Recorder, SERVER, 80, server_hostname="a.test")

    run(main, factory)


def test_a_factory_that_raises_loses_its_connection(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            server = await one.create_server(Recorder, SERVER, 80)
            with pytest.raises(ZeroDivisionError):
                await two.create_connection(lambda: 1 // 0, SERVER, 80)
            await until(lambda: not two.host.stack.connections())
            server.close()

    run(main, factory)


def test_a_host_that_turns_itself_is_asked_by_kick(factory: Any) -> None:
    class Host:
        kicks = 0

        def kick(self) -> None:
            self.kicks += 1

        def serves(self, address: str) -> bool:
            return address == "10.9.9.9"

    async def main() -> None:
        host = Host()
        network = Network(host)
        network.kick()
        network.kick()
        assert host.kicks == 2
        assert network.serves("10.9.9.9")
        assert network.owns("10.9.9.9")
        network.close()

    run(main, factory)
