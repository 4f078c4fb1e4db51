"""What ethtool answers, read: a device that says all, some, or nothing."""

from __future__ import annotations

import errno
import struct

import pytest

from corten.core.toeplitz import DEFAULT_KEY
from corten.driver.rss import Rxfh, ask_device, read_rss, steering_values
from corten.ip.rss import Rss
from corten.worker.steering import steering_of

TABLE = [i % 4 for i in range(128)]


class Nic:
    """A device as the kernel speaks for it (linux/ethtool.h)."""

    def __init__(self, function: int = 1, symmetric: int = 0, entries: int = 128) -> None:
        self.function, self.symmetric, self.entries = function, symmetric, entries

    def ask(self, name: str, request: bytearray) -> None:
        assert name == "nic0"
        (command,) = struct.unpack_from("=I", request)
        if command == 0x29:
            fields = 0xF0 if struct.unpack_from("=I", request, 4)[0] in (1, 5) else 0x30
            struct.pack_into("=Q", request, 8, fields)
            return
        _, _, entries, key_len = struct.unpack_from("=4I", request)
        struct.pack_into("=2I2B", request, 8, self.entries, 40, self.function, self.symmetric)
        if (entries, key_len) == (self.entries, 40):
            struct.pack_into(f"={entries}I", request, 24, *TABLE[:entries])
            request[24 + 4 * entries :] = DEFAULT_KEY


def test_key_table_and_ports_are_read() -> None:
    assert read_rss("nic0", Nic().ask) == Rxfh(DEFAULT_KEY, TABLE, ["tcp4", "tcp6"])


@pytest.mark.parametrize("nic", [Nic(function=2), Nic(symmetric=1), Nic(entries=0)])
def test_what_is_not_understood_is_unknown(nic: Nic) -> None:
    assert read_rss("nic0", nic.ask) is None


def test_a_device_without_it_is_unknown() -> None:
    def refuse(name: str, request: bytearray) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    assert read_rss("nic0", refuse) is None
    assert read_rss("lo") is None
    with pytest.raises(OSError, match="No such device"):
        ask_device("no-such-device", bytearray(24))


def test_it_becomes_a_workers_steering() -> None:
    values = steering_values(read_rss("nic0", Nic().ask), 1, {0: 0, 1: 1, 2: 2, 3: 3})
    made = steering_of(values)
    assert isinstance(made, Rss) and made.place == 1
    assert steering_values(None, 1, {}) == {}
    assert steering_of({}).worker_of(6, 0, 1, 2, 0, 3, 4) == -1


def test_what_a_device_says_may_be_beyond_us() -> None:
    odd = Rxfh(DEFAULT_KEY, [0, 1, 2], ["tcp4"])
    made = steering_of(steering_values(odd, 1, {0: 0}))
    assert made.worker_of(6, 0, 1, 2, 0, 3, 4) == -1 and made.place == 1
