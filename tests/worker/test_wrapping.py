"""What a link's options lay around its driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from corten.core.clock import NEVER
from corten.core.frame import TransmitBatch
from corten.driver.capture import Capture
from corten.driver.fault import Fault
from corten.driver.pipe import Pipe
from corten.endpoint.error import CortenError
from corten.worker.link import parse_link
from corten.worker.wrapping import wrapped

TAP = "tap,address=10.0.0.2/24"


def test_every_option() -> None:
    link = parse_link(
        f"{TAP},capture=/tmp/a.pcapng,capture-limit=3,drop=0.01,duplicate=2%,corrupt-in=1,"
        "reorder-out=0.5,delay=20ms,jitter-out=1.5us,seed=7"
    )
    assert link.wraps == {
        "capture": "/tmp/a.pcapng",
        "capture-limit": 3,
        "drop": 0.01,
        "duplicate": 0.02,
        "corrupt-in": 1.0,
        "reorder-out": 0.5,
        "delay": 20_000_000,
        "jitter-out": 1500,
        "seed": 7,
    }
    assert not link.offload  # each frame has a fate of its own
    assert parse_link(f"{TAP},capture=a").offload
    assert parse_link(TAP).wraps == {}


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("drop=2", "drop=2: a share is wanted, such as 0.01 or 1%"),
        ("drop=-1", "a share"),
        ("drop=nan", "a share"),
        ("drop=101%", "a share"),
        ("delay=20", "with its unit"),
        ("jitter-in=61s", "with its unit"),
        ("seed=7", "there are none"),
        ("seed=x,drop=1%", "a number"),
        ("capture-limit=1", "capture="),
        ("capture=a,capture-limit=0", "a number from 1"),
        ("capture=", "needs a value"),
        ("drop=1%,drop=2%", "given twice"),
    ],
)
def test_a_mistake_is_one_line(option: str, says: str) -> None:
    with pytest.raises(CortenError, match=says) as caught:
        parse_link(f"{TAP},{option}")
    assert "\n" not in str(caught.value)


def test_a_kernel_link_has_none() -> None:
    with pytest.raises(CortenError, match="a kernel link has no drop"):
        parse_link("kernel,address=127.0.0.1,drop=1%")


def test_nothing_is_laid_around_by_default() -> None:
    pipe = Pipe()
    assert wrapped(pipe, {}, True, "a", None) is pipe


def test_the_record_lies_around_the_faults(tmp_path: Path) -> None:
    wraps = {"drop": 1.0, "drop-in": 0.0, "capture": str(tmp_path / "a.pcapng")}
    pipe = Pipe()
    driver = wrapped(pipe, wraps, True, "a", 2)
    assert isinstance(driver, Capture)
    assert isinstance(driver.inner, Fault)
    assert driver.inner.inner is pipe
    assert [each.name for each in tmp_path.iterdir()] == ["a.2.pcapng"]
    batch = TransmitBatch()
    batch.append(bytes(60))
    driver.advance(0)
    driver.transmit(batch)
    assert (driver.inner.sending.dropped, pipe.transmitted) == (1, 0)
    pipe.push(bytes(60))
    assert driver.receive(driver.make_batch()) == 1
    driver.close()


def test_delays_wake_the_worker() -> None:
    pipe = Pipe()
    driver = wrapped(pipe, {"delay-in": 5000}, True, "a", None)
    assert driver.has_deadlines
    driver.advance(100)
    assert driver.next_deadline() == NEVER
    pipe.push(bytes(60))
    assert driver.receive(driver.make_batch()) == 0
    assert driver.next_deadline() == 5100
    driver.advance(5100)
    assert driver.receive(driver.make_batch()) == 1


def test_workers_have_faults_of_their_own_and_the_same_each_time() -> None:
    def fates(place: int | None, seed: int = 1) -> list[int]:
        pipe = Pipe()
        driver = wrapped(pipe, {"drop": 0.5, "seed": seed}, True, "a", place)
        fates = []
        for _ in range(64):
            pipe.push(bytes(60))
            fates.append(driver.receive(driver.make_batch()))
        return fates

    assert fates(0) == fates(0) == fates(None)
    assert fates(0) != fates(1)
    assert fates(0) != fates(0, 2)
