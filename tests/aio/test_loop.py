"""A loop on which addresses decide: what is the stack's, and what stays the kernel's."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import corten.aio
from corten.aio.facade import StackSocket
from corten.aio.loop import LINKS, Loop, loop_class
from corten.aio.network import Network
from corten.aio.transport import StreamTransport
from corten.endpoint.error import CortenError
from tests.aio.certificate import NAME, contexts
from tests.aio.joined import CLIENT, SERVER, Recorder, networks, run, until
from tests.netns import pattern


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def loops(request: pytest.FixtureRequest) -> Any:
    """What makes a loop that has a stack, once it is given one."""
    if request.param:
        pytest.importorskip("uvloop")
    return loop_class(request.param)


@asynccontextmanager
async def stacked() -> AsyncIterator[Network]:
    """The running loop has the client's stack; the server's Network."""
    async with networks() as (one, two):
        loop: Any = asyncio.get_running_loop()
        loop.use(two)
        yield one
        loop.network = None


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionResetError):  # silent: some tests end so
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def streams(serve: Any) -> Any:
    """The protocol factory that asyncio.start_server makes."""
    loop = asyncio.get_running_loop()
    return lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(loop=loop), serve, loop=loop)


def test_streams_both_ways(loops: Any) -> None:
    async def main() -> None:
        async with stacked() as far:
            theirs = await far.create_server(streams(echo), SERVER, 7)
            ours = await asyncio.start_server(echo, CLIENT, 7)
            assert isinstance(ours.sockets[0], StackSocket)
            octets = pattern(2_000_000)
            reader, writer = await asyncio.open_connection(SERVER, 7)
            assert isinstance(writer.transport, StreamTransport)

            async def send() -> None:
                for at in range(0, len(octets), 50_000):
                    writer.write(octets[at : at + 50_000])
                    await writer.drain()
                writer.write_eof()

            got, _ = await asyncio.gather(reader.read(), send())
            assert got == octets
            writer.close()
            await writer.wait_closed()
            _, client = await far.create_connection(Recorder, CLIENT, 7)
            client.transport.write(b"hello")
            await until(lambda: client.data == b"hello")
            client.transport.close()
            theirs.close()
            ours.close()
            await asyncio.sleep(0.02)

    run(main, loops)


def test_loopback_and_files_stay_the_kernels(loops: Any) -> None:
    async def main() -> None:
        async with stacked():
            for host in ("127.0.0.1", "localhost"):
                server = await asyncio.start_server(echo, host, 0)
                assert not isinstance(server.sockets[0], StackSocket)
                port = server.sockets[0].getsockname()[1]
                reader, writer = await asyncio.open_connection(host, port)
                assert not isinstance(writer.transport, StreamTransport)
                writer.write(b"kernel")
                assert await reader.readexactly(6) == b"kernel"
                writer.close()
                await writer.wait_closed()
                server.close()
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, ("127.0.0.1", 0)
            )
            assert transport.get_extra_info("socket").fileno() >= 0
            transport.close()
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "print(6 * 7)", stdout=asyncio.subprocess.PIPE
            )
            assert (await process.communicate())[0] == b"42\n"
            await asyncio.sleep(0.02)

    run(main, loops)


def test_a_datagram_goes_where_its_address_says(loops: Any) -> None:
    async def main() -> None:
        async with stacked():
            loop = asyncio.get_running_loop()
            for local, remote in (((CLIENT, 53), None), (None, (SERVER, 53))):
                transport, _ = await loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol, local, remote_addr=remote
                )
                assert transport.get_extra_info("socket").fileno() == -1
                transport.close()
            await asyncio.sleep(0.01)

    run(main, loops)


def test_a_name_is_asked_of_the_stacks_servers(loops: Any) -> None:
    async def main() -> None:
        async with stacked() as far:
            server = await far.create_server(streams(echo), SERVER, 7)
            network: Any = asyncio.get_running_loop().network  # type: ignore[attr-defined]
            network.host.names.given = [SERVER]
            network.host.names.resolver.hosts["echo.test"] = [SERVER]
            reader, writer = await asyncio.open_connection("echo.test", 7)
            assert writer.get_extra_info("peername") == (SERVER, 7)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            writer.close()
            server.close()
            await asyncio.sleep(0.02)

    run(main, loops)


def test_a_socket_that_sock_connect_was_given(loops: Any) -> None:
    """As aiohttp's happy eyeballs connect: the socket stands for a connection of the stack."""

    async def main() -> None:
        async with stacked() as far:
            loop = asyncio.get_running_loop()
            server = await far.create_server(streams(echo), SERVER, 7)
            sock = socket.socket()
            sock.setblocking(False)
            await loop.sock_connect(sock, (SERVER, 7))
            transport, client = await loop.create_connection(Recorder, sock=sock)
            assert isinstance(transport, StreamTransport)
            assert sock.fileno() == -1
            transport.write(b"x")
            await until(lambda: client.data == b"x")
            transport.close()
            left = socket.socket()
            left.setblocking(False)
            await loop.sock_connect(left, (SERVER, 7))
            left.close()
            del left
            gc.collect()
            network: Any = loop.network  # type: ignore[attr-defined]
            states = lambda: [c.info()["state"] for c in network.host.stack.connections()]  # noqa: E731
            await until(lambda: "ESTABLISHED" not in states())
            refused = socket.socket()
            refused.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(refused, (SERVER, 8))
            refused.close()
            server.close()
            await asyncio.sleep(0.02)

    run(main, loops)


def test_start_tls_of_streams(loops: Any, tmp_path: Path) -> None:
    ours, theirs = contexts(tmp_path)

    async def secure(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"GO\n")
        await writer.start_tls(ours)
        await echo(reader, writer)

    async def main() -> None:
        async with stacked():
            server = await asyncio.start_server(secure, CLIENT, 25)
            reader, writer = await asyncio.open_connection(CLIENT, 25)  # over the loopback link
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"GO\n"
            await writer.start_tls(theirs, server_hostname=NAME)
            writer.write(b"secret\n")
            assert await reader.readline() == b"secret\n"
            writer.close()
            await writer.wait_closed()
            server.close()
            await asyncio.sleep(0.02)

    run(main, loops)


def test_a_file_over_either_stack(loops: Any, tmp_path: Path) -> None:
    """Over the kernel's connections `sendfile` stays asyncio's; uvloop has none."""
    path = tmp_path / "file"
    path.write_bytes(pattern(500_000))
    ours, theirs = contexts(tmp_path)

    async def main() -> None:
        async with stacked() as far:
            loop = asyncio.get_running_loop()
            got: list[bytes] = []

            async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                got.append(await reader.read())
                writer.close()

            hosts: list[tuple[str, Any]] = [(SERVER, None), (SERVER, theirs)]
            if isinstance(loop, asyncio.SelectorEventLoop):
                hosts.append(("127.0.0.1", None))
            for host, context in hosts:
                place: Any = far if host == SERVER else loop
                options = {"ssl": ours} if context else {}
                server = await place.create_server(streams(keep), host, 7000, **options)
                names = {"server_hostname": NAME} if context else {}
                transport, _ = await loop.create_connection(
                    Recorder, host, 7000, ssl=context, **names
                )
                with path.open("rb") as file:
                    assert await loop.sendfile(transport, file) == 500_000
                if host == SERVER:
                    with path.open("rb") as file, pytest.raises(RuntimeError):
                        await loop.sendfile(transport, file, fallback=False)
                transport.close()
                await until(lambda: got)
                assert got.pop() == pattern(500_000)
                server.close()
            await asyncio.sleep(0.02)

    run(main, loops)


def test_without_links_it_is_an_ordinary_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LINKS, raising=False)
    loop = corten.aio.new_event_loop()
    assert isinstance(loop, Loop)
    assert loop.network is None

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        server.close()

    loop.run_until_complete(main())
    loop.close()


@pytest.mark.parametrize(
    ("links", "what"),
    [
        (["kernel,address=127.0.0.1"], "no kernel link"),
        (["tap,address=10.0.2.2/24,workers=2"], "no workers="),
        (["nonsense"], "nonsense"),
    ],
)
def test_links_that_cannot_be(links: list[str], what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CortenError, match=what):
        corten.aio.new_event_loop(links)
    monkeypatch.setenv(LINKS, " ".join(links))
    with pytest.raises(CortenError, match=what):
        corten.aio.new_event_loop()


def test_what_was_to_run_is_not_left_behind() -> None:
    """Where there can be no loop, nobody warns of a coroutine that was never awaited."""

    async def main() -> None:
        raise AssertionError("on which loop?")

    coroutine = main()
    with pytest.raises(CortenError, match="nonsense"):
        corten.aio.run(coroutine, links=["nonsense"])
    assert coroutine.cr_frame is None  # closed
