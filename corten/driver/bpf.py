"""Small BPF programs without a compiler: an assembler, and the system call that loads them.

Strategy. A filter for a link is some dozen instructions: written here by name, with labels for its
jumps, they need neither clang nor a library nor an object file, and a test can read them. Maps,
programs and links are plain descriptors; what hangs on one goes when the last holder closes it,
however that process ends.

Rules. Programs are loaded once, by whoever owns the device; nothing here runs on the fast path.
The verifier's last word is part of the error. Registers are numbers: 0 the result, 1 to 5 the
arguments (a call destroys them), 6 to 9 kept, 10 the frame.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass, field

from corten.endpoint.error import CortenError

# what programs and maps are (linux/bpf.h)
MAP_HASH, MAP_ARRAY, MAP_XSKMAP = 1, 2, 17
SOCKET_FILTER, SCHED_CLS, XDP = 1, 3, 6
BPF_XDP, BPF_TCX_INGRESS = 37, 46
HAS_FRAGS = 1 << 5  # of a program that takes frames in several pieces
MAP_LOOKUP, REDIRECT_MAP = 1, 51  # helpers to call

_MAP_CREATE, _MAP_UPDATE, _MAP_DELETE, _PROG_LOAD, _LINK_CREATE = 0, 2, 3, 5, 28
_SYSTEM_CALL = {"x86_64": 321, "aarch64": 280}
_LOG_LEN = 1 << 16
_SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
_ALU = {"add": 0x00, "sub": 0x10, "mul": 0x20, "or": 0x40, "and": 0x50, "lsh": 0x60, "rsh": 0x70}
_ALU |= {"mod": 0x90, "xor": 0xA0, "mov": 0xB0}
_JUMPS = {"eq": 0x10, "gt": 0x20, "ge": 0x30, "set": 0x40, "ne": 0x50, "lt": 0xA0, "le": 0xB0}


@dataclass
class Assembly:
    """A program being written: instructions in order, labels where jumps go."""

    code: list[tuple[int, int, int, int | str, int]] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)

    def _add(self, opcode: int, to: int, source: int, offset: int | str, value: int) -> None:
        self.code.append((opcode, to, source, offset, value))

    def label(self, name: str) -> None:
        """Jumps to `name` come here."""
        assert name not in self.labels, name
        self.labels[name] = len(self.code)

    def load(self, to: int, source: int, offset: int, size: int) -> None:
        """to = the `size` octets at [source + offset], in the machine's order."""
        self._add(0x61 | _SIZES[size], to, source, offset, 0)

    def store(self, to: int, offset: int, source: int, size: int) -> None:
        """[to + offset] = the low `size` octets of `source`."""
        self._add(0x63 | _SIZES[size], to, source, offset, 0)

    def load_packet(self, offset: int, size: int, index: int | None = None) -> None:
        """r0 = `size` octets of a socket filter's packet, in host order, at `offset`, or so far
        behind what the register `index` says; the program ends with 0 where there are none. r6 must
        be the context, r1 to r5 are destroyed."""
        mode = 0x20 if index is None else 0x40
        self._add(mode | _SIZES[size], 0, index or 0, 0, offset)

    def load_number(self, to: int, value: int) -> None:
        """to = a number of 64 bits. Two slots."""
        self._add(0x18, to, 0, 0, value & 0xFFFF_FFFF)
        self._add(0, 0, 0, 0, value >> 32)

    def set(self, operation: str, to: int, value: int, narrow: bool = False) -> None:
        """to = to OPERATION value (`mov`: = value); `narrow`: on 32 bits, the rest zero."""
        self._add((0x04 if narrow else 0x07) | _ALU[operation], to, 0, 0, value)

    def combine(self, operation: str, to: int, source: int, narrow: bool = False) -> None:
        """to = to OPERATION source, as `set`."""
        self._add((0x0C if narrow else 0x0F) | _ALU[operation], to, source, 0, 0)

    def host_order(self, register: int, bits: int) -> None:
        """The low `bits` of a register, read as in a header, in the machine's order."""
        self._add(0xDC, register, 0, 0, bits)

    def jump(self, label: str) -> None:
        self._add(0x05, 0, 0, label, 0)

    def jump_if(self, condition: str, register: int, value: int, label: str) -> None:
        """Compare 32 bits with a number."""
        self._add(0x06 | _JUMPS[condition], register, 0, label, value)

    def jump_if_register(self, condition: str, one: int, other: int, label: str) -> None:
        """Compare two registers, all 64 bits: pointers too."""
        self._add(0x0D | _JUMPS[condition], one, other, label, 0)

    def load_map(self, to: int, fd: int) -> None:
        """to = a map. Two slots."""
        self._add(0x18, to, 1, 0, fd)
        self._add(0, 0, 0, 0, 0)

    def call(self, helper: int) -> None:
        self._add(0x85, 0, 0, 0, helper)

    def leave(self) -> None:
        """End with r0."""
        self._add(0x95, 0, 0, 0, 0)

    def octets(self) -> bytes:
        """The program as the kernel takes it."""
        out = bytearray()
        for at, (opcode, to, source, offset, value) in enumerate(self.code):
            jump = self.labels[offset] - at - 1 if isinstance(offset, str) else offset
            signed = (value & 0xFFFF_FFFF) - ((value & 0x8000_0000) << 1)
            out += struct.pack("<BBhi", opcode, source << 4 | to, jump, signed)
        return bytes(out)


def _bpf(command: int, attributes: bytes, what: str) -> int:
    """The system call; its descriptor or 0. OSError."""
    number = _SYSTEM_CALL.get(platform.machine())
    if number is None:
        raise CortenError(f"BPF is not known on {platform.machine()}: x86_64 and aarch64 are")
    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result: int = library.syscall(number, command, buffer, len(attributes))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def create_map(kind: int, key_len: int, value_len: int, entries: int, name: str) -> int:
    """A map; its descriptor. OSError."""
    text = name.encode()[:15]
    attributes = struct.pack("<5I", kind, key_len, value_len, entries, 0)
    return _bpf(_MAP_CREATE, attributes + bytes(8) + text.ljust(16, b"\0"), f"BPF map {name}")


def update_map(fd: int, key: bytes, value: bytes) -> None:
    """map[key] = value. OSError."""
    keys, values = ctypes.create_string_buffer(key), ctypes.create_string_buffer(value)
    places = (ctypes.addressof(keys), ctypes.addressof(values))
    _bpf(_MAP_UPDATE, struct.pack("<I4xQQQ", fd, *places, 0), "BPF map")


def delete_from_map(fd: int, key: bytes) -> None:
    """Remove map[key]; one that is not there is no error. OSError."""
    keys = ctypes.create_string_buffer(key)
    try:
        _bpf(_MAP_DELETE, struct.pack("<I4xQQ", fd, ctypes.addressof(keys), 0), "BPF map")
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


def load_program(kind: int, program: Assembly, name: str, flags: int = 0, attach: int = 0) -> int:
    """Load a program; its descriptor. OSError, with the verifier's last word."""
    code = program.octets()
    held = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    log = ctypes.create_string_buffer(_LOG_LEN)
    attributes = struct.pack(
        "<IIQQIIQII16sIII",
        kind,
        len(code) // 8,
        ctypes.addressof(held),
        ctypes.addressof(licence),
        1,
        _LOG_LEN,
        ctypes.addressof(log),
        0,
        flags,
        name.encode()[:15],
        0,
        attach,
        0,
    )
    try:
        return _bpf(_PROG_LOAD, attributes, f"BPF program {name}")
    except OSError as error:
        lines = log.value.decode(errors="replace").strip().splitlines()
        said = [line for line in lines if not line.startswith("processed")]
        last = f" ({said[-1]})" if said else ""
        raise OSError(error.errno, f"{error.strerror}{last}") from None


def attach_link(program: int, target: int, attach: int, flags: int = 0) -> int:
    """Hang a program on a network device (its index); the attachment lives as long as the
    descriptor that is answered. OSError."""
    return _bpf(_LINK_CREATE, struct.pack("<4I", program, target, attach, flags), "BPF link")
