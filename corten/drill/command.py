"""Commands in back quotes: what scripts ask of a shell, mapped to settings and questions about
state.

Rules. Nothing is run. A command that prepares the system in a way that does not concern a stack of
our own is passed over; one that asks something this tool cannot answer is Unsupported, by its name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

from corten.drill.error import Differs, Unsupported

MS = 1_000_000
BUFFER_MAX = 1 << 29  # what Config allows: the largest window shift follows from it
_PASSED_OVER = (
    "nstat", "ethtool", "tc", "sleep", "sync", "true", "echo", "kldstat", "kldload", "sh", "exit",
    "tcpdrop", "modprobe", "sysctl_restore", "rm", "cat", "export", "set", "ifconfig", "ip",
)  # fmt: skip
_ECN = {0: "off", 1: "on", 2: "passive"}
_COOKIES = {0: "off", 1: "auto", 2: "always"}
_COUNTED = re.compile(r"grep\s+-c\s+(\w+)\s*\|\s*grep\s+(\d+)")
_LISTED = re.compile(r"grep\s+'?(CLOSED|TIME_WAIT|SYN_RCVD|ESTABLISHED)'?\s*$")


class Settings:
    """What commands have changed: settings of Config for the sockets to come, and the dialect."""

    def __init__(self, values: dict[str, Any], known: Callable[[str], bool], version: int) -> None:
        """`values` is changed in place; `known`: whether Config has a setting."""
        self.values = values
        self.known = known
        self.version = version
        self.is_linux = False
        self.is_bsd = False
        self.reported: dict[str, int] = {}
        self.scale_buffer = 0

    def put(self, name: str, value: Any) -> None:
        """One setting, if the stack has it."""
        if self.known(name):
            self.values[name] = value

    # -- sysctl -----------------------------------------------------------------------------

    def sysctl(self, name: str, value: str) -> None:
        """One assignment. Names that mean nothing here are passed over."""
        key = name.replace("/", ".").removeprefix(".proc.sys.").removeprefix("proc.sys.")
        if key.startswith("net.ipv4.tcp_"):
            self.is_linux = True
            self._linux(key.removeprefix("net.ipv4.tcp_"), value.split())
        elif key.startswith("net.inet.tcp."):
            self.is_bsd = True
            self._bsd(key.removeprefix("net.inet.tcp."), value)
        elif key == "kern.ipc.maxsockbuf":
            # the scale FreeBSD offers follows from the largest buffer there may be
            self.put("receive_buffer_max", min(int(value), BUFFER_MAX))

    def _linux(self, name: str, words: list[str]) -> None:
        number = int(words[0], 0) if words and words[0].lstrip("-").isdigit() else 0
        simple: dict[str, Callable[[], None]] = {
            "timestamps": lambda: self.put("timestamps", number != 0),
            "sack": lambda: self.put("sack", number != 0),
            "dsack": lambda: self.put("dsack", number != 0),
            "window_scaling": lambda: self.put("window_scale", number != 0),
            "congestion_control": lambda: self.put("congestion", words[0]),
            "synack_retries": lambda: self.put("syn_ack_retries", number),
            "syn_retries": lambda: self.put("syn_retries", number),
            "syncookies": lambda: self.put("syn_cookies", _COOKIES.get(number, "auto")),
            "keepalive_time": lambda: self.reported.update(TCP_KEEPIDLE=number),
            "keepalive_intvl": lambda: self.put("keepalive_interval_ns", number * 1000 * MS),
            "keepalive_probes": lambda: self.put("keepalive_count", number),
            "fin_timeout": lambda: self.put("fin_wait_ns", number * 1000 * MS),
            "ecn": lambda: self.put("ecn", _ECN.get(number, "off")),
            "frto": lambda: self.put("frto", number != 0),
            "rto_min_us": lambda: self.put("rto_min_ns", number * 1000),
        }
        if name in simple:
            simple[name]()
        elif name == "rmem" and len(words) == 3:
            # half of what is charged is window; the shift follows from the largest
            self.put("receive_buffer", max(2048, int(words[1]) // 2))
            self.put("receive_buffer_max", min(max(2048, int(words[2])), BUFFER_MAX))

    def _bsd(self, name: str, value: str) -> None:
        number = int(value) if value.lstrip("-").isdigit() else 0
        simple: dict[str, Callable[[], None]] = {
            "sack.enable": lambda: self.put("sack", number != 0),
            "ecn.enable": lambda: self.put("ecn", _ECN.get(number, "off")),
            "delacktime": lambda: self.put("delayed_ack_ns", max(1, number * MS)),
            "rexmit_initial": lambda: self.put("rto_initial_ns", number * MS),
            "rexmit_slop": lambda: self.put("rto_min_ns", number * MS),
            "rexmit_min": lambda: self.put("rto_min_ns", number * MS),
            "keepinit": lambda: self.put("syn_timeout_ns", number * MS),
            "keepidle": lambda: self.reported.update(TCP_KEEPIDLE=number // 1000),
            "keepintvl": lambda: self.put("keepalive_interval_ns", number * MS),
            "keepcnt": lambda: self.put("keepalive_count", number),
            "syncookies_only": lambda: self.put("syn_cookies", "always" if number else "auto"),
        }
        if name == "rfc1323":
            self.put("timestamps", number in (1, 3))
            self.put("window_scale", number in (1, 2))
        elif name == "recvspace":
            size = 1460 if self.version == 4 else 1440
            self.reported["SO_RCVBUF"] = number
            self.put("receive_buffer", -(-number // size) * size)  # rounded to whole segments
        elif name in simple:
            simple[name]()


class Commands:
    """Runs the commands of one script against its settings and the stack's state."""

    def __init__(self, settings: Settings, count: Callable[[str], int]) -> None:
        """`count`: how many connections are in a state, named as sockstat does."""
        self.settings = settings
        self.count = count

    def run(self, text: str) -> None:
        """Every command in the text, in order."""
        for line in re.split(r"\n|;|&&|\|\|", text.replace("\\\n", " ")):
            command = line.strip()
            if command and not command.startswith("#"):
                self._one(command)

    def _one(self, line: str) -> None:
        try:
            words = shlex.split(line.split("|", maxsplit=1)[0])
        except ValueError:
            raise Unsupported(f"command {line.split(maxsplit=1)[0]}") from None
        words = [word for word in words if not re.match(r"\d?>", word)]
        if not words:
            return
        program = words[0].rsplit("/", 1)[-1]
        if program == "defaults.sh":
            self._linux_defaults()
        elif program == "sysctl":
            self._assign(words[1:])
        elif program == "set_sysctls.py":
            self._assign([word.replace("/proc/sys/", "") for word in words[1:]])
        elif program in ("sockstat", "netstat", "ss"):
            self._states(line)
        elif not program.startswith(_PASSED_OVER):
            raise Unsupported(f"command {program}")

    def _assign(self, words: list[str]) -> None:
        for word in words:
            name, sign, value = word.partition("=")
            if sign:
                self.settings.sysctl(name, value)

    def _linux_defaults(self) -> None:
        """The settings that Google's scripts share."""
        self.settings.is_linux = True
        for name, value in (
            ("net.ipv4.tcp_rmem", "4096 540000 15728640"),
            ("net.ipv4.tcp_timestamps", "1"),
            ("net.ipv4.tcp_sack", "1"),
            ("net.ipv4.tcp_synack_retries", "5"),
            ("net.ipv4.tcp_congestion_control", "cubic"),
            ("net.ipv4.tcp_ecn", "0"),
        ):
            self.settings.sysctl(name, value)

    def _states(self, line: str) -> None:
        """`sockstat … | grep -c STATE | grep N`: so many connections are in this state."""
        counted = _COUNTED.search(line)
        if counted is not None:
            state, wanted = counted.group(1), counted.group(2)
            found = self.count(state)
            if wanted not in str(found):
                raise Differs(f"{found} connections in {state} instead of {wanted}")
            return
        listed = _LISTED.search(line)
        if listed is None:
            raise Unsupported(f"command {line.split(maxsplit=1)[0]}")
        if not self.count(listed.group(1)):
            raise Differs(f"no connection in {listed.group(1)}")
