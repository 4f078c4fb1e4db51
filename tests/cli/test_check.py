"""`corten check`: right for root, for an ordinary user, and within namespaces."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from corten.app import check
from tests.cli.command import ROOT, corten, environment

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
NODE, SPACE, TAP, SOCKETS, LOW_PORTS, TUN, MACVTAP = range(7)


def works(before: list[str]) -> bool:
    """Whether our interpreter runs at all behind these words."""
    words = [*before, sys.executable, "-c", "import corten"]
    try:
        done = subprocess.run(words, capture_output=True, check=False, cwd=ROOT, env=environment())
    except OSError:
        return False
    return done.returncode == 0


def answers(before: list[str]) -> tuple[list[str], int]:
    """yes or no for each thing looked at, and the exit code."""
    if not works(before):
        pytest.skip(f"not possible here: {' '.join(before)}")
    done = corten("check", before=before)
    assert done.stderr == ""
    words = [line.split()[0] for line in done.stdout.splitlines()]
    return [word for word in words if word in ("yes", "no")], done.returncode


def test_the_answer_is_what_trying_says() -> None:
    found, code = answers([])
    assert (found[TAP] == "yes") == (check.try_tap() == 0)
    assert code == (0 if found[TAP] == "yes" else 1)
    assert found[SOCKETS] == "yes"
    assert found[TUN] == found[TAP]
    if os.geteuid() == 0 and found[TAP] == "yes":
        assert found[MACVTAP] == "yes"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user() -> None:
    found, code = answers(NOBODY)
    assert code == 1
    assert found[TAP] == found[TUN] == found[MACVTAP] == "no"
    assert found[SOCKETS] == "yes"
    open_to_all = os.stat(check.NODE).st_mode & 0o006 == 0o006
    assert (found[NODE] == "yes") == open_to_all


def test_root_of_a_user_namespace_owns_no_network() -> None:
    """`unshare -Ur`: uid 0 and every capability, but not over this network namespace."""
    found, code = answers(["unshare", "-Ur"])
    assert code == 1
    assert found[TAP] == found[TUN] == "no"


def test_a_network_namespace_of_its_own() -> None:
    found, code = answers(["unshare", "-Urn"])
    if check.try_node() != 0:
        pytest.skip(f"{check.NODE} is not to be opened")
    assert code == 0
    assert found[TAP] == found[TUN] == "yes"
    assert found[SPACE] == "yes"
    assert found[LOW_PORTS] == "yes"


def test_nothing_is_left_behind() -> None:
    before = set(os.listdir("/sys/class/net"))
    check.findings()
    assert {name for name in set(os.listdir("/sys/class/net")) - before if "probe" in name} == set()


@pytest.mark.parametrize(
    ("number", "remark", "remedy"),
    [
        (errno.ENOENT, "missing", "modprobe tun"),
        (errno.EACCES, "permission", f"chmod 666 {check.NODE}"),
        (errno.ENODEV, "No such device", "modprobe tun"),
    ],
)
def test_what_mends_the_device_node(
    monkeypatch: pytest.MonkeyPatch, number: int, remark: str, remedy: str
) -> None:
    monkeypatch.setattr(check, "try_node", lambda: number)
    monkeypatch.setattr(check, "try_tap", lambda: number)
    monkeypatch.setattr(check, "try_namespace", lambda inside: number)
    node, space, tap, *_ = check.findings()
    assert remark in node.remark
    assert remedy in node.remedy
    assert not tap.is_there and not space.is_there
    assert check.command() == 1


def test_what_mends_a_missing_capability(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "try_node", lambda: 0)
    monkeypatch.setattr(check, "try_tap", lambda: errno.EPERM)
    monkeypatch.setattr(check, "try_namespace", lambda inside: 0)
    monkeypatch.setattr(check, "_own_device", lambda: "")
    assert check.command() == 1
    said = capsys.readouterr().out
    assert "CAP_NET_ADMIN is missing" in said
    assert "unshare -Urn" in said
    assert "ip tuntap add" in said


def test_a_device_of_ones_own_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "try_node", lambda: 0)
    monkeypatch.setattr(check, "try_tap", lambda: errno.EPERM)
    monkeypatch.setattr(check, "_own_device", lambda: "corten0")
    assert check.command() == 0


@pytest.mark.parametrize(
    ("setting", "value", "remedy"),
    [
        ("user.max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
        ("kernel.unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        (
            "kernel.apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("", "", "container"),
    ],
)
def test_what_mends_user_namespaces(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, remedy: str
) -> None:
    monkeypatch.setattr(check, "try_node", lambda: 0)
    monkeypatch.setattr(check, "try_namespace", lambda inside: errno.EPERM)
    monkeypatch.setattr(check, "_setting", lambda name: value if name == setting else "")
    assert remedy in check.findings()[SPACE].remedy


def test_low_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "try_low_port", lambda: errno.EACCES)
    monkeypatch.setattr(check, "_setting", lambda name: "1024")
    finding = check.findings()[LOW_PORTS]
    assert "1024" in finding.remark
    assert "ip_unprivileged_port_start=0" in finding.remedy


def test_a_terminal_has_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    check.command()
    said = capsys.readouterr().out
    assert "driver kernel" in said
