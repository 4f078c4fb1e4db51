"""A small package of every shape of module, compiled once a worker, for the tests of the tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import pxd

ROOT = Path(__file__).parent.parent.parent

SOURCES = {
    "__init__.py": "",
    "seq.py": '''
"""Header module."""
from typing import TypeAlias
import cython

U32: cython.uint = 0xFFFF_FFFF
SECOND: cython.longlong = 1_000_000_000
NEVER: cython.longlong = 0x7FFF_FFFF_FFFF_FFFF
HALF: cython.double = 0.5
STEP = 1 << 4
NAMES = ("a", "b")
Word: TypeAlias = cython.ulonglong

@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def seq_add(a: cython.uint, n: cython.uint = STEP) -> cython.uint:
    """Inlined where it is cimported."""
    return (a + n) & U32

@cython.cfunc
@cython.inline
def wide(n: cython.longlong) -> Word:
    total: Word = n * SECOND
    return total
''',
    "base.py": '''
from __future__ import annotations
from typing import Any, Optional
from collections.abc import Callable
import cython
from cython.cimports.sample.seq import Word

if not cython.compiled:
    CLOSED = 0
    LISTEN = CLOSED + 1
    MASK = ~0

class Plain:
    pass

@cython.cclass
class Node:
    """Attributes of every kind."""
    c_int: cython.int
    c_uint: cython.uint  # a comment
    c_uchar: cython.uchar
    c_ulonglong: cython.ulonglong
    c_size: cython.Py_ssize_t
    c_bint: cython.bint
    c_double: cython.double
    c_word: Word
    c_array: cython.uint[16]
    c_view: cython.uchar[::1]
    c_grid: cython.longlong[:, ::1]
    c_const: cython.const[cython.uchar][::1]
    _pointer: cython.p_uchar
    py_float: float
    py_bool: bool
    py_bytes: bytes
    py_list: list[int]
    py_dict: dict[str, int] | None
    py_object: object
    py_any: Any
    py_call: Callable[[int], int] | None
    py_plain: Plain
    py_plain_or: Plain | None
    py_maybe: float | None
    py_error: Exception | None
    py_type: type[Plain]
    same: Node | None
    later: Optional[Leaf]
    open: cython.uint  # writable: the test sets it
    _hidden: cython.uint

    def __init__(self) -> None:
        self.c_uint = 1
        self.same = None
        self.later = None
        self.open = 0

    @cython.ccall
    def twice(self, n: cython.uint, extra: cython.uint = 1) -> cython.uint:
        return 2 * n + extra

    @cython.cfunc
    def weight(self, other: Node | None, error: Exception | None) -> cython.uint:
        return self.c_uint if other is None else other.c_uint

    @cython.cfunc
    @cython.exceptval(check=False)
    def quick(self) -> cython.uint:
        return self.c_uint

    @staticmethod
    @cython.cfunc
    def make() -> Node:
        return Node()

@cython.final
@cython.cclass
class Leaf(Node):
    leaf: cython.uint

def weigh(node: Node, other: Node | None) -> int:
    return node.weight(other, None)

def name_of(state: cython.int) -> str:
    if state == CLOSED:
        return "closed"
    elif state == LISTEN:
        return "listen"
    elif state == MASK:
        return "mask"
    return "?"
''',
    "derived.py": """
from __future__ import annotations
import cython
from cython.cimports.sample.base import LISTEN, Node, name_of_state
from cython.cimports.sample.seq import NEVER, STEP, seq_add, wide

@cython.final
@cython.cclass
class Twig(Node):
    far: cython.ulonglong

    @cython.cfunc
    def weight(self, other: Node | None, error: Exception | None) -> cython.uint:
        return seq_add(0xFFFF_FFFF, 3)

def numbers() -> tuple[int, int, int, int, int]:
    return LISTEN, STEP, NEVER, wide(60), seq_add(5)

def made() -> Node:
    return Node.make()
""".replace(", name_of_state", ""),
}

SETUP = """
import sys
from setuptools import Extension, setup
from Cython.Build import cythonize
directives = {"language_level": 3, "wraparound": False, "cdivision": True, "auto_pickle": False}
modules = [Extension(f"sample.{n}", [f"sample/{n}.py"], extra_compile_args=["-O0", "-g0"])
           for n in ("base", "derived")]
setup(name="sample", packages=[], ext_modules=cythonize(modules, compiler_directives=directives))
"""


def write_package(root: Path, sources: dict[str, str], package: str = "sample") -> Path:
    """Lay `sources` out as a package below root; root."""
    for name, text in sources.items():
        path = root / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip(), encoding="utf-8")
    return root


def run_python(root: Path, code: str) -> str:
    """What `code` prints, run in root with the project's tools within reach."""
    program = f"import sys; sys.path.append({str(ROOT)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the package, compiled in place."""
    root = write_package(tmp_path_factory.mktemp("built"), SOURCES)
    pxd.write(root, "sample")
    (root / "setup.py").write_text(SETUP, encoding="utf-8")
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(build, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return root
