"""`corten load`: run the load client on a link, print what it found.

One worker in this process: a client that is measured with must not be restarted behind one's back.
"""

from __future__ import annotations

import signal
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import Any

from corten.app.load_option import Options
from corten.app.load_run import Run, json_of, target_of, text_of
from corten.endpoint.error import CortenError
from corten.worker.link import parse_link
from corten.worker.serve import serve

_Ip = IPv4Address | IPv6Address


def run_load(
    options: Options, links: list[str], cpus: list[int] | None = None, as_json: bool = False
) -> int:
    """Load `options.urls` over `links`; 0 when there was no error, 1 when there was one.

    CortenError, one line, for anything that cannot be.
    """
    _check(options)
    parsed = [parse_link(text) for text in links]
    kernel = bool(parsed) and parsed[0].driver == "kernel"
    if not options.sources:
        own = [ip_interface(text).ip for link in parsed for text in link.addresses]
        options.sources = _sources(own, target_of(options).address)
    limit = "timeout" if kernel else "syn_timeout_ns"
    settings = {limit: options.timeout if kernel else int(options.timeout * 1e9)}
    runs: list[Run] = []

    def setup(worker: Any) -> None:
        run = Run(worker, options, lambda _: worker.stop(), settings)
        runs.append(run)
        worker.call_soon(_begin, worker, run)

    serve({}, links, 1, cpus, busy_poll=options.busy_poll, setup=setup, supervised=False)
    run = runs[0]
    if run.error is not None:
        raise run.error
    result = run.result()
    print(json_of(result) if as_json else text_of(result), flush=True)
    return 1 if result["errors"] else 0


def _sources(own: list[_Ip], target: str) -> list[str]:
    """Our addresses that can reach the target: of its family, and of its scope."""
    try:
        there = ip_address(target.partition("%")[0])
    except ValueError:  # silent: a name, whoever resolves it
        return []
    return [
        str(address)
        for address in own
        if address.version == there.version and address.is_link_local == there.is_link_local
    ]


def _begin(worker: Any, run: Run) -> None:
    """Start, and let Ctrl-C end the run with what it found so far instead of draining."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: worker.call_soon_threadsafe(run.finish))
    run.start()


def _check(options: Options) -> None:
    """CortenError for numbers that make no run."""
    if not 1 <= options.connections <= 1_000_000:
        raise CortenError(f"connections={options.connections}: from 1 to 1000000")
    if options.seconds <= 0:
        raise CortenError(f"seconds={options.seconds:g}: more than 0")
    if options.close and options.hold:
        raise CortenError("--close and --hold exclude each other")
    target_of(options)
