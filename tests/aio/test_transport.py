"""asyncio's contract of a stream transport, over two stacks joined by pipes."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from tests.aio.joined import CLIENT, SERVER, Recorder, connected, run, until
from tests.netns import pattern


class Echo(Recorder):
    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def test_names_and_figures(factory: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, Recorder) as (server, client):
            near, far = client.transport, server.transport
            assert near.get_extra_info("peername") == (SERVER, 7)
            assert near.get_extra_info("sockname")[0] == CLIENT
            assert near.get_extra_info("sockname") == far.get_extra_info("peername")
            assert near.get_extra_info("tcp_info")["state"] == "ESTABLISHED"
            assert near.get_extra_info("sslcontext") is None
            assert near.get_extra_info("no such", 3) == 3
            sock = far.get_extra_info("socket")
            assert sock.family == socket.AF_INET
            assert sock.getsockname() == (SERVER, 7)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            near.close()
            await server.over
            assert near.get_extra_info("peername") == (SERVER, 7)
            await until(lambda: near.get_extra_info("tcp_info", 5) == 5)

    run(main, factory)


def test_what_is_written_in_pieces_arrives_in_order(factory: Any) -> None:
    async def main() -> None:
        async with connected(Echo, Recorder) as (_, client):
            octets = pattern(300_000)
            at = 0
            for length in [1, 2, 3, 700, 64, 9000, 1 << 16, 1, len(octets)]:
                piece: Any = octets[at : at + length]
                at += length
                client.transport.write(
                    [bytes, bytearray, memoryview][length % 3](piece)  # all it may be given
                )
            client.transport.writelines([b"a", bytearray(b"b"), memoryview(b"c"), b""])
            client.transport.write(b"")
            await until(lambda: len(client.data) == len(octets) + 3)
            assert client.data == octets + b"abc"
            client.transport.close()

    run(main, factory)


def test_a_mutable_buffer_may_be_used_again(factory: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, Recorder) as (server, client):
            buffer = bytearray(b"x" * 100_000)
            client.transport.write(buffer)
            buffer[:] = b"y" * 100_000
            client.transport.write(memoryview(buffer)[::2])
            client.transport.close()
            await server.over
            assert server.data == b"x" * 100_000 + b"y" * 50_000

    run(main, factory)


def test_what_is_no_octets_is_refused(factory: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, Recorder) as (_, client):
            for wrong in ("text", 5, None):
                with pytest.raises(TypeError, match="bytes-like"):
                    client.transport.write(wrong)
            client.transport.write_eof()
            with pytest.raises(RuntimeError, match="write_eof"):
                client.transport.write(b"more")
            client.transport.close()

    run(main, factory)


@pytest.mark.parametrize("keeps_open", [True, False])
def test_half_close(factory: Any, keeps_open: bool) -> None:
    """What eof_received answers decides whether the other direction stays open."""

    async def main() -> None:
        made = lambda: Recorder(keeps_open)  # noqa: E731
        async with connected(made, lambda: Recorder(True)) as (server, client):
            assert client.transport.can_write_eof()
            client.transport.write(b"question")
            client.transport.write_eof()
            client.transport.write_eof()
            await until(lambda: "eof" in server.events)
            assert server.data == b"question"
            if keeps_open:
                server.transport.write(pattern(200_000))
                server.transport.close()
                await until(lambda: "eof" in client.events)
                assert client.data == pattern(200_000)
            assert await server.over is None
            await until(lambda: "eof" in client.events)
            assert client.events == ["made", "eof"]  # it is over when its owner says so
            assert not client.transport.is_closing()
            client.transport.close()
            assert await client.over is None

    run(main, factory)


def test_close_sends_what_is_queued_and_ends_once(factory: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, Recorder) as (server, client):
            client.transport.write(pattern(5_000_000))
            client.transport.close()
            client.transport.close()
            assert client.transport.is_closing()
            assert client.events == ["made", "pause"]
            client.transport.write(b" and more")  # as asyncio has it, while there is a buffer
            assert await client.over is None
            client.transport.write(b"too late")
            assert client.events == ["made", "pause", "resume", "lost"]
            assert await server.over is None
            assert server.data == pattern(5_000_000) + b" and more"
            assert server.events == ["made", "eof", "lost"]
            client.transport.abort()

    run(main, factory)


def test_connection_lost_comes_by_call_soon(factory: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, Recorder) as (_, client):
            client.transport.close()
            assert client.events == ["made"]
            await asyncio.sleep(0)
            assert client.events == ["made", "lost"]
            assert client.transport.get_protocol() is None

    run(main, factory)


def test_abort_resets(factory: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, Recorder) as (server, client):
            client.transport.write(b"lost")
            client.transport.abort()
            assert await client.over is None
            assert isinstance(await server.over, ConnectionResetError)
            assert server.events == ["made", "lost"]

    run(main, factory)


def test_abort_of_one_that_has_said_everything_is_an_end(factory: Any) -> None:
    """As a kernel's close has it: a reset is for octets that are lost."""

    async def main() -> None:
        async with connected(Recorder, Recorder) as (server, client):
            client.transport.write(b"all of it")
            await until(lambda: client.transport.get_extra_info("tcp_info")["queued"] == 0)
            client.transport.abort()
            assert await client.over is None
            assert await server.over is None
            assert server.events == ["made", "eof", "lost"]
            assert server.data == b"all of it"

    run(main, factory)


def test_after_close_what_comes_is_thrown_away(factory: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, lambda: Recorder(True)) as (server, client):
            server.transport.close()
            await until(lambda: "eof" in client.events)
            client.transport.write(b"x" * 1000)
            await asyncio.sleep(0.02)
            assert server.data == b""
            client.transport.write(b"x" * (3 << 20))  # more than anybody has patience for
            assert isinstance(await client.over, ConnectionResetError)

    run(main, factory)


def test_writes_to_the_dead_are_logged_once(factory: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with connected(Recorder, Recorder) as (_, client):
            client.transport.close()
            await client.over
            for _ in range(20):
                client.transport.write(b"x")

    with caplog.at_level(logging.WARNING):
        run(main, factory)
    assert caplog.text.count("connection that is closed") == 1


def test_back_pressure(factory: Any) -> None:
    """A reader that pauses stops the writer; when it reads on, the writer is told to go on."""

    async def main() -> None:
        async with connected(Recorder, Recorder) as (server, client):
            server.transport.pause_reading()
            server.transport.pause_reading()
            assert not server.transport.is_reading()
            written = 0
            while "pause" not in client.events:
                client.transport.write(bytes(65536))
                written += 65536
                await asyncio.sleep(0)
            assert written < 64 << 20
            low, high = client.transport.get_write_buffer_limits()
            assert (low, high) == (16384, 65536)
            assert client.transport.get_write_buffer_size() > high
            await asyncio.sleep(0.02)
            assert server.data == b""
            server.transport.resume_reading()
            server.transport.resume_reading()
            assert server.transport.is_reading()
            await until(lambda: client.events[-1] == "resume")
            assert client.transport.get_write_buffer_size() <= low
            client.transport.close()
            await server.over
            assert len(server.data) == written

    run(main, factory)


def test_water_marks(factory: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, Recorder) as (_, client):
            transport = client.transport
            transport.set_write_buffer_limits(high=100)
            assert transport.get_write_buffer_limits() == (25, 100)
            transport.set_write_buffer_limits(low=100)
            assert transport.get_write_buffer_limits() == (100, 400)
            transport.set_write_buffer_limits()
            assert transport.get_write_buffer_limits() == (16384, 65536)
            with pytest.raises(ValueError, match="must be >="):
                transport.set_write_buffer_limits(high=1, low=2)
            transport.write(bytes(10 << 20))
            assert client.events == ["made", "pause"]
            transport.abort()

    run(main, factory)


class Framed(asyncio.BufferedProtocol):
    """Reads into a buffer of its own, in small pieces, and counts them."""

    def __init__(self, size: int = 700) -> None:
        self.buffer = bytearray(size)
        self.data = b""
        self.calls = 0
        self.over: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]
        self.calls += 1
        self.buffer = bytearray(len(self.buffer))

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set_result(exc)


def test_a_buffered_protocol(factory: Any) -> None:
    async def main() -> None:
        async with connected(Framed, Recorder) as (server, client):
            client.transport.write(pattern(100_000))
            client.transport.close()
            assert await server.over is None
            assert server.data == pattern(100_000)
            assert server.calls >= 100_000 // 700

    run(main, factory)


def test_a_protocol_changes_while_data_comes(factory: Any) -> None:
    async def main() -> None:
        class First(Recorder):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                self.transport.set_protocol(then)
                assert self.transport.get_protocol() is then

        then = Framed()
        async with connected(First, Recorder) as (server, client):
            client.transport.write(b"one")
            await until(lambda: server.data)
            client.transport.write(b"two")
            await until(lambda: then.data)
            assert (server.data, then.data) == (b"one", b"two")
            client.transport.close()
            await then.over

    run(main, factory)


@pytest.mark.parametrize("event", ["connection_made", "data_received", "eof_received"])
def test_a_protocol_that_raises_loses_its_own_connection(factory: Any, event: str) -> None:
    async def main() -> None:
        told: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: told.append(what))

        class Broken(Recorder):
            pass

        def fail(*_: object) -> None:
            raise ZeroDivisionError(event)

        setattr(Broken, event, fail)
        async with connected(Broken, Recorder) as (server, client):
            client.transport.write(b"x")
            client.transport.write_eof()
            assert isinstance(await server.over, ZeroDivisionError)
            await client.over
            assert [type(each["exception"]) for each in told] == [ZeroDivisionError]
            assert event in told[0]["message"]
        loop.set_exception_handler(None)

    run(main, factory)


def test_one_turn_for_all_writes_of_an_iteration(factory: Any) -> None:
    """Ten small writes of a task leave as one segment."""

    async def main() -> None:
        async with connected(Recorder, Recorder) as (server, client):
            await asyncio.sleep(0.01)
            before = client.transport.get_extra_info("tcp_info")["segments_out"]
            for _ in range(10):
                client.transport.write(b"0123456789")
            await until(lambda: len(server.data) == 100)
            after = client.transport.get_extra_info("tcp_info")["segments_out"]
            assert after - before == 1
            client.transport.close()

    run(main, factory)


class Sated(Recorder):
    """Has enough after the first piece, and does what it is told to then."""

    def __init__(self, then: Any) -> None:
        super().__init__()
        self.then = then

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.then(self)


async def _megabyte_at_once(server: Recorder, client: Recorder) -> None:
    """Let more than one piece wait at the server, which does not read, and let it read on."""
    server.transport.pause_reading()
    client.transport.write(pattern(1 << 20))
    await asyncio.sleep(0.05)
    server.transport.resume_reading()


def test_what_came_at_once_is_told_in_pieces(factory: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, Recorder) as (server, client):
            await _megabyte_at_once(server, client)
            await until(lambda: sum(map(len, server.pieces)) == 1 << 20)
            assert max(map(len, server.pieces)) <= 1 << 16
            assert server.data == pattern(1 << 20)
            client.transport.close()

    run(main, factory)


def test_who_pauses_within_a_piece_is_told_no_more(factory: Any) -> None:
    async def main() -> None:
        made = lambda: Sated(lambda each: each.transport.pause_reading())  # noqa: E731
        async with connected(made, Recorder) as (server, client):
            await _megabyte_at_once(server, client)
            for number in range(1, 17):
                await until(lambda n=number: len(server.pieces) == n)
                await asyncio.sleep(0.002)
                assert len(server.pieces) == number
                server.transport.resume_reading()
            await until(lambda: sum(map(len, server.pieces)) == 1 << 20)
            assert b"".join(server.pieces) == pattern(1 << 20)
            client.transport.close()

    run(main, factory)


def test_who_closes_or_changes_within_a_piece(factory: Any) -> None:
    async def main() -> None:
        async with connected(lambda: Sated(lambda each: each.transport.close()), Recorder) as (
            server,
            client,
        ):
            await _megabyte_at_once(server, client)
            await server.over
            assert len(server.pieces) == 1
            client.transport.abort()

        then = Framed(1 << 20)
        made = lambda: Sated(lambda each: each.transport.set_protocol(then))  # noqa: E731
        async with connected(made, Recorder) as (server, client):
            await _megabyte_at_once(server, client)
            await until(lambda: len(server.data) + len(then.data) == 1 << 20)
            assert 0 < len(server.data) <= 1 << 16
            assert server.data + then.data == pattern(1 << 20)
            client.transport.close()

    run(main, factory)
