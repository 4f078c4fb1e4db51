"""The leak check that every test of TCP ends with: what a stack at rest must not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corten.stack.stack import Stack


def leaks_of(stack: Stack) -> list[str]:
    """A line for each thing left over after all connections are gone."""
    host = stack.host
    found = [f"connection {c.id} in state {c.state}" for c in host.connections if c is not None]
    if host.live:
        found.append(f"{host.live} connections counted as live")
    if host.granted:
        found.append(f"{host.granted} octets of buffers granted")
    if len(host.table):
        found.append(f"{len(host.table)} entries in the flow table")
    if host.time_wait_live:
        found.append(f"{host.time_wait_live} in TIME-WAIT")
    if host.half_open:
        found.append(f"{len(host.half_open)} half open")
    if host.active:
        found.append(f"{len(host.active)} connections with work due")
    if host.acks_owed or host.resets_owed:
        found.append(f"{len(host.acks_owed) + len(host.resets_owed)} replies not sent")
    if host.slices:
        found.append(f"{host.slices} slices of received frames")
    if any(memory is not None for memory in host.slice_memory):
        found.append("a memory of a received frame is held")
    udp = stack.udp
    if udp.active or udp.sending or udp.refused:
        found.append(f"{len(udp.active) + len(udp.sending)} UDP endpoints with work due")
    if len(stack.fragments) or stack.fragments.octets:
        found.append(f"{len(stack.fragments)} datagrams in pieces")
    timers = len(stack.wheel) - len(stack.interfaces)  # each link has one
    if timers:
        found.append(f"{timers} timers")
    links = [*stack.interfaces]
    if stack.has_loopback():
        links.append(stack.loopback())
    for interface in links:
        if interface.outgoing.count:
            found.append(f"{interface.outgoing.count} frames not flushed on {interface.name}")
        if any(memory is not None for memory in interface.outgoing.slice_memory):
            found.append(f"a sent buffer is held by {interface.name}")
        if interface.unresolved:
            found.append(f"{len(interface.unresolved)} unresolved neighbours on {interface.name}")
    return found
