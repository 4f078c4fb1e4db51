"""What memif needs is tried, and what is missing is named."""

from __future__ import annotations

import errno

import pytest

from corten.app import check, check_memif
from tests.descriptors import descriptors


def test_it_works_here_and_leaves_nothing() -> None:
    before = descriptors()
    assert check_memif.try_memif() == ("", 0)
    assert descriptors() == before
    assert check.findings()[-1].is_there


@pytest.mark.parametrize(
    ("what", "says", "remedy"),
    [
        ("memfd_create", "no memory that can be sealed", "policy"),
        ("eventfd", "no eventfd", "policy"),
        ("readlink", "no /proc/self/fd", "mount -t proc"),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, what: str, says: str, remedy: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(check_memif.os, what, fail)
    found = check._memif(*check_memif.try_memif())
    assert not found.is_there
    assert found.remark.startswith(says)
    assert remedy in found.remedy
