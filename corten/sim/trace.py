"""The last packets of a run, one line each, kept bounded and written out when something fails."""

from __future__ import annotations

from collections import deque

from corten.wire.describe import describe


class PacketTrace:
    """Packets and remarks, the newest `length` of them; text is made only when asked for."""

    echo = False  # print each line as it happens

    def __init__(self, length: int = 200) -> None:
        self._lines: deque[tuple[int, str, int, bytes, str]] = deque(maxlen=length)

    def note(self, now: int, who: str, number: int, frame: bytes) -> None:
        self._add((now, who, number, frame, ""))

    def remark(self, now: int, who: str, number: int, text: str) -> None:
        """What became of the packet that `who` sent under this number."""
        self._add((now, who, number, b"", text))

    def event(self, now: int, who: str, text: str) -> None:
        """Something that is no packet: what an application did."""
        self._add((now, who, -1, b"", text))

    def _add(self, line: tuple[int, str, int, bytes, str]) -> None:
        self._lines.append(line)
        if self.echo:
            print(_text(line), flush=True)

    def clear(self) -> None:
        self._lines.clear()

    def packets(self) -> list[tuple[int, str, int, bytes, str]]:
        """(instant, who, number, frame, what became of it) of each packet that is kept."""
        fates: dict[tuple[str, int], list[str]] = {}
        for _, who, number, frame, text in self._lines:
            if not frame and number >= 0:
                fates.setdefault((who, number), []).append(text)
        return [
            (now, who, number, frame, ", ".join(fates.get((who, number), ())))
            for now, who, number, frame, _ in self._lines
            if frame
        ]

    def text(self, last: int | None = None) -> str:
        lines = list(self._lines)
        return "\n".join(_text(line) for line in (lines if last is None else lines[-last:]))


def _text(line: tuple[int, str, int, bytes, str]) -> str:
    now, who, number, frame, remark = line
    label = f"#{number}" if number >= 0 else ""
    body = describe(frame) if frame else f"-- {remark}"
    return f"{now / 1e6:14.6f} ms {who:>10} {label:>6} {body}"
