"""Where the public suites ask for something else than the RFCs, or for what they leave to choice.

Each entry is a line of an expect file (see `expect`): which scripts, which difference, which clause
says that ours is right or allowed. They are FreeBSD's and Google's test suites by their file names.

Rules. An entry names a difference that was looked at. What is not in this list is a failure.
"""

from __future__ import annotations

KNOWN = """
# Fast Open is experimental, and not offered
*fast-open/* | setsockopt*ENOPROTOOPT* | RFC 7413 1 | optional: TCP Fast Open is not offered
*fastopen* | *setsockopt*ENOPROTOOPT* | RFC 7413 1 | optional: TCP Fast Open is not offered
*fastopen* | *EOPNOTSUPP* | RFC 7413 1 | optional: TCP Fast Open is not offered
*fastopen* | option FO* is missing* | RFC 7413 1 | optional: TCP Fast Open is not offered
*fastopen/server* | accept would block | RFC 7413 1 | data on a SYN waits for the handshake
*fastopen/server* | ack 1 instead of * | RFC 7413 1 | data on a SYN is not acknowledged

# the older rules of RFC 793 for RST and SYN, which the scripts turn on
*-insecure-* | flags . instead of R.* | RFC 5961 4.2 | a SYN is challenged, whatever it hits
*-insecure-* | getsockopt SO_ERROR: 0 instead of 104 | RFC 5961 3.2 | only RCV.NXT counts
*-insecure-* | getsockopt SO_ERROR: 0 instead of 111 | RFC 5961 3.2 | only RCV.NXT counts
*-insecure-* | ? connections in SYN_RCVD instead of ? | RFC 5961 3.2 | only RCV.NXT counts
*syn-time-wait*-insecure-* | flags S. instead of R.* | RFC 9293 3.10.7.4 | MAY-2: it reopens

# FreeBSD's window is its whole buffer, more than the 65535 that it announced
*-right-edge-* | nothing was sent: > .* | RFC 5961 3.2 | beyond the window that was announced
*-right-edge-* | flags F. instead of .* | RFC 5961 3.2 | beyond the window that was announced
*-right-edge-* | flags S. instead of .* | RFC 5961 3.2 | beyond the window that was announced

# segments that are not acceptable are answered (3.10.7.4, first); FreeBSD takes their ACK instead,
# and the original does not look at what is sent behind the last event
*last-ack* | unexpected at *> . 2:2(0) ack 2 win * | RFC 9293 3.10.7.4 | it is answered
*close-wait* | unexpected at *> . 2:2(0) ack 2 win * | RFC 9293 3.10.7.4 | it is answered
*rcv-fin-time-wait* | sent at *> . 2:2(0) ack 2 win * | RFC 9293 3.10.7.4 | it is answered
*rcv-ack-time-wait* | nothing was sent: > . * | RFC 9293 3.10.7.4 | no FIN, no answer
*rcv-syn-ack-listen* | another connection's packet: > R * | RFC 9293 3.10.7.2 | RST for an ACK

*fr-4pkt-sack-* | unexpected at *> . 5001:5001(0) ack 1 * | RFC 9293 3.10.7.4 | ACK of the unsent

# crossing FINs: the peer's is acknowledged by an ACK, ours goes again by its timer
*closing* | flags . instead of F.* | RFC 9293 3.6 | figure 13: an ACK

*syn-time-wait* | flags S. instead of .* | RFC 9293 3.6.1 | MAY-2: it reopens
*icmp-hard-error-*-prohibited-* | getsockopt SO_ERROR:* | RFC 1122 4.2.3.9 | aborted all the same
*rcv-icmp-hard-error-ignored-* | getsockopt SO_ERROR:* | RFC 1122 4.2.3.9 | SHOULD abort
*icmp-hard-error-ttl-exceeded-* | getsockopt SO_ERROR:* | RFC 1122 4.2.3.9 | time exceeded is soft
*reordering-* | sent at * ack * | RFC 5681 4.2 | every second full-sized segment; these are smaller
*noopt-* | setsockopt*ENOPROTOOPT* | RFC 9293 3.7.1 | SHLD-5: the MSS option is always sent
*snd-syn-without-options-* | setsockopt*ENOPROTOOPT* | RFC 9293 3.7.1 | SHLD-5: MSS is always sent
*snd-syn-with-ecn-* | flags S instead of SEW* | RFC 3168 6.1.1.1 | the second SYN may go without ECN
"""
