"""The .pxd generator: each annotation against the C type that comes out, and each refusal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tools.conftest import SOURCES, run_python, write_package
from tools import pxd
from tools.source import SourceError, load

NODE = "struct __pyx_obj_6sample_4base_Node *"
LEAF = "struct __pyx_obj_6sample_4base_Leaf *"
VIEW = "__Pyx_memviewslice "

C_TYPES = {
    "c_int": "int ",
    "c_uint": "unsigned int ",
    "c_uchar": "unsigned char ",
    "c_ulonglong": "unsigned PY_LONG_LONG ",
    "c_size": "Py_ssize_t ",
    "c_bint": "int ",
    "c_double": "double ",
    "c_word": "__pyx_t_6sample_3seq_Word ",
    "c_view": VIEW,
    "c_grid": VIEW,
    "c_const": VIEW,
    "_pointer": "unsigned char *",
    "py_float": "double ",
    "py_bool": "int ",
    "py_bytes": "PyObject *",
    "py_list": "PyObject *",
    "py_dict": "PyObject *",
    "py_object": "PyObject *",
    "py_any": "PyObject *",
    "py_call": "PyObject *",
    "py_plain": "PyObject *",
    "py_plain_or": "PyObject *",
    "py_maybe": "PyObject *",
    "py_error": "PyObject *",
    "py_type": "PyObject *",
    "same": NODE,
    "later": LEAF,
    "open": "unsigned int ",
    "_hidden": "unsigned int ",
}


@pytest.fixture(scope="module")
def fields(sample: Path) -> str:
    """The C struct of Node."""
    text = (sample / "sample" / "base.c").read_text(encoding="utf-8")
    found = re.search(r"struct __pyx_obj_6sample_4base_Node \{(.*?)\n\};", text, re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("name", C_TYPES)
def test_attribute_has_the_c_type(fields: str, name: str) -> None:
    assert f"\n  {C_TYPES[name]}{name};" in fields


def test_array_lies_in_the_object(fields: str) -> None:
    assert "\n  unsigned int c_array[16];" in fields


def test_visibility(sample: Path) -> None:
    code = """
from sample.base import Node
node = Node()
node.open = 7
print(node.open, node.c_uint, node.same, hasattr(node, "_hidden"), hasattr(node, "_pointer"))
try:
    node.c_uint = 3
except AttributeError:
    print("readonly")
"""
    assert run_python(sample, code) == "7 1 None False False\nreadonly"


def test_small_constants_are_a_c_switch(sample: Path) -> None:
    text = (sample / "sample" / "base.c").read_text(encoding="utf-8")
    assert "case __pyx_e_6sample_4base_LISTEN:" in text


NUMBERS = "(1, 16, 9223372036854775807, 60000000000, 21)"


def test_inheritance_inlines_and_constants_over_modules(sample: Path) -> None:
    code = """
from sample import base, derived
print(base.__file__.endswith(".so"), derived.__file__.endswith(".so"))
print(derived.numbers(), base.name_of(1), base.name_of(-1), base.LISTEN)
print(base.weigh(derived.Twig(), None), base.weigh(base.Leaf(), derived.Twig()))
print(base.Leaf().twice(4), base.Leaf().twice(4, 3), type(derived.made()).__name__)
"""
    lines = ["True True", f"{NUMBERS} listen mask 1", "2 1", "9 11 Node"]
    assert run_python(sample, code).splitlines() == lines


def test_plain_run_agrees(sample: Path) -> None:
    code = """
from tools import pure
pure.install("sample")
from sample import base, derived
print(base.__file__.endswith(".py"), derived.numbers())
print(base.weigh(derived.Twig(), None), base.Leaf().twice(4, 3))
"""
    assert run_python(sample, code).splitlines() == [f"True {NUMBERS}", "2 11"]


def test_nothing_is_written_twice(tmp_path: Path) -> None:
    root = write_package(tmp_path, SOURCES)
    pxd.write(root, "sample")
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*.pxd")}
    assert before
    pxd.write(root, "sample")
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*.pxd")} == before


def test_a_pxd_goes_with_its_source_and_a_handwritten_one_stays(tmp_path: Path) -> None:
    root = write_package(tmp_path, {**SOURCES, "atomic.py": "def load(): ...\n"})
    kept = root / "sample" / "atomic.pxd"
    kept.write_text("# handwritten\ncdef int load()\n", encoding="utf-8")
    pxd.write(root, "sample")
    (root / "sample" / "derived.py").unlink()
    program = pxd.write(root, "sample")
    assert not (root / "sample" / "derived.pxd").exists()
    assert kept.read_text(encoding="utf-8").startswith("# handwritten")
    assert program["sample.atomic"].kind == "handwritten"


def test_kinds(tmp_path: Path) -> None:
    program = load(write_package(tmp_path, {**SOURCES, "plain.py": "x = 1\n"}), "sample")
    kinds = {name.removeprefix("sample."): module.kind for name, module in program.items()}
    assert kinds == {
        "sample": "plain",
        "plain": "plain",
        "seq": "header",
        "base": "compiled",
        "derived": "compiled",
    }


HEAD = "from __future__ import annotations\nimport cython\n"
CLASS = f"{HEAD}@cython.cclass\nclass C:\n    "
CFUNC = f"{HEAD}def python(): ...\n@cython.cfunc\ndef f"

REFUSED = {
    "unknown name": (f"{CLASS}x: Unknown", "5: Unknown: a name that is neither"),
    "unknown C type": (f"{CLASS}x: cython.quad", "5: cython.quad: not a C type"),
    "Python's int": (f"{CLASS}x: int", "5: int: say which C integer"),
    "quotes": (f"{CLASS}x: 'C'", "take the quotes away"),
    "public pointer": (f"{CLASS}x: cython.p_uchar", "5: x: a pointer is private"),
    "value in the class": (f"{CLASS}x: cython.int = 3", "set it in __init__"),
    "C number or None": (f"{CLASS}x: cython.int | None", "a C number cannot be None"),
    "no annotation": (f"{CFUNC}(a) -> cython.int: return 1", "5: f: annotate a"),
    "no return type": (f"{CFUNC}(a: cython.int): return 1", "annotate what it returns"),
    "None returned": (f"{CFUNC}() -> None: ...", "write cython.void"),
    "subscript": (f"{CFUNC}(a: list[int]) -> cython.int: return 1", "plain `list`"),
    "float or None": (f"{CFUNC}(a: float | None) -> cython.int: return 1", "write object"),
    "array passed": (f"{CFUNC}(a: cython.int[4]) -> cython.int: return 1", "a C array cannot"),
    "keywords": (f"{CFUNC}(*, a: cython.int) -> cython.int: return 1", "positional"),
    "other exceptval": (
        f"{HEAD}def p(): ...\n@cython.cfunc\n@cython.exceptval(-1)\ndef f() -> cython.int: ...",
        "only exceptval(check=False)",
    ),
    "freelist below": (
        f"{HEAD}@cython.cclass\n@cython.freelist(8)\nclass C:\n    x: cython.int",
        "put @cython.freelist(8) above @cython.cclass",
    ),
    "wide constant": (
        f"{HEAD}if not cython.compiled:\n    BIG = 1 << 40\ndef python(): ...",
        "4: BIG: a wide or typed constant",
    ),
    "text in the block": (
        f"{HEAD}if not cython.compiled:\n    NAME = 'x'\ndef python(): ...",
        "only numbers",
    ),
    "class in a header": (f'"""Header module."""\n{CLASS}x: cython.int', "not for a header"),
    "imported cclass": (
        f"{HEAD}from sample.base import Node\n@cython.cclass\nclass C:\n    x: Node",
        "a cclass: write `from cython.cimports.sample.base import Node`",
    ),
    "imported cfunc": (
        f"{HEAD}from sample.seq import seq_add\ndef python(): ...",
        "3: seq_add is a cfunc: cimport it",
    ),
    "cimported Python class": (
        f"{HEAD}from cython.cimports.sample.base import Plain\ndef python(): ...",
        "3: Plain is a Python name: write `from sample.base import Plain`",
    ),
    "cimport of nothing": (
        f"{HEAD}from cython.cimports.sample.base import Nobody\ndef python(): ...",
        "sample.base has no C name Nobody",
    ),
    "cimport without cython": (
        "from cython.cimports.sample.base import Node",
        "a cimport without `import cython`",
    ),
    "relative import": ("from . import base", "a relative import"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_its_line(tmp_path: Path, case: str) -> None:
    text, message = REFUSED[case]
    root = write_package(tmp_path, {**SOURCES, "bad.py": text + "\n"})
    with pytest.raises(SourceError) as caught:
        pxd.write(root, "sample")
    assert "sample/bad.py:" in str(caught.value)
    assert message in str(caught.value)


def test_a_circle_is_named(tmp_path: Path) -> None:
    one = f"{HEAD}from cython.cimports.sample.two import B\n@cython.cclass\nclass A:\n    b: B\n"
    two = f"{HEAD}from cython.cimports.sample.one import A\n@cython.cclass\nclass B:\n    a: A\n"
    root = write_package(tmp_path, {"__init__.py": "", "one.py": one, "two.py": two})
    with pytest.raises(
        SourceError, match=r"circular cimport: sample.one -> sample.two -> sample.one"
    ):
        pxd.write(root, "sample")
