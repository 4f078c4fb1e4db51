"""What needs no device runs on any system that CPython runs on: nothing of Linux's is loaded.

A child process has an import hook that refuses the modules that only Unix or Linux has, ours with
headers of Linux's among them, and lacks the calls that only Linux has.
"""

from __future__ import annotations

import subprocess
import sys

from tests.cli.command import ROOT, environment

REFUSED = """
import importlib.abc, os, select, sys

MODULES = {"fcntl", "termios", "pwd", "grp", "resource", "pty", "tty", "syslog", "_posixshmem"}
OURS = ("corten.kernel", "corten.driver.tap", "corten.driver.packet", "corten.driver.xdp",
        "corten.driver.memif", "corten.driver.device", "corten.driver.netlink",
        "corten.driver.eventfd", "corten.worker.supervisor", "corten.worker.crew", "pyroute2")


class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in MODULES or name.startswith(OURS):
            asked.append(name)
            raise ImportError(f"{name}: not on this system", name=name)


asked = []
sys.meta_path.insert(0, Refuse())
for module, names in (
    (select, ["epoll", "EPOLLIN"]),
    (os, ["eventfd", "eventfd_read", "eventfd_write", "EFD_NONBLOCK", "EFD_CLOEXEC", "memfd_create",
          "sched_setaffinity", "sched_getaffinity", "pidfd_open", "splice"]),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
"""

NODES = """
import corten

class Echo(corten.Handler):
    def on_data(self, connection, data):
        connection.send(data)

class Client(corten.Handler):
    got = b""
    def on_open(self, connection):
        connection.send(b"hello")
    def on_data(self, connection, data):
        Client.got += data

left, right = corten.Node(), corten.Node()
ends = {}
ends["left"] = left.add(lambda packet: ends["right"].push(packet), ["10.7.0.1/24"])
ends["right"] = right.add(lambda packet: ends["left"].push(packet), ["10.7.0.2/24"])
left.listen(7, Echo)
right.connect("10.7.0.1", 7, Client)
left.call_soon_threadsafe(print, "woken")
for _ in range(50):
    left.turn(), right.turn()
assert left.fileno() > 0
left.close(), right.close()
print(Client.got.decode())
"""

NETWORK = """
import asyncio
import corten.sim

async def serve():
    async def talk(reader, writer):
        writer.write((await reader.readline()).upper())
        writer.close()
    await (await asyncio.start_server(talk, port=7)).serve_forever()

async def ask():
    reader, writer = await asyncio.open_connection("server", 7)
    writer.write(b"hello\\n")
    try:
        return await reader.readline()
    finally:
        writer.close()

for name in corten.sim.__all__:
    getattr(corten.sim, name)
with corten.sim.Net(seed=1) as net:
    server, client = net.host("server"), net.host("client")
    net.link(client, server, loss=0.1)
    server.start(serve())
    print(client.run(ask()).decode().strip())
"""

TOLERATED = {"fcntl", "grp", "pwd"}  # asked for by modules of Python's own that do without


def run(code: str) -> list[str]:
    check = "\nprint(*sorted(set(asked)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", REFUSED + code + check],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    *said, asked = done.stdout.splitlines()
    assert set(asked.split()) <= TOLERATED
    return said


def test_everything_promised_is_imported() -> None:
    run("import corten\nfor name in corten.__all__:\n    name == 'serve' or getattr(corten, name)")


def test_two_nodes_talk() -> None:
    assert run(NODES) == ["woken", "hello"]


def test_a_simulated_network_runs() -> None:
    assert run(NETWORK) == ["HELLO"]
