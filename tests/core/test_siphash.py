"""SipHash against its authors' vectors, CPython's own, and a reference as the paper has it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.core.siphash import Siphash

KEY = bytes(range(16))

# SipHash-2-4 under KEY of the octets 0, 1, 2 … of which there are none, one, two … (vectors.h of
# the reference implementation); each is the hash's eight octets, lowest first
VECTORS = """
    310e0edd47db6f72 fd67dc93c539f874 5a4fa9d909806c0d 2d7efbd796666785
    b7877127e09427cf 8da699cd64557618 cee3fe586e46c9cb 37d1018bf50002ab
    6224939a79f5f593 b0e4a90bdf82009e f3b9dd94c5bb5d7a a7ad6b22462fb3f4
    fbe50e86bc8f1e75 903d84c02756ea14 eef27a8e90ca23f7 e545be4961ca29a1
    db9bc2577fcc2a3f 9447be2cf5e99a69 9cd38d96f0b3c14b bd6179a71dc96dbb
    98eea21af25cd6be c7673b2eb0cbf2d0 883ea3e395675393 c8ce5ccd8c030ca8
    94af49f6c650adb8 eab8858ade92e1bc f315bb5bb835d817 adcf6b0763612e2f
    a5c91da7acaa4dde 716595876650a2a6 28ef495c53a387ad 42c341d8fa92d832
    ce7cf2722f512771 e37859f94623f3a7 381205bb1ab0e012 ae97a10fd434e015
    b4a31508beff4d31 81396229f0907902 4d0cf49ee5d4dcca 5c73336a76d8bf9a
    d0a704536ba93e0e 925958fcd6420cad a915c29bc8067318 952b79f3bc0aa6d4
    f21df2e41d4535f9 87577519048f53a9 10a56cf5dfcd9adb eb75095ccd986cd0
    51a9cb9ecba312e6 96afadfc2ce666c7 72fe52975a4364ee 5a1645b276d592a1
    b274cb8ebf87870a 6f9bb4203de7b381 eaecb2a30b22a87f 9924a43cc1315724
    bd838d3aafbf8db7 0b1a2a3265d51aea 135079a3231ce660 932b2846e4d70666
    e1915f5cb1eca46c f325965ca16d629f 575ff28e60381be5 724506eb4c328a95
"""

U64 = 2**64 - 1
words = st.integers(0, U64)


def reference(key: bytes, data: bytes, rounds: int, finish: int) -> int:
    """Section 2 of the paper, word for word."""

    def rotate(x: int, n: int) -> int:
        return (x << n | x >> (64 - n)) & U64

    def sipround() -> None:
        v[0] = (v[0] + v[1]) & U64
        v[2] = (v[2] + v[3]) & U64
        v[1] = rotate(v[1], 13) ^ v[0]
        v[3] = rotate(v[3], 16) ^ v[2]
        v[0] = rotate(v[0], 32)
        v[2] = (v[2] + v[1]) & U64
        v[0] = (v[0] + v[3]) & U64
        v[1] = rotate(v[1], 17) ^ v[2]
        v[3] = rotate(v[3], 21) ^ v[0]
        v[2] = rotate(v[2], 32)

    k = struct.unpack("<2Q", key) * 2
    v = [
        a ^ b
        for a, b in zip(k, struct.unpack(">4Q", b"somepseudorandomlygeneratedbytes"), strict=True)
    ]
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) % 256])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        for _ in range(rounds):
            sipround()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(finish):
        sipround()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def test_the_authors_vectors() -> None:
    siphash = Siphash(KEY)
    results = [siphash.octets(bytes(range(n))).to_bytes(8, "little").hex() for n in range(64)]
    assert results == VECTORS.split()


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=300))
def test_octets(key: bytes, data: bytes) -> None:
    assert Siphash(key).octets(data) == reference(key, data, 2, 4)


@given(st.binary(min_size=16, max_size=16), st.tuples(words, words, words, words, words))
def test_five_words_are_their_forty_octets(key: bytes, five: tuple[int, ...]) -> None:
    siphash, data = Siphash(key), struct.pack("<5Q", *five)
    assert siphash.flow(*five) == reference(key, data, 1, 3)
    assert siphash.words2_4(*five) == reference(key, data, 2, 4) == siphash.octets(data)


@pytest.mark.skipif(sys.hash_info.algorithm != "siphash13", reason="another hash in this Python")
def test_flow_is_what_cpython_computes() -> None:
    """With PYTHONHASHSEED=0 the interpreter hashes bytes with SipHash-1-3 under a key of zeros."""
    five = (1, 2**63, 0xDEAD_BEEF, 0, U64)
    code = f"print(hash({struct.pack('<5Q', *five)!r}))"
    output = subprocess.check_output(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    assert Siphash(bytes(16)).flow(*five) == int(output) & U64


@given(st.binary(min_size=16, max_size=16), *[st.integers(0, 2**32 - 1)] * 2, words)
def test_two_mapped_addresses_are_their_thirty_two_bits(
    key: bytes, remote: int, local: int, ports: int
) -> None:
    mapped = 0xFFFF << 32
    found = Siphash(key).flow(0, mapped | remote, 0, mapped | local, ports)
    assert found == reference(key, struct.pack("<QQ", remote << 32 | local, ports), 1, 3)
    for five in ((1, mapped, 0, mapped, 9), (0, mapped, 0, 1, 9), (0, mapped, 1, mapped, 9)):
        assert Siphash(key).flow(*five) == reference(key, struct.pack("<5Q", *five), 1, 3)


def test_a_key_has_sixteen_octets() -> None:
    for length in (0, 15, 17):
        with pytest.raises(ValueError, match="16 octets"):
            Siphash(bytes(length))
