"""The sources as the tools see them: which modules exist, what kind each is, what names it holds.

Kinds. A module without `import cython` is *plain* Python. One with it is *compiled*, unless it
holds only constants, type aliases and `@cython.cfunc @cython.inline` functions: then it is a
*header*, whose bodies go into its .pxd and which is never compiled. A module beside a .pxd whose
first line is `# handwritten` is *handwritten*: its .py is the plain twin, not compiled either.

Rules. Only syntax is read here; nothing of the project is imported or run.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "corten"
CIMPORTS = "cython.cimports."
HANDWRITTEN = "# handwritten"

Number = int | float

_OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}


class SourceError(Exception):
    """A source breaks a rule of pure mode. The text is `file:line: what, and what to do`."""

    def __init__(self, path: Path, line: int, text: str) -> None:
        super().__init__(f"{path}:{line}: {text}")


@dataclass(frozen=True)
class Imported:
    """One imported name: `from module import name as alias`; name is "" for `import module`."""

    module: str
    name: str
    alias: str
    line: int
    typing_only: bool = False


@dataclass(frozen=True)
class Constant:
    """A number with a name, and the C type its annotation states ("" when it has none)."""

    name: str
    value: Number
    scalar: str
    line: int


@dataclass
class Module:
    """One source file and the names at its top level."""

    name: str
    path: Path
    text: str
    tree: ast.Module
    kind: str = "plain"
    cimports: list[Imported] = field(default_factory=list)
    imports: list[Imported] = field(default_factory=list)
    cclasses: dict[str, ast.ClassDef] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    cfuncs: dict[str, ast.FunctionDef] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    aliases: dict[str, ast.expr] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)

    def error(self, node: ast.AST | int, text: str) -> SourceError:
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return SourceError(self.path, line, text)

    @property
    def is_compiled(self) -> bool:
        return self.kind == "compiled"


Program = dict[str, Module]


def decorators(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    """The decorators as written, without the `cython.` before them."""
    return [ast.unparse(d).removeprefix("cython.") for d in node.decorator_list]


def is_cfunc(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and not {"cfunc", "ccall"}.isdisjoint(decorators(node))


def top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those inside top-level `if` and `try` blocks included."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from top_level(node.body)
            yield from top_level(node.orelse)
        elif isinstance(node, ast.Try):
            yield from top_level(node.body)


def _imported(node: ast.stmt, typing_only: bool) -> Iterator[Imported]:
    if isinstance(node, ast.ImportFrom):
        for name in node.names:
            yield Imported(
                node.module or "", name.name, name.asname or name.name, node.lineno, typing_only
            )
    elif isinstance(node, ast.Import):
        for name in node.names:
            alias = name.asname or name.name.partition(".")[0]
            yield Imported(name.name, "", alias, node.lineno, typing_only)


def _read_imports(module: Module) -> None:
    guarded = {
        id(inner)
        for node in module.tree.body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.ImportFrom) and node.level:
            raise module.error(node, "a relative import: write the whole name")
        for item in _imported(node, id(node) in guarded):
            if not item.module.startswith(CIMPORTS):
                module.imports.append(item)
            elif not item.name:
                raise module.error(node, "write `from cython.cimports.a.b import name`")
            else:
                real = item.module.removeprefix(CIMPORTS)
                module.cimports.append(Imported(real, item.name, item.alias, item.line))


def evaluate(node: ast.expr, known: dict[str, Constant]) -> Number | None:
    """The number that a constant expression stands for; None when it is not one."""
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return int(value) if isinstance(value, bool) else value
        case ast.Name(id=name) if name in known:
            return known[name].value
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            number = evaluate(inner, known)
            return None if number is None else -number
        case ast.UnaryOp(op=ast.Invert(), operand=inner):
            number = evaluate(inner, known)
            return ~number if isinstance(number, int) else None
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            a, b = evaluate(left, known), evaluate(right, known)
            return None if a is None or b is None else _OPERATORS[type(op)](a, b)
    return None


def is_uncompiled_block(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "not cython.compiled"


def _assigned(node: ast.stmt) -> tuple[str, ast.expr | None, ast.expr] | None:
    """(name, annotation, value) of `name = value` and `name: annotation = value`."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, None, value
        case ast.AnnAssign(
            target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value
        ):
            return name, annotation, value
    return None


def _scalar(annotation: ast.expr | None) -> str:
    match annotation:
        case ast.Attribute(value=ast.Name(id="cython"), attr=scalar):
            return scalar
    return ""


def _read_names(module: Module, known: dict[str, Constant]) -> None:
    """Fill in the names; `known` are the constants that the module cimports."""
    seen = dict(known)
    in_block = {id(n) for b in module.tree.body if is_uncompiled_block(b) for n in ast.walk(b)}
    for node in top_level(module.tree.body):
        if isinstance(node, ast.ClassDef):
            kind = module.cclasses if "cclass" in decorators(node) else module.classes
            kind[node.name] = node
        elif isinstance(node, ast.FunctionDef):
            if is_cfunc(node):
                module.cfuncs[node.name] = node
            else:
                module.others.add(node.name)
        elif assigned := _assigned(node):
            name, annotation, value = assigned
            if isinstance(annotation, ast.Name) and annotation.id == "TypeAlias":
                module.aliases[name] = value
                continue
            number = evaluate(value, seen)
            if number is not None and (not module.is_compiled or id(node) in in_block):
                constant = Constant(name, number, _scalar(annotation), node.lineno)
                seen[name] = module.constants[name] = constant
            elif id(node) in in_block and module.is_compiled:
                raise module.error(node, f"{name}: only numbers under `if not cython.compiled:`")
            else:
                module.others.add(name)


def _header_breaker(module: Module) -> ast.stmt | None:
    """The first statement that a header may not hold."""
    for node in top_level(module.tree.body):
        match node:
            case ast.Import() | ast.ImportFrom() | ast.If():
                continue
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.FunctionDef() if {"cfunc", "inline"} <= set(decorators(node)):
                continue
            case ast.Assign() | ast.AnnAssign() if (assigned := _assigned(node)) and not isinstance(
                assigned[2], ast.Call | ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp
            ):
                continue
        return node
    return None


def _classify(module: Module) -> None:
    pxd = module.path.with_suffix(".pxd")
    if pxd.exists() and pxd.read_text(encoding="utf-8").startswith(HANDWRITTEN):
        module.kind = "handwritten"
        return
    imports_cython = any(i.module == "cython" for i in module.imports)
    if not imports_cython:
        if module.cimports:
            raise module.error(module.cimports[0].line, "a cimport without `import cython`")
        return
    if module.path.name == "__init__.py":
        raise module.error(1, "a package's __init__ stays plain Python: no `import cython`")
    breaker = _header_breaker(module)
    module.kind = "header" if breaker is None else "compiled"
    if breaker is not None and "Header module" in (ast.get_docstring(module.tree) or ""):
        text = "not for a header module: only constants, aliases and inline cfuncs"
        raise module.error(breaker, text)


def _cimported_constants(module: Module, program: Program) -> dict[str, Constant]:
    return {
        item.alias: program[item.module].constants[item.name]
        for item in module.cimports
        if item.module in program and item.name in program[item.module].constants
    }


def load(root: Path, package: str = PACKAGE) -> Program:
    """Read every source of `package` under `root`; the program, cimported modules first."""
    program: Program = {}
    for path in sorted((root / package).rglob("*.py")):
        relative = path.relative_to(root)
        name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text(encoding="utf-8")
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            raise SourceError(relative, error.lineno or 1, error.msg) from None
        program[name] = Module(name, relative, text, tree)
        program[name].path = path
    for module in program.values():
        _read_imports(module)
        _classify(module)
    ordered = in_order(program)
    for module in ordered:
        _read_names(module, _cimported_constants(module, program))
    return {module.name: module for module in ordered}


def in_order(program: Program) -> list[Module]:
    """The modules, each after those it cimports. A circle is an error that names its members."""
    ordered: list[Module] = []
    state: dict[str, int] = {}  # 1: on the path, 2: done

    def visit(module: Module, path: list[str]) -> None:
        if state.get(module.name) == 2:
            return
        if state.get(module.name) == 1:
            circle = " -> ".join([*path[path.index(module.name) :], module.name])
            raise module.error(1, f"circular cimport: {circle}: move what both need")
        state[module.name] = 1
        for item in module.cimports:
            for target in (item.module, f"{item.module}.{item.name}"):
                if target in program and target != module.name:
                    visit(program[target], [*path, module.name])
        state[module.name] = 2
        ordered.append(module)

    for name in sorted(program):
        visit(program[name], [])
    return ordered
