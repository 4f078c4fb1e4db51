"""SipHash: a keyed hash of short inputs that an attacker without the key cannot steer.

Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). SipHash-c-d takes c rounds
a word and d at the end: 1-3 for flow tables (what Python, Rust and Ruby use for theirs), 2-4 where
the result is shown to the peer (initial sequence numbers, RFC 6528; cookies).

A flow is five 64-bit words: two addresses of 128 bits, and ports with whatever else identifies it.
`flow` and `words2_4` hash these 40 octets exactly as SipHash of their little-endian bytes would.

Rules. The state is kept in the object: a call must end before the next begins (one thread).
"""

from __future__ import annotations

import cython


@cython.final
@cython.cclass
class Siphash:
    """The hash under one key of 16 octets. ValueError for any other length."""

    _k0: cython.ulonglong
    _k1: cython.ulonglong
    _v0: cython.ulonglong
    _v1: cython.ulonglong
    _v2: cython.ulonglong
    _v3: cython.ulonglong

    def __init__(self, key: bytes) -> None:
        if len(key) != 16:
            raise ValueError(f"a SipHash key has 16 octets, this one {len(key)}")
        self._k0 = int.from_bytes(key[:8], "little")
        self._k1 = int.from_bytes(key[8:], "little")
        self._v0 = self._v1 = self._v2 = self._v3 = 0

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _start(self) -> cython.void:
        """The state before any input (section 2.1 of the paper)."""
        word: cython.ulonglong = 0x736F_6D65_7073_6575
        self._v0 = self._k0 ^ word
        word = 0x646F_7261_6E64_6F6D
        self._v1 = self._k1 ^ word
        word = 0x6C79_6765_6E65_7261
        self._v2 = self._k0 ^ word
        word = 0x7465_6462_7974_6573
        self._v3 = self._k1 ^ word

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _round(self) -> cython.void:
        """SipRound. The mask does nothing in C; plain Python needs it."""
        mask: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
        v0: cython.ulonglong = self._v0
        v1: cython.ulonglong = self._v1
        v2: cython.ulonglong = self._v2
        v3: cython.ulonglong = self._v3
        v0 = (v0 + v1) & mask
        v1 = ((v1 << 13) & mask | v1 >> 51) ^ v0
        v0 = (v0 << 32) & mask | v0 >> 32
        v2 = (v2 + v3) & mask
        v3 = ((v3 << 16) & mask | v3 >> 48) ^ v2
        v0 = (v0 + v3) & mask
        v3 = ((v3 << 21) & mask | v3 >> 43) ^ v0
        v2 = (v2 + v1) & mask
        v1 = ((v1 << 17) & mask | v1 >> 47) ^ v2
        v2 = (v2 << 32) & mask | v2 >> 32
        self._v0 = v0
        self._v1 = v1
        self._v2 = v2
        self._v3 = v3

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _word1(self, word: cython.ulonglong) -> cython.void:
        """Take a word in, one round."""
        self._v3 ^= word
        self._round()
        self._v0 ^= word

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _word2(self, word: cython.ulonglong) -> cython.void:
        """Take a word in, two rounds."""
        self._v3 ^= word
        self._round()
        self._round()
        self._v0 ^= word

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _finish4(self) -> cython.ulonglong:
        """The result after four rounds."""
        self._v2 ^= 0xFF
        self._round()
        self._round()
        self._round()
        self._round()
        return self._v0 ^ self._v1 ^ self._v2 ^ self._v3

    @cython.ccall
    @cython.exceptval(check=False)
    def flow(
        self,
        a: cython.ulonglong,
        b: cython.ulonglong,
        c: cython.ulonglong,
        d: cython.ulonglong,
        e: cython.ulonglong,
    ) -> cython.ulonglong:
        """SipHash-1-3 of five words."""
        last: cython.ulonglong = 40
        self._start()
        self._word1(a)
        self._word1(b)
        self._word1(c)
        self._word1(d)
        self._word1(e)
        self._word1(last << 56)  # the last block: no octets left over, 40 in all
        self._v2 ^= 0xFF
        self._round()
        self._round()
        self._round()
        return self._v0 ^ self._v1 ^ self._v2 ^ self._v3

    @cython.ccall
    @cython.exceptval(check=False)
    def words2_4(
        self,
        a: cython.ulonglong,
        b: cython.ulonglong,
        c: cython.ulonglong,
        d: cython.ulonglong,
        e: cython.ulonglong,
    ) -> cython.ulonglong:
        """SipHash-2-4 of five words."""
        last: cython.ulonglong = 40
        self._start()
        self._word2(a)
        self._word2(b)
        self._word2(c)
        self._word2(d)
        self._word2(e)
        self._word2(last << 56)
        return self._finish4()

    def octets(self, data: bytes) -> int:
        """SipHash-2-4 of any octets. Not for the fast path."""
        self._start()
        whole = len(data) & ~7
        for at in range(0, whole, 8):
            self._word2(int.from_bytes(data[at : at + 8], "little"))
        tail = data[whole:].ljust(7, b"\0") + bytes([len(data) & 0xFF])
        self._word2(int.from_bytes(tail, "little"))
        return self._finish4()
