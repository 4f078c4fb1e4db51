"""A link's steering as its device says it in a queue's values, made into what a stack asks.

    {"kind": "spread", "place", "keys", "queues"}          our own program (corten.ip.spread)
    {"kind": "rss", "place", "key", "workers", "ports"}    a NIC's hash (corten.ip.rss): the key in
                                                           hexadecimal, the worker of each entry

Nothing said, or something that is not understood: nobody knows, and what arrives elsewhere is
handed over.
"""

from __future__ import annotations

import logging
from typing import Any

from corten.ip.rss import Rss
from corten.ip.spread import Spread
from corten.ip.steering import Steering

logger = logging.getLogger("corten")


def steering_of(values: dict[str, Any]) -> Steering:
    """What `values` of a queue say of its link's steering."""
    said = values.get("steering")
    if said is None:
        return Steering()
    place = said["place"]
    if said["kind"] == "spread":
        return Spread(place, said["keys"], said["queues"])
    try:
        return Rss(place, bytes.fromhex(said["key"]), said["workers"], said["ports"])
    except ValueError as error:
        logger.warning("the device's receive steering is not understood: %s", error)
        return Steering(place)
