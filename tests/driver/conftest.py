"""Drivers that follow pointers are compiled only: a plain run has nothing of them to collect."""

from __future__ import annotations

import os

COMPILED = [
    "test_tap_e2e.py",
    "test_macvtap_e2e.py",
    "test_memif_e2e.py",
    "test_packet_e2e.py",
    "test_xdp_e2e.py",
    "test_xdp_filter.py",
]
collect_ignore = COMPILED if os.environ.get("CORTEN_PURE") else []
