"""How much and how long, and why. Header module: typed constants.

What can be set stands in `tcp/config.py`, what bounds one table beside that table; here is what is
fixed by a text, or needs more than 31 bits.
"""

from __future__ import annotations

import cython

U32: cython.ulonglong = 0xFFFF_FFFF
EVERYBODY: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF  # as workers that have seen a frame
V4_ALL_ONES: cython.uint = 0xFFFF_FFFF
LINK_GROUPS_HIGH: cython.ulonglong = 0xFF02_0000_0000_0000  # ff02::/64, the link's groups
NODE_GROUPS_HIGH: cython.ulonglong = 0xFF01_0000_0000_0000  # ff01::/64, this host's own
V4_PREFIX: cython.ulonglong = 0xFFFF_0000_0000  # ::ffff:0:0/96, the low half

NEIGHBOUR_FRESH_NS: cython.longlong = 60_000_000_000  # then using it asks again (RFC 1122 2.3.2.1)
NEIGHBOUR_RETRY_NS: cython.longlong = 1_000_000_000  # one request a second at most (MUST)
NEIGHBOUR_IN_USE_NS: cython.longlong = 600_000_000_000  # after progress: not to be evicted
REACHABLE_TIME_NS: cython.longlong = 30_000_000_000  # RFC 4861 10, times 0.5 to 1.5
REACHABLE_REDRAW_NS: cython.longlong = 7_200_000_000_000  # RFC 4861 6.3.2: every few hours
DELAY_FIRST_PROBE_NS: cython.longlong = 5_000_000_000  # RFC 4861 10
DEFEND_INTERVAL_NS: cython.longlong = 10_000_000_000  # RFC 5227 1.1
SOLICIT_FIRST_NS: cython.longlong = 4_000_000_000  # RFC 7559 2, IRT
SOLICIT_LAST_NS: cython.longlong = 3_600_000_000_000  # MRT
TWO_HOURS_NS: cython.longlong = 7_200_000_000_000  # RFC 4862 5.5.3 e
LINK_LOCAL_HIGH: cython.ulonglong = 0xFE80_0000_0000_0000  # fe80::/64
MLD_OLDER_QUERIER_NS: cython.longlong = 260_000_000_000  # RFC 3810 9.12
ICMP_INTERVAL_NS: cython.longlong = 1_000_000  # 1000 errors a second in the long run

GRANULARITY_NS: cython.longlong = 1_000_000  # RFC 6298 G: the wheel's tick
PROBE_SLACK_NS: cython.longlong = 2_000_000  # two ticks: a probe is not to beat its acknowledgement
PATH_MTU_NS: cython.longlong = 600_000_000_000  # RFC 1191 6.3: then a larger one may be tried
CHALLENGE_NS: cython.longlong = 5_000_000_000  # RFC 5961 7: ten challenge ACKs in 5 s
REASSEMBLY_NS: cython.longlong = 60_000_000_000  # RFC 1122 3.3.2: 60 to 120 s; RFC 8200 4.5: 60
PAWS_IDLE_NS: cython.longlong = 2_073_600_000_000_000  # 24 days (RFC 7323 5.5)
NON_VALIDATED_NS: cython.longlong = 300_000_000_000  # RFC 7661 4.4: no longer than 5 minutes
PACING_RATE_MAX: cython.ulonglong = 1 << 40  # octets a second: beyond any link
RTT_UNKNOWN_NS: cython.longlong = 200_000_000  # assumed until a round trip is measured
RTO_AFTER_SYN_LOSS_NS: cython.longlong = 3_000_000_000  # RFC 6298 5.7
TIMESTAMP_ECHO_MAX: cython.uint = 600_000  # ms: a longer echo is no measurement
REOPEN_DISTANCE: cython.uint = 64_000  # a reused pair's ISN lies beyond the old one (RFC 1122)
FLOW_LABEL_KEY: cython.ulonglong = 0x666C_6F77_6C61_626C  # separates flow labels from ISNs
OTHER_USE_OF_KEY: cython.ulonglong = 0x7473_6F66_6673_6574  # separates timestamps from ISNs
COOKIE_USE_OF_KEY: cython.ulonglong = 0x6569_6B6F_6F63_5F53  # … and SYN cookies
PORT_USE_OF_KEY: cython.ulonglong = 0x6570_6865_6D65_7261  # … and ephemeral ports from both
IDENTIFICATION_USE_OF_KEY: cython.ulonglong = 0x6964_656E_7469_6679  # … and fragments
