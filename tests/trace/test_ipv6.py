"""The same traces over IPv6: TCP knows no address family, and these would tell if it did."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from corten.sim import script
from tests.trace import (
    test_acknowledge,
    test_close,
    test_ecn,
    test_handler,
    test_handshake,
    test_recovery,
    test_reset,
    test_timestamps,
    test_window,
)

MODULES: list[ModuleType] = [
    test_acknowledge,
    test_close,
    test_ecn,
    test_handler,
    test_handshake,
    test_recovery,
    test_reset,
    test_timestamps,
    test_window,
]
OF_IPV4 = {
    "test_default_mss": "536 is IPv4's; IPv6's stands in tests/stack/test_tcp6.py",
    "test_small_segments_are_acknowledged_two_by_two": "on a link of 128 octets",
}


def traces() -> Iterator[Any]:
    """Every test of those files that takes no parameters."""
    for module in MODULES:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            takes = inspect.signature(function).parameters
            if name.startswith("test_") and not takes and name not in OF_IPV4:
                yield pytest.param(function, id=f"{module.__name__.rpartition('.')[2]}::{name}")


@pytest.mark.parametrize("trace", list(traces()))
def test_a_trace_is_the_same_over_ipv6(
    trace: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "IPV6", True)
    trace()


def test_there_are_many_and_they_do_go_over_ipv6() -> None:
    assert len(list(traces())) > 60
    t = script.Trace(ipv6=True).established()
    assert t.app.connection.peer == ("fd00::2", script.PEER_PORT)
