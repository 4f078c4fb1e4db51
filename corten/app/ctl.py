"""`corten ctl`: ask a running server, or tell it something, over its control socket.

A request is a line of JSON, its answer another (`corten.worker.control`). Rates are the difference
of two answers: the server keeps no account for it.

Rules. Where one server runs it is the one that is meant; where several do, their sockets are listed
and one has to be named. What the server refuses is its own line, with exit code 2.
"""

from __future__ import annotations

import errno
import json
import socket
import time
from typing import Any

from corten.endpoint.error import CortenError
from corten.worker.control import ANSWER_MAX, directories, running

PATIENCE_S = 30.0  # with an answer …
LONG_S = 600.0  # … to what takes as long as connections last

# command: the names of its arguments in a request; with a question mark: may be left out
COMMANDS = {
    "status": (),
    "counters": ("worker?",),
    "restart": ("worker",),
    "add-link": ("link",),
    "remove-link": ("link",),
    "add-address": ("link", "address"),
    "remove-address": ("link", "address"),
    "stop": (),
    "list": (),
}


class Server:
    """A running server, as its control socket shows it. CortenError for whatever goes wrong."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._text = b""
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._end.connect(path)
        except OSError as error:
            self._end.close()
            raise CortenError(f"{path}: {_advice(error)}") from None

    def ask(self, command: str, seconds: float = PATIENCE_S, **arguments: object) -> dict[str, Any]:
        """One request, and what is answered."""
        self._end.settimeout(seconds)
        try:
            self._end.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
            while b"\n" not in self._text and len(self._text) <= ANSWER_MAX:
                data = self._end.recv(ANSWER_MAX)
                if not data:
                    raise CortenError(f"{self.path}: the server ended before it answered")
                self._text += data
        except TimeoutError:
            raise CortenError(f"{self.path}: no answer within {seconds:g} s") from None
        except ConnectionError:
            raise CortenError(f"{self.path}: the server let go of us") from None
        except OSError as error:
            raise CortenError(f"{self.path}: {error.strerror}") from None
        line, _, self._text = self._text.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise CortenError(str(answer["error"]))
        return answer

    def wait_for_end(self, seconds: float) -> None:
        """Until it has gone."""
        self._end.settimeout(seconds)
        try:
            while self._end.recv(ANSWER_MAX):
                pass
        except TimeoutError:
            raise CortenError(f"{self.path}: still there after {seconds:g} s") from None
        except ConnectionError:
            return  # silent: that is its end, too

    def close(self) -> None:
        self._end.close()


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        return "no server listens there"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "it is another user's: run as that user, or as root"
    return error.strerror or "cannot be reached"


def find() -> str:
    """The socket of the only server that runs. CortenError where that is not clear."""
    found = running()
    if not found:
        places = ", ".join(directories())
        raise CortenError(f"no server runs (none in {places}): start one, or say --control PATH")
    if len(found) > 1:
        raise CortenError(f"{len(found)} servers run: say --control {' or '.join(found)}")
    return found[0]


def run_ctl(
    words: list[str],
    control: str | None = None,
    as_json: bool = False,
    now: bool = False,
    beside: str | None = None,
    interval: float = 1.0,
) -> int:
    """Do one command; the exit code. CortenError, one line, for a wrong call."""
    command, arguments = words[0], _arguments(words)
    if now:
        _belongs("--now", command, "restart")
        arguments["now"] = True
    if beside is not None:
        _belongs("--beside", command, "add-link")
        arguments["beside"] = beside
    if command == "list":
        found = running()
        print(json.dumps(found) if as_json else "\n".join(found))
        return 0
    server = Server(control or find())
    try:
        if command == "status":
            _status(server, interval, as_json)
        elif command == "counters":
            _counters(server, arguments.get("worker"), as_json)
        else:
            seconds = LONG_S if command in ("restart", "stop") else PATIENCE_S
            answer = server.ask(command, seconds, **arguments)
            if command == "stop":
                server.wait_for_end(seconds)
            print(json.dumps(answer) if as_json else _said(command, answer))
    finally:
        server.close()
    return 0


def _belongs(option: str, command: str, owner: str) -> None:
    if command != owner:
        raise CortenError(f"ctl {command} has no {option}: that is for {owner}")


def _arguments(words: list[str]) -> dict[str, Any]:
    """The arguments of a command by name."""
    command, given = words[0], words[1:]
    if command not in COMMANDS:
        raise CortenError(f"ctl has no command {command!r}: {', '.join(COMMANDS)}")
    names = COMMANDS[command]
    needed = [name for name in names if not name.endswith("?")]
    if not len(needed) <= len(given) <= len(names):
        shown = " ".join(
            f"[{name[:-1].upper()}]" if name.endswith("?") else name.upper() for name in names
        )
        raise CortenError(f"ctl {command} takes {shown or 'no argument'}: corten ctl --help")
    found: dict[str, Any] = dict(zip((name.rstrip("?") for name in names), given, strict=False))
    if "worker" in found:
        if not found["worker"].isdecimal():
            raise CortenError(f"ctl {command}: worker {found['worker']!r} is no number")
        found["worker"] = int(found["worker"])
    return found


def _said(command: str, answer: dict[str, Any]) -> str:
    """The answer to a change, for people."""
    if command == "restart":
        return f"worker {answer['worker']} is process {answer['pid']} now"
    if command == "add-link":
        return f"link {answer['link']} is served"
    return "done"


# -- what is shown ------------------------------------------------------------------------------


def share(workers: list[dict[str, Any]]) -> float:
    """The share of the frames of the wire that came to another worker than their flow's."""
    received = sum(worker["counters"].get("frames_in", 0) for worker in workers)
    handed = sum(worker["counters"].get("handed_over", 0) for worker in workers)
    return handed / received if received else 0.0


def _status(server: Server, interval: float, as_json: bool) -> None:
    first = server.ask("status")
    if as_json:
        print(json.dumps({**first, "handed_over_share": share(first["workers"])}))
        return
    second = first
    if interval > 0:
        time.sleep(interval)
        second = server.ask("status")
    seconds = second["at"] - first["at"]
    state = ", stopping" if second["stopping"] else ""
    print(f"server {second['pid']}{state}: {len(second['workers'])} workers")
    print(_row(("worker", "pid", "cpu", "starts", "up", "state", *_RATES)))
    before = {worker["index"]: worker for worker in first["workers"]}
    for worker in second["workers"]:
        print(_row(_worker_row(worker, before.get(worker["index"], worker), seconds)))
    print(f"handed over: {100 * share(second['workers']):.3f} % of the frames received")
    for link in second["links"]:
        _show_link(link)


_RATES = ("frames/s", "segments in/s", "out/s", "accepted/s")
_COUNTED = ("frames_in", "segments_in", "segments_out", "connections_accepted")


def _worker_row(
    worker: dict[str, Any], before: dict[str, Any], seconds: float
) -> tuple[object, ...]:
    state = "ready" if worker["ready"] else "starting"
    if worker["leaving"]:
        state = "leaving"
    if worker["leads"]:
        state += ", leads"
    rates = ["-"] * len(_COUNTED)
    if worker["counters"] and seconds > 0:
        rates = [
            f"{(worker['counters'][name] - before['counters'].get(name, 0)) / seconds:.0f}"
            for name in _COUNTED
        ]
    up = _duration(worker["seconds"])
    return (worker["index"], worker["pid"], worker["cpu"], worker["starts"], up, state, *rates)


def _row(values: tuple[object, ...]) -> str:
    widths = (6, 8, 4, 6, 7, 14, 10, 13, 10, 10)
    return "  ".join(
        f"{value!s:<{width}}" for value, width in zip(values, widths, strict=True)
    ).rstrip()


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def _show_link(link: dict[str, Any]) -> None:
    name = f"{link['driver']}:{link['name']}" if link["name"] else link["driver"]
    workers = ", ".join(str(index) for index in link["workers"])
    ours = [*link["addresses"], *link.get("prefixes", ())]
    print(f"link {name}: {', '.join(ours) or 'no address yet'}", end="")
    print(f"; queues {link['queues']}, workers {workers}" if link["queues"] else "")
    for index, (received, transmitted, dropped) in sorted(link.get("figures", {}).items()):
        print(f"    worker {index}: {received} in, {transmitted} out, {dropped} dropped")


def _counters(server: Server, worker: int | None, as_json: bool) -> None:
    """What each worker has counted; those that are nothing everywhere are left out."""
    indices = [worker]
    if worker is None:
        known = server.ask("status")["workers"]
        indices = [each["index"] for each in known if each["counters"]]
    columns = {index: server.ask("counters", worker=index)["counters"] for index in indices}
    if as_json:
        print(json.dumps(columns))
        return
    names = sorted({name for column in columns.values() for name in column})
    widest = max((len(name) for name in names), default=0)
    print(" " * widest + "".join(f"  {f'worker {index}':>14}" for index in columns))
    for name in names:
        values = [column[name] for column in columns.values()]
        if any(values):
            print(f"{name:<{widest}}" + "".join(f"  {value:>14}" for value in values))
