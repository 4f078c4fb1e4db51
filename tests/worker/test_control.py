"""The control socket: who may ask, what is a request, and what it bears from clients."""

from __future__ import annotations

import json
import os
import select
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.app.ctl import Server, find, run_ctl
from corten.endpoint.error import CortenError
from corten.worker import control as module
from corten.worker.control import (
    ANSWER_MAX,
    CLIENTS_MAX,
    REQUEST_MAX,
    Answer,
    Control,
    default_path,
    is_alive,
    running,
)


class Loop:
    """A keeper that turns when it is told to."""

    def __init__(self) -> None:
        self.watched: dict[int, Callable[[], object]] = {}
        self.later: list[Callable[[], object]] = []

    def watch(self, fd: int, function: Callable[[], object] | None) -> None:
        self.watched.pop(fd, None)
        if function is not None:
            self.watched[fd] = function

    def call_later(self, seconds: float, function: Callable[[], object]) -> None:
        self.later.append(function)

    def turn(self, seconds: float = 0.05) -> None:
        """Until nothing happens any more."""
        while True:
            later, self.later = self.later, []
            for function in later:
                function()
            ready, _, _ = select.select(list(self.watched), [], [], 0 if later else seconds)
            if not ready and not later:
                return
            for fd in ready:
                if fd in self.watched:
                    self.watched[fd]()


class House:
    """A control socket, and what it was asked."""

    def __init__(self, path: str) -> None:
        self.loop = Loop()
        self.asked: list[dict[str, Any]] = []
        self.kept: list[Answer] = []
        self.ends: list[socket.socket] = []
        self.control = Control(path, self.loop, self.do)

    def do(self, request: dict[str, Any], answer: Answer) -> None:
        self.asked.append(request)
        if request["command"] == "refuse":
            raise CortenError("not today")
        if request["command"] == "break":
            raise RuntimeError("a defect")
        if request["command"] == "long":
            answer({"text": "x" * ANSWER_MAX})
        elif request["command"] == "wait":
            self.kept.append(answer)
        else:
            answer({"ok": True})

    def client(self) -> socket.socket:
        end = socket.socket(socket.AF_UNIX)
        self.ends.append(end)
        end.settimeout(2.0)
        end.connect(self.control.path)
        self.loop.turn(0.01)
        return end

    def close(self) -> None:
        self.control.close()
        for end in self.ends:
            end.close()

    def say(self, end: socket.socket, data: bytes) -> bytes:
        end.sendall(data)
        self.loop.turn(0.01)
        end.setblocking(False)
        try:
            return end.recv(1 << 20)
        except BlockingIOError:
            return b"nothing"
        except ConnectionError:
            return b""
        finally:
            end.settimeout(2.0)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(str(tmp_path / "control.sock"))
    yield made
    made.close()


def line(**message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


def test_only_its_user_and_root_may_use_the_file(house: House) -> None:
    assert stat.S_IMODE(os.stat(house.control.path).st_mode) == 0o600


@pytest.mark.parametrize(("user", "may"), [(0, True), (os.geteuid(), True), (65534, False)])
def test_who_may_ask(user: int, may: bool) -> None:
    """By the kernel's word, whatever the file's mode says."""
    if user not in (0, os.geteuid()) and os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    if user == 0 and os.geteuid() != 0:
        pytest.skip("only root is root")
    folder = tempfile.mkdtemp(prefix="corten-")  # where everybody gets
    os.chmod(folder, 0o755)
    house = House(os.path.join(folder, "s"))
    os.chmod(house.control.path, 0o666)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(user)
            end = socket.socket(socket.AF_UNIX)
            end.connect(house.control.path)
            end.sendall(line(command="status"))
            os.write(writer, end.recv(1000))
        except ConnectionError:
            os.write(writer, b'{"error": "let go before it was said"}')
        finally:
            os._exit(0)
    os.close(writer)
    for _ in range(100):
        house.loop.turn(0.01)
        if select.select([reader], [], [], 0.0)[0]:
            break
    answer = json.loads(os.read(reader, 1000) or b"{}")
    os.waitpid(child, 0)
    os.close(reader)
    house.close()
    os.rmdir(folder)
    assert ("error" not in answer) == may, answer
    assert len(house.asked) == may


def test_requests_are_answered_in_order_and_one_at_a_time(house: House) -> None:
    end = house.client()
    said = house.say(end, line(command="a") + line(command="wait") + line(command="b"))
    assert said == b'{"ok": true}\n'
    assert [each["command"] for each in house.asked] == ["a", "wait"]
    house.kept[0]({"ok": "late"})
    house.kept[0]({"ok": "twice"})
    house.loop.turn(0.01)
    assert end.recv(1000) == b'{"ok": "late"}\n{"ok": true}\n'
    assert [each["command"] for each in house.asked] == ["a", "wait", "b"]


def test_a_request_may_come_in_pieces(house: House) -> None:
    end = house.client()
    text = line(command="status", more="z" * 1000)
    for at in range(0, len(text) - 100, 100):
        assert house.say(end, text[at : at + 100]) == b"nothing"
    assert house.say(end, text[len(text) // 100 * 100 :]) == b'{"ok": true}\n'


@pytest.mark.parametrize(
    "text",
    [
        b"\n",
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b"5\n",
        b'{"command": 5}\n',
        b'{"command": "a"',
        b"\xff\xfe\n",
        b"[" * 3000 + b"\n",
        b'{"command": null}\n',
    ],
)
def test_what_is_no_request_is_answered_and_harms_nothing(house: House, text: bytes) -> None:
    end = house.client()
    said = house.say(end, text)
    if text.endswith(b"\n"):
        assert list(json.loads(said)) == ["error"]
        assert said.count(b"\n") == 1
    assert house.asked == []
    assert house.say(house.client(), line(command="status")) == b'{"ok": true}\n'


def test_errors_are_one_line_and_the_client_stays(house: House) -> None:
    end = house.client()
    assert json.loads(house.say(end, line(command="refuse"))) == {"error": "not today"}
    assert "it failed" in json.loads(house.say(end, line(command="break")))["error"]
    assert "too long" in json.loads(house.say(end, line(command="long")))["error"]
    assert house.say(end, line(command="status")) == b'{"ok": true}\n'


def test_a_line_without_end_is_cut_off(house: House) -> None:
    end = house.client()
    said = b""
    for _ in range(4):
        said = house.say(end, b"x" * (REQUEST_MAX // 2))
        if said != b"nothing":
            break
    assert "octets at the most" in json.loads(said)["error"]
    assert len(house.control._clients) == 0


def test_a_client_that_does_not_read_is_let_go(house: House) -> None:
    end = house.client()
    for _ in range(200_000 // REQUEST_MAX * 400):
        try:
            end.sendall(line(command="a") * 50)
        except OSError:
            break
        house.loop.turn(0.0)
        if not house.control._clients:
            break
    assert not house.control._clients


def test_too_many_clients_the_longest_silent_one_goes(house: House) -> None:
    ends = [house.client() for _ in range(CLIENTS_MAX)]
    house.say(ends[0], line(command="wait"))  # it is being served
    newest = house.client()
    assert house.say(newest, line(command="status")) == b'{"ok": true}\n'
    assert house.say(ends[0], b"") == b"nothing"
    assert ends[1].recv(10) == b""
    assert len(house.control._clients) == CLIENTS_MAX


def test_a_client_that_went_while_it_waited(house: House) -> None:
    end = house.client()
    house.say(end, line(command="wait"))
    end.close()
    house.kept[0]({"ok": True})
    house.loop.turn(0.01)
    assert house.say(house.client(), line(command="status")) == b'{"ok": true}\n'
    assert len(house.control._clients) == 1


def test_the_path(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    first = House(path)
    with pytest.raises(CortenError, match="another server listens there"):
        House(path)
    first.control.close()
    assert not os.path.exists(path)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(path)
    dead.close()
    assert not is_alive(path)
    second = House(path)  # what a killed server left behind is in nobody's way
    assert is_alive(path)
    second.control.close()
    second.control.close()
    (tmp_path / "s").write_text("a file")
    with pytest.raises(CortenError, match="there is a file of that name"):
        House(path)
    with pytest.raises(CortenError, match="longer than"):
        House("/tmp/" + "x" * 200)
    with pytest.raises(CortenError, match="No such file or directory"):
        House(str(tmp_path / "no" / "where"))


def test_where_it_is_when_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "directories", lambda: [str(tmp_path / "run")])
    with pytest.raises(CortenError, match="no server runs"):
        find()
    path = default_path("httpd")
    assert path == str(tmp_path / "run" / f"httpd-{os.getpid()}.sock")
    one = House(path)
    assert find() == path
    left = tmp_path / "run" / "dead-1.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(left))
    dead.close()
    assert running() == [path]
    other = House(default_path("echo"))
    assert not left.exists(), "the next server sweeps"
    with pytest.raises(CortenError, match=r"2 servers run: say --control \S+ or \S+$"):
        find()
    assert run_ctl(["list"]) == 0
    assert capsys.readouterr().out.split() == [other.control.path, path]
    one.control.close()
    other.control.close()
    os.chmod(tmp_path / "run", 0o777)
    with pytest.raises(CortenError, match="no place for the control socket"):
        default_path("httpd")


@pytest.mark.parametrize(
    ("words", "options", "says"),
    [
        (["fly"], {}, "no command 'fly'"),
        (["restart"], {}, "takes WORKER"),
        (["restart", "one"], {}, "no number"),
        (["status", "0"], {}, "takes no argument"),
        (["counters", "0", "1"], {}, r"takes \[WORKER\]"),
        (["add-address", "tap0"], {}, "takes LINK ADDRESS"),
        (["status"], {"now": True}, "has no --now"),
        (["restart", "0"], {"beside": "tap0"}, "has no --beside"),
        (["status"], {"control": "/nowhere/s"}, "no server listens there"),
    ],
)
def test_wrong_calls(words: list[str], options: dict[str, Any], says: str) -> None:
    with pytest.raises(CortenError, match=says) as caught:
        run_ctl(words, **options)
    assert "\n" not in str(caught.value)


def test_a_server_that_ends_is_said(house: House) -> None:
    server = Server(house.control.path)
    house.loop.turn(0.01)
    house.control.close()
    with pytest.raises(CortenError, match=r"ended before it answered|let go of us"):
        server.ask("status")
    server.close()
