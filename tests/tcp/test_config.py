"""Settings: what is impossible is said, not stored."""

from __future__ import annotations

import pytest

from corten.endpoint.error import CortenError
from corten.tcp.config import LIMITS, Config


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"no_such": 1}, "no such TCP setting"),
        ({"_verify": 1}, "no such TCP setting"),
        ({"with_settings": 1}, "no such TCP setting"),
        ({"congestion": "vegas"}, "choose cubic or reno"),
        ({"congestion": 5}, "not a value"),
        ({"ecn": "maybe"}, "choose on"),
        ({"ecn": True}, "not a value"),
        ({"pacing": 2}, "not a value"),
        ({"rto_min_ns": "1"}, "not a value"),
        ({"rto_min_ns": 1.5}, "not a value"),
        ({"sack": 2}, "not a value"),
        ({"rto_min_ns": 10**10, "rto_max_ns": 10**9}, "rto_min_ns"),
        ({"send_low_water": 600 * 1024}, "send_low_water"),
        ({"send_low_water": -1}, "between"),
        ({"initial_window": 0}, "between"),
        ({"delayed_ack_ns": 500_000_000}, "between"),
        ({"receive_buffer": 2047}, "between"),
    ],
)
def test_impossible_settings(settings: dict[str, object], said: str) -> None:
    with pytest.raises(CortenError, match=said):
        Config(**settings)


@pytest.mark.parametrize("name", LIMITS)
def test_each_number_has_its_bounds(name: str) -> None:
    low, high = LIMITS[name]
    for value in (low - 1, high + 1):
        with pytest.raises(CortenError, match=name):
            Config(**{name: value})


def test_a_copy_with_some_settings_changed() -> None:
    config = Config(sack=False, rto_min_ns=1000)
    other = config.with_settings({"rto_min_ns": 2000})
    assert (other.sack, other.rto_min_ns, config.rto_min_ns) == (False, 2000, 1000)
    assert config.with_settings({}) is config
    with pytest.raises(CortenError):
        config.with_settings({"rto_min_ns": -1})


def test_a_copy_with_changes_checks_what_changes_and_nothing_else() -> None:
    """Each connection that is opened with a setting of its own makes one: checking everything by
    name once more took longer than all the rest of opening it."""
    config = Config(syn_timeout_ns=5)
    config.rto_initial_ns = 0  # nobody's business but of who wrote it
    changed = config.with_settings({"ttl": 7})
    assert (changed.ttl, changed.syn_timeout_ns, changed.rto_initial_ns) == (7, 5, 0)
    assert (config.ttl, config.with_settings({})) == (64, config)
    assert config.with_settings({"receive_buffer": 4096}).receive_buffer_max == 4096
    with pytest.raises(CortenError, match="ttl=0"):
        config.with_settings({"ttl": 0})
    with pytest.raises(CortenError, match="no such TCP setting"):
        config.with_settings({"none": 0})
