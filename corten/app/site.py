"""The files that are served: one tree, read once, then looked up by what stands on the wire.

Strategy. `load` walks ROOT before the workers are forked and copies the files into one sealed
memfd, the smallest first, up to a limit of memory. Every worker maps it read-only, and a reply is a
slice of it. Files beyond the limit stay on disk and are read in bounded chunks when asked for.

The table maps the canonical, percent-encoded path to an `Entry`. A target as clients usually
write it is found with one look-up of its own octets; any other spelling is decoded, checked and
encoded again first (`resolve`). Nothing outside ROOT can be reached by a name, because there is
nothing but the table to look in: it holds directories, and the regular files whose real path lies
in ROOT.

Rules. A symbolic link that leads out of ROOT, a device, a socket is not in the table (404). A
directory without index.html and a file that may not be read is there, forbidden (403). A path
with a dot segment, a NUL or a broken escape is refused (400). What was loaded is what is served:
a change on disk needs a restart, except that a file left on disk is looked at again when opened.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import re
import stat

import cython
from cython.cimports.corten.core.arena import Buffer

from corten.app.content_type import content_type_of
from corten.app.http_date import format_date
from corten.endpoint.error import CortenError

if not cython.compiled:
    # Kinds of entries.
    RESIDENT = 0  # a file in memory
    DISK = 1  # a file beyond the limit of memory
    MOVED = 2  # a directory asked for without its slash
    FORBIDDEN = 3

    ENTRIES_MAX = 1000000  # paths of a site: about 1 GB of table
    DEPTH_MAX = 64  # directories below one another, links followed
    SLICE_MAX = 16777216  # octets of a file handed to `send` at once: a queue has its limits
    ALIGNMENT = 64  # of a file in the memfd: a cache line; even, as prefix sums like it

_INDEX = b"index.html"
_PLAIN = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@"
)
_ENCODED = [bytes((o,)) if o in _PLAIN else b"%%%02X" % o for o in range(256)]
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")


@cython.final
@cython.cclass
class Entry:
    """What one path leads to, and the replies to it that are ready to be sent."""

    kind: cython.int
    is_ready: cython.bint  # RESIDENT, and short enough for a ready reply
    length: cython.Py_ssize_t  # of the file
    at: cython.Py_ssize_t  # RESIDENT: where in the site's memory
    path: bytes  # DISK: the real path; MOVED: the path to go to
    media: bytes  # the media type, by the end of the name
    modified: cython.longlong  # seconds since 1970
    etag: bytes
    fields: bytes  # the field lines that every reply with this file carries
    # Ready replies to a plain GET; good while `second` is the service's.
    second: cython.longlong
    rest: cython.Py_ssize_t  # octets of the file to send after `keep`
    keep: Buffer | None  # head, and the file where it is small
    close: Buffer | None  # the same with `Connection: close`

    def __init__(self, kind: cython.int, path: bytes = b"", media: bytes = b"") -> None:
        self.kind = kind
        self.media = media
        self.is_ready = False
        self.length = 0
        self.at = 0
        self.path = path
        self.modified = 0
        self.etag = b""
        self.fields = b""
        self.second = -1
        self.rest = 0
        self.keep = None
        self.close = None

    def describe(self, status: os.stat_result, length: int) -> None:
        """State what the file is. The tag changes with size or time of modification."""
        self.length = length
        self.modified = int(status.st_mtime)
        self.etag = b'"%x-%x"' % (status.st_mtime_ns, length)
        self.fields = b"".join(
            (
                b"Content-Type: ",
                self.media,
                b"\r\nLast-Modified: ",
                format_date(int(self.modified)),
                b"\r\nETag: ",
                self.etag,
                b"\r\nAccept-Ranges: bytes\r\n",
            )
        )
        self.second = -1


@cython.final
@cython.cclass
class Site:
    """The table of paths, and the memory that the resident files lie in."""

    entries: dict[bytes, Entry]
    memory: Buffer
    root: bytes
    resident_len: cython.Py_ssize_t
    disk_len: cython.Py_ssize_t

    def __init__(self, root: bytes) -> None:
        self.root = root
        self.entries = {}
        self.memory = Buffer(b"")
        self.resident_len = 0
        self.disk_len = 0

    @cython.cfunc
    def find(self, target: bytes) -> Entry | None:
        """The entry of a target as it stands on the wire, when it is spelled canonically."""
        return self.entries.get(target)

    def resolve(self, target: bytes) -> Entry | int:
        """The entry of any target (path and query), or the status that refuses it."""
        path = target.partition(b"?")[0] or b"/"
        entry = self.entries.get(path)
        if entry is not None:
            return entry
        decoded = []
        for segment in path.split(b"/"):
            name = segment
            if b"%" in segment:
                if any(not digits for digits in _ESCAPE.findall(segment)):
                    return 400
                name = _ESCAPE.sub(_octet, segment)
            if name in (b".", b"..") or b"\0" in name:
                return 400
            if b"/" in name:
                return 404
            decoded.append(name)
        return self.entries.get(encode_path(b"/".join(decoded)), 404)

    def open_disk(self, entry: Entry) -> int:
        """A descriptor of a DISK entry, brought up to date. OSError when it is no longer there.

        What was opened is checked, not what was asked for: no link made since can lead out.
        """
        fd = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(fd)
            real = os.readlink(b"/proc/self/fd/%d" % fd)
            if not stat.S_ISREG(status.st_mode) or not _is_inside(real, self.root):
                raise FileNotFoundError(errno.ENOENT, "no longer a file of the site")
            if status.st_size != entry.length or int(status.st_mtime) != entry.modified:
                entry.describe(status, status.st_size)
        except OSError:
            os.close(fd)
            raise
        return fd


def _octet(escape: re.Match[bytes]) -> bytes:
    return bytes((int(escape[1], 16),))


def encode_path(path: bytes) -> bytes:
    """The canonical spelling of a path: everything but RFC 3986's pchar and "/" is escaped."""
    return b"/".join(b"".join([_ENCODED[o] for o in segment]) for segment in path.split(b"/"))


def _is_inside(path: bytes, root: bytes) -> bool:
    return path == root or path.startswith(root if root.endswith(b"/") else root + b"/")


Known = dict[tuple[int, int, bytes], Entry]  # by device, inode and media type


# -- loading --------------------------------------------------------------------------------


def load(root: str, memory_max: int = 512 << 20, sums: bool = False) -> Site:
    """Read the tree at `root`. `sums`: with prefix sums, for links that do not offload checksums.

    CortenError when there is no such directory, or it holds too many files.
    """
    real_root = os.path.realpath(os.fsencode(root))
    if not os.path.isdir(real_root):
        raise CortenError(f"no such directory: {root}")
    site = Site(real_root)
    files: list[tuple[int, bytes, bytes]] = []
    _walk(site, files)
    files.sort()
    _copy_in(site, files, memory_max)
    if sums and site.resident_len:
        site.memory.with_sums()
    _add_directories(site)
    return site


def _walk(site: Site, files: list[tuple[int, bytes, bytes]]) -> None:
    """Find the regular files of the tree as (size, path on the wire, real path)."""
    root = site.root
    todo: list[tuple[bytes, bytes, tuple[bytes, ...]]] = [(root, b"/", (root,))]
    site.entries[b"/"] = Entry(FORBIDDEN)
    while todo:
        directory, prefix, above = todo.pop()
        try:
            listing = sorted(os.scandir(directory), key=lambda item: item.name)
        except OSError:
            continue  # silent: it stays forbidden
        for item in listing:
            path = prefix + encode_path(item.name)
            real = os.path.realpath(item.path) if item.is_symlink() else item.path
            try:
                status = os.lstat(real)
            except OSError:
                continue  # silent: it is gone, or a link that leads nowhere
            if not _is_inside(real, root):
                continue
            if stat.S_ISREG(status.st_mode):
                files.append((status.st_size, path, real))
            elif stat.S_ISDIR(status.st_mode) and real not in above and len(above) < DEPTH_MAX:
                todo.append((real, path + b"/", (*above, real)))
                site.entries[path + b"/"] = Entry(FORBIDDEN)
                site.entries[path] = Entry(MOVED, path + b"/")
            if len(files) + len(site.entries) > ENTRIES_MAX:
                raise CortenError(f"more than {ENTRIES_MAX} files under {os.fsdecode(root)}")


def _copy_in(site: Site, files: list[tuple[int, bytes, bytes]], memory_max: int) -> None:
    """Copy files, smallest first, into the memfd while they fit; make an entry of each."""
    memory_fd = os.memfd_create("corten-site", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    known: Known = {}
    at = 0
    try:
        for _, path, real in files:
            entry = _entry_of(path, real, memory_fd, at, memory_max, known=known)
            site.entries[path] = entry
            if entry.kind == DISK:
                site.disk_len += entry.length
            elif entry.kind == RESIDENT and entry.at == at:
                site.resident_len += entry.length
                at += (entry.length + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        if at:
            os.ftruncate(memory_fd, at)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(memory_fd, fcntl.F_ADD_SEALS, seals)
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            site.memory = Buffer(mmap.mmap(memory_fd, at, flags=flags, prot=mmap.PROT_READ))
    finally:
        os.close(memory_fd)


def _entry_of(
    path: bytes, real: bytes, memory_fd: int, at: int, memory_max: int, *, known: Known
) -> Entry:
    """The entry of one file, copied in at `at` when it fits. A file of two names is copied once."""
    try:
        fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return Entry(FORBIDDEN)
    with os.fdopen(fd, "rb", buffering=0) as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return Entry(FORBIDDEN)
        media = content_type_of(path.decode("ascii")).encode()
        identity = (status.st_dev, status.st_ino, media)
        if identity in known:
            return known[identity]
        entry: Entry = Entry(DISK, real, media)
        known[identity] = entry
        length = status.st_size
        if at + length <= memory_max:
            entry.kind = RESIDENT
            entry.is_ready = length <= SLICE_MAX
            entry.at = at
            length = _copy_file(memory_fd, at, file.fileno(), length)
        entry.describe(status, length)
        return entry


def _copy_file(memory_fd: int, at: int, fd: int, length: int) -> int:
    """Copy `length` octets of a file to `at`; fewer when it has shrunk since it was looked at."""
    copied = 0
    os.lseek(memory_fd, at, os.SEEK_SET)
    try:
        while copied < length:
            count = os.sendfile(memory_fd, fd, copied, min(length - copied, 1 << 30))
            if count == 0:
                break
            copied += count
    except OSError as error:
        raise CortenError(f"cannot preload the site: {error.strerror}; lower --memory") from error
    return copied


def _add_directories(site: Site) -> None:
    """A directory with an index.html leads to it."""
    for path in [path for path in site.entries if path.endswith(b"/")]:
        index = site.entries.get(path + _INDEX)
        if index is not None and index.kind != MOVED:
            site.entries[path] = index
