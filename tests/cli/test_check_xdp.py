"""`corten check` about the xdp driver: what it makes of what it tried, as whoever asks."""

from __future__ import annotations

import errno
import os

import pytest

from corten.app import check_xdp
from tests.cli.command import corten
from tests.cli.test_check import NOBODY, works


def said(before: list[str]) -> tuple[str, str]:
    """yes or no, and the line."""
    if not works(before):
        pytest.skip(f"not possible here: {' '.join(before)}")
    lines = corten("check", before=before).stdout.splitlines()
    (line,) = [line for line in lines if check_xdp.WHAT in line]
    return line.split()[0], line


def test_the_answer_is_what_trying_says() -> None:
    tried = check_xdp.try_filter() == 0 and check_xdp.try_socket() == 0
    assert said([])[0] == ("yes" if tried else "no")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user() -> None:
    assert said(NOBODY)[0] == "no"


@pytest.mark.parametrize("space", ["-Ur", "-Urn"])
def test_root_of_a_user_namespace_is_none_of_the_machine(space: str) -> None:
    """Programs for devices want capabilities that count for the whole machine."""
    answer, line = said(["unshare", space])
    assert answer == "no"
    assert "of the machine itself" in line or "this kernel cannot" in line


def test_nothing_is_attached() -> None:
    for _ in range(3):  # a program that stayed would be in the way of the next
        assert check_xdp.try_filter() == check_xdp.try_filter()
    with open("/proc/net/dev", encoding="ascii") as file:
        assert "lo:" in file.read()


@pytest.mark.parametrize(
    ("filter_error", "socket_error", "there", "text"),
    [
        (0, 0, True, ""),
        (errno.EPERM, 0, False, "user namespace"),
        (errno.EPERM, errno.EPERM, False, "run as root"),
        (0, errno.EPERM, False, "CAP_NET_RAW"),
        (0, errno.ENOBUFS, False, "ulimit -l"),
        (errno.ENOSYS, 0, False, "CONFIG_BPF_SYSCALL"),
        (0, errno.EAFNOSUPPORT, False, "CONFIG_XDP_SOCKETS"),
        (errno.EIO, 0, False, "the filter: "),
        (0, errno.EIO, False, "the socket: "),
    ],
)
def test_what_is_made_of_it(filter_error: int, socket_error: int, there: bool, text: str) -> None:
    found = check_xdp.answer(filter_error, socket_error)
    assert found[0] is there
    assert text in " ".join(found[1:])
