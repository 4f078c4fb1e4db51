"""Write each compiled or header module's .pxd from its .py: the .py alone states a type.

A header's .pxd carries the bodies (`cdef inline`) and its constants; any other module's declares
its cclasses, cfuncs and constants. A cimport from it is then a C call and a struct access.

Rules. An annotation that is not known here is an error that names its line, never `object`: that
would compile, pass its tests and be seventy times slower. What each annotation turns into must be
what Cython makes of the same annotation in the .py; `tests/tools/test_pxd.py` compiles each one.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from tools.cython_types import Types
from tools.source import (
    PACKAGE,
    Constant,
    Module,
    Program,
    SourceError,
    decorators,
    is_cfunc,
    load,
)

MARK = "# Written by tools/pxd.py from the .py beside it. Do not edit."
INT_MAX = 2**31 - 1
NUMBER = re.compile(r"((un)?signed )?(char|short|int|long|long long|Py_ssize_t|bint|float|double)")
NARROW = {"", "bint", "uchar", "schar", "short", "ushort", "int", "uint"}  # an enum member will do


def _exceptions(module: Module, node: ast.FunctionDef, returns: str) -> str:
    """The exception clause: bare may raise, `check=False` never does, a number may mean it.

    Of a function that returns a C number -1 means it by itself. Cython does so too where it finds
    the function in a .py, but not where a .pxd declares it: there each call asks CPython. Of
    methods it does so nowhere (where it matters they say it).
    """
    for text in decorators(node):
        if text.startswith("exceptval"):
            if text == "exceptval(check=False)":
                return " noexcept"
            if marked := re.fullmatch(r"exceptval\((-?\d+), check=True\)", text):
                return f" except? {marked[1]}"
            raise module.error(node, f"@cython.{text}: only exceptval(check=False), or none at all")
    is_method = bool(node.args.args) and node.args.args[0].arg == "self"
    return " except? -1" if NUMBER.fullmatch(returns) and not is_method else ""


def _arguments(types: Types, node: ast.FunctionDef, with_values: bool) -> list[str]:
    spec = node.args
    if spec.vararg or spec.kwarg or spec.kwonlyargs:
        raise types.module.error(node, f"{node.name}: a C function takes positional arguments only")
    first_default = len(spec.args) - len(spec.defaults)
    texts = []
    for i, argument in enumerate([*spec.posonlyargs, *spec.args]):
        if argument.arg == "self":
            texts.append("self")
            continue
        if argument.annotation is None:
            raise types.module.error(argument, f"{node.name}: annotate {argument.arg}")
        text = types.declare(types.in_signature(argument.annotation), argument.arg)
        if i >= first_default:
            value = ast.unparse(spec.defaults[i - first_default])
            text += f"={value}" if with_values else "=*"
        texts.append(text)
    return texts


def signature(types: Types, node: ast.FunctionDef, with_values: bool = False) -> str:
    """`type name(arguments) clause`, as it stands after cdef or cpdef."""
    if node.returns is None:
        raise types.module.error(node, f"{node.name}: annotate what it returns (cython.void)")
    returns = types.in_signature(node.returns)
    nogil = " nogil" if "nogil" in decorators(node) else ""
    arguments = ", ".join(_arguments(types, node, with_values))
    head = types.declare(returns, node.name)
    return f"{head}({arguments}){_exceptions(types.module, node, returns)}{nogil}"


def _method(types: Types, node: ast.FunctionDef) -> list[str]:
    marks = decorators(node)
    lines = ["    @staticmethod"] if "staticmethod" in marks else []
    kind = "cpdef" if "ccall" in marks else "cdef"
    return [*lines, f"    {kind} {signature(types, node)}"]


def _attribute(types: Types, node: ast.AnnAssign, source: list[str]) -> str:
    assert isinstance(node.target, ast.Name)
    name = node.target.id
    if node.value is not None:
        raise types.module.error(node, f"{name}: no value here; set it in __init__")
    ctype = types.in_attribute(node.annotation)
    comment = source[(node.end_lineno or node.lineno) - 1].partition("#")[2]
    if name.startswith("_"):
        visibility = ""
    elif "*" in ctype:
        raise types.module.error(node, f"{name}: a pointer is private; call it _{name}")
    else:
        visibility = "public " if comment.strip().startswith("writable") else "readonly "
    return f"    cdef {visibility}{types.declare(ctype, name)}"


def _head(types: Types, node: ast.ClassDef) -> str:
    bases = [types.base(base) for base in node.bases]
    if len(bases) > 1:
        raise types.module.error(node, f"{node.name}: a cclass has one base")
    return f"cdef class {node.name}" + (f"({bases[0]})" if bases else "")


def _check_decorators(module: Module, node: ast.ClassDef) -> None:
    """Cython wants freelist and its like above cclass, and says so badly."""
    marks = decorators(node)
    for text in marks[marks.index("cclass") + 1 :]:
        raise module.error(node, f"{node.name}: put @cython.{text} above @cython.cclass")


def _cclass(types: Types, node: ast.ClassDef) -> list[str]:
    _check_decorators(types.module, node)
    source = types.module.text.splitlines()
    # of a subclass, Cython would take each method in the .py for the override of a final one
    lines = ["@cython.final"] if "final" in decorators(node) and not node.bases else []
    lines += ["@cython.no_gc"] if "no_gc" in decorators(node) else []  # what a subclass asks for
    lines.append(_head(types, node) + ":")
    body: list[str] = []
    for member in node.body:
        if isinstance(member, ast.AnnAssign):
            body.append(_attribute(types, member, source))
        elif isinstance(member, ast.FunctionDef) and is_cfunc(member):
            body += _method(types, member)
    return [*lines, *(body or ["    pass"]), ""]


def _literal(constant: Constant) -> str:
    if isinstance(constant.value, float):
        return repr(constant.value)
    if constant.value > 2**63 - 1:
        return f"{constant.value}ULL"
    if constant.value == -(2**63):
        return "(-9223372036854775807LL - 1)"
    return f"{constant.value}LL"


def _is_enum(constant: Constant) -> bool:
    fits = isinstance(constant.value, int) and -INT_MAX <= constant.value <= INT_MAX
    return fits and constant.scalar in NARROW


def _constants(types: Types) -> list[str]:
    """Small ones as an enum (usable in a C switch); the others as typed macros, in headers only."""
    module = types.module
    enum = [c for c in module.constants.values() if _is_enum(c)]
    wide = [c for c in module.constants.values() if not _is_enum(c)]
    if wide and module.kind != "header":
        text = "a wide or typed constant that C shall know: put it into a header module"
        raise module.error(wide[0].line, f"{wide[0].name}: {text}")
    lines: list[str] = []
    if enum:
        kind = "cdef" if module.kind == "header" else "cpdef"
        lines += [f"{kind} enum:", *(f"    {c.name} = {c.value}" for c in enum), ""]
    if wide:
        prefix = module.name.upper().replace(".", "_")
        rows = [(c, types.scalar_of(c), f"{prefix}_{c.name}") for c in wide]
        macros = [f"    #define {macro} (({ctype}){_literal(c)})" for c, ctype, macro in rows]
        names = [f'    const {ctype} {c.name} "{macro}"' for c, ctype, macro in rows]
        lines += ["cdef extern from *:", '    """', *macros, '    """', *names, ""]
    return lines


def _header_body(types: Types) -> list[str]:
    lines = [
        f"ctypedef {types.in_attribute(value)} {name}"
        for name, value in types.module.aliases.items()
        if types.is_c_alias(value)
    ]
    lines += [""] if lines else []
    for node in types.module.cfuncs.values():
        types.use_names(node)
        statements = [s for s in node.body if not isinstance(s, ast.Expr) or not _is_text(s)]
        body = "\n".join(ast.unparse(s) for s in statements) or "pass"
        lines.append(f"cdef inline {signature(types, node, with_values=True)}:")
        lines += [f"    {line}" for line in body.splitlines()]
        lines.append("")
    return lines


def _is_text(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _module_body(types: Types) -> list[str]:
    module = types.module
    for name, value in module.aliases.items():
        if types.is_c_alias(value):
            raise module.error(value, f"{name}: an alias of a C type belongs into a header module")
    classes = list(module.cclasses.values())
    lines = [_head(types, c) for c in classes] if len(classes) > 1 else []
    lines += [""] if lines else []
    for node in classes:
        lines += _cclass(types, node)
    for function in module.cfuncs.values():
        kind = "cpdef" if "ccall" in decorators(function) else "cdef"
        lines.append(f"{kind} {signature(types, function)}")
    return lines


def generate(module: Module, program: Program) -> str:
    """The text of the module's .pxd."""
    types = Types(module, program)
    types.check_cimports()
    body = _constants(types)
    body += _header_body(types) if module.kind == "header" else _module_body(types)
    cimports = types.cimport_lines()
    lines = [MARK, "", "cimport cython", *cimports, "", *body]
    return "\n".join(lines).rstrip() + "\n"


def write(root: Path, package: str = PACKAGE) -> Program:
    """Write every .pxd whose text changed, remove those without a source; the program read."""
    program = load(root, package)
    wanted: set[Path] = set()
    for module in program.values():
        if module.kind == "handwritten":
            Types(module, program).check_cimports()
        if module.kind not in {"compiled", "header"}:
            continue
        path = module.path.with_suffix(".pxd")
        wanted.add(path)
        text = generate(module, program)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in (root / package).rglob("*.pxd"):
        if path not in wanted and path.read_text(encoding="utf-8").startswith(MARK):
            path.unlink()
    return program


def main() -> None:
    try:
        program = write(Path.cwd())
    except SourceError as error:
        sys.exit(str(error))
    for module in program.values():
        if module.kind != "plain":
            print(f"{module.kind:12} {module.name}")


if __name__ == "__main__":
    main()
