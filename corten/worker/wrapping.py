"""What a link may say about what is laid around its driver, whatever the driver: faults, a record.

    drop=1%,delay=20ms,jitter=5ms,seed=7        what a bad network does, both ways
    drop-in=0.1,reorder-out=0.01                or one way
    capture=FILE,capture-limit=64               what the stack sees and says (MiB)

Strategy. The faults lie next to the wire and the record around them, so that it shows what the
stack has seen and sent. With several workers each writes a file of its own: FILE with `.N` before
its suffix.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corten.driver.option import Option, number

if TYPE_CHECKING:
    from corten.driver.driver import Driver

_CHANCES = ("drop", "duplicate", "corrupt", "reorder")
_TIMES = ("delay", "jitter")
_WAYS = ("in", "out")
_UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_SPAN_MAX_NS = 60 * _UNITS_NS["s"]
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s)")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)(%?)")
_LIMIT_MAX_MIB = 1 << 20
_SEED = 1  # where none is given: the same faults each time
_MIB = 1 << 20


def _share(text: str) -> float:
    """0.01 or 1%."""
    found = _SHARE.fullmatch(text)
    share = float(found[1]) / (100 if found[2] else 1) if found else 2.0
    if share > 1:
        raise ValueError("a share is wanted, such as 0.01 or 1%")
    return share


def _span(text: str) -> int:
    """20ms, 1.5s, in nanoseconds."""
    found = _SPAN.fullmatch(text)
    span = round(float(found[1]) * _UNITS_NS[found[2]]) if found else -1
    if not 0 <= span <= _SPAN_MAX_NS:
        raise ValueError("a time to 60s is wanted, with its unit: ns, us, ms or s")
    return span


def _readers() -> dict[str, Option]:
    made: dict[str, Option] = {
        "capture": str,
        "capture-limit": number(1, _LIMIT_MAX_MIB),
        "seed": number(0, (1 << 63) - 1),
    }
    for names, reader in ((_CHANCES, _share), (_TIMES, _span)):
        for name in names:
            made |= dict.fromkeys((name, *(f"{name}-{way}" for way in _WAYS)), reader)
    return made


WRAPPING: dict[str, Option] = _readers()


def has_faults(wraps: dict[str, Any]) -> bool:
    """Whether frames have a fate of their own, so that each must be complete."""
    return any(not name.startswith("capture") and name != "seed" for name in wraps)


def check(wraps: dict[str, Any]) -> None:
    """ValueError for options that say nothing without others."""
    if "capture-limit" in wraps and "capture" not in wraps:
        raise ValueError("capture-limit= bounds the file of capture=, which is missing")
    if "seed" in wraps and not has_faults(wraps):
        raise ValueError("seed= is of faults, such as drop=1%, and there are none")


def wrapped(
    driver: Driver, wraps: dict[str, Any], ethernet: bool, name: str, place: int | None
) -> Driver:
    """`driver` with what the link's options lay around it. `place`: of this worker among several.
    CortenError when the capture cannot be written."""
    if has_faults(wraps):
        from corten.core.chance import Chance
        from corten.driver.fault import Fault

        chance = Chance(wraps.get("seed", _SEED)).fork(place or 0)
        driver = Fault(driver, chance, _faults(wraps, "in"), _faults(wraps, "out"))
    if "capture" in wraps:
        from corten.driver.capture import Capture
        from corten.driver.recording import LIMIT

        limit = wraps["capture-limit"] * _MIB if "capture-limit" in wraps else LIMIT
        driver = Capture(driver, _file_of(wraps["capture"], place), ethernet, name, limit)
    return driver


def _faults(wraps: dict[str, Any], way: str) -> Any:
    """Of one direction: its own word counts before the one for both."""
    from corten.driver.fault import Faults

    def said(name: str) -> Any:
        return wraps.get(f"{name}-{way}", wraps.get(name, 0))

    chances: dict[str, Any] = {name: float(said(name)) for name in _CHANCES}
    return Faults(delay_ns=said("delay"), jitter_ns=said("jitter"), **chances)


def _file_of(file: str, place: int | None) -> Path:
    path = Path(file)
    return path if place is None else path.with_name(f"{path.stem}.{place}{path.suffix}")
