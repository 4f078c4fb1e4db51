"""Counters: counted here, read there."""

from __future__ import annotations

import mmap
import os

import pytest

from corten.core.counter import Counters


def test_counting() -> None:
    counters = Counters(["in", "", "out"])
    assert counters.add(0) == 1
    assert counters.add(2, 2**40) == 2**40
    assert counters.add(2, 5) == 2**40 + 5
    counters.add(1)
    assert counters.snapshot() == {"in": 1, "out": 2**40 + 5}
    with pytest.raises(IndexError):
        counters.add(3)


def test_another_process_reads_them() -> None:
    with mmap.mmap(-1, 4096) as memory:
        counters = Counters(["a", "b"], memory)
        child = os.fork()
        if child == 0:
            for _ in range(1000):
                counters.add(1, 3)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert counters.snapshot() == {"a": 0, "b": 3000}
        assert Counters(["a", "b"], memory).snapshot()["b"] == 3000  # and they outlive their writer
        del counters


def test_memory_that_does_not_do() -> None:
    with pytest.raises(ValueError, match="16 octets"):
        Counters(["a", "b"], bytearray(15))
    with pytest.raises(ValueError, match="writable"):
        Counters(["a"], bytes(8))
