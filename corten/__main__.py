"""`python -m corten`: the commands."""

from __future__ import annotations

from corten.cli import main

main()
