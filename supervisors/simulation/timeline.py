"""A run as a page: one lane a machine, a bar a life, a mark for whatever happened. Pure: rows in, text out.

    violations
    script   |  push            settle
    relay    |  ====2 lives=====X    ====================
    a        |  ==·==·==·=|=·==·==·==·==·==·===·==·==·===
                0 s         0.5 s          3.25 s

One column a row of the trace, not one a second: most of what matters happens at one instant of virtual time. The page
loads nothing, from anywhere, and reads in light and in dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ferryman.supervisors.simulation.trace import Row

COLUMN = 9
LANE = 46
BAR = 20
LEFT = 96  # room for the machines' names
TOP = 12
RIGHT = 24
COLUMNS_AT_MOST = 4_000  # what a browser still scrolls well; the rows before them are in the JSONL
LABEL_ROOM = 58  # pixels that a time below the axis needs

STYLE = """
:root { --ink: #1c2330; --paper: #ffffff; --faint: #68738a; --line: #d8dde6; --life: #b9cdf0; --up: #6c95dd;
  --crash: #c62828; --step: #8a5a00; --saw: #18794e; --error: #b3541e; --panel: #f5f7fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --paper: #14171d; --faint: #98a2b5; --line: #323a48;
  --life: #2b3d60; --up: #4a72bb; --crash: #ff6b6b; --step: #e0b050; --saw: #5ac796; --error: #f0954f;
  --panel: #1c2129; } }
body { margin: 2rem auto; padding: 0 1.5rem; max-width: 76rem; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; }
code, table, svg { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
code { font-size: .9em; }
p, ul { margin: .4rem 0; }
.faint { color: var(--faint); }
.wrong { border-left: 4px solid var(--crash); padding: .3rem 0 .3rem .9rem; list-style: none; margin: 1rem 0; }
.well { border-left: 4px solid var(--saw); padding: .3rem .9rem; margin: 1rem 0; }
.again { display: block; background: var(--panel); padding: .6rem .8rem; overflow-x: auto; white-space: pre; }
.scroll { overflow-x: auto; border: 1px solid var(--line); margin: 1rem 0; }
svg { display: block; }
svg text { fill: var(--ink); font-size: 12px; }
svg .time { fill: var(--faint); font-size: 11px; }
svg .verb { fill: var(--step); }
.lane, .axis { stroke: var(--line); }
.life { fill: var(--life); } .up { fill: var(--up); }
.number { fill: var(--paper) !important; font-size: 11px; }
.point { stroke: var(--paper); stroke-width: 1.5; } .actor { stroke: var(--paper); stroke-opacity: .45; }
.step { stroke: var(--step); stroke-width: 2; } .saw { fill: var(--saw); stroke: var(--paper); }
.crash { stroke: var(--crash); stroke-width: 3.5; } .error { fill: var(--error); }
.end { stroke: var(--crash); stroke-dasharray: 4 3; }
.legend span { margin-right: 1.2rem; white-space: nowrap; }
.legend svg { display: inline-block; vertical-align: -3px; margin-right: .4rem; }
table { border-collapse: collapse; font-size: 13px; width: 100%; }
th { text-align: left; color: var(--faint); font-weight: normal; }
td, th { padding: .1rem .8rem .1rem 0; vertical-align: top; }
td:first-child { text-align: right; color: var(--faint); width: 7.5rem; }
td:nth-child(2) { width: 8rem; }
tr:target td { background: var(--panel); outline: 1px solid var(--line); }
tr.crash td, tr.error td { color: var(--crash); font-weight: bold; }
tr.step td { color: var(--step); } tr.saw td { color: var(--saw); } tr.actor td { color: var(--faint); }
"""


@dataclass(frozen=True, slots=True)
class Life:
    """Columns in which a life starts, is up (None: never), and ends."""

    number: int
    start: int
    up: int | None
    end: int


def page(
    *, name: str, about: str, case: str, trace_hash: str, violations: Sequence[str], rows: Sequence[Row], again: str
) -> str:
    """The whole page of a run. again: the line that runs it once more."""
    shown = rows[-COLUMNS_AT_MOST:]
    first = len(rows) - len(shown)
    left_out = f" The first {first:,} are only in the JSONL file beside this page." if first else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{escape(case)}: {escape(name)}</title>
<style>{STYLE}</style></head><body>
<h1>{escape(name)}</h1>
{f'<p class="faint">{escape(about)}</p>' if about else ""}
<p><code>{escape(case)}</code> <span class="faint">trace {escape(trace_hash)}</span></p>
{said(violations)}
<code class="again">{escape(again)}</code>
<div class="scroll">{drawing(shown, failed=bool(violations))}</div>
{LEGEND}
<p class="faint">One column a row of the trace, {len(rows):,} rows.{left_out} A mark names itself under the pointer, and
leads to its row.</p>
<table><tr><th>virtual s</th><th>who</th><th>what</th></tr>
{"".join(table(shown))}</table>
</body></html>
"""


def said(violations: Sequence[str]) -> str:
    if not violations:
        return '<p class="well">Every invariant holds.</p>'
    items = "".join(f"<li>{escape(one)}</li>" for one in violations)
    return f'<ul class="wrong">{items}</ul>'


def table(rows: Sequence[Row]) -> Iterator[str]:
    for number, row in enumerate(rows):
        who = f"{row.machine}.{row.life}" if row.machine else ""
        yield (
            f'<tr id="r{number}" class="{row.kind}"><td>{row.t:.6f}</td><td>{escape(who)}</td>'
            f"<td>{escape(row.what)}</td></tr>\n"
        )


def drawing(rows: Sequence[Row], *, failed: bool) -> str:
    """The lanes as one SVG element."""
    machines = list(dict.fromkeys(row.machine for row in rows if row.machine))
    middles = {machine: TOP + LANE * (number + 1) + LANE // 2 for number, machine in enumerate(machines)}
    width = max(LEFT + COLUMN * (len(rows) + 1) + RIGHT, 640)
    bottom = TOP + LANE * (len(machines) + 1)
    parts = [
        f'<svg width="{width}" height="{bottom + 34}" viewBox="0 0 {width} {bottom + 34}" role="img" '
        f'aria-label="timeline of {len(rows)} rows on {len(machines)} machines">',
        f'<text x="10" y="{TOP + LANE - 12}" class="verb">script</text>',
    ]
    parts += times(rows, bottom, width)
    for machine, middle in middles.items():
        parts.append(f'<line class="lane" x1="{LEFT}" x2="{width}" y1="{middle}" y2="{middle}"/>')
        parts.append(f'<text x="10" y="{middle + 4}">{escape(machine[:11])}</text>')
        for life in lives(rows, machine):
            parts += bars(life, middle)
    parts += steps(rows, middles)
    parts += [mark(number, row, middles[row.machine]) for number, row in enumerate(rows) if row.machine]
    if failed:
        at = x(len(rows))
        parts.append(f'<line class="end" x1="{at}" x2="{at}" y1="{TOP}" y2="{bottom}"><title>judged</title></line>')
    return "\n".join((*parts, "</svg>"))


def x(column: int) -> int:
    return LEFT + COLUMN * column + COLUMN // 2


def lives(rows: Sequence[Row], machine: str) -> Iterator[Life]:
    """One after another. A trace may begin in the middle of a life, and end in one."""
    own = [(number, row) for number, row in enumerate(rows) if row.machine == machine and row.life]
    for number in dict.fromkeys(row.life for _, row in own):
        columns = {row.what if row.kind == "life" else row.kind: at for at, row in own if row.life == number}
        ends = [at for what, at in columns.items() if what == "crash" or what.startswith(("is down", "ended"))]
        begun = columns.get("starts")
        up = columns.get("is up", 0 if begun is None else None)
        yield Life(number, begun or 0, up, min(ends, default=len(rows) - 1))


def bars(life: Life, middle: int) -> Iterator[str]:
    top = middle - BAR // 2
    left, right = x(life.start), x(life.end) + COLUMN // 2
    yield (
        f'<rect class="life" x="{left}" y="{top}" width="{max(right - left, 3)}" height="{BAR}" rx="4">'
        f"<title>life {life.number}: starting</title></rect>"
    )
    if life.up is not None:
        left = x(life.up)
        yield (
            f'<rect class="up" x="{left}" y="{top}" width="{max(right - left, 3)}" height="{BAR}" rx="3">'
            f"<title>life {life.number}: up</title></rect>"
        )
    yield f'<text class="time" x="{x(life.start)}" y="{top - 3}">life {life.number}</text>'


def mark(number: int, row: Row, middle: int) -> str:
    """What happened, in its column; it leads to its row of the table."""
    at, half = x(number), BAR // 2
    match row.kind:
        case "crash":
            shape = (
                f'<path class="crash" d="M{at - 6},{middle - 8} l12,16 M{at + 6},{middle - 8} l-12,16" fill="none"/>'
            )
        case "error":
            shape = f'<path class="error" d="M{at},{middle - half} l7,{BAR} h-14 z"/>'
        case "saw":
            shape = f'<circle class="saw" cx="{at}" cy="{middle}" r="4"/>'
        case "step":
            shape = f'<line class="step" x1="{at}" x2="{at}" y1="{TOP + LANE - 8}" y2="{middle + half}"/>'
        case "point" | "actor":
            shape = f'<line class="{row.kind}" x1="{at}" x2="{at}" y1="{middle - half + 3}" y2="{middle + half - 3}"/>'
        case _:
            return ""
    return f'<a href="#r{number}">{shape}<title>{escape(str(row))}</title></a>'


def steps(rows: Sequence[Row], middles: Mapping[str, int]) -> Iterator[str]:
    """What the script told, on a lane of its own; one above the other where they are close."""
    free = [0, 0, 0]
    for number, row in enumerate(rows):
        if row.kind != "step":
            continue
        words = row.what.removeprefix("step ")
        at = x(number)
        level = next((level for level, until in enumerate(free) if until <= at), len(free) - 1)
        free[level] = at + 8 * len(words) + 8
        y = TOP + LANE - 12 - 14 * level
        yield f'<text class="verb" x="{at - 2}" y="{y}">{escape(words)}<title>{escape(str(row))}</title></text>'
        if row.machine in middles:
            yield f'<line class="step" stroke-opacity=".35" x1="{at}" x2="{at}" y1="{y + 2}" y2="{TOP + LANE - 8}"/>'


def times(rows: Sequence[Row], bottom: int, width: int) -> Iterator[str]:
    """The axis: a tick wherever virtual time has moved, a number where there is room for it."""
    yield f'<line class="axis" x1="{LEFT}" x2="{width}" y1="{bottom}" y2="{bottom}"/>'
    free, before = 0, -1.0
    for number, row in enumerate(rows):
        if row.t == before:
            continue
        before, at = row.t, x(number)
        yield f'<line class="axis" x1="{at}" x2="{at}" y1="{TOP + LANE}" y2="{bottom + 5}"/>'
        if at >= free:
            free = at + LABEL_ROOM
            yield f'<text class="time" x="{at}" y="{bottom + 18}">{row.t:.6g} s</text>'


def sample(shape: str, words: str) -> str:
    return f'<span><svg width="18" height="18">{shape}</svg>{words}</span>'


LEGEND = f"""<p class="legend">{sample('<rect class="life" width="18" height="16" y="1" rx="3"/>', "starting")}
{sample('<rect class="up" width="18" height="16" y="1" rx="3"/>', "up")}
{sample('<path class="crash" d="M3,2 l12,14 M15,2 l-12,14"/>', "crash")}
{sample('<path class="error" d="M9,1 l7,16 h-14 z"/>', "a failed operation of the disk")}
{sample('<rect class="up" width="18" height="16" y="1"/><path class="point" d="M9,4 v10"/>', "a crash point passed")}
{sample('<circle class="saw" cx="9" cy="9" r="5"/>', "what a host saw")}
{sample('<path class="step" d="M9,1 v16"/>', "a step of the script")}</p>"""
