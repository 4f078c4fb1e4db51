"""What the value of a link's option may be."""

from __future__ import annotations

import pytest

from corten.driver.option import power_of_two


def test_a_power_of_two() -> None:
    read = power_of_two(64, 1024)
    assert [read(text) for text in ("64", "128", "1024")] == [64, 128, 1024]
    for text in ("32", "2048", "65", "96", "-64", "x", "", "1e3"):
        with pytest.raises(ValueError, match="a power of two from 64 to 1024"):
            read(text)
