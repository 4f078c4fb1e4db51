"""TLS over our transports, by asyncio's own SSLProtocol: on asyncio's loop and on uvloop's, whose
`start_tls` refuses transports that are not its own."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from asyncio import sslproto
from collections.abc import Callable
from typing import Any

_Protocol: Any = sslproto.SSLProtocol  # typeshed knows neither its time-outs nor a missing waiter


def check_context(context: Any, server_side: bool) -> ssl_module.SSLContext | None:
    """What `ssl=` says: None for no TLS."""
    if context is None or context is False:
        return None
    if isinstance(context, ssl_module.SSLContext):
        return context
    if context is True and not server_side:
        return ssl_module.create_default_context()
    raise TypeError(f"ssl argument must be an SSLContext{'' if server_side else ' or True'}")


def server_factory(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], Any],
    context: ssl_module.SSLContext,
    handshake: float | None,
    shutdown: float | None,
) -> Callable[[], Any]:
    """What makes, for each connection, the SSLProtocol around the application's own protocol."""

    def make() -> Any:
        return _Protocol(
            loop,
            factory(),
            context,
            None,
            True,
            None,
            ssl_handshake_timeout=handshake,
            ssl_shutdown_timeout=shutdown,
        )

    return make


async def wrap(
    loop: asyncio.AbstractEventLoop,
    transport: Any,
    protocol: Any,
    context: ssl_module.SSLContext,
    server_hostname: str | None,
    handshake: float | None,
    shutdown: float | None,
) -> Any:
    """The client's end of a connection just opened; the transport that `protocol` writes to."""
    waiter = loop.create_future()
    secured = _Protocol(
        loop,
        protocol,
        context,
        waiter,
        False,
        server_hostname,
        ssl_handshake_timeout=handshake,
        ssl_shutdown_timeout=shutdown,
    )
    transport.begin(secured)
    try:
        await waiter
    except BaseException:
        transport.close()
        raise
    return secured._app_transport


async def start_tls(
    loop: asyncio.AbstractEventLoop,
    transport: Any,
    protocol: Any,
    context: Any,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> Any:
    """As `loop.start_tls`: a connection that talks already goes on under TLS."""
    if not isinstance(context, ssl_module.SSLContext):
        raise TypeError(
            f"sslcontext is expected to be an instance of ssl.SSLContext, got {context!r}"
        )
    if not getattr(transport, "_start_tls_compatible", False):
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    waiter = loop.create_future()
    secured = _Protocol(
        loop,
        protocol,
        context,
        waiter,
        server_side,
        server_hostname,
        call_connection_made=False,
        ssl_handshake_timeout=ssl_handshake_timeout,
        ssl_shutdown_timeout=ssl_shutdown_timeout,
    )
    transport.pause_reading()
    transport.set_protocol(secured)
    made = loop.call_soon(secured.connection_made, transport)
    resumed = loop.call_soon(transport.resume_reading)
    try:
        await waiter
    except BaseException:
        transport.close()
        made.cancel()
        resumed.cancel()
        raise
    return secured._app_transport
