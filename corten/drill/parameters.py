"""What a run is told besides the script: options in the script itself, and those of the command
line.

Rules. An option of the original that changes nothing here is passed over; one that asks for another
protocol is Unsupported; one that nobody knows is a mistake of the script's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from corten.drill.error import ScriptError, Unsupported

_PASSED_OVER = {
    "mss", "define", "D", "non_fatal", "code_command", "code_format", "code_sockopt", "speed",
    "init_scripts", "dry_run", "verbose", "debug", "no_cleanup", "fm_filename",
    "persistent_tun_dev", "wire_client", "wire_server", "gateway_ip", "netmask_ip",
    "local_linklayer", "tun_dev",
    "send_omit_free", "prefix", "so_filename", "tcp_ts_ecr_scaled", "live_bind_ip", "bind_ip",
    "live_connect_ip", "connect_ip",
}  # fmt: skip
_OUTSIDE = {
    "udp_encapsulation": "TCP over UDP", "tcp_md5_secret": "TCP MD5 signatures",
    "psp_udp_port": "PSP", "remote_encaps_port": "TCP over UDP",
    "local_encaps_port": "TCP over UDP",
}  # fmt: skip
IP_VERSIONS = ("ipv4", "ipv6", "ipv4-mapped-ipv6")


@dataclass
class Parameters:
    """The options of one run; times in nanoseconds."""

    ip_version: str = "ipv4"
    mtu: int = 1500
    tolerance_ns: int = 4_000_000
    tolerance_percent: int = 125  # tenths: 12.5 % of the gap since the last event
    ts_tick_us: int = 0  # of the stack's timestamps in the script; 0: not compared
    strict_segments: bool = False
    bind_port: int = 8080
    connect_port: int = 8080
    local_ip: str = ""
    remote_ip: str = ""
    settle_ns: int = 20_000_000  # after the last event nothing may be sent for so long

    def take(self, options: Iterable[tuple[str, str]]) -> None:
        """Options of a script, in order."""
        for name, value in options:
            self._one(name.replace("-", "_"), value)

    def _one(self, name: str, value: str) -> None:
        numbers = {"mtu": "mtu", "bind_port": "bind_port", "connect_port": "connect_port"}
        if name in numbers:
            setattr(self, numbers[name], _number(name, value))
        elif name == "ip_version":
            if value not in IP_VERSIONS:
                raise ScriptError(f"--ip_version={value}: choose {', '.join(IP_VERSIONS)}")
            self.ip_version = value
        elif name == "tolerance_usecs":
            self.tolerance_ns = _number(name, value) * 1000
        elif name == "tolerance_percent":
            self.tolerance_percent = round(float(value) * 10)
        elif name == "settle_usecs":
            self.settle_ns = _number(name, value) * 1000
        elif name == "tcp_ts_tick_usecs":
            self.ts_tick_us = _number(name, value)
        elif name == "strict_segments":
            self.strict_segments = True
        elif name in ("local_ip", "remote_ip"):
            setattr(self, name, value)
        elif name in _OUTSIDE:
            if value != "none":
                raise Unsupported(_OUTSIDE[name])
        elif name not in _PASSED_OVER:
            raise ScriptError(f"no such option: --{name}")


def _number(name: str, value: str) -> int:
    if not value.isdigit():
        raise ScriptError(f"--{name}={value}: expected a number")
    return int(value)
