"""A worker on links of its own within a program of somebody else's, who turns it: no supervisor, no
fork, no loop. What `corten.aio` puts under an event loop."""

from __future__ import annotations

from typing import Any

from corten.endpoint.error import CortenError
from corten.worker.crew import Job, StackCrew
from corten.worker.link import parse_link
from corten.worker.names import check_servers
from corten.worker.plan import plan


class Alone:
    """`worker`, until `close`."""

    def __init__(
        self, links: list[str], config: Any = None, name_servers: list[str] | None = None
    ) -> None:
        """`links`: as `--link` takes them. CortenError, one line, for what cannot be."""
        groups = plan([parse_link(text) for text in links]).groups
        if len(groups) != 1 or groups[0].workers != 1 or groups[0].is_kernel:
            raise CortenError("one loop is one worker of a stack: no kernel link, no workers=")
        job = Job({}, config=config, name_servers=check_servers(name_servers or []))
        self._crew = StackCrew(groups[0], job)
        try:
            self.worker = self._crew.make_worker(self._crew.seats[0], 0)
        except BaseException:
            self._crew.close()
            raise
        self.worker.lead(True)
        self._crew.links.attend(self.worker)

    def close(self) -> None:
        """Reset every connection, give the devices back. Calling it again does nothing."""
        self.worker.close()
        self._crew.close()
