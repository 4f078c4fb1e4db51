"""What `corten check` says of packet sockets: to root, an ordinary user, and in namespaces."""

from __future__ import annotations

import errno
import os

import pytest

from corten.app import check_packet
from tests.cli.command import corten

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def said(before: list[str]) -> dict[str, str]:
    """yes or no, by what was looked at."""
    done = corten("check", before=before)
    if done.returncode not in (0, 1) or not done.stdout:
        pytest.skip(f"not possible here: {' '.join(before)}")
    lines = [line.split(None, 1) for line in done.stdout.splitlines()]
    found = {rest: word for word, rest in lines if "driver packet" in rest}
    assert len(found) == 2
    return found


def test_the_answer_is_what_trying_says() -> None:
    device, silence = said([]).values()
    assert (device == "yes") == (check_packet.try_socket() == 0 and check_packet.devices() != [])
    assert (silence == "yes") == (check_packet.try_silence() == 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user() -> None:
    found = said(NOBODY)
    assert set(found.values()) == {"no"}
    assert any("CAP_NET_RAW is missing" in text for text in found)


def test_root_of_a_user_namespace_owns_no_network() -> None:
    assert any("CAP_NET_RAW is missing" in text for text in said(["unshare", "-Ur"]))


def test_a_network_namespace_of_its_own() -> None:
    """It may, but there is nothing to do it on before somebody makes a device."""
    bare = said(["unshare", "-Urn"])
    assert any("no Ethernet device here is up" in text for text in bare)
    make = "ip link add one up type veth peer name two && ip link set two up"
    ready = said(["unshare", "-Urn", "sh", "-ec", f'{make} && exec "$@"', "sh"])
    (text,) = [text for text, word in ready.items() if word == "yes"]
    assert text.endswith(("on one, two", "on two, one"))


@pytest.mark.parametrize(
    ("number", "remark", "remedy"),
    [
        (errno.EPERM, "CAP_NET_RAW", "unshare -Urn"),
        (errno.EAFNOSUPPORT, "no packet sockets", "modprobe af_packet"),
        (errno.ENOBUFS, os.strerror(errno.ENOBUFS), ""),
    ],
)
def test_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, number: int, remark: str, remedy: str
) -> None:
    monkeypatch.setattr(check_packet, "try_socket", lambda: number)
    monkeypatch.setattr(check_packet, "try_silence", lambda: errno.EPERM)
    (_, there, why, how), (_, silent, _, silence_how) = check_packet.findings(lambda inside: 0)
    assert not there
    assert remark in why
    assert remedy in how
    assert not silent
    assert "ip_forward" in silence_how


def test_a_namespace_is_not_offered_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_packet, "try_socket", lambda: errno.EPERM)
    monkeypatch.setattr(check_packet, "devices", lambda: ["a"])
    found = check_packet.findings(lambda inside: errno.EPERM)
    assert "unshare" not in found[0][3]
    monkeypatch.setattr(check_packet, "try_socket", lambda: 0)
    assert check_packet.findings(lambda inside: errno.EPERM)[0][1:] == (True, "on a", "")
