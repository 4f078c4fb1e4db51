"""The short-lived child that sets up a network device: a request as JSON in, an answer as JSON out.

Run by path, never imported by corten: pyroute2 stays out of every other process. It changes only
what differs, so that a device prepared by somebody with the rights needs none from us.

Request: name; queues, how many we hold; host, the addresses that the host's side shall have; ours,
addresses that must not be the host's; whole, prefixes that it must have none of; mtu; queue_len;
remove, addresses to take away instead.
Or refuse, and whole: addresses and prefixes as above, where nothing is to be set up.
Answer: {"undo": request or null} or {"error": one line}.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import sys
from typing import Any

_IFF_UP = 1
_IFA_F_NODAD = 2


class RefusedError(Exception):
    """One line for the user."""


def configure(ip: Any, request: dict[str, Any]) -> dict[str, Any] | None:
    """Bring the device to what `request` says; the request that takes back what was added."""
    if "refuse" in request:
        present = _addresses(ip)
        _refuse_taken(present, request["refuse"], request.get("whole", []))
        return None
    name = request["name"]
    index = ip.link_lookup(ifname=name)[0]
    if "remove" in request:
        for text in request["remove"]:
            address = ipaddress.ip_interface(text)
            ip.addr(
                "del", index=index, address=str(address.ip), prefixlen=address.network.prefixlen
            )
        return None
    present = _addresses(ip)
    wanted = [ipaddress.ip_interface(text) for text in request["host"]]
    _refuse_taken(present, request["ours"], request.get("whole", []))
    for address in wanted:
        _refuse_overlap(present, name, address)
    link = ip.get_links(index)[0]
    queues = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", "IFLA_TUN_NUM_QUEUES")
    if queues and queues > request["queues"]:
        raise RefusedError(
            f"tap:{name} is in use by another program: stop it or choose another name"
        )
    _set_link(ip, index, link, request)
    here = {address for address, device in present if device == name}
    added = [address for address in wanted if address not in here]
    for address in added:
        # the other end of the wire is ours, and has been asked about already: no detection of
        # duplicates, which would keep an IPv6 address from being used for a second
        extra = {"flags": _IFA_F_NODAD} if address.version == 6 else {}
        ip.addr(
            "add",
            index=index,
            address=str(address.ip),
            prefixlen=address.network.prefixlen,
            **extra,
        )
    return {"name": name, "remove": [str(address) for address in added]} if added else None


def _set_link(ip: Any, index: int, link: Any, request: dict[str, Any]) -> None:
    """MTU, queue length and up, each only where it differs."""
    if link.get_attr("IFLA_MTU") != request["mtu"]:
        ip.link("set", index=index, mtu=request["mtu"])
    if link.get_attr("IFLA_TXQLEN") < request["queue_len"]:
        _lengthen(ip, index, request["queue_len"])
    if not link["flags"] & _IFF_UP:
        ip.link("set", index=index, state="up")


def _lengthen(ip: Any, index: int, queue_len: int) -> None:
    """A longer queue is a wish: without the right to it more is dropped in a burst, no more."""
    from pyroute2 import NetlinkError  # type: ignore[import-untyped]  # it has no types

    try:
        ip.link("set", index=index, txqlen=queue_len)
    except NetlinkError as error:
        if error.args[0] != errno.EPERM:  # silent: that wish is not granted
            raise


def _addresses(ip: Any) -> list[tuple[Any, str]]:
    """Every address of this host and the device it is on."""
    names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in ip.get_links()}
    found = []
    for entry in ip.get_addr():
        text = entry.get_attr("IFA_LOCAL") or entry.get_attr("IFA_ADDRESS")
        address = ipaddress.ip_interface(f"{text}/{entry['prefixlen']}")
        found.append((address, names.get(entry["index"], "?")))
    return found


def _refuse_taken(present: list[tuple[Any, str]], ours: list[str], whole: list[str]) -> None:
    """No address of ours, nor any of a whole prefix, may be one of the host's."""
    addresses = {ipaddress.ip_interface(text).ip for text in ours}
    prefixes = [ipaddress.ip_network(text) for text in whole]
    for address, device in present:
        ip = address.ip
        if ip in addresses and not ip.is_link_local:
            raise RefusedError(
                f"address {ip} is in use: it is this host's own, on {device}; choose another"
            )
        for prefix in prefixes:
            if ip in prefix:
                raise RefusedError(
                    f"prefix {prefix} has {ip} in it, this host's own, on {device}; choose another"
                )


def _refuse_overlap(present: list[tuple[Any, str]], name: str, wanted: Any) -> None:
    for address, device in present:
        if (
            device != name
            and not wanted.is_link_local
            and address.version == wanted.version
            and address.network.overlaps(wanted.network)
        ):
            raise RefusedError(
                f"host address {wanted} overlaps {address} on {device}: "
                "choose another subnet, or host=none"
            )


def main() -> None:
    request = json.load(sys.stdin)
    answer: dict[str, Any]
    try:
        from pyroute2 import IPRoute, NetlinkError
    except ImportError:
        print(json.dumps({"error": "pyroute2 is missing: `pip install pyroute2`"}))
        return
    try:
        with IPRoute() as ip:
            answer = {"undo": configure(ip, request)}
    except RefusedError as error:
        answer = {"error": str(error)}
    except NetlinkError as error:
        code, text = error.args[0], error.args[-1]
        if code == errno.EPERM:
            text = (
                "setting it up needs CAP_NET_ADMIN: run as root, or prepare it with "
                "`ip addr` and `ip link` first"
            )
        answer = {"error": f"{request.get('name', 'netlink')}: {text}"}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
