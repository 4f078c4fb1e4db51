"""Chance: a seeded generator, so that whatever happens can happen again.

Strategy. xoshiro256++ 1.0 (Blackman and Vigna, 2019), its state filled by SplitMix64 as its authors
advise. The sequence depends on the seed alone, compiled or plain, on every machine.

Rules. Not for secrets: who sees enough of the output can tell the rest. Keys come from the
supervisor as bytes, sequence numbers and cookies from `siphash`. `fork(label)` does not disturb the
parent: one part of a simulation may draw more numbers without changing what the others see.
"""

from __future__ import annotations

import cython


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _mix(state: cython.ulonglong) -> cython.ulonglong:
    """The output function of SplitMix64: a permutation of 64-bit words that scatters."""
    mask: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
    first: cython.ulonglong = 0xBF58_476D_1CE4_E5B9
    second: cython.ulonglong = 0x94D0_49BB_1331_11EB
    state = ((state ^ (state >> 30)) * first) & mask
    state = ((state ^ (state >> 27)) * second) & mask
    return state ^ (state >> 31)


@cython.final
@cython.cclass
class Chance:
    """Numbers by chance from a seed: any integer, of which the low 64 bits count."""

    _s0: cython.ulonglong
    _s1: cython.ulonglong
    _s2: cython.ulonglong
    _s3: cython.ulonglong
    seed: cython.ulonglong

    def __init__(self, seed: int) -> None:
        mask: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
        step: cython.ulonglong = 0x9E37_79B9_7F4A_7C15
        state: cython.ulonglong = seed & 0xFFFF_FFFF_FFFF_FFFF
        self.seed = state
        self._s0 = _mix((state + step) & mask)
        self._s1 = _mix((state + 2 * step) & mask)
        self._s2 = _mix((state + 3 * step) & mask)
        self._s3 = _mix((state + 4 * step) & mask)

    @cython.ccall
    @cython.exceptval(check=False)
    def next64(self) -> cython.ulonglong:
        """64 bits."""
        mask: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
        total: cython.ulonglong = (self._s0 + self._s3) & mask
        result: cython.ulonglong = (((total << 23) & mask | total >> 41) + self._s0) & mask
        shifted: cython.ulonglong = (self._s1 << 17) & mask
        self._s2 ^= self._s0
        self._s3 ^= self._s1
        self._s1 ^= self._s2
        self._s0 ^= self._s3
        self._s2 ^= shifted
        self._s3 = (self._s3 << 45) & mask | self._s3 >> 19
        return result

    @cython.ccall
    @cython.exceptval(check=False)
    def next32(self) -> cython.uint:
        """32 bits: the upper half of the next 64."""
        return cython.cast(cython.uint, self.next64() >> 32)

    @cython.ccall
    def below(self, n: cython.ulonglong) -> cython.ulonglong:
        """A number from 0 to n - 1, each as likely as the others. ValueError for n = 0."""
        if n == 0:
            raise ValueError("there is no number below 0")
        mask: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
        # 2**64 mod n: so many numbers would come up once more than the others
        unfair: cython.ulonglong = (mask - n + 1) % n
        drawn: cython.ulonglong = self.next64()
        while drawn < unfair:
            drawn = self.next64()
        return drawn % n

    @cython.ccall
    @cython.exceptval(check=False)
    def fraction(self) -> cython.double:
        """A number from 0 up to but not 1, in steps of 2**-53."""
        return cython.cast(cython.double, self.next64() >> 11) * 1.1102230246251565e-16

    def octets(self, n: int) -> bytes:
        """n octets."""
        words = [self.next64().to_bytes(8, "little") for _ in range((n + 7) // 8)]
        return b"".join(words)[:n]

    def fork(self, label: int) -> Chance:
        """A generator of its own for one part; the same label gives the same one, always."""
        mask: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
        word: cython.ulonglong = label & 0xFFFF_FFFF_FFFF_FFFF
        step: cython.ulonglong = 0xD1B5_4A32_D192_ED03
        return Chance(_mix((_mix((word + step) & mask) + self.seed) & mask))
