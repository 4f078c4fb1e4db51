"""What wrk prints is read, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.client import _parse, site_pages
from bench.machine import Use, missing
from bench.process import ProcessError

LINE = (
    'RESULT {"requests":10,"octets":1000,"microseconds":2000000,"connect":0,"read":1,"write":0,'
    '"status":2,"timeout":0,"p50_us":5,"p90_us":6,"p99_us":7,"p999_us":8,"max_us":9}'
)


def test_the_result_line_is_found_among_others() -> None:
    result = _parse(f"Running 2s test\n{LINE}\nRequests/sec: 5\n", Use(2.0, [], 0.0))
    assert (result.rate, result.failed, result.p99_us) == (5.0, 3, 7)
    assert result.gigabits == pytest.approx(4e-6)


def test_no_result_is_an_error() -> None:
    with pytest.raises(ProcessError, match="no result: unable to connect"):
        _parse("unable to connect", Use(2.0, [], 0.0))


def test_pages_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("10.htm", "9.htm", "index.html", "x.htm"):
        (tmp_path / name).touch()
    assert site_pages(str(tmp_path)) == ["9.htm", "10.htm"]


def test_a_missing_program_is_named_by_its_package() -> None:
    assert missing([]) is None
    assert missing(["ip", "ip"]) in (None, "missing: apt-get install iproute2")
