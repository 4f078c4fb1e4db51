"""The commands: `corten httpd`, `asgi`, `echo`, `nameserver`, `load`, `drill`, `sim`, `ctl` and
`check`.

Rules. What a command needs is imported when it runs, so that `corten --help` is quick. A mistake of
the caller's is one line on standard error and exit code 2; a traceback is a defect of ours.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from corten import __version__
from corten.endpoint.error import CortenError

DEFAULT_LINK = "tap:corten0,address=10.0.2.2/24"
_PORT = click.IntRange(1, 65535)
_SECONDS = click.FloatRange(0, min_open=True)

Command = Callable[..., Any]


class _Cpus(click.ParamType):
    """0-3, or 0,2,4."""

    name = "cpus"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        from corten.worker.link import parse_cpus

        try:
            return parse_cpus(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _on_links(command: Command) -> Command:
    """The options of every command that opens links."""
    for option in (
        click.option("--cpus", type=_Cpus(), help="Processors to pin workers to: 0-3, or 0,2,4."),
        click.option(
            "--link",
            "links",
            multiple=True,
            default=[DEFAULT_LINK],
            show_default=True,
            metavar="LINK",
            help="DRIVER[:NAME],address=A.B.C.D/N|slaac[,option=value...]; may be repeated.",
        ),
    ):
        command = option(command)
    return command


def _on_workers(command: Command) -> Command:
    """The options of every command that serves."""
    for option in (
        click.option("--busy-poll", is_flag=True, help="Never sleep: lower latency, a core each."),
        click.option(
            "--spin",
            "spin_us",
            type=click.IntRange(0, 10_000),
            default=0,
            show_default=True,
            metavar="US",
            help="Look on for so many microseconds before sleeping, while that pays.",
        ),
        click.option(
            "--control",
            metavar="PATH",
            help="Where `corten ctl` finds this server; none: nowhere.",
        ),
        click.option(
            "--workers",
            type=int,
            default=1,
            show_default=True,
            help="Processes, each with a queue of its own.",
        ),
    ):
        command = option(command)
    return _on_links(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="corten", message="%(prog)s %(version)s")
def commands() -> None:
    """A TCP/IP stack in user space, and what runs on it."""


@commands.command()
@click.argument("port", type=_PORT)
@click.argument("root", type=click.Path())
@_on_workers
@click.option(
    "--memory",
    type=click.IntRange(0),
    default=512,
    show_default=True,
    metavar="MIB",
    help="Preload files up to this much; larger sites are read from disk.",
)
@click.option(
    "--header-timeout",
    type=_SECONDS,
    default=10.0,
    show_default=True,
    help="Seconds that a request may take to come.",
)
@click.option(
    "--idle-timeout",
    type=_SECONDS,
    default=60.0,
    show_default=True,
    help="Seconds that a connection may wait for a request.",
)
@click.option(
    "--send-timeout",
    type=_SECONDS,
    default=30.0,
    show_default=True,
    help="Seconds in which a reader must take something.",
)
@click.option("--access-log", type=click.Path(), help="Append a line for each request.")
def httpd(port: int, root: str, access_log: str | None, memory: int, **options: Any) -> None:
    """Serve the files under ROOT over HTTP."""
    from corten.app.access_log import AccessLog
    from corten.app.http_service import Service
    from corten.app.httpd import factory
    from corten.app.site import load as load_site
    from corten.worker.link import parse_link

    bare = [not parse_link(text).offload for text in options["links"]]
    names = ("header_timeout", "idle_timeout", "send_timeout")
    timeouts = {name: options.pop(name) for name in names}
    try:
        log = AccessLog(access_log) if access_log else None
    except OSError as error:
        raise CortenError(f"access log {access_log}: {error.strerror}") from None
    site = load_site(root, memory << 20, sums=any(bare))
    _serve(port, factory(Service(site, log=log, **timeouts)), "http://{}:{}/", **options)


@commands.command()
@click.argument("app", metavar="MODULE:APP")
@_on_links
@click.option("--workers", type=int, default=1, show_default=True, help="Processes.")
@click.option("--control", metavar="PATH", help="Where `corten ctl` finds this server; or none.")
@click.option("--host", default="0.0.0.0", show_default=True, help="An address of a link, or all.")
@click.option("--port", type=_PORT, default=8000, show_default=True)
@click.option("--app-dir", type=click.Path(), default=".", show_default=True)
@click.option("--factory", is_flag=True, help="APP is called without arguments, and makes it.")
@click.option("--lifespan", type=click.Choice(["auto", "on", "off"]), default="auto")
@click.option("--http", type=click.Choice(["auto", "h11", "httptools"]), default="auto")
@click.option("--ws", default="auto", show_default=True, help="As uvicorn has it.")
@click.option("--root-path", default="")
@click.option("--log-level", default="warning", show_default=True)
@click.option("--access-log", is_flag=True, help="A line for each request: --log-level info.")
@click.option("--ssl-certfile", type=click.Path())
@click.option("--ssl-keyfile", type=click.Path())
@click.option("--drain", type=_SECONDS, default=5.0, show_default=True, metavar="S")
def asgi(app: str, host: str, port: int, drain: float, app_dir: str, **options: Any) -> None:
    """Serve an ASGI application by uvicorn's protocols."""
    from corten.aio.asgi import check, runner

    names = ("links", "cpus", "workers", "control")
    ours = {name: options.pop(name) for name in names}
    check(ours["links"])
    shown = "https://{}:{}/" if options["ssl_certfile"] else "http://{}:{}/"
    run = runner(app, host, port, drain, app_dir, **options)
    _serve(port, None, shown, run=run, drain_seconds=drain, **ours)


@commands.command()
@click.argument("port", type=_PORT)
@_on_workers
def echo(port: int, **options: Any) -> None:
    """Send back whatever comes, over TCP and UDP."""
    from corten.app.echo import DatagramEcho, Echo

    _serve(port, Echo, "{}:{}", datagrams={port: DatagramEcho}, **options)


@commands.command()
@click.argument("host", metavar="HOST")
@_on_links
@click.option("-c", "--count", type=click.IntRange(1), help="Requests to send.")
@click.option("-i", "--interval", type=_SECONDS, default=1.0, show_default=True, metavar="S")
@click.option("-s", "--size", type=click.IntRange(0, 65507), default=56, show_default=True)
@click.option("-W", "--timeout", type=_SECONDS, default=10.0, show_default=True, metavar="S")
@click.option("-t", "--ttl", type=click.IntRange(1, 255), help="Time to live.")
@click.option("-I", "--source", metavar="ADDRESS", help="The address to send from.")
def ping(host: str, links: list[str], cpus: list[int] | None, **options: Any) -> None:
    """Ask HOST for echo replies; 0 when any came, 1 when none did."""
    from corten.app.ping import run_ping

    sys.exit(run_ping(host, list(links), cpus, **options))


@commands.command()
@click.argument("port", type=_PORT, default=53)
@_on_workers
@click.option(
    "--ask",
    "servers",
    multiple=True,
    metavar="ADDRESS",
    help="A name server to ask; repeat it. Without: those that the links have learnt.",
)
def nameserver(port: int, servers: list[str], **options: Any) -> None:
    """Answer questions for addresses (DNS), by asking others and remembering."""
    from corten.app.nameserver import serve_names

    def setup(worker: Any) -> None:
        serve_names(worker, port)

    _serve(port, None, "{}:{}", setup=setup, name_servers=list(servers), **options)


@commands.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@_on_links
@click.option(
    "-c",
    "--connections",
    type=int,
    default=100,
    show_default=True,
    help="Open at a time; with --close: at the most.",
)
@click.option(
    "-d", "--seconds", type=float, default=10.0, show_default=True, help="The part that is timed."
)
@click.option("--timeout", type=_SECONDS, default=10.0, show_default=True, help="Of one reply.")
@click.option(
    "--rate",
    type=float,
    default=0.0,
    metavar="R",
    help="An open loop: R requests a second, however fast the replies come. Latency counts from "
    "the instant at which a request was meant to leave.",
)
@click.option("--poisson", is_flag=True, help="With --rate: at random instants, from --seed.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of pages and instants.")
@click.option("--close", is_flag=True, help="One request a connection; with --rate: R of them.")
@click.option("--hold", is_flag=True, help="One request each, then hold the connections.")
@click.option(
    "--pipeline",
    type=int,
    default=1,
    show_default=True,
    metavar="N",
    help="Requests that are out on a connection at a time.",
)
@click.option(
    "--sources",
    "wanted_sources",
    default="",
    metavar="N|PREFIX",
    help="Come from N addresses, the link's own the first, or from all of PREFIX.",
)
@click.option("--busy-poll", is_flag=True, help="Never sleep: lower latency, a core.")
@click.option("--hashes", is_flag=True, help="See that a URL's replies are all the same.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON.")
@click.option(
    "--percentiles",
    type=click.Path(),
    default="",
    help="Write the latencies as HdrHistogram's plotters read them.",
)
@click.option(
    "--histogram-log",
    type=click.Path(),
    default="",
    help="Write them as a compressed HdrHistogram log (V2, nanoseconds).",
)
def load(
    urls: list[str], links: list[str], cpus: list[int] | None, as_json: bool, **options: Any
) -> None:
    """Ask for URL again and again over many connections; print rate and latency.

    Without --rate the next request leaves when the reply has come: the most that the server does.
    With --rate requests leave at fixed instants, below that, and the latencies are those that users
    would see. One that no connection is free for waits, and its wait counts; after --timeout it is
    abandoned, and counted as that.

    \b
    corten load http://10.0.2.2/ --link tap:c0,address=10.0.2.9/24 --rate 5000
    corten load http://10.0.2.2/ --link tap:c0,address=10.0.2.9/24 --rate 20000 --close --sources 64
    corten load http://127.0.0.1:8080/ --link kernel,address=127.0.0.1 --rate 1000 --poisson
    """
    from corten.app.load_command import run_load
    from corten.app.load_option import Options

    sys.exit(run_load(Options(list(urls), **options), list(links), cpus, as_json))


@commands.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--exact", is_flag=True, help="Try no switch but those given here.")
@click.option("--options", type=click.Choice(["exact", "set"]), default="exact")
@click.option("--win", type=click.Choice(["exact", "zero-nonzero", "ignore"]), default="exact")
@click.option("--psh", type=click.Choice(["exact", "ignore"]), default="exact")
@click.option("--delack", type=click.IntRange(0, 499), help="Delayed acknowledgement, in ms.")
@click.option("--cc", type=click.Choice(["cubic", "reno"]), help="Congestion control.")
@click.option("--iw", type=click.IntRange(1, 1000), help="Initial window, in segments.")
@click.option("--rto-min", type=click.IntRange(1), help="Smallest retransmission time-out, in ms.")
@click.option("--expect-file", type=click.Path(), help="Deviations that an RFC explains.")
@click.option(
    "--ip-version",
    "--ip_version",
    type=click.Choice(["ipv4", "ipv6", "ipv4-mapped-ipv6"]),
    default="ipv4",
    show_default=True,
)
@click.option("--mtu", type=click.IntRange(68, 65535), default=1500, show_default=True)
@click.option("-D", "--define", multiple=True, metavar="NAME=VALUE", help="A word of the scripts'.")
def drill(files: list[str], as_json: bool, **options: Any) -> None:
    """Run packetdrill scripts (FILE, or all *.pkt under a directory) against the stack."""
    from corten.drill.command_line import plan_of
    from corten.drill.report import run

    sys.exit(run(list(files), plan_of(**options), as_json))


@commands.command()
@click.argument("words", nargs=-1, required=True, metavar="COMMAND [ARGUMENT]...")
@click.option("--control", metavar="PATH", help="The server's socket, where several run.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one line of JSON.")
@click.option("--now", is_flag=True, help="restart: reset connections instead of draining.")
@click.option("--beside", metavar="NAME", help="add-link: for the workers of that link.")
@click.option("--interval", type=click.FloatRange(0), default=1.0, metavar="S", help="Of rates.")
def ctl(words: list[str], **options: Any) -> None:
    """Ask a running server, or tell it something.

    \b
    status                           workers, links, rates
    counters [WORKER]                what has been counted
    restart WORKER                   a successor takes its seat
    add-link LINK                    one more link, written as --link takes it
    remove-link NAME
    add-address NAME A.B.C.D/N       one more address on a link
    remove-address NAME A.B.C.D
    stop                             drain, and end
    list                             the sockets of the servers that run
    """
    from corten.app.ctl import run_ctl

    sys.exit(run_ctl(list(words), **options))


@commands.group()
def sim() -> None:
    """Networks in one process, under virtual time (docs/testing.md)."""


@sim.command()
@click.argument("capture", required=False, type=click.Path(), metavar="[CAPTURE]")
@click.option("-o", "--output", default="plot.svg", show_default=True, help="A .svg or .png.")
@click.option(
    "--congestion",
    "controls",
    multiple=True,
    default=["cubic"],
    show_default=True,
    metavar="NAME",
    help="cubic, reno, MODULE:CLASS or FILE.py:CLASS; repeat it to compare.",
)
@click.option("--rate", type=_SECONDS, default=10e6, show_default=True, help="Bits a second.")
@click.option("--rtt", "rtt_ms", type=_SECONDS, default=40.0, show_default=True, metavar="MS")
@click.option("--loss", type=click.FloatRange(0, 1), default=0.0, show_default=True)
@click.option(
    "--queue", type=click.IntRange(0), default=0, help="Octets; by default rate times rtt."
)
@click.option("--seconds", type=_SECONDS, default=20.0, show_default=True, help="Virtual ones.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--sequence", is_flag=True, help="Draw each segment instead.")
def plot(capture: str | None, output: str, controls: list[str], **options: Any) -> None:
    """Draw a transfer: window, round trip, goodput and queue over time.

    With CAPTURE, a pcapng file: its largest connection, segment by segment.
    """
    from corten.sim.plot_command import run_plot

    sys.exit(run_plot(capture, output, list(controls), **options))


@commands.command()
def check() -> None:
    """Say which drivers and privileges this machine offers, and how to get what is missing."""
    from corten.app.check import command

    sys.exit(command())


def _serve(
    port: int,
    factory: Callable[[], Any] | None,
    shown: str,
    links: list[str],
    **options: Any,
) -> None:
    """Serve one port until a signal ends it; without a factory, what `setup` makes of it."""
    from corten.worker.control import default_path
    from corten.worker.serve import serve

    control = options.pop("control") or default_path(click.get_current_context().info_name or "")
    options["control"] = None if control == "none" else control

    def ready(addresses: list[str]) -> None:
        for address in addresses or ["*"]:  # a link that configures itself has none yet
            print("ready:", shown.format(address, port), flush=True)

    handlers = {port: factory} if factory is not None else {}
    sys.exit(serve(handlers, list(links), ready=ready, **options))


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 not as hoped, 2 called wrongly, 130 interrupted."""
    logging.basicConfig(format="corten: %(message)s", level=logging.WARNING)
    logging.getLogger("corten.link").setLevel(logging.INFO)  # addresses that came and went
    try:
        commands.main(arguments, "corten", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        sys.exit(2)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "corten"
        text = " ".join(error.format_message().split()).rstrip(".")
        _refuse(f"{text}. See {where} --help")
    except click.ClickException as error:
        _refuse(error.format_message())
    except CortenError as error:
        _refuse(str(error))
    except click.Abort:
        sys.exit(130)
    sys.exit(0)


def _refuse(text: str) -> NoReturn:
    print(f"corten: {text}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
