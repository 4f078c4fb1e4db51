"""`corten asgi`, and uvicorn on our loop, over a TAP device."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.namespace import Namespace
from tests.aio.certificate import certificate
from tests.aio.program import LINK
from tests.netns import ROOT, Program, namespace, pattern

pytestmark = pytest.mark.e2e

APP = "tests.aio.application:app"


@contextmanager
def served(
    space: Namespace, words: list[str], ready: str, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """A server, once it has said `ready`; it must end well on SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=space.preparation(),  # noqa: PLW1509  (the tests run no threads)
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    try:
        assert process.stdout is not None
        said = ""
        while ready not in said:
            line = process.stdout.readline()
            assert line, f"it did not begin: {said}"
            said += line
        yield process
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=15)
        assert process.returncode in (0, -signal.SIGTERM), said  # uvicorn raises it again
        assert "Traceback" not in said
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def asgi(
    space: Namespace, *words: str, app: str = APP, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    command = ["corten", "asgi", app, "--link", LINK, "--port", "8000", "--control", "none"]
    with served(space, [*command, *words], "ready:", **environment) as process:
        yield process


def run(space: Namespace, *words: str, **options: Any) -> str:
    done = subprocess.run(
        words,
        preexec_fn=space.preparation(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_http_streaming_websockets_and_lifespan(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    pytest.importorskip("websockets")
    certificate(tmp_path, "10.0.2.2")
    notes, body = tmp_path / "notes", tmp_path / "body"
    body.write_bytes(pattern(1_000_000))
    crt, key = str(tmp_path / "server.crt"), str(tmp_path / "server.key")
    with namespace("asgi") as space:
        with asgi(space, "--workers", "2", CORTEN_TEST_NOTES=str(notes)):
            url = "http://10.0.2.2:8000"
            assert run(space, "curl", "-sS", f"{url}/") == "0\n1\n2\n3\n4\ndone\n"
            assert run(space, "curl", "-sS", f"{url}/peer") == "10.0.2.1 10.0.2.2:8000 http"
            out = tmp_path / "out"
            data = ("--data-binary", f"@{body}", "-H", "Expect:")
            run(space, "curl", "-sS", *data, "-o", str(out), f"{url}/echo")
            assert out.read_bytes() == body.read_bytes()
            said = run(space, "wrk", "-t1", "-c50", "-d1", f"{url}/peer")
            assert "Requests/sec" in said
            assert "errors" not in said
            assert "Non-2xx" not in said
        assert sorted(notes.read_text().split()) == (
            ["lifespan.shutdown"] * 2 + ["lifespan.startup"] * 2
        )
        with asgi(space, "--ssl-certfile", crt, "--ssl-keyfile", key):
            url = "https://10.0.2.2:8000"
            assert run(space, "curl", "-sS", "--cacert", crt, f"{url}/").endswith("done\n")
            out = tmp_path / "tls"
            run(space, "curl", "-sS", "--cacert", crt, *data, "-o", str(out), f"{url}/echo")
            assert out.read_bytes() == body.read_bytes()


def test_websockets() -> None:
    pytest.importorskip("uvicorn")
    pytest.importorskip("websockets")
    code = """
import asyncio, json, websockets
async def main():
    async with websockets.connect("ws://10.0.2.2:8000/", max_size=None) as socket:
        for message in ("hello", bytes(1_000_000)):
            await socket.send(message)
            assert await socket.recv() == message
asyncio.run(main())
print(json.dumps({"done": True}))
"""
    with namespace("asgi") as space, asgi(space):
        program = Program(space, "-c", code)
        try:
            assert program.wait_for("done")
            assert program.end() == 0
        finally:
            program.close()


def test_fastapi() -> None:
    pytest.importorskip("fastapi")
    with (
        namespace("asgi") as space,
        asgi(space, "--factory", "--http", "h11", app="tests.aio.application:fast"),
    ):
        said = run(space, "curl", "-sS", "http://10.0.2.2:8000/hello/you?times=2")
        assert said == '{"hello":["you","you"]}'
        said = run(space, "curl", "-sS", "http://10.0.2.2:8000/openapi.json")
        assert "/hello/{name}" in said


def test_a_request_under_way_is_answered_at_the_end(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    notes = tmp_path / "notes"
    with namespace("asgi") as space:
        with asgi(space, CORTEN_TEST_NOTES=str(notes)):
            asking = subprocess.Popen(
                ["curl", "-sS", "http://10.0.2.2:8000/slow"],
                preexec_fn=space.preparation(),  # noqa: PLW1509
                stdout=subprocess.PIPE,
                text=True,
            )
            run(space, "curl", "-sS", "http://10.0.2.2:8000/peer")
        said, _ = asking.communicate(timeout=15)
        assert said.endswith("done\n")
        assert notes.read_text().endswith("lifespan.shutdown\n")


def test_a_worker_makes_room_for_its_successor(tmp_path: Path) -> None:
    """`corten ctl restart` under load: every request is answered."""
    pytest.importorskip("uvicorn")
    control = str(tmp_path / "control")
    with namespace("asgi") as space, asgi(space, "--workers", "2", "--control", control):
        loading = subprocess.Popen(
            ["wrk", "-t1", "-c20", "-d4", "http://10.0.2.2:8000/peer"],
            preexec_fn=space.preparation(),  # noqa: PLW1509
            stdout=subprocess.PIPE,
            text=True,
        )
        ctl = [sys.executable, "-m", "corten", "ctl", "--control", control]
        run(space, *ctl, "restart", "0", cwd=ROOT)
        said, _ = loading.communicate(timeout=20)
        assert "Requests/sec" in said
        assert "Non-2xx" not in said
        assert "Socket errors" not in said


@pytest.mark.parametrize("faster", [False, True])
def test_uvicorn_on_our_loop(faster: bool) -> None:
    pytest.importorskip("uvicorn")
    words = ["--host", "10.0.2.2", "--port", "8000"]
    if faster:
        code = (
            "import functools, asyncio, uvicorn, corten.aio\n"
            f"loop = functools.partial(corten.aio.new_event_loop, [{LINK!r}], uvloop=True)\n"
            f"config = uvicorn.Config({APP!r}, host='10.0.2.2', port=8000)\n"
            "with asyncio.Runner(loop_factory=loop) as runner:\n"
            "    runner.run(uvicorn.Server(config).serve())\n"
        )
        with namespace("asgi") as space, _program(space, code):
            assert run(space, "curl", "-sS", "http://10.0.2.2:8000/").endswith("done\n")
        return
    command = ["uvicorn", APP, "--loop", "corten.aio:new_event_loop", *words]
    with (
        namespace("asgi") as space,
        served(space, command, "Uvicorn running on http://10.0.2.2:8000", CORTEN_LINKS=LINK),
    ):
        assert run(space, "curl", "-sS", "http://10.0.2.2:8000/").endswith("done\n")


@contextmanager
def _program(space: Namespace, code: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=space.preparation(),  # noqa: PLW1509  (the tests run no threads)
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stderr is not None
        said = ""
        while "Uvicorn running" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["nosuch:app"], 'Could not import module "nosuch"'),
        (["tests.aio.application:nosuch"], 'Attribute "nosuch" not found'),
        (["nonsense"], "must be in format"),
        ([APP, "--link", "kernel,address=127.0.0.1"], "run uvicorn"),
        ([APP, "--host", "10.0.9.9"], "failed, as said above"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], what: str) -> None:
    pytest.importorskip("uvicorn")
    with namespace("asgi") as space:
        link = [] if "--link" in words else ["--link", LINK]
        done = subprocess.run(
            [sys.executable, "-m", "corten", "asgi", *words, *link, "--control", "none"],
            cwd=ROOT,
            preexec_fn=space.preparation(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert what in lines[-1]
    assert lines[-1].startswith("corten: ")
    assert "Traceback" not in done.stderr


def test_a_lifespan_that_fails_is_said() -> None:
    pytest.importorskip("uvicorn")
    with namespace("asgi") as space:
        done = subprocess.run(
            [sys.executable, "-m", "corten", "asgi", APP, "--link", LINK, "--control", "none"],
            cwd=ROOT,
            preexec_fn=space.preparation(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, "CORTEN_TEST_FAILS": "1"},
        )
    assert done.returncode == 2
    assert "its lifespan or port failed" in done.stderr
