"""What loss recovery remembers of a connection. Data only, made with the first doubt.

Most connections lose nothing and never have one. Its parts belong to the files of their names.
"""

from __future__ import annotations

import cython

if not cython.compiled:
    MULTIPLIER_FIRST = 1  # RACK.reo_wnd_mult
    FRTO_OFF = 0
    FRTO_FIRST = 1  # RFC 5682 2.1, 3.1: step 2, the first acknowledgement after the timeout is due
    FRTO_SECOND = 2  # step 3: new data was sent, the second one is due


@cython.final
@cython.cclass
class Repair:
    """The variables of RACK, TLP, PRR, F-RTO and undoing; octets, nanoseconds, sequence numbers."""

    # -- rack (RFC 8985 5.3)
    reordering_seen: cython.bint
    reo_wnd_mult: cython.uint
    reo_wnd_persist: cython.int
    in_dsack_round: cython.bint
    dsack_round: cython.uint
    # -- tlp
    tlp_due: cython.bint  # the output pass is to send a probe
    tlp_out: cython.bint  # one is under way: TLP.end_seq is not None
    tlp_is_retrans: cython.bint
    tlp_end: cython.uint
    tlp_sampled: cython.bint  # the round trip was measured since the last probe
    # -- prr (RFC 6937 3)
    prr_delivered: cython.uint
    prr_resent: cython.uint  # sent again since recovery began; new data is SND.NXT - recover
    recover_fs: cython.uint
    # -- undo (RFC 3522, RFC 4015)
    may_undo: cython.bint  # an episode began, and nothing has shown yet that it was right
    undo_at: cython.uint  # SND.UNA when it began
    undo_len: cython.uint  # octets sent again in it whose duplicates were not reported
    has_resent: cython.bint
    resent_end: cython.uint  # where what was sent again ends at the most
    retransmit_ts: cython.uint  # RetransmitTS: TSval of the first segment sent again
    prior_flight: cython.uint  # FlightSize when it began
    srtt_prev: cython.longlong  # before a timeout; 0: nothing to adapt
    rttvar_prev: cython.longlong
    adapt_seq: cython.uint  # RFC 4015 3.1 (11): the first sample at or beyond it
    dsack_seen: cython.bint  # in the lifetime of the connection
    # -- frto
    frto: cython.uint
    # -- what `info` tells
    resent_len: cython.ulonglong  # octets sent again
    spurious: cython.uint  # episodes that were undone
    episodes: cython.uint

    def __init__(self) -> None:
        self.reordering_seen = False
        self.reo_wnd_mult = MULTIPLIER_FIRST
        self.reo_wnd_persist = 0
        self.in_dsack_round = False
        self.dsack_round = 0
        self.tlp_due = self.tlp_out = self.tlp_is_retrans = False
        self.tlp_end = 0
        self.tlp_sampled = True
        self.prr_delivered = self.prr_resent = self.recover_fs = 0
        self.may_undo = self.has_resent = False
        self.undo_at = self.undo_len = self.retransmit_ts = self.prior_flight = 0
        self.resent_end = 0
        self.srtt_prev = self.rttvar_prev = 0
        self.adapt_seq = 0
        self.dsack_seen = False
        self.frto = FRTO_OFF
        self.resent_len = 0
        self.spurious = self.episodes = 0
