"""asyncio on Corten's stack: unmodified programs, uvicorn and its applications among them.

    corten.aio.run(main(), links=["tap:corten0,address=10.0.2.2/24"])

`new_event_loop` is a factory for whatever takes one; `Network` joins a `Node` of one's own to
a loop that runs already. docs/asyncio.md says more. They are loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corten.aio.loop import Loop, new_event_loop, run
    from corten.aio.network import Network

__all__ = ["Loop", "Network", "new_event_loop", "run"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'corten.aio' has no attribute {name!r}")
    from importlib import import_module

    where = "corten.aio.network" if name == "Network" else "corten.aio.loop"
    value = globals()[name] = getattr(import_module(where), name)
    return value
