"""Runs shared among processes. A child has everything by being forked: the work is never pickled, only answers are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")

FEW = 8  # jobs that are not worth a process
CHUNK = 16

_work: list[Callable[[Any], Any]] = []


def shared(work: Callable[[A], B], jobs: Sequence[A], workers: int | None = None) -> Iterator[B]:
    """`work(job)` of each, in order. workers: processes, one a processor when left out; 1: in this one."""
    workers = workers or os.cpu_count() or 1
    if workers == 1 or len(jobs) < FEW:
        yield from map(work, jobs)
        return
    _work.append(work)
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
            yield from pool.map(_run, jobs, chunksize=max(1, min(CHUNK, len(jobs) // (workers * 8))))
    finally:
        _work.pop()


def _run(job: Any) -> Any:
    return _work[-1](job)
