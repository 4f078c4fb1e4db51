"""SipHash: a keyed hash of short inputs that an attacker without the key cannot steer.

Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). SipHash-c-d takes c rounds
a word and d at the end: 1-3 for flow tables (what Python, Rust and Ruby use for theirs), 2-4 where
the result is shown to the peer (initial sequence numbers, RFC 6528; cookies).

A flow is five 64-bit words: two addresses of 128 bits, and ports with whatever else identifies it.
`flow` and `words2_4` hash these 40 octets exactly as SipHash of their little-endian bytes would;
`flow` takes the 16 that differ where both addresses are IPv4's.

Rules. The state is kept in the object: a call must end before the next begins (one thread).
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import U32, V4_PREFIX


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
    _last: cython.ulonglong  # the last block of five words: nothing left over, 40 octets in all
    _last_v4: cython.ulonglong  # that of two: 16 octets

    def __init__(self, key: bytes) -> None:
        if len(key) != 16:
            raise ValueError(f"a SipHash key has 16 octets, this one {len(key)}")
        self._k0 = int.from_bytes(key[:8], "little")
        self._k1 = int.from_bytes(key[8:], "little")
        self._v0 = self._v1 = self._v2 = self._v3 = 0
        self._last = 40 << 56
        self._last_v4 = 16 << 56

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
    @cython.exceptval(check=False)
    def _run(  # six words in registers, not in an array
        self,
        a: cython.ulonglong,
        b: cython.ulonglong,
        c: cython.ulonglong,
        d: cython.ulonglong,
        e: cython.ulonglong,
        f: cython.ulonglong,
        words: cython.int,
        rounds: cython.int,
        finish: cython.int,
    ) -> cython.ulonglong:
        """Take in the first `words` of a to f with `rounds` SipRounds each, then, unless it is 0,
        do `finish` rounds more; the result. (The masks do nothing in C; plain Python needs them.)
        """
        mask: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
        v0: cython.ulonglong = self._v0
        v1: cython.ulonglong = self._v1
        v2: cython.ulonglong = self._v2
        v3: cython.ulonglong = self._v3
        step: cython.int
        for step in range(words + 1):
            if step == words:
                a = 0
                rounds = finish
                if finish != 0:
                    v2 ^= 0xFF
            v3 ^= a
            for _ in range(rounds):
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
            v0 ^= a
            a, b, c, d, e = b, c, d, e, f
        self._v0 = v0
        self._v1 = v1
        self._v2 = v2
        self._v3 = v3
        return v0 ^ v1 ^ v2 ^ v3

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
        """SipHash-1-3 of five words. Of two IPv4-mapped addresses (RFC 4291 2.5.5.2) it is that of
        two words: the addresses' 32 bits each, and the fifth."""
        self._start()
        if (a | c) == 0 and b >> 32 == V4_PREFIX >> 32 and d >> 32 == V4_PREFIX >> 32:
            mask: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
            return self._run((b << 32) & mask | (d & U32), e, self._last_v4, 0, 0, 0, 3, 1, 3)
        return self._run(a, b, c, d, e, self._last, 6, 1, 3)

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
        self._start()
        return self._run(a, b, c, d, e, self._last, 6, 2, 4)

    def octets(self, data: bytes) -> int:
        """SipHash-2-4 of any octets. Not for the fast path."""
        self._start()
        whole = len(data) & ~7
        for at in range(0, whole, 8):
            self._run(int.from_bytes(data[at : at + 8], "little"), 0, 0, 0, 0, 0, 1, 2, 0)
        tail = data[whole:].ljust(7, b"\0") + bytes([len(data) & 0xFF])
        return self._run(int.from_bytes(tail, "little"), 0, 0, 0, 0, 0, 1, 2, 4)
