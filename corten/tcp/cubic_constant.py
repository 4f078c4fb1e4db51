"""CUBIC's constants (RFC 9438). Header module."""

from __future__ import annotations

import cython

CUBIC_C: cython.double = 0.4  # 5: how fast the window grows, segments / s^3
CUBIC_BETA: cython.double = 0.7  # 4.6: multiplicative decrease
CUBIC_BETA_ECN: cython.double = 0.85  # RFC 8511 3.1: of a mark
CUBIC_ALPHA: cython.double = 0.5294117647058824  # 4.3: 3 (1 - beta) / (1 + beta), Reno-friendly
