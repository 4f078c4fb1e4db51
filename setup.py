"""Build the compiled modules: .pxd files from the sources, C from both, machine code from that.

`python setup.py build_ext --inplace` puts one tagged .so beside each source, so that several
CPython versions share a tree. Only what changed, and what depends on it, is built again.

Rules. One cythonize call, so that Cython sees which module depends on which .pxd. Everything made
on the way lies in build/, named after the CPython version.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

import Cython
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from tools import (  # noqa: E402  # a build backend does not put the project on sys.path
    profiled,
    pxd,
    stubs,
)
from tools.source import Program, SourceError  # noqa: E402

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": True,  # a wrong offset raises; it never reads
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "auto_pickle": False,
}
# symbols of one extension module are nobody else's: no interposition, nothing exported
CFLAGS = [
    "-O2",
    "-g0",
    "-fno-semantic-interposition",
    "-fvisibility=hidden",
    "-Wno-unused-function",
]
TAG = f"cython-{profiled.TAG}"
SHARED = (
    "corten._cyutility"  # Cython's own code, once instead of in each module: a third of the time
)
JOBS = os.cpu_count() or 1


def remove_stale(program: Program) -> None:
    """An extension module whose source is no longer compiled would hide the source."""
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    wanted = {m.path.with_suffix(suffix) for m in program.values() if m.is_compiled}
    wanted.add(ROOT / (SHARED.replace(".", "/") + suffix))
    for path in (ROOT / "corten").rglob(f"*{suffix}"):
        if path not in wanted:
            path.unlink()


def settings_changed(flags: list[str]) -> bool:
    """Whether all must be built again: Cython compares times of sources, not how they are built."""
    known = (Cython.__version__, sorted(DIRECTIVES.items()), flags, profiled.flags(), SHARED)
    settings = repr(known)
    kept = ROOT / "build" / TAG / "settings"
    if kept.exists() and kept.read_text(encoding="utf-8") == settings:
        return False
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(settings, encoding="utf-8")
    return True


def extensions(program: Program) -> list[Extension]:
    remove_stale(program)
    flags = CFLAGS + shlex.split(os.environ.get("CORTEN_CFLAGS", ""))
    modules = [
        Extension(m.name, [str(m.path.relative_to(ROOT))], extra_compile_args=flags)
        for m in program.values()
        if m.is_compiled
    ]
    modules.append(Extension(SHARED, [SHARED.replace(".", "/") + ".c"], extra_compile_args=flags))
    os.chdir(ROOT)
    made: list[Extension] = cythonize(
        modules,
        build_dir=f"build/{TAG}",
        compiler_directives=DIRECTIVES,
        nthreads=JOBS,
        shared_utility_qualified_name=SHARED,
        force=settings_changed(flags),
    )
    return made


class BuildExtensions(build_ext):
    """Compiles in parallel, through ccache where it is installed, by a profile where there is one.

    The profile's flags are none of an Extension's, for Cython writes these into the C, and counts
    hold for the very lines that were counted.
    """

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or JOBS
        compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC"))
        if shutil.which("ccache") and "CC" not in os.environ:
            compiler = f"ccache {compiler}"
        os.environ["CC"] = shlex.join([*shlex.split(compiler), *profiled.flags()])


class BuildSources(build_py):
    """Adds type stubs, and headers that do without Cython, to what is installed."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            stubs.write(pxd.load(ROOT), ROOT, Path(self.build_lib))


def main() -> None:
    try:
        program = pxd.write(ROOT)
    except SourceError as error:
        sys.exit(str(error))
    setup(
        ext_modules=extensions(program),
        cmdclass={"build_ext": BuildExtensions, "build_py": BuildSources},
    )


main()
