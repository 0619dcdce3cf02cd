"""The drawing of a machine: its states side by side, every way from one to another as an arrow in a row of its own.

no group      enabled      disabled
   |-- JoinGroup ->|           |
   |               |---------->|  SetEnabled(False)
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

INK, LINE, BOX, PAPER = "#1f2a44", "#5b6b8c", "#e8edf9", "#fbfcfe"
COLUMN = 200
MARGIN = 110
HEAD = 40
LETTERS = 5.6  # width of one at 11 pixels, on the average
TEXT_ROW = 15


@dataclass(frozen=True, slots=True)
class Arrow:
    source: str
    target: str
    labels: tuple[str, ...]


def draw(title: str, states: list[str], arrows: list[Arrow]) -> str:
    columns = {state: MARGIN + COLUMN * number for number, state in enumerate(states)}
    body: list[str] = []
    y = HEAD + 44
    for arrow in arrows:
        y += TEXT_ROW * (len(arrow.labels) - 1)
        start, end = columns[arrow.source], columns[arrow.target]
        for number, label in enumerate(reversed(arrow.labels)):
            body.append(text((start + end) / 2, y - 6 - TEXT_ROW * number, label))
        tip = end - 3 if end > start else end + 3
        body.append(f'<path d="M{start} {y} L{tip} {y}" stroke="{LINE}" fill="none" marker-end="url(#a)"/>')
        body.append(f'<circle cx="{start}" cy="{y}" r="3" fill="{LINE}"/>')
        y += 30
    width, height = max(columns.values()) + MARGIN, y
    lines = [f'<path d="M{x} {HEAD + 18} V{height - 12}" stroke="#c9d2e6" stroke-width="2"/>' for x in columns.values()]
    boxes = [box(x, state) for state, x in columns.items()]
    said = escape(title, quote=True)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{said}"'
            f' font-family="system-ui, sans-serif" font-size="11" fill="{INK}">',
            f"<title>{said}</title>",
            '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0 0 8 4 0 8z" fill="{LINE}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>',
            *lines,
            *boxes,
            *body,
            "</svg>",
            "",
        ]
    )


def box(x: float, state: str) -> str:
    return (
        f'<rect x="{x - 90}" y="16" width="180" height="{HEAD}" rx="6" fill="{BOX}" stroke="{LINE}"/>'
        f'<text x="{x}" y="41" text-anchor="middle" font-size="12" font-weight="600">{escape(state)}</text>'
    )


def text(x: float, y: float, label: str) -> str:
    """On a strip of paper, so that no line runs through it."""
    wide = len(label) * LETTERS
    return (
        f'<rect x="{x - wide / 2:.0f}" y="{y - 10:.0f}" width="{wide:.0f}" height="13" fill="{PAPER}"/>'
        f'<text x="{x:g}" y="{y:g}" text-anchor="middle">{escape(label)}</text>'
    )
