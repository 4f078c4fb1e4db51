"""Whether the sources run as they are (CORTEN_PURE=1), thirty times slower: what repeats one thing
very often may repeat it less often there. `cython.compiled` says nothing of it in a test, which is
never compiled."""

from __future__ import annotations

import os

IS_PLAIN = bool(os.environ.get("CORTEN_PURE"))
