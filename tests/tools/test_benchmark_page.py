"""What the benchmark runner says about a figure."""

import json

import pytest

from tests.benchmarks import run as runner
from tests.benchmarks.run import NOTES, BenchmarkFailed, Figure, NotRun, page, run


@pytest.mark.parametrize(
    ("runs", "bar", "better", "verdict"),
    [
        ([90, 100, 200], 100, "higher", "met"),
        ([70, 80, 200], 100, "higher", "close"),
        ([1, 79, 500], 100, "higher", "missed"),
        ([1, 100, 500], 100, "lower", "met"),
        ([1, 120, 121], 100, "lower", "close"),
        ([1, 121, 122], 100, "lower", "missed"),
        ([1, 2, 3], None, "lower", ""),
    ],
)
def test_the_median_decides_and_a_fifth_is_forgiven(runs, bar, better, verdict):
    assert Figure("x", "1/s", runs, bar, better).verdict == verdict


def test_the_page_names_the_machine_and_gives_each_figure_a_row():
    figures = {"bench_core": [Figure("send", "1/s", [30_000, 10_000, 20_000], 15_000, "higher")]}
    text = page(figures, [("Python", "CPython 3.11")])
    assert "| Python | CPython 3.11 |" in text
    assert "| send | 1/s | 10,000 | 20,000 | 30,000 | ≥ 15,000 | met |" in text


def test_what_could_not_be_run_has_its_row_and_its_reason():
    text = page({"bench_relay": [NotRun("a peer", "no network")]}, [])
    assert "| a peer | | | | | | not run: no network |" in text


def test_below_the_tables_stands_where_the_time_goes():
    assert page({}, []).endswith(NOTES.read_text().rstrip() + "\n")


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("print('no figure')", "no figure"),
        (
            "print('" + json.dumps({"name": "x", "unit": "s", "runs": [1], "bar": 1, "better": "lower"}) + "')",
            "fewer than",
        ),
        ("while True: pass", "together have"),
    ],
)
def test_a_benchmark_that_says_nothing_useful_fails(tmp_path, monkeypatch, program, complaint):
    folder = tmp_path / "tests" / "benchmarks"
    folder.mkdir(parents=True)
    (folder / "bench_x.py").write_text(program)
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    with pytest.raises(BenchmarkFailed, match=complaint):
        run("bench_x", 1.0)


def test_a_benchmark_prints_to_the_runner_only_json_lines(tmp_path, monkeypatch):
    folder = tmp_path / "tests" / "benchmarks"
    folder.mkdir(parents=True)
    line = {"name": "x", "unit": "s", "runs": [1, 2, 3], "bar": None, "better": "lower"}
    lines = [json.dumps(line), json.dumps({"name": "y", "not_run": "no network"})]
    (folder / "bench_x.py").write_text(f"print('warming up', *{lines!r}, sep='\\n')")
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    assert run("bench_x", 10.0) == [Figure("x", "s", [1, 2, 3], None, "lower"), NotRun("y", "no network")]
