"""Python files that a script uses: each is run once a process, for the steps, programs and invariants it registers."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.simulation.registry import INVARIANTS

_ran: dict[Path, tuple[str, ...]] = {}
"""File -> the invariants that it registered: they judge the scenarios that use it, and no others."""


def run_beside(script: Path, name: object) -> tuple[str, ...]:
    """Run the file, if nobody has; its invariants. Raises BadInput with the line at which it failed."""
    if not isinstance(name, str):
        raise BadInput(f"{script}: uses: wants names of Python files, as seen from the script, not {name!r}")
    path = (script.parent / name).resolve()
    if not path.is_file():
        raise BadInput(f"{script}: uses: there is no file {path}")
    if path in _ran:
        return _ran[path]
    before = INVARIANTS.all()
    module_name = f"ferryman_scenario_{path.stem}"
    spec = spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{script}: uses: {path} is no Python file")
    module = sys.modules[module_name] = module_from_spec(spec)
    sys.path.append(str(path.parent))  # it may import what stands beside it, as `python FILE` could
    try:
        spec.loader.exec_module(module)
    except BadInput as error:
        raise BadInput(f"{script}: uses: {path}: {error.message}") from None
    except (Exception, SystemExit) as error:
        raise BadInput(f"{script}: uses: {told_of(error, path)}") from error
    _ran[path] = tuple(invariant for invariant in INVARIANTS.all() if invariant not in before)
    return _ran[path]


def told_of(error: BaseException, path: Path) -> str:
    """Where the file failed, and with what."""
    line = next((at.lineno for at in reversed(extract_tb(error.__traceback__)) if at.filename == str(path)), None)
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line = error.lineno
    where = str(path) if line is None else f"{path}:{line}"
    return f"{where}: {type(error).__name__}: {str(error) or 'no more is known'}"
