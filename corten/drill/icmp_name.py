"""ICMP types and codes by the names that scripts use. `type_N` and `code_N` are numbers."""

from __future__ import annotations

from corten.drill.error import ScriptError

V4_TYPES = {
    "echo_reply": 0, "unreachable": 3, "source_quench": 4, "redirect": 5, "echo_request": 8,
    "time_exceeded": 11, "parameter_problem": 12, "timestamp_request": 13, "timestamp_reply": 14,
    "information_request": 15, "information_reply": 16, "address_mask_request": 17,
    "address_mask_reply": 18,
}  # fmt: skip
V6_TYPES = {
    "unreachable": 1, "packet_too_big": 2, "time_exceeded": 3, "parameter_problem": 4,
    "echo_request": 128, "echo_reply": 129,
}  # fmt: skip
V4_CODES = {
    "net_unreachable": 0, "host_unreachable": 1, "protocol_unreachable": 2, "port_unreachable": 3,
    "frag_needed": 4, "source_route_failed": 5, "net_unknown": 6, "host_unknown": 7,
    "source_host_isolated": 8, "net_prohibited": 9, "host_prohibited": 10,
    "net_unreachable_for_tos": 11, "host_unreachable_for_tos": 12, "packet_filtered": 13,
    "precedence_violation": 14, "precedence_cutoff": 15, "exceeded_ttl": 0,
    "ttl_exceeded_in_transit": 0, "exceeded_frag_time": 1,
}  # fmt: skip
V6_CODES = {
    "net_unreachable": 0, "no_route": 0, "admin_prohibited": 1, "not_neighbour": 2,
    "not_neighbor": 2, "address_unreachable": 3, "host_unreachable": 3, "port_unreachable": 4,
    "exceeded_hop_limit": 0, "exceeded_frag_time": 1, "header_field": 0, "unknown_next_header": 1,
    "unknown_option": 2,
}  # fmt: skip


def _number(name: str, names: dict[str, int], prefix: str) -> int:
    if name in names:
        return names[name]
    if name.startswith(prefix) and name[len(prefix) :].isdigit():
        return int(name[len(prefix) :])
    raise ScriptError(f"no such ICMP {prefix[:-1]}: {name}")


def type_number(version: int, name: str) -> int:
    """The number of a type. ScriptError for a name of the other family, or of none."""
    return _number(name, V4_TYPES if version == 4 else V6_TYPES, "type_")


def code_number(version: int, name: str) -> int:
    """The number of a code; 0 where none is written."""
    if not name:
        return 0
    return _number(name, V4_CODES if version == 4 else V6_CODES, "code_")
