"""From an annotation to the C type that Cython makes of it (found by compiling each on 3.3.1).

Where the .py and its .pxd disagree, an attribute silently takes the .pxd's type and a C function
fails to compile. So an attribute may be spelled more freely than a signature: `list[bytes]` is a
`list` there, but in a signature Cython 3.3 has no .pxd spelling for most subscripted builtins.
"""

from __future__ import annotations

import ast
import builtins

from tools.source import Constant, Imported, Module, Program, SourceError

SCALARS = {
    "bint": "bint",
    "char": "char",
    "schar": "signed char",
    "uchar": "unsigned char",
    "short": "short",
    "ushort": "unsigned short",
    "int": "int",
    "uint": "unsigned int",
    "long": "long",
    "ulong": "unsigned long",
    "longlong": "long long",
    "ulonglong": "unsigned long long",
    "size_t": "size_t",
    "ssize_t": "ssize_t",
    "Py_ssize_t": "Py_ssize_t",
    "Py_hash_t": "Py_hash_t",
    "float": "float",
    "double": "double",
    "void": "void",
}
CONTAINERS = {"bytes", "bytearray", "list", "dict", "tuple", "str", "set", "frozenset"}
BUILTINS = CONTAINERS | {"type", "memoryview", "slice", "range"}
BUILTINS |= {
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
NUMBERS = {"float": "double", "bool": "bint"}  # what Cython makes of Python's own
TYPING_MODULES = {"typing", "collections.abc", "types"}


class Types:
    """The types of one module: its own names, those it imports, those it cimports."""

    def __init__(self, module: Module, program: Program) -> None:
        self.module = module
        self.program = program
        self.used: set[str] = set()
        self.cimported = {item.alias: item for item in module.cimports}
        self.imported = {item.alias: item for item in module.imports}

    # -- the types ----------------------------------------------------------------------------

    def in_attribute(self, node: ast.expr) -> str:
        """The C type of a cclass's attribute, or of an alias."""
        return self._ctype(node, strict=False)

    def in_signature(self, node: ast.expr) -> str:
        """The C type of an argument or of what a C function returns."""
        return self._ctype(node, strict=True)

    def declare(self, ctype: str, name: str) -> str:
        return f"{ctype}{name}" if ctype.endswith("*") else f"{ctype} {name}"

    def _ctype(self, node: ast.expr, strict: bool) -> str:
        match node:
            case ast.Attribute(value=ast.Name(id="cython"), attr=name):
                return self._cython(node, name)
            case ast.Attribute(value=ast.Name(id=module)) if module in self.cimported:
                self.used.add(module)
                return ast.unparse(node)
            case ast.Attribute(value=ast.Name(id=module)) if module in self.imported:
                return "object"
            case ast.Name(id=name):
                return self._name(node, name, strict)
            case ast.BinOp(op=ast.BitOr()):
                return self._union(node, _members(node), strict)
            case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
                return self._union(node, [inner, ast.Constant(None)], strict)
            case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=members)):
                return self._union(node, members, strict)
            case ast.Subscript(value=value, slice=index):
                return self._subscript(node, value, index, strict)
            case ast.Constant(value=str()):
                raise self._error(node, "take the quotes away (from __future__ import annotations)")
            case ast.Constant(value=None):
                raise self._error(node, "write cython.void")
        raise self._error(node, "not a type that the .pxd generator knows")

    def _cython(self, node: ast.expr, name: str) -> str:
        if name in SCALARS:
            return SCALARS[name]
        base = name.lstrip("p").removeprefix("_")
        stars = len(name) - len(name.lstrip("p"))
        if name.startswith("p") and base in SCALARS:
            return f"{SCALARS[base]} {'*' * stars}"
        raise self._error(node, "not a C type that the .pxd generator knows")

    def _name(self, node: ast.expr, name: str, strict: bool) -> str:
        module = self.module
        if name in module.cclasses:
            return name
        if name in module.aliases:
            value = module.aliases[name]
            return name if self.is_c_alias(value) else self._ctype(value, strict)
        if name in module.classes or name in module.others:
            return "object"
        if name in self.cimported:
            self.used.add(name)
            return name
        if name in self.imported:
            return self._python(node, self.imported[name], strict)
        if name in NUMBERS:
            return NUMBERS[name]
        if name == "int":
            raise self._error(node, "say which C integer (cython.longlong), or object")
        if name in BUILTINS:
            return name
        if name == "object":
            return "object"
        raise self._error(node, "a name that is neither defined nor imported here")

    def _python(self, node: ast.expr, item: Imported, strict: bool) -> str:
        """A name from an ordinary import: a Python object, unless it should have been cimported."""
        source = self.program.get(item.module)
        if source is None or item.typing_only:
            return "object"
        if item.name in source.cclasses:
            text = f"a cclass: write `from cython.cimports.{item.module} import {item.name}`"
            raise self._error(node, text)
        if item.name in source.aliases:
            return Types(source, self.program)._ctype(source.aliases[item.name], strict)
        return "object"

    def _union(self, node: ast.expr, members: list[ast.expr], strict: bool) -> str:
        """`X | None` is X, as Cython has it; any other union is an object."""
        real = [m for m in members if not (isinstance(m, ast.Constant) and m.value is None)]
        if len(real) > 1:
            for member in real:
                if not _is_number(member):
                    self._ctype(member, strict=False)
            return "object"
        if _is_number(real[0]):
            if strict:
                raise self._error(node, "Cython has no C type for it in a signature: write object")
            return "object"
        ctype = self._ctype(real[0], strict)
        if ctype in SCALARS.values() or ctype.endswith("*"):
            raise self._error(node, "a C number cannot be None")
        return ctype

    def _subscript(self, node: ast.expr, value: ast.expr, index: ast.expr, strict: bool) -> str:
        match value:
            case ast.Attribute(value=ast.Name(id="cython"), attr="pointer"):
                return f"{self._ctype(index, strict)} *"
            case ast.Attribute(value=ast.Name(id="cython"), attr="const"):
                return f"const {self._ctype(index, strict)}"
            case ast.Name(id="type"):
                return "object"
            case ast.Name(id=name) if name in CONTAINERS:
                if strict:
                    raise self._error(node, f"in a C function's signature write plain `{name}`")
                return name
        axes = index.elts if isinstance(index, ast.Tuple) else [index]
        if axes and all(isinstance(axis, ast.Slice) for axis in axes):
            return f"{self._ctype(value, strict)}[{', '.join(ast.unparse(a) for a in axes)}]"
        base = self._ctype(value, strict)
        if base == "object":
            return base  # Callable[...], Iterator[...]
        if strict:
            raise self._error(node, "a C array cannot be passed or returned")
        return f"{base}[{ast.unparse(index)}]"

    def base(self, node: ast.expr) -> str:
        """The base of a cclass: another cclass, or a builtin."""
        match node:
            case ast.Name(id=name) if name in self.module.cclasses or name in self.cimported:
                self.used |= {name} & set(self.cimported)
                return name
            case ast.Name(id=name) if name in BUILTINS:
                return name
            case ast.Attribute(value=ast.Name(id=module)) if module in self.cimported:
                self.used.add(module)
                return ast.unparse(node)
        raise self._error(node, "the base of a cclass is a cclass, cimported or defined here")

    def scalar_of(self, constant: Constant) -> str:
        """The C type of a wide constant: what it says, else the narrowest of the widest."""
        if constant.scalar in SCALARS:
            return SCALARS[constant.scalar]
        if isinstance(constant.value, float):
            return "double"
        return "long long" if constant.value < 2**63 else "unsigned long long"

    def is_c_alias(self, node: ast.expr) -> bool:
        """Whether an alias stands for a C type (and not for a typing construct)."""
        return any(isinstance(n, ast.Name) and n.id == "cython" for n in ast.walk(node))

    # -- the cimports -------------------------------------------------------------------------

    def use_names(self, node: ast.AST) -> None:
        """Every name in a body that goes into the .pxd must be cimported there."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and inner.id in self.cimported:
                self.used.add(inner.id)

    def check_cimports(self) -> None:
        """A cimport must name something that C can see; an import of a cfunc sees nothing."""
        for item in self.module.cimports:
            source = self.program.get(item.module)
            if source is None or f"{item.module}.{item.name}" in self.program:
                self._check_module(item, source)
            elif item.name in source.classes or item.name in source.others:
                text = (
                    f"{item.name} is a Python name: write `from {item.module} import {item.name}`"
                )
                raise self.module.error(item.line, text)
            elif not _exports(source, item.name):
                raise self.module.error(item.line, f"{item.module} has no C name {item.name}")
        for item in self.module.imports:
            source = self.program.get(item.module)
            function = source.cfuncs.get(item.name) if source else None
            if function is not None and not _is_ccall(function) and not item.typing_only:
                text = f"{item.name} is a cfunc: cimport it, Python cannot see it"
                raise self.module.error(item.line, text)

    def _check_module(self, item: Imported, source: Module | None) -> None:
        package = self.module.name.partition(".")[0]
        if source is None and item.module.partition(".")[0] == package:
            raise self.module.error(item.line, f"no module {item.module}")
        if source is not None and source.kind == "plain" and source.path.name != "__init__.py":
            raise self.module.error(item.line, f"{item.module} is plain Python: import it")

    def cimport_lines(self) -> list[str]:
        lines = []
        for name in sorted(self.used):
            item = self.cimported[name]
            alias = f" as {item.alias}" if item.alias != item.name else ""
            lines.append(f"from {item.module} cimport {item.name}{alias}")
        return sorted(lines)

    def _error(self, node: ast.expr, text: str) -> SourceError:
        return self.module.error(node, f"{ast.unparse(node)}: {text}")


def _members(node: ast.expr) -> list[ast.expr]:
    """The members of `a | b | c`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_members(node.left), *_members(node.right)]
    return [node]


def _exports(source: Module, name: str) -> bool:
    tables = (source.cclasses, source.cfuncs, source.constants, source.aliases)
    return any(name in table for table in tables)


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"int", "float", "bool"}


def _is_ccall(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(d) == "cython.ccall" for d in node.decorator_list)
