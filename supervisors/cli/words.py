"""Figures and states in words, for a person."""

from __future__ import annotations

from ferryman.protocol.control.replies import Standing

UNITS = ("B", "KB", "MB", "GB", "TB")
SPANS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
SHORT_ID = 8  # letters of a hex or base64 id, where a person only tells a few apart


def size(count: int) -> str:
    """1.2 MB"""
    figure, unit = float(count), 0
    while figure >= 999.5 and unit < len(UNITS) - 1:
        figure, unit = figure / 1000, unit + 1
    return (
        f"{count} B"
        if unit == 0
        else f"{figure:.1f} {UNITS[unit]}"
        if figure < 99.95
        else f"{figure:.0f} {UNITS[unit]}"
    )


def number(count: int, noun: str) -> str:
    """1 blob, 2 blobs"""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def span(seconds: int) -> str:
    """3 minutes: rounded, as a person would"""
    for length, noun in SPANS:
        if seconds >= length:
            return number((seconds + length // 2) // length, noun)
    return "a moment"


def table(rows: list[tuple[str, ...]]) -> str:
    """Columns side by side; the last one is not filled up."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(wide) for cell, wide in zip(row, widths, strict=False)), row[-1]]) for row in rows
    )


def short(text: str) -> str:
    return text[:SHORT_ID]


def waiting(standing: Standing) -> str:
    """3 blobs (12.0 KB)"""
    return f"{number(standing.waiting, 'blob')} ({size(standing.waiting_bytes)})"


def connection(standing: Standing) -> str:
    """How it stands with the relay, as the end of a sentence."""
    match standing.connection:
        case "connected":
            return f"connected to {standing.relay_url}"
        case "connecting":
            return f"connecting to {standing.relay_url}"
        case "reconnecting" | "disconnected":
            return f"not connected to {standing.relay_url}{because(standing)}"


def because(standing: Standing) -> str:
    return f": {standing.reason}" if standing.reason else ""
