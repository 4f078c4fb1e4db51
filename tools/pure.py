"""Run the .py sources as they stand, uncompiled: `cython.cimports.corten.x` is `corten.x`.

    CORTEN_PURE=1 pytest ...            through conftest.py
    python -m tools.pure MODULE ARGS    any module, as `python -m MODULE ARGS`

Rules. Only names of this package are touched. Compiled modules beside the sources are passed over,
so both kinds of run share one tree. What only C has (libc, posix) is an ImportError that says so.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType

CIMPORTS = "cython.cimports"


class Sources(MetaPathFinder):
    """Finds the package's modules as sources, even where an extension module lies beside."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.package and not name.startswith(self.package + "."):
            return None
        for entry in sys.path if path is None else path:
            spec = FileFinder(entry or ".", (SourceFileLoader, [".py"])).find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        return None


class Cimports(MetaPathFinder, Loader):
    """Makes `cython.cimports.corten.x` another name of the module `corten.x`."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith(CIMPORTS + "."):
            return None
        real = name[len(CIMPORTS) + 1 :]
        if real != self.package and not real.startswith(self.package + "."):
            text = f"{real} exists only in C: cimport it under `if cython.compiled:`"
            raise ImportError(text, name=name)
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        real = importlib.import_module(module.__name__[len(CIMPORTS) + 1 :])
        sys.modules[module.__name__] = real


def install(package: str = "corten") -> None:
    """From now on `package` is imported uncompiled. RuntimeError when it has been imported."""
    if package in sys.modules:
        raise RuntimeError(f"{package} has been imported: install the hook before it")
    importlib.import_module("cython")
    for name in [name for name in sys.modules if name.startswith(CIMPORTS)]:
        del sys.modules[name]  # Cython's own stand-ins for libc raise nothing that helps
    cimports = ModuleType(CIMPORTS)
    cimports.__path__ = []
    sys.modules[CIMPORTS] = cimports
    sys.meta_path[:0] = [Sources(package), Cimports(package)]


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: python -m tools.pure MODULE [ARGUMENT ...]")
    install()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
