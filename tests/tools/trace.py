"""Which test settles which requirement or rule of the wire: reads the marks out of tests/, writes docs/traceability.md.

    python -m tests.tools.trace [--check]        --check writes nothing and fails when the page is stale

| a requirement is | when                                                                                  |
|------------------|---------------------------------------------------------------------------------------|
| settled          | a test carries `@pytest.mark.req("<id>")`: it would fail without it                   |
| otherwise        | a row of docs/deviations.md names it, with the reason                                 |
| open             | neither                                                                               |
| proved           | settled, and a planted bug names one of its tests                                     |

It fails on an id that nobody knows, on more than three ids at one function or case, and on an id that it cannot read
from the text of the test. The ids of requirements come from the specification where it lies beside the project, else
from tests/requirements.tsv, the project's own list of them; the rules of the wire stand in tests/wire_rules.tsv.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.tools.mutants import read_mutants
from tests.tools.wire_rules import ID as RULE_ID
from tests.tools.wire_rules import SECTIONS, Requirement, read_wire_rules

ROOT = Path(__file__).resolve().parents[2]
IDS_AT_MOST = 3  # a test that settles more settles nothing in particular
PROOF_WANTED = ("invariant", "limit", "error", "state machine")
REQUIREMENT_ID = re.compile(r"S[0-4]-\d{2,3}")
ID = re.compile(f"{REQUIREMENT_ID.pattern}|{RULE_ID.pattern}")
SOURCES = {
    "S0": "Hybrid source of truth",
    "S1": "Pairing and sessions",
    "S2": "Governed scopes",
    "S3": "Eviction and quiesce",
    "S4": "Sync and relay",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """One `req` mark, at a test or at one case of it."""

    test: str
    ids: tuple[str, ...]
    line: int


@dataclasses.dataclass(frozen=True, slots=True)
class Trace:
    requirements: list[Requirement]
    tests: dict[str, list[str]]  # id: tests that settle it
    reasons: dict[str, str]  # id: what holds otherwise
    proved: frozenset[str]

    def state_of(self, requirement: Requirement) -> str:
        if requirement.id in self.tests:
            return "settled"
        return "otherwise" if requirement.id in self.reasons else "open"

    def of(self, source: str) -> list[Requirement]:
        return [one for one in self.requirements if one.source == source]


def main() -> int:
    parser = argparse.ArgumentParser(prog="trace", description="Trace requirements to tests.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is stale")
    options = parser.parse_args()
    requirements = read_requirements(ROOT)
    rules, problems = read_wire_rules(ROOT / "tests" / "wire_rules.tsv")
    marks, unreadable = read_marks(ROOT)
    trace, unknown = connect(requirements + rules, marks, read_reasons(ROOT), named_by_bugs(ROOT))
    problems += unreadable + unknown
    outputs = {ROOT / "docs/traceability.md": page(trace), ROOT / "tests/requirements.tsv": table(requirements)}
    for path, text in outputs.items():
        if options.check:
            if not path.exists() or path.read_text() != text:
                problems.append(f"{path.relative_to(ROOT)} is not what the tests say: run `make trace`")
        else:
            path.write_text(text)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(summary(trace))
    return 1 if problems else 0


def read_requirements(root: Path) -> list[Requirement]:
    specification = root.parent / "shared" / "spec" / "requirements.md"
    if specification.exists():
        rows = [line.strip("|\n ").split(" | ") for line in specification.read_text().splitlines() if line[:3] == "| S"]
        return [Requirement(row[0], row[1], row[-1]) for row in rows if REQUIREMENT_ID.fullmatch(row[0])]
    lines = (root / "tests" / "requirements.tsv").read_text().splitlines()[1:]
    return [Requirement(*line.split("\t")) for line in lines]


def table(requirements: list[Requirement]) -> str:
    return "id\tsection\tkind\n" + "".join(f"{one.id}\t{one.section}\t{one.kind}\n" for one in requirements)


def read_marks(root: Path) -> tuple[list[Mark], list[str]]:
    marks: list[Mark] = []
    problems: list[str] = []
    for path in sorted((root / "tests").rglob("test_*.py")):
        where = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text())
        tables = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if "pytestmark" in tables and any(calls_of_req(tables["pytestmark"])):
            problems.append(f"{where}: a mark for a whole file says nothing about any test")
        for name, node in tests_in(tree):
            test = f"{where}::{name}"
            for decorator in node.decorator_list:
                # cases may stand in a table of their own: @pytest.mark.parametrize("case", CASES)
                used = [tables[one.id] for one in ast.walk(decorator) if isinstance(one, ast.Name) and one.id in tables]
                for call in (call for source in (decorator, *used) for call in calls_of_req(source)):
                    if call.args and all(isinstance(one, ast.Constant) for one in call.args):
                        marks.append(Mark(test, tuple(ids_in(*call.args)), call.lineno))
                    elif computed := ids_in(*used):  # a case takes its id from the row of the table that it stands for
                        marks += [Mark(test, (one,), call.lineno) for one in computed]
                    else:
                        problems.append(f"{where}:{call.lineno}: no id can be read here")
    return marks, problems


def tests_in(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name, node
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}::{inner.name}", inner
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node


def ids_in(*nodes: ast.AST) -> list[str]:
    """Any text of a mark, so that a wrong one is complained about; of a table only what looks like an id."""
    texts = [one.value for node in nodes for one in ast.walk(node) if isinstance(one, ast.Constant)]
    direct = all(isinstance(node, ast.Constant) for node in nodes)
    return [str(text) for text in texts if direct or (isinstance(text, str) and ID.fullmatch(text))]


def calls_of_req(node: ast.AST) -> Iterator[ast.Call]:
    for one in ast.walk(node):
        match one:
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="mark"), attr="req")):
                yield one
            case _:
                pass


def read_reasons(root: Path) -> dict[str, str]:
    """Rows of docs/deviations.md that begin with ids: `| S4-23, S4-24 | what holds | why |`."""
    path = root / "docs" / "deviations.md"
    reasons: dict[str, str] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        ids = [one.strip() for one in cells[0].split(",")]
        if len(cells) > 1 and all(ID.fullmatch(one) for one in ids):
            reasons |= dict.fromkeys(ids, cells[1])
    return reasons


def named_by_bugs(root: Path) -> frozenset[str]:
    return frozenset(one.test.partition("[")[0] for one in read_mutants(root))


def connect(
    requirements: list[Requirement], marks: list[Mark], reasons: dict[str, str], named: frozenset[str]
) -> tuple[Trace, list[str]]:
    known = frozenset(one.id for one in requirements)
    problems: list[str] = []
    tests: dict[str, list[str]] = {}
    for mark in marks:
        where = f"{mark.test} (line {mark.line})"
        problems += [f"{where}: nobody knows the requirement {one}" for one in mark.ids if one not in known]
        if len(mark.ids) > IDS_AT_MOST:
            problems.append(f"{where}: {len(mark.ids)} ids; at most {IDS_AT_MOST} say what the test is about")
        for one in mark.ids:
            if mark.test not in tests.setdefault(one, []):
                tests[one].append(mark.test)
    problems += [f"docs/deviations.md: nobody knows the requirement {one}" for one in reasons if one not in known]
    proved = frozenset(one for one, settling in tests.items() if not named.isdisjoint(settling))
    return Trace(requirements, tests, reasons, proved), problems


def unproved(trace: Trace) -> list[Requirement]:
    return [
        one for one in trace.requirements if one.kind in PROOF_WANTED and one.id in trace.tests.keys() - trace.proved
    ]


def page(trace: Trace) -> str:
    lines = [
        "# Traceability",
        "",
        "Written by `make trace` from the marks at the tests; not edited by hand.",
        "An id begins with its source: "
        + ", ".join(f"{source} {title.lower()}" for source, title in SOURCES.items())
        + "; W and a number is that section of the description of the wire.",
        "",
        *counts(trace, "requirements", SOURCES),
        "",
        *counts(trace, "rules of the wire", SECTIONS),
    ]
    lines += ["", "## Settled, but proved by no planted bug", ""]
    lines += [", ".join(one.id for one in unproved(trace)) or "None.", ""]
    lines += [
        f"Of the kinds {', '.join(PROOF_WANTED)}: a test of these that no planted bug names may be unable to fail."
    ]
    for source, title in SOURCES.items():
        lines += ["", f"## {source} {title}", "", "| id | section | kind | settled by |", "|---|---|---|---|"]
        lines += [f"| {one.id} | {one.section} | {one.kind} | {answer(trace, one)} |" for one in trace.of(source)]
    for source, title in SECTIONS.items():
        lines += ["", f"## {source} {title}", "", "| id | rule | kind | settled by |", "|---|---|---|---|"]
        lines += [f"| {one.id} | {cell(one.rule)} | {one.kind} | {answer(trace, one)} |" for one in trace.of(source)]
    return "\n".join(lines) + "\n"


def counts(trace: Trace, what: str, titles: dict[str, str]) -> Iterator[str]:
    yield f"| source | {what} | settled by a test | held otherwise | open |"
    yield "|---|---|---|---|---|"
    for source, title in titles.items():
        states = Counter(trace.state_of(one) for one in trace.of(source))
        figures = (states.total(), states["settled"], states["otherwise"], states["open"])
        yield f"| {source} {title} | " + " | ".join(map(str, figures)) + " |"


def cell(text: str) -> str:
    """Words as they stand: a bar would end the cell, and a bracket or a star would be markup."""
    return re.sub(r"([|\\*_\[\]<>`])", r"\\\1", text)


def answer(trace: Trace, requirement: Requirement) -> str:
    tests = "<br>".join(f"`{one.removeprefix('tests/')}`" for one in trace.tests.get(requirement.id, []))
    reason = trace.reasons.get(requirement.id, "")
    otherwise = f"[otherwise](deviations.md): {reason}" if reason else ""
    return "<br>".join(part for part in (tests, otherwise) if part) or "open"


def summary(trace: Trace) -> str:
    return (
        f"{said(trace, 'requirements', SOURCES)}; {said(trace, 'rules of the wire', SECTIONS)}; "
        f"{len(unproved(trace))} settled ones that want a planted bug have none"
    )


def said(trace: Trace, what: str, sources: Iterable[str]) -> str:
    of_these = [one for source in sources for one in trace.of(source)]
    states = Counter(trace.state_of(one) for one in of_these)
    tests = {test for one in of_these for test in trace.tests.get(one.id, [])}
    return (
        f"{len(of_these)} {what}: {states['settled']} settled by {len(tests)} tests, "
        f"{states['otherwise']} held otherwise, {states['open']} open"
    )


if __name__ == "__main__":
    raise SystemExit(main())
