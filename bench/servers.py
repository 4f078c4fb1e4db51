"""All servers that wrk drives, by name, and the programs they need."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from bench.asgi_server import AsgiNull, AsgiTap
from bench.server import (
    Ceiling,
    CortenKernel,
    CortenTap,
    CortenXdp,
    Granian,
    HelloKernel,
    HelloTap,
    Nginx,
    NginxCopy,
    NginxHelped,
    NginxReturn,
    Server,
    Uvicorn,
)

SERVERS: dict[str, type[Server]] = {
    kind.name: kind
    for kind in (
        CortenTap,
        CortenKernel,
        CortenXdp,
        HelloTap,
        HelloKernel,
        Nginx,
        NginxHelped,
        NginxCopy,
        NginxReturn,
        Uvicorn,
        Granian,
        AsgiTap,
        AsgiNull,
        Ceiling,
    )
}


def required(names: Sequence[str]) -> list[str]:
    """The programs that these servers and their client need."""
    found = ["wrk", "curl", "ip", "taskset", "unshare"]
    if any(name.startswith("nginx") for name in names):
        found.append("nginx")
    if "ceiling" in names and shutil.which("cc") is None:
        found.append("gcc")
    return found
