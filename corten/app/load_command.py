"""`corten load`: run the load client on a link, print what it found.

One worker in this process: a client that is measured with must not be restarted behind one's back.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from corten.app.histogram_log import log_text, percentile_table
from corten.app.load_option import Options
from corten.app.load_run import Run, json_of, target_of, text_of
from corten.app.load_source import sources_of
from corten.endpoint.error import CortenError
from corten.tcp.config import Config
from corten.worker.link import parse_link
from corten.worker.serve import serve

RATE_MAX = 10_000_000
PIPELINE_MAX = 1024


def run_load(
    options: Options, links: list[str], cpus: list[int] | None = None, as_json: bool = False
) -> int:
    """Load `options.urls` over `links`; 0 when there was no error, 1 when there was one.

    CortenError, one line, for anything that cannot be.
    """
    _check(options)
    kernel = bool(links) and parse_link(links[0]).driver == "kernel"
    links, options.sources = sources_of(links, target_of(options).address, options.wanted_sources)
    # of the stack, not of each connection: a setting of its own costs a connection time and memory
    config = None if kernel else Config(syn_timeout_ns=int(options.timeout * 1e9))
    settings = {"timeout": options.timeout} if kernel else {}
    runs: list[Run] = []

    def setup(worker: Any) -> None:
        run = Run(worker, options, lambda _: worker.stop(), settings)
        runs.append(run)
        worker.call_soon(_begin, worker, run)

    serve(
        {},
        links,
        1,
        cpus,
        busy_poll=options.busy_poll,
        setup=setup,
        config=config,
        supervised=False,
    )
    run = runs[0]
    if run.error is not None:
        raise run.error
    result = run.result()
    _write(run, options)
    print(json_of(result) if as_json else text_of(result), flush=True)
    return 1 if result["errors"] else 0


def _write(run: Run, options: Options) -> None:
    """The files asked for: percentiles for plotters, and the log."""
    latency = run.tally.latency
    began = time.time() - run.seconds
    for path, text in (
        (options.percentiles, percentile_table(latency)),
        (options.histogram_log, log_text(latency, began, run.seconds)),
    ):
        if not path:
            continue
        try:
            Path(path).write_text(text, encoding="ascii")
        except OSError as error:
            raise CortenError(f"{path}: {error.strerror}") from None


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
    if options.rate and (options.hold or not 0 < options.rate <= RATE_MAX):
        raise CortenError(
            f"--rate {options.rate:g}: from 0 to {RATE_MAX:,} a second, without --hold"
        )
    if options.poisson and not options.rate:
        raise CortenError("--poisson says how requests are spread: it needs --rate")
    if not 1 <= options.pipeline <= PIPELINE_MAX:
        raise CortenError(f"--pipeline {options.pipeline}: from 1 to {PIPELINE_MAX}")
    if options.pipeline > 1 and (options.close or options.hold):
        raise CortenError("--pipeline excludes --close and --hold: they ask once a connection")
    target_of(options)
