"""Clients of Redis and PostgreSQL on the stack, the real servers on the kernel's side of a TAP."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.namespace import Namespace
from tests.aio.certificate import certificate
from tests.netns import Program, namespace

pytestmark = pytest.mark.e2e

Prepare = Callable[[], None]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a server that is not root can live."""
    made = Path(tempfile.mkdtemp(prefix="corten-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@contextmanager
def running(space: Namespace, words: list[str], port: int, prepare: Prepare) -> Iterator[None]:
    """A server of the kernel's, once it listens."""
    process = subprocess.Popen(
        words,
        preexec_fn=prepare,  # noqa: PLW1509  (the tests run no threads)
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        until = time.monotonic() + 20
        while True:
            with space.inside(), socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, process.communicate()[0].decode()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


def ask(space: Namespace, what: str, port: int, folder: Path) -> None:
    program = Program(
        space,
        "-W",
        "error",
        "-m",
        "tests.aio.program",
        "corten",
        "ask",
        what,
        str(port),
        str(folder),
    )
    try:
        assert program.wait_for("done", 30)
        assert program.end() == 0
    finally:
        program.close()


def test_redis(folder: Path) -> None:
    pytest.importorskip("redis")
    redis = shutil.which("redis-server")
    if redis is None:
        pytest.skip("redis-server is missing: apt install redis-server")
    crt, key = (str(path) for path in certificate(folder, "10.0.2.1"))
    words = [redis, "--bind", "0.0.0.0", "--port", "6379", "--protected-mode", "no"]
    words += ["--save", "", "--dir", str(folder), "--tls-port", "6380", "--tls-auth-clients", "no"]
    words += ["--tls-cert-file", crt, "--tls-key-file", key, "--tls-ca-cert-file", crt]
    with namespace("redis") as space, running(space, words, 6379, space.preparation()):
        ask(space, "redis", 6379, folder)


def test_postgres(folder: Path) -> None:
    pytest.importorskip("asyncpg")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs:
        pytest.skip("postgres is missing: apt install postgresql")
    if os.getuid() != 0:
        pytest.skip("postgres wants a user of its own: run as root")
    nobody = pwd.getpwnam("nobody")
    _, key = certificate(folder, "10.0.2.1")
    for path in (folder, *folder.iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    key.chmod(0o600)
    data = folder / "data"

    with namespace("postgres") as space:
        enter = space.preparation()

        def prepare() -> None:
            """Into the namespace, and then no longer root: in this order."""
            enter()
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)

        subprocess.run(
            [programs[-1].with_name("initdb"), "-D", data, "-U", "tester", "-A", "trust", "-N"],
            preexec_fn=prepare,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        with (data / "pg_hba.conf").open("a", encoding="ascii") as file:
            file.write("host all all 10.0.2.0/24 trust\n")
        words = [
            str(programs[-1]),
            "-D",
            str(data),
            "-p",
            "5432",
            "-h",
            "0.0.0.0",
            "-k",
            str(folder),
        ]
        for setting in ("ssl=on", f"ssl_cert_file={folder}/server.crt", f"ssl_key_file={key}"):
            words += ["-c", setting]
        with running(space, words, 5432, prepare):
            ask(space, "postgres", 5432, folder)
