"""What `corten check` says of TUN and macvtap, and what mends what is missing."""

from __future__ import annotations

import errno
import os

import pytest

from corten.app import check, check_tap


@pytest.mark.parametrize(
    ("privileged", "inside", "is_there", "says"),
    [
        (0, errno.EPERM, True, ""),
        (errno.EPERM, 0, True, ""),
        (errno.EPERM, errno.EACCES, False, "may not be opened"),
        (errno.EPERM, errno.ENOSPC, False, "may not be opened"),
        (errno.EOPNOTSUPP, 0, False, "this kernel has none"),
        (errno.EMFILE, 0, False, "Too many open files"),
    ],
)
def test_macvtap(
    monkeypatch: pytest.MonkeyPatch, privileged: int, inside: int, is_there: bool, says: str
) -> None:
    monkeypatch.setattr(check_tap, "_open_to_us", lambda: "")
    found = check.Finding(*check_tap.look_macvtap(lambda _: privileged, lambda _: inside))
    assert found.is_there == is_there
    assert says in found.remark
    if says == "may not be opened":
        assert "type macvtap" in found.remedy
        assert f"chown {os.getuid()} /dev/tap" in found.remedy


def test_a_macvtap_of_ones_own_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_tap, "_open_to_us", lambda: "mv0")
    what, is_there, remark, _ = check_tap.look_macvtap(lambda _: errno.EPERM, lambda _: errno.EPERM)
    assert is_there
    assert "mv0" in remark
    assert "macvtap" in what


@pytest.mark.parametrize(
    ("number", "own", "is_there", "says"),
    [
        (0, "", True, ""),
        (errno.EPERM, "", False, "CAP_NET_ADMIN"),
        (errno.EPERM, "tun7", True, "tun7"),
        (errno.ENOENT, "tun7", False, "as for driver tap"),
    ],
)
def test_tun(
    monkeypatch: pytest.MonkeyPatch, number: int, own: str, is_there: bool, says: str
) -> None:
    monkeypatch.setattr(check_tap, "try_device", lambda kind: number)
    monkeypatch.setattr(check_tap, "own_device", lambda kind: own)
    found = check.Finding(*check_tap.look_tun())
    assert (found.is_there, says in found.remark) == (is_there, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a macvtap")
def test_the_probe_of_root_is_real() -> None:
    """In a network namespace of a child's own; nothing is left here."""
    if check.try_network(lambda: 0):
        pytest.skip("no network namespace")
    before = set(os.listdir("/sys/class/net"))
    number = check.try_network(check_tap.try_macvtap)
    assert number in (0, errno.EOPNOTSUPP)
    assert set(os.listdir("/sys/class/net")) == before
