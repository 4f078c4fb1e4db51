"""The Toeplitz hash that NICs spread flows with (RSS), in look-ups instead of bits.

Source: Microsoft, "RSS hashing functions"; its vectors are in the tests. For every bit of the input
that is set, from the left, the leftmost 32 bits of the key go into the result, and the key moves on
by one bit.

Strategy. The hash is linear: hash(a xor b) = hash(a) xor hash(b). So a table of 256 words for each
octet of the input holds all there is to know, a hash is a look-up an octet, and what one field adds
stands alone: `ports_v4` says what a port does to a hash whatever the rest is, which makes it
possible to choose a port for the queue that its packets shall reach.

Rules. The input is what the NIC receives: its source is the remote end, its destination ours.
Addresses of IPv4 are 32-bit numbers here, those of IPv6 two halves.
"""

from __future__ import annotations

from array import array

import cython

if not cython.compiled:
    TOEPLITZ_KEY_LEN = 40  # octets at the least: an input of 36 octets slides over so many
    TOEPLITZ_INPUT_LEN = 36  # two addresses of IPv6, two ports
    V4_SOURCE_AT = 0
    V4_DESTINATION_AT = 4
    V4_SOURCE_PORT_AT = 8
    V4_DESTINATION_PORT_AT = 10
    V6_SOURCE_AT = 0
    V6_DESTINATION_AT = 16
    V6_SOURCE_PORT_AT = 32
    V6_DESTINATION_PORT_AT = 34

# what most drivers load when nobody says another: Microsoft's example
DEFAULT_KEY = bytes.fromhex(
    "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa"
)


@cython.final
@cython.cclass
class Toeplitz:
    """The hash under one key, of 40 octets or more (the rest is not used). ValueError for less."""

    key: bytes
    _words: cython.uint[::1]  # by the input's octet: its place times 256 plus its value

    def __init__(self, key: bytes) -> None:
        if len(key) < TOEPLITZ_KEY_LEN:
            raise ValueError(f"a Toeplitz key has {TOEPLITZ_KEY_LEN} octets, this one {len(key)}")
        self.key = bytes(key)
        whole = int.from_bytes(key[:TOEPLITZ_KEY_LEN], "big")
        words = array("I", bytes(4 * 256 * TOEPLITZ_INPUT_LEN))
        for place in range(TOEPLITZ_INPUT_LEN):
            for value in range(1, 256):
                lowest = value & -value
                if lowest != value:  # linear: the bit alone, and the rest
                    words[256 * place + value] = (
                        words[256 * place + lowest] ^ words[256 * place + value - lowest]
                    )
                else:
                    bit = 8 * place + 8 - value.bit_length()
                    seen = whole >> (8 * TOEPLITZ_KEY_LEN - 32 - bit)
                    words[256 * place + value] = seen & 0xFFFF_FFFF
        self._words = memoryview(words)

    @cython.ccall
    def octet(self, place: cython.Py_ssize_t, value: cython.uint) -> cython.uint:
        """What octet `place` of the input adds to the hash."""
        return self._words[256 * place + (value & 0xFF)]

    @cython.ccall
    def number(
        self, at: cython.Py_ssize_t, value: cython.ulonglong, size: cython.Py_ssize_t
    ) -> cython.uint:
        """What the `size` octets of `value`, from octet `at` of the input on, add to the hash."""
        total: cython.uint = 0
        place: cython.Py_ssize_t
        for place in range(size):
            octet: cython.Py_ssize_t = cython.cast(
                cython.Py_ssize_t, (value >> (8 * (size - 1 - place))) & 0xFF
            )
            total ^= self._words[256 * (at + place) + octet]
        return total

    @cython.ccall
    def addresses_v4(self, source: cython.uint, destination: cython.uint) -> cython.uint:
        """The hash of two addresses: of fragments, and of what has no ports."""
        return self.number(V4_SOURCE_AT, source, 4) ^ self.number(V4_DESTINATION_AT, destination, 4)

    @cython.ccall
    def addresses_v6(
        self,
        source_high: cython.ulonglong,
        source_low: cython.ulonglong,
        destination_high: cython.ulonglong,
        destination_low: cython.ulonglong,
    ) -> cython.uint:
        """As `addresses_v4`."""
        return (
            self.number(V6_SOURCE_AT, source_high, 8)
            ^ self.number(V6_SOURCE_AT + 8, source_low, 8)
            ^ self.number(V6_DESTINATION_AT, destination_high, 8)
            ^ self.number(V6_DESTINATION_AT + 8, destination_low, 8)
        )

    @cython.ccall
    def ports_v4(self, source: cython.uint, destination: cython.uint) -> cython.uint:
        """What two ports add to `addresses_v4`: xor of both is the flow's hash."""
        return self.number(V4_SOURCE_PORT_AT, source, 2) ^ self.number(
            V4_DESTINATION_PORT_AT, destination, 2
        )

    @cython.ccall
    def ports_v6(self, source: cython.uint, destination: cython.uint) -> cython.uint:
        """What two ports add to `addresses_v6`."""
        return self.number(V6_SOURCE_PORT_AT, source, 2) ^ self.number(
            V6_DESTINATION_PORT_AT, destination, 2
        )
