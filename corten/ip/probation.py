"""May an address be used, or has somebody else got it? Both families' machines, nothing else.

`Duplicates` is duplicate address detection for IPv6 (RFC 4862, 5.4; with nonces, RFC 7527): one
solicitation for the tentative address after a random delay, then a second in which nobody else may
solicit or advertise it. Our own solicitation heard back, known by its nonce, is no conflict; but
the link loops then, and three more go before the address is believed.

`Claim` is address conflict detection for IPv4 (RFC 5227): three probes one to two seconds apart,
two seconds of listening, two announcements. A conflict later is answered by one announcement (2.4);
another within ten seconds ends the use of the address (2.4 b), or, where it is to be kept whatever
comes, is not answered (2.4 c): else two hosts would shout at each other for ever.

Rules. The machines say what to do; who holds the interface does it. `due_at` is when `expire` wants
to be called.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.clock import NEVER, SECOND
from cython.cimports.corten.core.limit import DEFEND_INTERVAL_NS

if not cython.compiled:
    # what to do
    WAIT = 0
    SOLICIT = 1  # send a solicitation, or an ARP probe
    ANNOUNCE = 2
    USE = 4  # from now on the address may be used
    GIVE_UP = 8
    TRANSMITS = 1  # RFC 4862 5.1, DupAddrDetectTransmits
    MORE_TRANSMITS = 3  # RFC 7527 4.1, after a solicitation was heard back
    NONCES_KEPT = 4
    PROBES = 3  # RFC 5227 1.1
    ANNOUNCEMENTS = 2


@cython.final
@cython.cclass
class Duplicates:
    """Whether an IPv6 address is a duplicate."""

    due_at: cython.longlong
    nonce: cython.ulonglong  # of the solicitation to send
    _left: cython.int
    _retrans_ns: cython.longlong
    _nonces: list
    _looped: cython.bint
    _chance: Chance

    def __init__(self, chance: Chance, now: int, retrans_ns: int, delay_ns: int) -> None:
        """`delay_ns`: how long to wait first, up to a second by chance (5.4.2)."""
        self.due_at = now + delay_ns
        self.nonce = 0
        self._left = TRANSMITS
        self._retrans_ns = retrans_ns
        self._nonces = []
        self._looped = False
        self._chance = chance

    @cython.ccall
    def expire(self, now: cython.longlong) -> cython.uint:
        """SOLICIT with `nonce`, or USE: nobody else has it."""
        if now < self.due_at:
            return WAIT
        if self._left == 0 and self._looped:
            self._left = MORE_TRANSMITS
            self._looped = False
        if self._left == 0:
            self.due_at = NEVER
            return USE
        self._left -= 1
        self.due_at = now + self._retrans_ns
        self.nonce = (self._chance.next64() >> 16) | 1
        self._nonces.append(self.nonce)
        if len(self._nonces) > NONCES_KEPT:
            self._nonces.pop(0)
        return SOLICIT

    @cython.ccall
    def is_ours(self, nonce: cython.ulonglong) -> cython.bint:
        """Whether a solicitation for the address, from nobody, is our own heard back."""
        if nonce == 0 or nonce not in self._nonces:
            return False
        self._looped = True
        return True


@cython.final
@cython.cclass
class Claim:
    """Our claim to an IPv4 address."""

    due_at: cython.longlong
    is_used: cython.bint
    _probes_left: cython.int
    _announcements_left: cython.int
    _keeps: cython.bint
    _conflict_at: cython.longlong
    _chance: Chance

    def __init__(self, chance: Chance, now: int, probing: bool) -> None:
        """`probing`: probe before use, and give the address up where it cannot be defended;
        otherwise it is ours from now on, whatever comes."""
        self.is_used = not probing
        self.due_at = now + chance.below(SECOND) if probing else NEVER
        self._probes_left = PROBES if probing else 0
        self._announcements_left = ANNOUNCEMENTS if probing else 0
        self._keeps = not probing
        self._conflict_at = -DEFEND_INTERVAL_NS
        self._chance = chance

    @cython.ccall
    def expire(self, now: cython.longlong) -> cython.uint:
        """SOLICIT (a probe), USE and ANNOUNCE, or ANNOUNCE again."""
        if now < self.due_at:
            return WAIT
        if self._probes_left > 0:
            self._probes_left -= 1
            self.due_at = now + SECOND + self._chance.below(SECOND)
            if self._probes_left == 0:
                self.due_at = now + 2 * SECOND
            return SOLICIT
        answer: cython.uint = ANNOUNCE
        if not self.is_used:
            self.is_used = True
            answer |= USE
        self._announcements_left -= 1
        self.due_at = now + 2 * SECOND if self._announcements_left > 0 else NEVER
        return answer

    @cython.ccall
    def conflict(self, now: cython.longlong) -> cython.uint:
        """Somebody else uses the address, or probes for it: GIVE_UP, ANNOUNCE, or WAIT."""
        if not self.is_used:
            self.due_at = NEVER
            return GIVE_UP
        recent: cython.bint = now - self._conflict_at < DEFEND_INTERVAL_NS
        if recent and self._keeps:
            return WAIT
        self._conflict_at = now
        if recent:
            self.due_at = NEVER
            return GIVE_UP
        return ANNOUNCE
