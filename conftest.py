"""How the tests run: compiled, or plain with CORTEN_PURE=1."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

if os.environ.get("CORTEN_PURE"):
    from tools import pure

    pure.install()
