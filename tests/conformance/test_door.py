"""The compiled door: octets where they lie, taken when the handler likes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import corten.endpoint.handler
from tests.conformance.backend import Backend
from tests.conformance.test_receiving import pattern

ROOT = Path(__file__).parent.parent.parent
SOURCE = "tests.conformance.door"


def _compile(target: Path) -> ModuleType:
    """Build door.py as users build theirs, against the .pxd files of the package."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    source = target / "corten_test_door.py"
    source.write_bytes((Path(__file__).parent / "door.py").read_bytes())
    modules = cythonize(
        [Extension(source.stem, [str(source)], extra_compile_args=["-O0"])],
        include_path=[str(ROOT)],
        build_dir=str(target),
        compiler_directives={"language_level": 3},
        quiet=True,
    )
    command = Distribution({"ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib = command.build_temp = str(target)  # type: ignore[attr-defined]
    command.ensure_finalized()
    command.run()
    (made,) = target.glob("corten_test_door*.so")
    spec = importlib.util.spec_from_file_location(source.stem, made)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[source.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The handlers, compiled where Corten is."""
    if str(corten.endpoint.handler.__file__).endswith(".py"):
        return importlib.import_module(SOURCE)
    return _compile(tmp_path_factory.mktemp("door"))


def test_what_is_left_stays_and_is_offered_with_more(backend: Backend, door: Any) -> None:
    note = door.Note(4)
    handler = door.Sipper(note)
    peer = backend.dial(backend.listen(lambda: handler))
    peer.send(b"abcdefgh")
    backend.run(lambda: note.sips)
    backend.pass_time(backend.patience)
    assert note.ready == [8]
    peer.send(b"ij")
    backend.run(lambda: len(note.ready) == 2)
    assert note.ready == [8, 6]
    assert b"".join(note.sips) == b"abcdefgh"


def test_what_is_left_may_be_taken_outside_an_event(backend: Backend, door: Any) -> None:
    note = door.Note(4)
    handler = door.Sipper(note)
    peer = backend.dial(backend.listen(lambda: handler))
    peer.send(b"abcdefgh")
    backend.run(lambda: note.sips)
    note.sip = 100
    backend.loop.call_soon(handler.sip_again)
    backend.run(lambda: b"".join(note.sips) == b"abcdefgh")


def test_the_end_comes_though_something_is_left(backend: Backend, door: Any) -> None:
    note = door.Note(4)
    handler = door.Sipper(note)
    peer = backend.dial(backend.listen(lambda: handler))
    peer.send(b"abcdefgh")
    peer.finish()
    backend.run(lambda: "close" in note.events)
    assert note.events == ["data", "eof", "close"]
    assert b"".join(note.sips) == b"abcdefgh"
    assert note.error is None


def test_what_is_left_moves_along(backend: Backend, door: Any) -> None:
    sent = pattern(300_000)
    note = door.Note(1900)
    handler = door.Sipper(note)
    peer = backend.dial(backend.listen(lambda: handler))
    for at in range(0, len(sent), 2000):
        peer.send(sent[at : at + 2000])
        backend.run(lambda at=at: sum(map(len, note.sips)) + note.left >= at + 2000)  # type: ignore[misc]
    peer.finish()
    backend.run(lambda: "close" in note.events)
    assert b"".join(note.sips) == sent


def test_what_nobody_takes_stops_the_peer(backend: Backend, door: Any) -> None:
    sent = pattern(20_000_000)
    note = door.Note(0)
    handler = door.Sipper(note)
    peer = backend.dial(backend.listen(lambda: handler))
    peer.send(sent)
    backend.pass_time(4 * backend.patience)
    assert peer.unsent_len > 0
    assert max(note.ready) < 5_000_000
    stood_at = note.ready[-1]
    backend.pass_time(backend.patience)
    assert note.ready[-1] <= stood_at + 10_000
    note.sip = 1 << 30
    backend.loop.call_soon(handler.sip_again)
    backend.run(lambda: sum(map(len, note.sips)) == len(sent))
    assert b"".join(note.sips) == sent


def test_resume_offers_what_was_left(backend: Backend, door: Any) -> None:
    note = door.Note(4)
    handler = door.Sipper(note)
    peer = backend.dial(backend.listen(lambda: handler))
    peer.send(b"abcdefgh")
    backend.run(lambda: note.sips)
    note.connection.pause()
    note.connection.resume()
    backend.run(lambda: b"".join(note.sips) == b"abcdefgh")


@pytest.mark.parametrize("length", [1, 993, 994, 100_000, 2_000_000])
def test_read_into_and_send_slice(backend: Backend, door: Any, length: int) -> None:
    sent = pattern(length)
    peer = backend.dial(backend.listen(door.Copier))
    peer.send(sent)
    backend.run(lambda: len(peer.received) >= length)
    assert peer.received == sent


def test_taking_more_than_there_is(
    backend: Backend, door: Any, caplog: pytest.LogCaptureFixture
) -> None:
    note = door.Note()
    handler = door.Greedy(note)
    peer = backend.dial(backend.listen(lambda: handler))
    peer.send(b"x")
    backend.run(lambda: peer.saw_reset)
    assert isinstance(note.error, ConnectionAbortedError)
    assert "consume" in caplog.text
