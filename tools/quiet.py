"""Nothing fails in silence: no C function that swallows an exception, no handler that hides one.

Cython writes `__Pyx_WriteUnraisable("name")` into the C of each function declared
`@cython.exceptval(check=False)` that can raise after all: it would print and go on. There may be
none.

In the sources a handler must raise, log, count, or at least do something with the error: call a
function, use its name. One that does not needs a comment `# silent: reason` in its block, and a
bare `except:` is never right.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.source import PACKAGE, SourceError, load

FOLDERS = (PACKAGE, "tools", "bench")
UNRAISABLE = re.compile(r'__Pyx_WriteUnraisable\("([^"]+)"')
SILENT = re.compile(r"#\s*silent:\s*\S")
TAG = f"cython-py{sys.version_info.major}{sys.version_info.minor}"


def loud(root: Path) -> Iterator[str]:
    """noexcept functions that can raise, as the generated C tells."""
    built = root / "build" / TAG
    for module in load(root).values():
        if not module.is_compiled:
            continue
        path = built / module.path.relative_to(root).with_suffix(".c")
        if not path.exists():
            yield f"{path.relative_to(root)} is missing: ./dev build"
            continue
        for name in sorted(set(UNRAISABLE.findall(path.read_text(encoding="utf-8")))):
            yield f"{module.path.relative_to(root)}: {name} is exceptval(check=False) but can raise"


def _deals_with(handler: ast.ExceptHandler) -> bool:
    """Whether the handler raises, counts, calls something, or looks at the error."""
    kinds = (ast.Raise, ast.AugAssign, ast.Call)
    for node in (inner for statement in handler.body for inner in ast.walk(statement)):
        if isinstance(node, kinds) or (isinstance(node, ast.Name) and node.id == handler.name):
            return True
    return False


def _is_suppress(node: ast.AST) -> bool:
    return isinstance(node, ast.With) and any(
        isinstance(item.context_expr, ast.Call)
        and ast.unparse(item.context_expr.func).endswith("suppress")
        for item in node.items
    )


def silent(root: Path) -> Iterator[str]:
    """Handlers that swallow an error without a word."""
    for path in sorted(p for folder in FOLDERS for p in (root / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            where = f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ExceptHandler):
                if node.type is None:
                    yield f"{where}: a bare except: name what is expected"
                elif _deals_with(node):
                    continue
            elif not _is_suppress(node):
                continue
            assert isinstance(node, ast.ExceptHandler | ast.With)
            block = lines[node.lineno - 1 : node.end_lineno]
            if not any(SILENT.search(line) for line in block):
                yield f"{where}: swallows an error; say why in a comment `# silent: reason`"


def main() -> None:
    root = Path.cwd()
    try:
        wrong = [*loud(root), *silent(root)]
    except SourceError as error:
        wrong = [str(error)]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
