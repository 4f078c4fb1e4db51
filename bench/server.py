"""The servers that are compared. Each run makes its own namespaces, wire and server.

Placement. All of a server's work is to run on its own core and none of it on the client's, for
whoever gets help from the other core looks better than he is. A frame that crosses a veth pair is
received, softirq and all, on the core that *sent* it, so requests would be received by the server's
TCP on the client's core. Therefore receive steering (RPS) at the server's end of the pair brings
them to the server's core (`namespace.steer`). Responses are received by the client's TCP on the
server's core, on veth as on TAP (a write to a TAP device runs the kernel's receive path to its
end); that is left as it is on both, so that it weighs on every server alike. The scenarios whose
names end in `-apart` steer these to the client's core too, on both wires: each end then receives
on its own core, as on two machines. `nginx-helped` is nginx without steering: as fast as it gets
with a part of its work on the client's core. All are in the tables.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from bench.client import Load, Result
from bench.client import drive as drive_with_wrk
from bench.client import fetch as fetch_with_curl
from bench.machine import find
from bench.namespace import Namespace, NamespaceError, connect, steer
from bench.process import Process

PORT = 80
SERVER_ADDRESS = "10.98.0.2"
CLIENT_ADDRESS = "10.98.0.1"
_PREFIX = 24
_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(_HERE)
_WIRE = "wire"
_QUEUE_LEN = 16384  # frames a TAP queue holds: a thousand clients start at once


@dataclass
class Setting:
    """What a scenario gives its servers."""

    root: str  # the tree to serve
    work: str  # a directory for configuration files and programs
    cores: tuple[int, int]  # the server's and the client's
    close: bool = False  # one request a connection
    ceiling_body: str = ""  # the file that the ceiling answers with
    application: str = "bench.asgi:application"  # of the ASGI servers
    connections: int = 0  # of the load: for who makes them himself
    apart: bool = False  # the client's TCP receives on the client's core


class Server:
    """One server under measurement. A context: made, used, and everything it made removed."""

    name = ""
    veth = True  # over a veth pair between two namespaces; otherwise one TAP device in one
    steered = True  # what it receives is received on its own core
    wired = True  # there is a device at all
    home_address = SERVER_ADDRESS  # the kernel's at the server's end of a veth pair

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.cores = setting.cores
        self.client = Namespace("client")
        self.home = Namespace("server") if self.veth else self.client
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://{SERVER_ADDRESS}:{PORT}/"

    def words(self) -> Sequence[str]:
        """The server's command line."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def ready(self) -> None:
        """Wait until it serves."""
        assert self.process is not None
        self.process.expect("ready")

    def __enter__(self) -> Self:
        try:
            if self.veth:
                connect(
                    self.home,
                    self.client,
                    f"{self.home_address}/{_PREFIX}",
                    f"{CLIENT_ADDRESS}/{_PREFIX}",
                )
                if self.steered:
                    steer(self.home, _WIRE, self.cores[0])
            self.process = Process(
                self.words(), self.home, self.cores[0], self.environment(), _ROOT
            )
            self.ready()
            if self.veth:
                self._warm_neighbour()
            if self.setting.apart and self.wired:
                steer(self.client, _WIRE, self.cores[1])
        except BaseException:
            self.close()
            raise
        return self

    def _warm_neighbour(self) -> None:
        """Static neighbours, so that no run waits for ARP."""
        for side, address, other in (
            (self.home, CLIENT_ADDRESS, self.client),
            (self.client, SERVER_ADDRESS, self.home),
        ):
            mac = other.ip("-br", "link", "show", "dev", _WIRE).split()[2]
            side.ip("neighbour", "replace", address, "lladdr", mac, "dev", _WIRE)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server and let the namespaces go."""
        if self.process is not None:
            self.process.stop()
            self.process = None
        self.client.close()
        self.home.close()

    def pids(self) -> list[int]:
        return self.process.pids() if self.process else []

    def fetch(self, path: str) -> bytes:
        """The body at a path. ProcessError when there is none."""
        return fetch_with_curl(self.client, self.url + path)

    def drive(self, load: Load, seconds: float) -> Result:
        """Ask for what the load says, for so long."""
        return drive_with_wrk(self, load, seconds)


class CortenTap(Server):
    """The static server of this project on its own stack over a TAP device."""

    name = "corten-tap"
    veth = False

    def link(self) -> str:
        return f"tap:{_WIRE},address={SERVER_ADDRESS}/{_PREFIX},host={CLIENT_ADDRESS}/{_PREFIX}"

    def words(self) -> Sequence[str]:
        return [
            *corten(),
            "httpd",
            str(PORT),
            self.setting.root,
            "--link",
            self.link(),
            "--workers",
            "1",
            "--cpus",
            str(self.cores[0]),
        ]


class CortenKernel(CortenTap):
    """The same static server on the kernel's sockets."""

    name = "corten-kernel"
    veth = True

    def link(self) -> str:
        return f"kernel,address={SERVER_ADDRESS}"


class CortenXdp(CortenTap):
    """The same on our own stack by AF_XDP, beside the kernel on a veth. The filter runs and copies
    on the core that sent: receive steering comes after it."""

    name = "corten-xdp"
    veth = True
    steered = False
    home_address = "10.98.0.3"

    def link(self) -> str:
        return f"xdp:wire,address={SERVER_ADDRESS}/{_PREFIX}"


class HelloTap(CortenTap):
    """A plain Python handler on our own stack."""

    name = "hello-tap"

    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": _ROOT}

    def words(self) -> Sequence[str]:
        return [
            sys.executable,
            os.path.join("examples", "hello.py"),
            str(PORT),
            "--link",
            self.link(),
            "--workers",
            "1",
            "--cpus",
            str(self.cores[0]),
        ]


class HelloKernel(HelloTap):
    """The same Python handler on the kernel's sockets."""

    name = "hello-kernel"
    veth = True

    def link(self) -> str:
        return f"kernel,address={SERVER_ADDRESS}"


class Uvicorn(Server):
    """uvicorn with uvloop and httptools, and an application that does nothing else."""

    name = "uvicorn"

    def words(self) -> Sequence[str]:
        return [
            *(sys.executable, "-m", "uvicorn", self.setting.application),
            *("--host", SERVER_ADDRESS, "--port", str(PORT), "--loop", "uvloop"),
            *("--http", "httptools", "--no-access-log", "--lifespan", "off"),
            *("--timeout-keep-alive", "3600", "--backlog", "65535", "--log-level", "info"),
        ]

    def ready(self) -> None:
        assert self.process is not None
        self.process.expect("Uvicorn running")


class Granian(Server):
    """granian, whose HTTP is in Rust, with the same application as uvicorn."""

    name = "granian"

    def words(self) -> Sequence[str]:
        return [
            *(sys.executable, "-m", "granian", "bench.asgi:application"),
            *("--interface", "asgi", "--host", SERVER_ADDRESS, "--port", str(PORT)),
            *("--workers", "1", "--loop", "uvloop", "--http", "1", "--no-ws"),
            *("--backlog", "65535", "--log-level", "info"),
        ]

    def ready(self) -> None:
        assert self.process is not None
        self.process.expect("Started worker-1")


_NGINX = """\
daemon off;
worker_processes 1;
worker_cpu_affinity {mask};
worker_rlimit_nofile 262144;
pid {work}/nginx.pid;
error_log stderr notice;
{user}
events {{ worker_connections 131072; multi_accept on; use epoll; accept_mutex off; }}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    sendfile {sendfile};
    tcp_nopush {nopush};
    tcp_nodelay on;
    open_file_cache max=2000 inactive=1h;
    open_file_cache_valid 1h;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    reset_timedout_connection on;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    server {{
        listen {address}:{port} reuseport backlog=65535;
        root {root};
        {location}
    }}
}}
"""


class Nginx(Server):
    """nginx with one worker, tuned as its own manual says."""

    name = "nginx"
    sendfile = True
    nopush = True  # as Debian ships it: headers and file leave in one segment
    location = ""

    def words(self) -> Sequence[str]:
        work = self.setting.work
        path = os.path.join(work, f"{self.name}.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                _NGINX.format(
                    mask=format(1 << self.cores[0], "b"),
                    work=work,
                    user="user root;" if os.geteuid() == 0 else "",
                    sendfile="on" if self.sendfile else "off",
                    nopush="on" if self.nopush else "off",
                    address=SERVER_ADDRESS,
                    port=PORT,
                    root=self.setting.root,
                    location=self.location,
                )
            )
        return [find("nginx") or "nginx", "-p", work, "-c", path, "-e", "stderr"]

    def ready(self) -> None:
        assert self.process is not None
        self.process.expect("start worker process ")


class NginxHelped(Nginx):
    """nginx whose requests are received on the client's core, as veth does it by default."""

    name = "nginx-helped"
    steered = False


class NginxCopy(Nginx):
    """nginx without sendfile: small files are read and written with their header."""

    name = "nginx-copy"
    sendfile = False


class NginxReturn(Nginx):
    """nginx answering from its configuration: no file at all, its fastest reply."""

    name = "nginx-return"
    location = 'location / { default_type text/plain; return 200 "Hello, world!\\n"; }'


class Ceiling(Server):
    """A responder without a stack on the same TAP device: what the wire itself allows."""

    name = "ceiling"
    veth = False

    def words(self) -> Sequence[str]:
        program = os.path.join(self.setting.work, "ceiling")
        if not os.path.exists(program):
            compile_program(os.path.join(_HERE, "ceiling.c"), program)
        mode = "close" if self.setting.close else "keep"
        return [program, _WIRE, SERVER_ADDRESS, self.setting.ceiling_body, mode]

    def ready(self) -> None:
        assert self.process is not None
        for _ in range(200):
            self.process.check()
            if f"{_WIRE}:" in self.client.ip("link", "show"):
                break
        else:
            raise NamespaceError("the ceiling made no TAP device")
        self.client.ip("link", "set", _WIRE, "txqueuelen", str(_QUEUE_LEN), "up")
        self.client.ip("address", "add", f"{CLIENT_ADDRESS}/{_PREFIX}", "dev", _WIRE)


def compile_program(source: str, program: str) -> None:
    """Build one of the bench's C programs. NamespaceError without a compiler."""
    compiler = find("cc") or find("gcc")
    if compiler is None:
        raise NamespaceError("missing: apt-get install gcc")
    process = Process([compiler, "-O2", "-o", program, source], None, None)
    try:
        process.wait(60)
    finally:
        process.stop()


def corten() -> list[str]:
    """The command line of this tree, whatever is installed."""
    return [sys.executable, "-m", "corten"]
