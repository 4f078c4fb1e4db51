"""One field at a time, every state; then many at random: no exception, one counter, no harm.

After EmNetTest (ASE 2023), whose single-field bench found ten published holes in embedded stacks.
A canary connection moves data all the while and must finish unharmed; nothing may leak.
"""

from __future__ import annotations

import random

import pytest

from tests.malformed import frames
from tests.malformed.bench import STATES, Bench
from tests.trace.pace import COMPILED


@pytest.mark.requirement("RFC 9293 MUST-7", "RFC 9293 MUST-63")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("state", STATES)
def test_one_field_at_a_time(state: str) -> None:
    bench = Bench(state)
    length = len(bench.base())
    bench.run(frames.tcp_patches())
    bench.run(frames.option_patches())
    bench.run(frames.ip_patches(length))
    bench.run_frames(frames.icmp_frames(bench.quote()))
    if state in ("LISTEN", "ESTABLISHED"):
        bench.run(frames.ethernet_patches(length))
        bench.run_frames(frames.arp_frames())
    assert bench.cases > 2000
    bench.finish()


def test_a_broken_frame_raises_exactly_one_counter() -> None:
    """Truncated at any octet, or with any one bit wrong under the checksums."""
    bench = Bench("ESTABLISHED")
    good = bench.base()
    assert bench.run_frames([good]) == 0
    assert bench.run(frames.cut(n) for n in range(len(good))) == len(good)
    good = bench.base()
    for bit in range(8 * 14, 8 * len(good)):
        broken = bytearray(good)
        broken[bit // 8] ^= 0x80 >> bit % 8
        assert len(bench.breath(bytes(broken)).drops) == 1, bit
    bench.finish()


def garble(frame: bytes, chance: random.Random) -> bytearray:
    """One to three changes of any kind; mostly the checksums are right again."""
    changed = bytearray(frame)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed))
        what = chance.random()
        if what < 0.7:
            changed[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        elif what < 0.85:
            del changed[max(at, 15) :]
        else:
            changed += chance.randbytes(chance.randint(1, 60))
    if chance.random() < 0.9 and len(changed) > 40 and changed[12:14] == b"\x08\x00":
        changed[16:18] = (len(changed) - 14).to_bytes(2, "big")
        changed = frames.mend(changed) if changed[23] == 6 else frames.mend_ip(changed)
    return changed


def random_frames(count: int, seed: int) -> None:
    chance = random.Random(seed)
    each = count // len(STATES)
    for state in STATES:
        bench = Bench(state)
        bench.run((lambda frame: garble(frame, chance)) for _ in range(each * 9 // 10))
        others = [bytes(f) for f in frames.arp_frames() if f]
        others += [bytes(f) for f in frames.icmp_frames(bench.quote())]
        bench.run_frames(garble(chance.choice(others), chance) for _ in range(each // 10))
        bench.finish()


@pytest.mark.timeout(300)
def test_random_frames() -> None:
    random_frames(100_000 if COMPILED else 10_000, seed=9293)  # plain it takes ten times as long


@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_a_million_random_frames(seed: int) -> None:
    random_frames(100_000, seed)
