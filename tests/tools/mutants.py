"""Planted bugs: each is put into a copy of the tree, where its named test must fail on an assertion.

    python -m tests.tools.mutants [--only NAME] [--changed] [--check] [--budget SECONDS] [--verbose]

| outcome   | what the named test did with the bug in place                            | counts as caught |
|-----------|--------------------------------------------------------------------------|------------------|
| caught    | failed on an assertion of the tests                                      | yes              |
| survived  | passed                                                                   | no               |
| crashed   | failed on something else: an import, an exception, an assert of ours     | no               |
| timeout   | did not end                                                              | no               |
| unsound   | fails, or is not there, without the bug                                  | no               |

Entries stand in tests/mutants.toml and tests/mutants/*.toml: name, file, find (once in the file), replace, test.
Two workers, a copy of the tree each; a warm parent has the libraries loaded and forks a child for each bug.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import random
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

from tests.tools.mutant_workers import CAUGHT, UNSOUND, Job, Result, copy_tree, run_jobs, warm_up

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
SECONDS_FOR_SOUND = 120.0  # all named tests of one file, without a bug
SECONDS_FOR_ONE = 90.0  # one named test with a bug: it may wait a minute for what does not come


@dataclasses.dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    file: str
    find: str
    replace: str
    test: str
    source: str  # the toml it stands in

    @property
    def test_file(self) -> str:
        return self.test.partition("::")[0]


def main() -> int:
    options = read_options()
    root: Path = options.root.resolve()
    mutants = read_mutants(root)
    problems = check(root, mutants)
    if problems or options.check:
        for problem in problems:
            print(problem)
        print(f"{len(mutants)} planted bugs, {len(problems)} that do not fit")
        return 1 if problems else 0
    if options.only:
        mutants = [one for one in mutants if options.only in one.name]
    if options.changed:
        mutants = only_changed(root, mutants)
    if not mutants:
        print("no planted bugs to run")
        return 1 if options.only else 0
    if options.budget is not None:  # which ones are left out changes with the commit, not with the run
        random.Random(git(root, "rev-parse", "HEAD") or "no commit").shuffle(mutants)
    return run(root, mutants, budget=options.budget, verbose=options.verbose)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description="Run the planted bugs.")
    parser.add_argument("--only", metavar="NAME", help="those whose name contains NAME")
    parser.add_argument("--changed", action="store_true", help="those whose file, test or entry this change touches")
    parser.add_argument("--check", action="store_true", help="run nothing: do all entries still fit?")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="start no bug after this many seconds")
    parser.add_argument("--verbose", action="store_true", help="show what the test printed for each that is not caught")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    return parser.parse_args()


def read_mutants(root: Path) -> list[Mutant]:
    sources = [root / "tests" / "mutants.toml", *sorted((root / "tests" / "mutants").glob("*.toml"))]
    mutants: list[Mutant] = []
    for source in sources:
        if source.exists():
            entries = tomllib.loads(source.read_text()).get("mutant", [])
            mutants += [Mutant(source=str(source.relative_to(root)), **entry) for entry in entries]
    return mutants


def check(root: Path, mutants: list[Mutant]) -> list[str]:
    """One line for each entry that could not be run as it stands."""
    problems: list[str] = []
    names = Counter(one.name for one in mutants)
    problems += [f"{name}: {count} entries have this name" for name, count in names.items() if count > 1]
    tests: dict[str, frozenset[str]] = {}
    for one in mutants:
        path = root / one.file
        text = path.read_text() if path.is_file() else None
        if one.test_file not in tests:
            tests[one.test_file] = tests_of(root / one.test_file)
        where = f"{one.source}: {one.name!r}"
        if text is None:
            problems.append(f"{where}: no file {one.file}")
        elif text.count(one.find) != 1:
            problems.append(f"{where}: the text to find stands {text.count(one.find)} times in {one.file}")
        elif one.find == one.replace:
            problems.append(f"{where}: replaces a text by itself")
        elif path.suffix == ".py" and not parses(text.replace(one.find, one.replace)):
            problems.append(f"{where}: {one.file} is no Python any more")
        if one.test.partition("[")[0].partition("::")[2] not in tests[one.test_file]:
            problems.append(f"{where}: no test {one.test}")
    return problems


def parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def tests_of(path: Path) -> frozenset[str]:
    """`test_x`, `TestY::test_x`, and `TestY` for a hypothesis state machine bound to a name."""
    if not path.is_file():
        return frozenset()
    found: list[str] = []
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.append(node.name)
            case ast.ClassDef():
                found.append(node.name)
                functions = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
                found += [f"{node.name}::{one.name}" for one in functions]
            case ast.Assign(targets=[ast.Name(id=name)]):
                found += [name, f"{name}::runTest"]
            case _:
                pass
    return frozenset(found)


def only_changed(root: Path, mutants: list[Mutant]) -> list[Mutant]:
    """Against where this branch left main; on main itself against the commit before. The first commit changes all."""
    base = git(root, "merge-base", "HEAD", "main")
    if not base or base == git(root, "rev-parse", "HEAD"):
        base = git(root, "rev-parse", "--verify", "--quiet", "HEAD^1")
    if not base:
        print("no commit to compare with: all planted bugs are new")
        return mutants
    listed = git(root, "diff", "--name-only", base) + "\n" + git(root, "ls-files", "--others", "--exclude-standard")
    changed = frozenset(listed.split("\n"))
    return [one for one in mutants if changed & {one.file, one.test_file, one.source}]


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def run(root: Path, mutants: list[Mutant], *, budget: float | None, verbose: bool) -> int:
    started = time.monotonic()
    warm_up()
    with tempfile.TemporaryDirectory(prefix="mutants-") as workplace:
        copies = [copy_tree(root, Path(workplace) / f"copy{n}") for n in range(WORKERS)]
        unsound = find_unsound(copies, mutants)
        jobs = [
            Job(one.name, one.test, SECONDS_FOR_ONE, one.file, one.find, one.replace)
            for one in mutants
            if one.test not in unsound
        ]
        stop_at = None if budget is None else started + budget
        results = {one.name: one for one in run_jobs(copies, jobs, stop_at=stop_at, progress=print_progress)}
    for one in mutants:
        if one.test in unsound:
            results[one.name] = Result(one.name, UNSOUND, 0.0, unsound[one.test])
    return report(mutants, results, seconds=time.monotonic() - started, budget=budget, verbose=verbose)


def find_unsound(copies: list[Path], mutants: list[Mutant]) -> dict[str, str]:
    """Named tests that do not pass as they are, with what they said. One child a test file."""
    by_file: dict[str, list[str]] = {}
    for test in dict.fromkeys(one.test for one in mutants):
        by_file.setdefault(test.partition("::")[0], []).append(test)
    jobs = [Job(file, "\n".join(tests), SECONDS_FOR_SOUND) for file, tests in by_file.items()]
    failed = [one.name for one in run_jobs(copies, jobs) if one.outcome != "survived"]
    singly = [Job(test, test, SECONDS_FOR_ONE) for file in failed for test in by_file[file]]
    return {one.name: one.output for one in run_jobs(copies, singly) if one.outcome != "survived"}


def print_progress(result: Result) -> None:
    if sys.stdout.isatty() or result.outcome != CAUGHT:
        print(f"{result.outcome:9} {result.seconds:5.1f} s  {result.name}", flush=True)


def report(
    mutants: list[Mutant], results: dict[str, Result], *, seconds: float, budget: float | None, verbose: bool
) -> int:
    by_area: dict[str, Counter[str]] = {}
    for one in mutants:
        outcome = results[one.name].outcome if one.name in results else "not run"
        by_area.setdefault(Path(one.source).stem, Counter())[outcome] += 1
    columns = ["caught", "survived", "crashed", "timeout", "unsound", "not run"]
    print("\n" + "".join(f"{title:>10}" for title in ["area", *columns]))
    for area, counts in sorted(by_area.items()):
        print(f"{area:>10}" + "".join(f"{counts[column] or '':>10}" for column in columns))
    failed = [one for one in mutants if one.name in results and results[one.name].outcome != CAUGHT]
    for one in failed:
        print(
            f"\n{results[one.name].outcome}: {one.name}\n  {one.file}: {one.find.strip().splitlines()[0]}\n  {one.test}"
        )
        if verbose:
            print("  | " + "\n  | ".join(results[one.name].output.splitlines()[-30:]))
    caught = sum(one.outcome == CAUGHT for one in results.values())
    left_out = len(mutants) - len(results)
    print(f"\n{len(mutants)} planted bugs, {caught} caught, {len(failed)} not, in {seconds:.0f} s")
    if left_out:
        print(f"{left_out} not run: the budget of {budget:.0f} s was spent; `make mutants` runs all")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
