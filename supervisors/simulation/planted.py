"""Planted bugs: wrong lines that are put into the product while it is loaded, to see whether the simulator notices.

    bugs/*.toml --> Bug --> plant(bug) --> import of its module --> the source with the bug in it is compiled

Only in a process of its own, before the module is imported: self_test.py starts those. Nothing of it reaches the disk.
A text that does not stand in the module exactly once is an error: then the bug is not what its table says.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

BUGS = Path(__file__).parent / "bugs"
PACKAGE = "ferryman"


class NotPlanted(Exception):
    """A bug whose text is not in the product, or that came too late."""


@dataclass(frozen=True, slots=True)
class Bug:
    """name: a sentence's worth. module: below `ferryman`. find, replace: source. script: the scenario beside the table
    that must fail. race: it shows only where things overlap."""

    name: str
    about: str
    module: str
    find: str
    replace: str
    script: str
    race: bool = False

    @property
    def scenario(self) -> Path:
        return BUGS / self.script

    def put_into(self, source: str) -> str:
        """The source with the bug. Raises NotPlanted."""
        count = source.count(self.find)
        if count != 1:
            raise NotPlanted(f"the bug {self.name!r}: its text stands in {self.module} {count} times, and not once")
        return source.replace(self.find, self.replace)


def read_bugs(folder: Path = BUGS) -> list[Bug]:
    """All of them, in the order of the files and in these. Raises NotPlanted for an unknown key, or a name twice."""
    keys = {one.name for one in fields(Bug)}
    bugs: list[Bug] = []
    for path in sorted(folder.glob("planted_*.toml")):
        for table in tomllib.loads(path.read_text(encoding="utf-8"))["bug"]:
            if unknown := sorted(table.keys() - keys):
                raise NotPlanted(f"{path.name}: {table.get('name')!r} has an unknown key {unknown[0]!r}")
            bugs.append(Bug(**table))
    names = [bug.name for bug in bugs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise NotPlanted(f"two bugs are named {twice[0]!r}")
    return bugs


def plant(bug: Bug) -> None:
    """From now on the module has the bug, in this process. Raises NotPlanted when it is loaded already."""
    module = f"{PACKAGE}.{bug.module}"
    if module in sys.modules:
        raise NotPlanted(f"the bug {bug.name!r}: {module} was loaded before it")
    sys.meta_path.insert(0, Finder(module, bug))


class Finder(MetaPathFinder):
    """Finds the one module, and gives it a loader of ours."""

    def __init__(self, module: str, bug: Bug) -> None:
        self._module = module
        self._bug = bug

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self._module else None
        if spec is not None and spec.origin is not None:
            spec.loader = Loader(fullname, spec.origin, self._bug)
            spec.cached = None
        return spec


class Loader(SourceFileLoader):
    """Compiles the source with the bug. What is cached of the right one is left alone."""

    def __init__(self, fullname: str, path: str, bug: Bug) -> None:
        super().__init__(fullname, path)
        self._bug = bug

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self._bug.put_into(Path(path).read_text(encoding="utf-8"))
        return compile(source, path, "exec", dont_inherit=True)


def child() -> None:
    """A process of its own: reads a job, plants its bug, and only then loads what works on it."""
    job = json.loads(sys.stdin.read())
    if job["bug"] is not None:
        plant(Bug(**job["bug"]))
    work = import_module(f"{__package__}.hunt")
    sys.stdout.write(f"\n{json.dumps(work.answer(job['work']))}\n")
