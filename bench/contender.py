"""Who takes part in trials: the same application on Corten over TAP and on the kernel's sockets.

`-tuned` is the kernel as its friends would have it: the worker never sleeps (as `-poll` is Corten
with the same), and acknowledgements leave at once (the route's quickack). Nothing is bound that
would not be anyway: the listening socket has SO_REUSEPORT, TCP_NODELAY is on, in all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.server import (
    PORT,
    SERVER_ADDRESS,
    CortenTap,
    Nginx,
    Server,
    Setting,
    corten,
)

_PROGRAMS = {  # an application: its module, and what it is told beside port, link and core
    "slow": ["bench.slow"],
    "bulk": ["bench.bulk_server"],
    **{f"bulk-{kind}": ["bench.bulk_aio", kind] for kind in ("protocol", "buffered", "streams")},
}


class Contender(CortenTap):
    """One application on one stack, waiting in one way. What it serves is the trial's."""

    application = "httpd"
    polls = False
    quick = False

    def words(self) -> Sequence[str]:
        core = str(self.cores[0])
        if program := _PROGRAMS.get(self.application):
            module, *more = program
            return [sys.executable, "-m", module, str(PORT), self.link(), core, *more]
        served = [self.setting.root] if self.application == "httpd" else []
        more = ["--busy-poll"] if self.polls else []
        options = ["--link", self.link(), "--cpus", core, "--control", "none", *more]
        return [*corten(), self.application, str(PORT), *served, *options]

    def ready(self) -> None:
        super().ready()
        if self.quick:
            self.home.ip("route", "change", _network(), "dev", "wire", "quickack", "1")


class ContenderKernel(Contender):
    """On the kernel's sockets, over veth."""

    veth = True

    def link(self) -> str:
        return f"kernel,address={SERVER_ADDRESS}"


def _network() -> str:
    return f"{SERVER_ADDRESS.rpartition('.')[0]}.0/24"


def make(name: str, application: str, setting: Setting) -> Server:
    """A contender by name, with an application: httpd, echo, slow, bulk, bulk-protocol, …"""
    if name == "nginx":
        return Nginx(setting)
    kind = ContenderKernel if name.startswith("kernel") else Contender
    made = kind(setting)
    made.application = application
    made.polls = name.endswith(("-poll", "-tuned"))
    made.quick = name.endswith("-tuned")
    return made


PLAIN = ["corten", "kernel"]
ALL = ["corten", "corten-poll", "kernel", "kernel-tuned"]
