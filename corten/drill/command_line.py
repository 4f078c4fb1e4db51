"""From the options of `corten drill` to the plan of a run."""

from __future__ import annotations

from pathlib import Path

from corten.drill.expect import parse_entries
from corten.drill.known import KNOWN
from corten.drill.leniency import Leniency
from corten.drill.outcome import Plan
from corten.drill.parameters import Parameters
from corten.endpoint.error import CortenError


def plan_of(
    exact: bool,
    options: str,
    win: str,
    psh: str,
    delack: int | None,
    cc: str | None,
    iw: int | None,
    rto_min: int | None,
    expect_file: str | None,
    ip_version: str,
    mtu: int,
    define: tuple[str, ...],
) -> Plan:
    """CortenError for an expect file or a definition that cannot be."""
    defines = {}
    for item in define:
        name, sign, value = item.partition("=")
        if not sign or not name:
            raise CortenError(f"--define {item}: write NAME=VALUE")
        defines[name] = value
    entries = parse_entries(KNOWN, "known deviations")
    if expect_file is not None:
        try:
            text = Path(expect_file).read_text(encoding="utf-8")
        except OSError as error:
            raise CortenError(f"expect file {expect_file}: {error.strerror}") from None
        entries = parse_entries(text, expect_file) + entries
    return Plan(
        Parameters(ip_version=ip_version, mtu=mtu),
        defines,
        Leniency(options, win, psh, delack, cc, iw, rto_min),
        exact,
        entries,
    )
