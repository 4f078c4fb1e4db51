"""Network namespaces without names, and the wires between them.

A namespace here is a file descriptor: nothing is mounted under /run/netns, so nothing can be left
behind. When the process ends, however it ends, the kernel removes the namespace and every device
in it. Programs are started inside it by `setns` between fork and exec.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS = 0x0002_0000
_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWNET = 0x4000_0000
_PR_SET_PDEATHSIG = 1
_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x1002

# Both sides of every comparison run with these. A connection per request uses up the ports of one
# client address in two seconds unless a port in TIME-WAIT may be used again.
SETTINGS = {
    "net/ipv4/tcp_congestion_control": "cubic",
    "net/ipv4/ip_local_port_range": "1024 65535",
    "net/ipv4/tcp_tw_reuse": "1",
    "net/ipv4/tcp_tw_reuse_delay": "10",
    "net/ipv4/tcp_max_syn_backlog": "65535",
    "net/core/somaxconn": "65535",
    "net/ipv6/conf/all/disable_ipv6": "1",
}
# Newer or rarer settings: absent or not writable is no error, but the report says so.
_OPTIONAL = {
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_tw_reuse_delay",
    "net/ipv6/conf/all/disable_ipv6",
    "net/ipv4/tcp_max_syn_backlog",
}


class NamespaceError(Exception):
    """The environment does not permit it; one line that says what to do."""


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise NamespaceError(f"{what}: {os.strerror(number)} (run as root, or in a user namespace)")


def write_setting(name: str, value: str) -> None:
    """Write one kernel setting of the namespace that the caller is in."""
    with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
        file.write(value)


@contextmanager
def cubic_allowed() -> Iterator[None]:
    """Let namespaces choose CUBIC; the host's list is put back at the end.

    A namespace may only choose what the host's `tcp_allowed_congestion_control` names, and a host
    whose default is another (bbr) does not name CUBIC.
    """
    name = "net/ipv4/tcp_allowed_congestion_control"
    with open(f"/proc/sys/{name}", encoding="ascii") as file:
        before = file.read().strip()
    if "cubic" in before.split():
        yield
        return
    try:
        write_setting(name, f"{before} cubic")
    except OSError:  # silent: the setting stays as the host has it
        yield  # not permitted: the namespace then runs with what the host has
        return
    try:
        yield
    finally:
        write_setting(name, before)


def die_with_parent() -> None:
    """To be called in a child: it is killed when its parent ends, however that ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def become_root_inside() -> None:
    """Move this process into a user namespace of its own, in which it is root (and nowhere else).

    NamespaceError where the system does not permit it: one line that says how to.
    """
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWNET) != 0:
        raise NamespaceError(f"user namespaces are not permitted: {_remedy()}")
    try:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"0 {user} 1"),
            ("gid_map", f"0 {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    except OSError:
        raise NamespaceError(f"user namespaces are restricted: {_remedy()}") from None


def _remedy() -> str:
    """How to permit user namespaces on this system."""
    for name, bad, good in (
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
        ("user/max_user_namespaces", "0", "10000"),
    ):
        try:
            with open(f"/proc/sys/{name}", encoding="ascii") as file:
                if file.read().strip() == bad:
                    return f"sudo sysctl -w {name.replace('/', '.')}={good}, or run as root"
        except OSError:
            continue  # silent: this kernel has no such setting
    return "run as root"


def enter(fd: int) -> None:
    """Move the calling thread into the network namespace `fd`."""
    _check(_libc.setns(fd, _CLONE_NEWNET), "setns")


class Namespace:
    """A network namespace of our own, as long as this object lives."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.settings: dict[str, str] = {}
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.unshare(_CLONE_NEWNET), "unshare")
            try:
                self.fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                self._configure()
            finally:
                enter(home)
        finally:
            os.close(home)
        self.ip("link", "set", "lo", "up")

    def _configure(self) -> None:
        for name, value in SETTINGS.items():
            try:
                write_setting(name, value)
                self.settings[name] = value
            except OSError as error:
                if name not in _OPTIONAL:
                    raise NamespaceError(f"/proc/sys/{name}: {error.strerror}") from None

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is in the namespace within the block."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(self.fd)
            yield
        finally:
            enter(home)
            os.close(home)

    def tap(self, name: str) -> int:
        """The descriptor of a TAP device inside: one frame a call, no virtio header, no waiting."""
        with self.inside():
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP_NO_PI))
        return fd

    def speak_ipv6(self, dad: bool = False) -> None:
        """Undo what SETTINGS say of IPv6. `dad`: the kernel tries its addresses first (RFC 4862).
        OSError where there is no IPv6."""
        with self.inside():
            for device in ("all", "default"):
                write_setting(f"net/ipv6/conf/{device}/disable_ipv6", "0")
            write_setting("net/ipv6/conf/default/accept_dad", "1" if dad else "0")

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def command(self, words: Sequence[str]) -> str:
        """Run a short program inside to its end; its output. NamespaceError when it fails."""
        done = subprocess.run(
            list(words),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=self.preparation(),
            timeout=20,
        )
        if done.returncode:
            text = (done.stderr or done.stdout).strip().replace("\n", "; ")
            raise NamespaceError(f"{' '.join(words)}: {text}")
        return done.stdout

    def ip(self, *words: str) -> str:
        """The `ip` command of iproute2, inside."""
        return self.command(["ip", *words])

    def preparation(self) -> Callable[[], None]:
        """What a child does between fork and exec: enter, and die when the parent dies."""
        fd = self.fd

        def prepare() -> None:
            die_with_parent()
            enter(fd)

        return prepare

    def write_sysfs(self, values: dict[str, str]) -> None:
        """Write /sys files of devices in this namespace; sysfs shows the namespace it was mounted
        in, so a child mounts one of its own."""
        script = ["mount -t sysfs corten-bench /sys"]
        script += [f"echo {value} > /sys/{name}" for name, value in values.items()]
        self.command(["unshare", "-m", "sh", "-ec", "\n".join(script)])

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def connect(left: Namespace, right: Namespace, left_address: str, right_address: str) -> None:
    """A veth pair: `wire` in both, each with its address and prefix, up."""
    left.ip("link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", right.path)
    for side, address in ((left, left_address), (right, right_address)):
        side.ip("address", "add", address, "dev", "wire")
        side.ip("link", "set", "wire", "up")


def steer(side: Namespace, device: str, core: int) -> None:
    """Run what `device` receives in this namespace on `core` (RPS): one end of a veth pair, or a
    TAP device of one queue.

    A NAPI thread pinned to the core would do it too, but a veth then queues no more than 256
    frames: a thousand clients overflow it, and the lost requests wait for a retransmission.
    """
    side.write_sysfs({f"class/net/{device}/queues/rx-0/rps_cpus": format(1 << core, "x")})
