"""Drivers that follow pointers are compiled only: a plain run has nothing of them to collect."""

from __future__ import annotations

import os

_COMPILED_ONLY = ["test_packet_e2e.py", "test_tap_e2e.py"]
collect_ignore = _COMPILED_ONLY if os.environ.get("CORTEN_PURE") else []
