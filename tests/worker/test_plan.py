"""Which workers serve which links, on which processors."""

from __future__ import annotations

import os

import pytest

from corten.endpoint.error import CortenError
from corten.worker.link import parse_link
from corten.worker.plan import Group, plan

TRAP = "tap:a,address=10.0.1.2/24,prefix=10.9.0.0/16"
OTHER = "tap:b,address=10.0.2.2/24"


@pytest.fixture(autouse=True)
def processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 5})


def groups(*links: str, workers: int = 1, cpus: list[int] | None = None) -> list[Group]:
    return plan([parse_link(link) for link in links], workers, cpus).groups


def test_links_share_the_global_workers() -> None:
    (group,) = groups("tap:a,address=10.0.1.2/24", "tap:b,address=10.0.2.2/24", workers=2)
    assert [link.name for link in group.links] == ["a", "b"]
    assert (group.workers, group.cpus, group.first) == (2, [0, 1], 0)
    assert group.addresses == ["10.0.1.2", "10.0.2.2"]


def test_a_link_with_workers_is_a_group_of_its_own() -> None:
    shared, own = groups(
        "tap:a,address=10.0.1.2/24,workers=2", "tap:b,address=10.0.2.2/24", workers=3
    )
    assert [link.name for link in shared.links] == ["b"]
    assert (shared.workers, shared.cpus, shared.first) == (3, [0, 1, 2], 0)
    assert (own.workers, own.cpus, own.first) == (2, [5, 0], 3)


def test_named_processors_are_used_as_named() -> None:
    first, second = groups(
        "tap:a,address=10.0.1.2/24,workers=2,cpus=2+5", "tap:b,address=10.0.2.2/24", cpus=[1]
    )
    assert first.cpus == [1]
    assert second.cpus == [2, 5]


def test_the_kernel_is_a_group_apart() -> None:
    stack, kernel = groups("kernel,address=127.0.0.1", "tap,address=10.0.1.2/24", workers=2)
    assert not stack.is_kernel
    assert kernel.is_kernel
    assert (kernel.first, kernel.workers) == (2, 2)


@pytest.mark.parametrize(
    ("links", "options", "says"),
    [
        ([], {}, "no link"),
        (["tap,address=10.0.1.2/24"], {"workers": 0}, "workers=0"),
        (["tap,address=10.0.1.2/24"], {"workers": 65}, "from 1 to 64"),
        (["tap,address=10.0.1.2/24"], {"cpus": [3]}, "processor 3 is not available here"),
        (["tap,address=10.0.1.2/24,cpus=9"], {}, "choose from 0-2, 5"),
        (["tap:a,address=10.0.1.2/24", "tap:a,address=10.0.2.2/24"], {}, "two links are named a"),
        (["tap:a,address=10.0.1.2/24", "tap:b,address=10.0.1.2/16"], {}, "on two links"),
        ([TRAP, "tap:b,address=10.9.7.2/24"], {}, "prefix 10.9.0.0/16 of one link has 10.9.7.2"),
        ([TRAP, f"{OTHER},prefix=10.9.7.0/24"], {}, "of one link has 10.9.7.0/24 of another in it"),
    ],
)
def test_what_does_not_fit_together(links: list[str], options: dict[str, int], says: str) -> None:
    with pytest.raises(CortenError, match=says):
        groups(*links, **options)  # type: ignore[arg-type]


def test_prefixes_beside_each_other_do_not_clash() -> None:
    (group,) = groups(TRAP, f"{OTHER},address=fd00::2/64,prefix=10.10.0.0/16,prefix=fd09::/64")
    assert group.addresses == ["10.0.1.2", "10.0.2.2", "fd00::2"]


def test_unnamed_links_do_not_clash() -> None:
    (group,) = groups("tap,address=10.0.1.2/24", "tap,address=10.0.2.2/24")
    assert len(group.links) == 2
