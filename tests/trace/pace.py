"""How much to try: compiled code is some forty times faster than plain."""

from __future__ import annotations

import corten.core.arena

COMPILED = not str(corten.core.arena.__file__).endswith(".py")
