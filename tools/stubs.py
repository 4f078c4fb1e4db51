"""What is shipped beside the compiled modules: type stubs, and headers that need no Cython.

A compiled module's .pyi has what Python sees of it: C types as int, float, bool and memoryview,
C functions left out, docstrings kept. Plain modules need none, their source is typed.

A header's .py is shipped as its constants alone: its functions are C's (the .pxd has them), and
`import cython` must not be needed where Corten is installed.

Rules. Written into a build only. In the source tree a .pyi would hide the .py from mypy.
"""

from __future__ import annotations

import ast
from pathlib import Path

from tools.source import Module, Program, decorators, is_cfunc, is_uncompiled_block

REALS = {"double", "float"}
NOT_PYTHON = {"cclass", "ccall", "inline", "nogil", "no_gc", "final"}


class _Annotations(ast.NodeTransformer):
    """C types as Python has them."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if not (isinstance(node.value, ast.Name) and node.value.id == "cython"):
            return node
        if node.attr in REALS:
            return ast.Name("float")
        if node.attr == "bint":
            return ast.Name("bool")
        if node.attr == "void":
            return ast.Constant(None)
        return ast.Name("memoryview" if node.attr.startswith("p_") else "int")

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        base = node.value
        while isinstance(base, ast.Subscript):
            base = base.value
        if isinstance(base, ast.Attribute) and ast.unparse(base).startswith("cython."):
            axes = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            is_view = any(isinstance(axis, ast.Slice) for axis in axes)
            if is_view or base.attr == "pointer":
                return ast.Name("memoryview")
            element = self.visit_Attribute(base)
            return ast.Subscript(ast.Name("list"), element)
        self.generic_visit(node)
        return node


def python_type(node: ast.expr) -> str:
    copied = ast.parse(ast.unparse(node), mode="eval").body
    return ast.unparse(_Annotations().visit(copied))


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef, indent: str) -> list[str]:
    text = ast.get_docstring(node, clean=False)
    if text is None:
        return []
    quoted = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return [f'{indent}"""{quoted}"""']


def _arguments(spec: ast.arguments) -> str:
    """The arguments with Python's types and `...` for defaults."""
    copied = ast.parse(f"def f({ast.unparse(spec)}): ...").body[0]
    assert isinstance(copied, ast.FunctionDef)
    new = copied.args
    plain = [*new.posonlyargs, *new.args, *new.kwonlyargs]
    for argument in [*plain, *(a for a in (new.vararg, new.kwarg) if a)]:
        if argument.annotation is not None:
            argument.annotation = _Annotations().visit(argument.annotation)
    new.defaults = [ast.Constant(...) for _ in new.defaults]
    new.kw_defaults = [d and ast.Constant(...) for d in new.kw_defaults]
    return ast.unparse(new)


def _function(node: ast.FunctionDef, indent: str) -> list[str]:
    marks = decorators(node)
    if "cfunc" in marks:
        return []
    kept = [m for m in marks if m not in NOT_PYTHON and not m.startswith("exceptval")]
    lines = [f"{indent}@{mark}" for mark in kept]
    returns = python_type(node.returns) if node.returns else "None"
    head = f"{indent}def {node.name}({_arguments(node.args)}) -> {returns}:"
    doc = _docstring(node, indent + "    ")
    return [*lines, head, *doc] if doc else [*lines, f"{head} ..."]


def _class(node: ast.ClassDef, source: list[str]) -> list[str]:
    is_cclass = "cclass" in decorators(node)
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    lines = ["@final"] if is_cclass and "final" in decorators(node) else []
    head = f"class {node.name}{bases}:"
    lines += [head, *_docstring(node, "    ")]
    for member in node.body:
        if isinstance(member, ast.FunctionDef):
            lines += _function(member, "    ")
        elif isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            name, kind = member.target.id, python_type(member.annotation)
            comment = source[(member.end_lineno or member.lineno) - 1].partition("#")[2]
            if not is_cclass or comment.strip().startswith("writable"):
                lines.append(f"    {name}: {kind}")
            elif not name.startswith("_"):
                lines += ["    @property", f"    def {name}(self) -> {kind}: ..."]
    if lines[-1] == head:
        lines[-1] += " ..."
    return lines


def _imports(module: Module, program: Program) -> list[str]:
    """The ordinary imports, and what is cimported as Python sees it."""
    lines = ["from typing import Any, final"]
    for item in module.imports:
        if item.module in {"cython", "__future__"}:
            continue
        target = f" as {item.alias}" if item.alias != item.name else ""
        start = f"from {item.module} import {item.name}" if item.name else f"import {item.module}"
        keep = item.name or item.alias != item.module.partition(".")[0]
        lines.append(start + (target if keep else ""))
    for item in module.cimports:
        source = program.get(item.module)
        if source and (item.name in source.cclasses or item.name in source.constants):
            lines.append(f"from {item.module} import {item.name} as {item.alias}")
    return lines


def _global(name: str, value: ast.expr) -> str:
    """A global without an annotation: another name of a type, a literal, or anything."""
    if isinstance(value, ast.Name | ast.Attribute | ast.Subscript):
        return f"{name} = {ast.unparse(value)}"
    if isinstance(value, ast.Constant):
        return f"{name}: {type(value.value).__name__}"
    return f"{name}: Any"


def stub(module: Module, program: Program) -> str:
    """The text of a compiled or header module's .pyi."""
    lines = [*_docstring(module.tree, ""), *_imports(module, program), ""]
    lines += [
        f"{c.name}: {'float' if isinstance(c.value, float) else 'int'}"
        for c in module.constants.values()
    ]
    source = module.text.splitlines()
    for node in module.tree.body:
        match node:
            case ast.ClassDef():
                lines += _class(node, source)
            case ast.FunctionDef():
                lines += _function(node, "")
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id="TypeAlias")):
                assert node.value is not None
                lines.append(f"{name} = {python_type(node.value)}")
            case ast.AnnAssign(target=ast.Name(id=name)) if name in module.others:
                lines.append(f"{name}: {python_type(node.annotation)}")
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in module.others:
                lines.append(_global(name, value))
    return "\n".join(lines) + "\n"


def header(module: Module) -> str:
    """A header's .py as shipped: its docstring, its constants, its other imports."""
    lines = [*_docstring(module.tree, ""), "", "from __future__ import annotations", ""]
    for node in module.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            if not ast.unparse(node).startswith(
                ("import cython", "from cython", "from __future__")
            ):
                lines.append(ast.unparse(node))
        elif is_uncompiled_block(node):
            assert isinstance(node, ast.If)
            lines += [ast.unparse(inner) for inner in node.body]
        elif isinstance(node, ast.Assign):
            lines.append(ast.unparse(node))
        elif isinstance(node, ast.AnnAssign) and not _is_c_alias(node) and node.value:
            lines.append(f"{ast.unparse(node.target)} = {ast.unparse(node.value)}")
        elif isinstance(node, ast.FunctionDef) and not is_cfunc(node):
            lines += ["", ast.unparse(node), ""]
    return "\n".join(lines) + "\n"


def _is_c_alias(node: ast.AnnAssign) -> bool:
    return ast.unparse(node.annotation) == "TypeAlias" and "cython." in ast.unparse(node)


def write(program: Program, root: Path, target: Path) -> list[Path]:
    """Write every stub and every header below `target`; the files written."""
    written = []
    for module in program.values():
        if module.kind == "plain":
            continue
        path = target / module.path.relative_to(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".pyi").write_text(stub(module, program), encoding="utf-8")
        written.append(path.with_suffix(".pyi"))
        if not module.is_compiled and any(i.module == "cython" for i in module.imports):
            path.write_text(header(module), encoding="utf-8")
    return written
