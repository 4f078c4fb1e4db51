"""TLS by asyncio's SSLProtocol over our transports: server, client, start_tls."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from corten.aio.tls import check_context
from tests.aio.certificate import NAME, contexts
from tests.aio.joined import SERVER, Recorder, networks, run, until
from tests.netns import pattern


class Echo(Recorder):
    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def test_both_ways(factory: Any, tmp_path: Path) -> None:
    ours, theirs = contexts(tmp_path, SERVER)

    octets = pattern(1_000_000)

    async def main() -> None:
        async with networks() as (one, two):
            server = await one.create_server(Echo, SERVER, 443, ssl=ours)
            for host, name in ((SERVER, None), (SERVER, NAME)):
                transport, client = await two.create_connection(
                    Recorder, host, 443, ssl=theirs, server_hostname=name
                )
                assert transport.get_extra_info("peername") == (SERVER, 443)
                assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"
                transport.write(octets)
                await until(lambda c=client: len(c.data) == len(octets))
                assert client.data == octets
                transport.close()
                assert await client.over is None
            server.close()

    run(main, factory)


def test_a_name_that_does_not_fit_is_refused(factory: Any, tmp_path: Path) -> None:
    ours, theirs = contexts(tmp_path, SERVER)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side
        async with networks() as (one, two):
            server = await one.create_server(Echo, SERVER, 443, ssl=ours)
            with pytest.raises(ssl.SSLCertVerificationError):
                await two.create_connection(
                    Recorder, SERVER, 443, ssl=theirs, server_hostname="other.test"
                )
            server.close()
            await asyncio.sleep(0.05)

    run(main, factory)


def test_start_tls(factory: Any, tmp_path: Path) -> None:
    """Plain words first, then both sides go over to TLS."""
    ours, theirs = contexts(tmp_path)

    class Starting(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if data == b"STARTTLS":
                self.transport.write(b"GO")
                self.task = asyncio.ensure_future(self.start())
            elif self.data.endswith(b"secret"):
                self.transport.write(b"heard")

        async def start(self) -> None:
            self.transport = await one.start_tls(self.transport, self, ours, server_side=True)

    one: Any = None

    async def main() -> None:
        nonlocal one
        async with networks() as (one, two):
            server = await one.create_server(Starting, SERVER, 25)
            transport, client = await two.create_connection(Recorder, SERVER, 25)
            transport.write(b"STARTTLS")
            await until(lambda: client.data == b"GO")
            secured = await two.start_tls(transport, client, theirs, server_hostname=NAME)
            secured.write(b"secret")
            await until(lambda: client.data == b"GOheard")
            assert client.events == ["made"]
            secured.close()
            assert await client.over is None
            server.close()
            await asyncio.sleep(0.02)

    run(main, factory)


def test_start_tls_wants_a_context_and_a_transport(factory: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with networks() as (one, _):
            with pytest.raises(TypeError, match="SSLContext"):
                await one.start_tls(None, None, None)
            with pytest.raises(TypeError, match="not supported"):
                await one.start_tls(object(), None, ssl.create_default_context())

    run(main, factory)


def test_what_ssl_may_be() -> None:
    assert check_context(None, server_side=True) is None
    assert isinstance(check_context(True, server_side=False), ssl.SSLContext)
    for wrong, server_side in (("yes", False), (True, True)):
        with pytest.raises(TypeError, match="SSLContext"):
            check_context(wrong, server_side)
