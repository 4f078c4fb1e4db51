"""How the tests run: compiled, or plain with CORTEN_PURE=1; what they pin, and what a skip means.

Rules. A compiled run on stale modules would test yesterday's code: it stops at once. With
CORTEN_REQUIRE_ALL=1, as in CI, a skip is a failure: what cannot run there is not tested anywhere.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))

from tools import pure, source  # noqa: E402  # the project's root was not on sys.path

pytest_plugins = ["pytester", "corten.sim.pytest_plugin"]

IS_PURE = bool(os.environ.get("CORTEN_PURE"))
REQUIRE_ALL = bool(os.environ.get("CORTEN_REQUIRE_ALL"))

settings.register_profile("corten", deadline=None, print_blob=True)
settings.load_profile("corten")

if IS_PURE:
    pure.install()


def stale_modules() -> list[str]:
    """Compiled modules that are missing or older than their source."""
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    stale = []
    for module in source.load(ROOT).values():
        built = module.path.with_suffix(suffix)
        if module.is_compiled and not (
            built.exists() and built.stat().st_mtime >= module.path.stat().st_mtime
        ):
            stale.append(module.name)
    return stale


def pytest_configure(config: pytest.Config) -> None:
    if IS_PURE or hasattr(config, "workerinput"):
        return
    if stale := stale_modules():
        raise pytest.UsageError(f"not built since they changed: {', '.join(stale)}: ./dev build")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `plain` reaches for names that a compiled module does not show: no skip, it is
    the same test that runs in the plain run."""
    for item in items:
        _name_requirements(item)
    if not IS_PURE and (plain := [item for item in items if item.get_closest_marker("plain")]):
        config.hook.pytest_deselected(items=plain)
        items[:] = [item for item in items if item not in plain]


def _name_requirements(item: pytest.Item) -> None:
    """Let the report say which requirements a test pins: docs/conformance.md is made of it."""
    ids = [str(id) for mark in item.iter_markers("requirement") for id in mark.args]
    if ids:
        item.user_properties.append(("test", item.nodeid.partition("[")[0]))
        item.user_properties += [("requirement", id) for id in ids]


def pytest_report_header() -> str:
    return "corten: plain sources" if IS_PURE else "corten: compiled modules"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)


def _fail_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.longrepr = f"skipped, but CORTEN_REQUIRE_ALL is set: {_reason(report)}"
        report.outcome = "failed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_skip(report)
    return report
