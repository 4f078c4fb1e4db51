"""The TAP driver follows pointers and so is compiled only: a plain run has nothing to collect."""

from __future__ import annotations

import os

collect_ignore = ["test_tap_e2e.py", "test_memif_e2e.py"] if os.environ.get("CORTEN_PURE") else []
