"""Serial numbers against plain integers: a window of them, anywhere on the circle."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from corten.core.serial import (
    seq_add,
    seq_between,
    seq_ge,
    seq_gt,
    seq_le,
    seq_lt,
    seq_max,
    seq_min,
    seq_sub,
)

TOP = 2**32
numbers = st.integers(0, TOP - 1)
near = st.integers(0, 2**31 - 1)


@given(numbers, near)
@example(0xFFFF_FFFF, 1)
@example(0, 0)
@example(0x8000_0000, 2**31 - 1)
def test_order_is_that_of_the_way_forward(a: int, distance: int) -> None:
    b = (a + distance) % TOP
    assert seq_add(a, distance) == b
    assert seq_sub(b, a) == distance
    assert seq_lt(a, b) == (distance > 0)
    assert seq_gt(b, a) == (distance > 0)
    assert seq_le(a, b)
    assert seq_ge(b, a)
    assert seq_lt(b, a) is False
    assert seq_gt(a, b) is False
    assert seq_le(b, a) == (distance == 0)
    assert seq_ge(a, b) == (distance == 0)
    assert seq_max(a, b) == seq_max(b, a) == b
    assert seq_min(a, b) == seq_min(b, a) == a


@given(numbers, near, near)
@example(0xFFFF_FFFE, 1, 4)
@example(5, 0, 0)
def test_between_is_half_open(low: int, to_a: int, length: int) -> None:
    assert seq_between((low + to_a) % TOP, low, (low + length) % TOP) == (to_a < length)
