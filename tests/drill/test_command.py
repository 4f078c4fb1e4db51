"""Commands in scripts: settings, questions about state, and what is passed over or refused."""

from __future__ import annotations

from typing import Any

import pytest

from corten.drill.command import Commands, Settings
from corten.drill.error import Differs, Unsupported
from corten.tcp.config import Config


def run(*texts: str, states: dict[str, int] | None = None) -> dict[str, Any]:
    config = Config()
    settings = Settings({}, lambda name: hasattr(config, name), 4)
    commands = Commands(settings, lambda state: (states or {}).get(state, 0))
    for text in texts:
        commands.run(text)
    Config(**settings.values)  # every one of them is a setting that can be
    return settings.values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sysctl -w net.inet.tcp.rfc1323=0", {"timestamps": False, "window_scale": False}),
        ("sysctl -w net.inet.tcp.rfc1323=1", {"timestamps": True, "window_scale": True}),
        ("sysctl -w net.inet.tcp.sack.enable=0", {"sack": False}),
        ("sysctl -w net.inet.tcp.ecn.enable=2", {"ecn": "passive"}),
        ("sysctl -w net.inet.tcp.rexmit_slop=200", {"rto_min_ns": 200_000_000}),
        ("sysctl -w net.inet.tcp.recvspace=65536", {"receive_buffer": 65_700}),
        ("sysctl -w kern.ipc.maxsockbuf=4294967295", {"receive_buffer_max": 1 << 29}),
        ("sysctl -w net.inet.tcp.syncookies_only=1", {"syn_cookies": "always"}),
        ("sysctl -q net.ipv4.tcp_timestamps=0", {"timestamps": False}),
        ("sysctl -q net.ipv4.tcp_congestion_control=reno", {"congestion": "reno"}),
        ("../common/set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0", {"sack": False}),
        ("sysctl -w kern.nothing=1", {}),
        ("ip tcp_metrics flush all > /dev/null 2>&1\nnstat | grep x; tc qdisc add dev tun0", {}),
    ],
)
def test_settings(text: str, expected: dict[str, Any]) -> None:
    assert run(text) == expected


def test_defaults_and_then_a_change() -> None:
    values = run("../common/defaults.sh\nsysctl -q net.ipv4.tcp_sack=0")
    assert values["sack"] is False
    assert values["receive_buffer_max"] == 15_728_640


def test_states_are_counted() -> None:
    text = "sockstat -4 -P tcp -s -p 8080 | grep -c SYN_RCVD | grep 1"
    run(text, states={"SYN_RCVD": 1})
    with pytest.raises(Differs, match="0 connections in SYN_RCVD instead of 1"):
        run(text)
    with pytest.raises(Differs, match="no connection in CLOSED"):
        run("sockstat -s | grep 'packetdril' | awk '{print $11}' | grep 'CLOSED'")


@pytest.mark.parametrize("text", ["dd if=/dev/zero", "sockstat -4", "mysterious 1"])
def test_what_is_not_known_is_unsupported(text: str) -> None:
    with pytest.raises(Unsupported, match="command"):
        run(text)
