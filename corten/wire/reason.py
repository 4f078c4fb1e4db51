"""What is counted: why a packet was dropped, and what else a stack wants to know about itself.

One list for the whole stack; a reason is a constant, its name is the counter's name, its line is
the prose. Reason 0 is «nothing wrong». The values are positions in `Counters` (shared memory), so
another process can read them while the worker runs.
"""

from __future__ import annotations

import cython

if not cython.compiled:
    ACCEPTED = 0
    # -- Ethernet
    ETHERNET_SHORT = 1
    ETHERNET_NOT_OURS = 2
    ETHERNET_UNKNOWN_TYPE = 3
    # -- ARP
    ARP_MALFORMED = 4
    ARP_NOT_OURS = 5
    ARP_BAD_SENDER = 6
    ARP_CONFLICT = 7
    # -- IPv4
    IPV4_SHORT = 8
    IPV4_BAD_VERSION = 9
    IPV4_BAD_HEADER_LEN = 10
    IPV4_BAD_TOTAL_LEN = 11
    IPV4_BAD_CHECKSUM = 12
    IPV4_BAD_SOURCE = 13
    IPV4_NOT_OURS = 14
    IPV4_FRAGMENT = 15
    IPV4_SOURCE_ROUTE = 16
    IPV4_BAD_OPTION = 17
    IPV4_UNKNOWN_PROTOCOL = 18
    # -- ICMPv4
    ICMP_SHORT = 19
    ICMP_BAD_CHECKSUM = 20
    ICMP_UNKNOWN_TYPE = 21
    ICMP_BAD_QUOTE = 22
    ICMP_BROADCAST_ECHO = 23
    ICMP_RATE_LIMITED = 24
    # -- TCP
    TCP_SHORT = 25
    TCP_BAD_DATA_OFFSET = 26
    TCP_BAD_CHECKSUM = 27
    TCP_BAD_PORT = 28
    TCP_TO_BROADCAST = 29
    TCP_NO_CONNECTION = 30
    TCP_BAD_SEQUENCE = 31
    TCP_BAD_ACK = 32
    TCP_NO_ACK_BIT = 33
    TCP_PAWS = 34
    TCP_UNEXPECTED_SYN = 35
    TCP_BAD_RST = 36
    TCP_LISTEN_OVERFLOW = 37
    TCP_NO_TIMESTAMP = 38
    TCP_REASSEMBLY_FULL = 39
    TCP_DATA_AFTER_FIN = 40
    TCP_BAD_STATE = 41
    TCP_OUT_OF_MEMORY = 42
    # -- neighbours and routes
    NEIGHBOUR_QUEUE_FULL = 43
    NEIGHBOUR_UNREACHABLE = 44
    NO_ROUTE = 45
    REPLY_QUEUE_FULL = 46
    HANDED_OVER = 47
    HAND_OVER_FULL = 48
    # -- IPv6
    IPV6_SHORT = 49
    IPV6_BAD_VERSION = 50
    IPV6_BAD_PAYLOAD_LEN = 51
    IPV6_BAD_SOURCE = 52
    # -- between workers
    HANDED_ON = 53
    HAND_OVER_STALE = 54
    WORKER_LEAVING = 55
    # -- VLANs and links without Ethernet
    VLAN_NOT_OURS = 240
    LINK_UNKNOWN_VERSION = 241
    # -- events that are no drops
    FRAMES_IN = 64
    OCTETS_IN = 66
    OCTETS_OUT = 67
    SEGMENTS_IN = 68
    SEGMENTS_OUT = 69
    CONNECTIONS_ACCEPTED = 70
    CONNECTIONS_OPENED = 71
    CONNECTIONS_CLOSED = 72
    CONNECTIONS_RESET = 73
    CONNECTIONS_TIMED_OUT = 74
    RETRANSMITTED_SEGMENTS = 75
    RETRANSMISSION_TIMEOUTS = 76
    FAST_RETRANSMITS = 77
    DUPLICATE_ACKS_IN = 78
    CHALLENGE_ACKS = 79
    RESETS_OUT = 80
    ZERO_WINDOW_PROBES = 81
    OUT_OF_ORDER = 82
    HANDLER_ERRORS = 83
    ARP_REQUESTS_OUT = 84
    ARP_REPLIES_OUT = 85
    ICMP_ECHO_REPLIES = 86
    ICMP_ERRORS_OUT = 87
    HANDED_IN = 88
    HANDED_OUT = 89
    SYNS_IN = 91
    DELAYED_ACKS = 92
    ICMP_ERRORS_IN = 93
    # -- neighbour discovery, and what belongs to it
    ND_MALFORMED = 150
    ND_BAD_HOP_LIMIT = 151
    ND_BAD_ADDRESS = 152
    ND_BAD_ROUTER = 153
    ND_NOT_OURS = 154
    ND_CONFLICT = 155
    ND_LOOPED_BACK = 156
    ND_TABLE_FULL = 157
    MLD_MALFORMED = 158
    ADDRESSES_LOST = 159
    ND_SOLICITATIONS_OUT = 160
    ND_ADVERTISEMENTS_OUT = 161
    MLD_REPORTS_OUT = 162
    ROUTERS_LOST = 163
    REDIRECTS_TAKEN = 164
    # -- UDP
    UDP_SHORT = 165
    UDP_BAD_LENGTH = 166
    UDP_BAD_CHECKSUM = 167
    UDP_NO_CHECKSUM = 168
    UDP_BAD_PORT = 169
    UDP_NO_ENDPOINT = 170
    UDP_QUEUE_FULL = 171
    UDP_UNSENT = 172
    DATAGRAMS_IN = 173
    DATAGRAMS_OUT = 174
    # -- fragments
    FRAGMENT_HELD = 175
    FRAGMENT_BAD_LENGTH = 176
    FRAGMENT_TOO_LONG = 177
    FRAGMENT_OVERLAP = 178
    FRAGMENT_TINY = 179
    FRAGMENTS_GIVEN_UP = 180
    FRAGMENTS_TIMED_OUT = 181
    REASSEMBLED = 182
    FRAGMENTS_OUT = 183
    # -- echo requests of our own
    ECHO_REQUESTS_OUT = 184
    ECHO_REPLIES_IN = 185
    ECHO_UNKNOWN = 186
    FRAGMENT_BAD_ECN = 187
    # -- loss recovery
    LOSS_PROBES = 200
    LOSS_PROBE_REPAIRS = 201
    SPURIOUS_RECOVERIES = 202
    SACK_RENEGINGS = 203
    DSACKS_IN = 204
    DSACKS_OUT = 205
    # -- congestion
    CONGESTION_ERRORS = 210
    ECN_CONNECTIONS = 211
    ECN_MARKS_IN = 212
    ECN_REDUCTIONS = 213
    # -- a connection's life
    SYN_COOKIES_OUT = 220
    SYN_COOKIES_IN = 221
    KEEPALIVE_PROBES = 222
    PATH_MTU_LOWERED = 223
    PATH_MTU_PROBES = 224
    LOOPBACK_FULL = 225
    # -- IPv6 behind its fixed header, and ICMPv6
    IPV6_NOT_OURS = 130
    IPV6_FRAGMENT = 131
    IPV6_BAD_EXTENSION = 132
    IPV6_EXTENSIONS_LIMIT = 133
    IPV6_OPTION_REFUSED = 134
    IPV6_BAD_OPTION = 135
    IPV6_ROUTING = 136
    IPV6_UNKNOWN_NEXT_HEADER = 137
    IPV6_NO_NEXT_HEADER = 138
    ICMPV6_SHORT = 139
    ICMPV6_BAD_CHECKSUM = 140
    ICMPV6_UNKNOWN_TYPE = 141
    ICMPV6_BAD_QUOTE = 142
    ICMPV6_BAD_MTU = 143
    SEGMENT_DONE = 255  # no drop and no event: the checks of a segment end here

COUNTERS_LEN = 256

PROSE: dict[str, str] = {
    "ETHERNET_SHORT": "a frame without a whole Ethernet header",
    "ETHERNET_NOT_OURS": "for another station's address",
    "ETHERNET_UNKNOWN_TYPE": "an EtherType we do not speak, or an 802.3 length",
    "VLAN_NOT_OURS": "another VLAN's frame, or one without the tag that this link's have",
    "LINK_UNKNOWN_VERSION": "on a link without Ethernet, what is neither IPv4 nor IPv6",
    "ARP_MALFORMED": "too short, or not Ethernet/IPv4, or an unknown operation",
    "ARP_NOT_OURS": "asks for an address that is not ours",
    "ARP_BAD_SENDER": "sender hardware or protocol address cannot be a host's",
    "ARP_CONFLICT": "somebody else claims our address (RFC 5227)",
    "IPV4_SHORT": "shorter than the fixed header",
    "IPV4_BAD_VERSION": "version is not 4",
    "IPV4_BAD_HEADER_LEN": "IHL under 5 or beyond the packet",
    "IPV4_BAD_TOTAL_LEN": "total length under the header's or beyond the frame",
    "IPV4_BAD_CHECKSUM": "header checksum wrong",
    "IPV4_BAD_SOURCE": "source cannot be a host's address, or is our own",
    "IPV4_NOT_OURS": "destination is not one of our addresses",
    "IPV4_FRAGMENT": "no drop: a fragment, by itself in order",
    "IPV4_SOURCE_ROUTE": "carries a source route (RFC 7126)",
    "IPV4_BAD_OPTION": "options run past the header",
    "IPV4_UNKNOWN_PROTOCOL": "a protocol we do not speak: ICMP protocol unreachable",
    "ICMP_SHORT": "shorter than its header",
    "ICMP_BAD_CHECKSUM": "checksum wrong",
    "ICMP_UNKNOWN_TYPE": "a type that asks for nothing from us",
    "ICMP_BAD_QUOTE": "the quoted packet is not one that we sent",
    "ICMP_BROADCAST_ECHO": "echo request to a broadcast address",
    "ICMP_RATE_LIMITED": "an answer left out to keep the rate",
    "TCP_SHORT": "shorter than the fixed header",
    "TCP_BAD_DATA_OFFSET": "data offset under 5 or beyond the segment",
    "TCP_BAD_CHECKSUM": "checksum wrong",
    "TCP_BAD_PORT": "port 0",
    "TCP_TO_BROADCAST": "a segment to a broadcast or multicast address",
    "TCP_NO_CONNECTION": "matches no connection and no listener",
    "TCP_BAD_SEQUENCE": "outside the receive window (RFC 9293 3.10.7.4, first)",
    "TCP_BAD_ACK": "acknowledges what was never sent, or long ago (fifth)",
    "TCP_NO_ACK_BIT": "no ACK in a synchronized state (fifth)",
    "TCP_PAWS": "timestamp older than the last one (RFC 7323 5)",
    "TCP_UNEXPECTED_SYN": "SYN in a synchronized state (RFC 5961 4)",
    "TCP_BAD_RST": "RST that is not exactly at RCV.NXT (RFC 5961 3)",
    "TCP_LISTEN_OVERFLOW": "SYN while the SYN queue or the connection limit is full",
    "TCP_NO_TIMESTAMP": "timestamps were agreed and this segment has none (RFC 7323 3.2)",
    "TCP_REASSEMBLY_FULL": "out-of-order data beyond the true cost we keep",
    "TCP_DATA_AFTER_FIN": "text or FIN beyond the peer's FIN",
    "TCP_BAD_STATE": "nothing to do for this segment in this state",
    "TCP_OUT_OF_MEMORY": "the connection limit is reached",
    "NEIGHBOUR_QUEUE_FULL": "an older packet gave way to a newer one waiting for the same address",
    "NEIGHBOUR_UNREACHABLE": "address resolution failed",
    "NO_ROUTE": "no route to the destination",
    "REPLY_QUEUE_FULL": "a stateless reply left out: the batch was full",
    "HANDED_OVER": "from the wire, and another worker's: given to it",
    "HAND_OVER_FULL": "another worker's, and its ring was full",
    "HANDED_ON": "handed over by another worker, and not ours either: given to the next",
    "HAND_OVER_STALE": "handed over by another worker, for a link that was removed since",
    "WORKER_LEAVING": "a SYN while its worker is restarted, and there is no other to take it",
    "IPV6_NOT_OURS": "destination is no address of this link, and no group it listens to",
    "IPV6_FRAGMENT": "a fragment, and nobody puts it together",
    "IPV6_BAD_EXTENSION": "an extension header beyond the packet, or cut in a first fragment",
    "IPV6_EXTENSIONS_LIMIT": "more extension headers, or longer ones, than are walked",
    "IPV6_OPTION_REFUSED": "an unknown option that asks not to be skipped",
    "IPV6_BAD_OPTION": "options run past their header",
    "IPV6_ROUTING": "a routing header with segments left: parameter problem",
    "IPV6_UNKNOWN_NEXT_HEADER": "a next header we do not speak: parameter problem",
    "IPV6_NO_NEXT_HEADER": "nothing follows the headers (RFC 8200 4.7)",
    "ICMPV6_SHORT": "shorter than its header",
    "ICMPV6_BAD_CHECKSUM": "checksum wrong",
    "ICMPV6_UNKNOWN_TYPE": "a type that asks for nothing from us",
    "ICMPV6_BAD_QUOTE": "the quoted packet is not one that we sent",
    "ICMPV6_BAD_MTU": "too big for an MTU under 1280 (RFC 8201 4)",
    "ND_MALFORMED": "too short, a code that is not 0, or an option of no length or past the end",
    "ND_BAD_HOP_LIMIT": "hop limit is not 255: a router has passed it on",
    "ND_BAD_ADDRESS": "a source, target or link-layer address that cannot be there",
    "ND_BAD_ROUTER": "from no link-local address, or not from the router in use",
    "ND_NOT_OURS": "about an address that is neither ours nor one that we asked for",
    "ND_CONFLICT": "somebody else claims our address (RFC 4862 5.4)",
    "ND_LOOPED_BACK": "our own solicitation, heard back (RFC 7527)",
    "ND_TABLE_FULL": "a neighbour, router, prefix or name server more than is kept",
    "MLD_MALFORMED": "a query that is not as RFC 3810 6.2 has it",
    "LOOPBACK_FULL": "a frame to ourselves found no room on the loopback",
    "IPV6_SHORT": "shorter than the fixed header",
    "IPV6_BAD_VERSION": "version is not 6",
    "IPV6_BAD_PAYLOAD_LEN": "payload length beyond the frame",
    "IPV6_BAD_SOURCE": "source cannot be a host's address",
    "UDP_SHORT": "shorter than its header",
    "UDP_BAD_LENGTH": "length under the header's or beyond the packet",
    "UDP_BAD_CHECKSUM": "checksum wrong",
    "UDP_NO_CHECKSUM": "no checksum over IPv6 (RFC 8200 8.1)",
    "UDP_BAD_PORT": "destination port 0",
    "UDP_NO_ENDPOINT": "for a port that nobody has bound: ICMP port unreachable",
    "UDP_QUEUE_FULL": "more than its endpoint keeps until the handler runs",
    "UDP_UNSENT": "taken for sending, and the way it was to go is gone",
    "FRAGMENT_HELD": "no drop: a fragment that waits for the others of its datagram",
    "FRAGMENT_BAD_LENGTH": "empty, or not the last and no multiple of 8 octets",
    "FRAGMENT_TOO_LONG": "a datagram beyond 65,535 octets, or beyond its own end",
    "FRAGMENT_OVERLAP": "overlaps what came before: its whole datagram is dropped (RFC 5722)",
    "FRAGMENT_TINY": "splits the TCP header (RFC 1858, RFC 3128)",
    "FRAGMENT_BAD_ECN": "fragments of one datagram disagree about ECN (RFC 3168 5.3)",
    "FRAGMENTS_GIVEN_UP": "datagrams in pieces dropped for others, or in too many pieces",
    "FRAGMENTS_TIMED_OUT": "datagrams of which a piece never came",
    "ECHO_UNKNOWN": "an echo reply that nobody waits for",
}


def counter_names() -> list[str]:
    """Every counter's name by position; unused positions are empty."""
    names = [""] * COUNTERS_LEN
    for name, value in globals().items():
        if name.isupper() and isinstance(value, int) and name != "COUNTERS_LEN":
            names[value] = name.lower()
    return names
