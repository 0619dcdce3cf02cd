"""The page of a run: every machine has its lane, every life its bar, every crash its mark; and the files beside it."""

import json
import re
from xml.etree import ElementTree as ET

from ferryman.supervisors.simulation.case import parse_case
from ferryman.supervisors.simulation.evidence import evidence
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.scenario import Scenario
from ferryman.supervisors.simulation.timeline import COLUMNS_AT_MOST, Life, drawing, lives, page
from ferryman.supervisors.simulation.trace import Row

ROWS = (
    Row(0.0, "relay", 1, "life", "starts"),
    Row(0.0, "relay", 1, "life", "is up"),
    Row(0.0, "a", 1, "step", "step push"),
    Row(0.25, "relay", 1, "point", "buffer.commit"),
    Row(0.25, "relay", 1, "crash", "crash (torn)"),
    Row(0.75, "relay", 2, "life", "starts"),
    Row(0.75, "a", 1, "saw", "pushed <0a> & more"),
    Row(0.8, "relay", 2, "error", "error at operation 3"),
    Row(0.8, "relay", 2, "life", "ended: FatalStorageError"),
    Row(9.0, "a", 1, "actor", "Ended /sync"),
)


def shapes(svg, tag):
    return [one for one in ET.fromstring(svg).iter() if one.tag == tag]  # noqa: S314 - our own


def classes(svg, tag):
    return [one.get("class") for one in shapes(svg, tag)]


def made(violations=("replies: 1, then 2",), rows=ROWS):
    return page(
        name="a <world>", about="", case="a:io#1/torn/0", trace_hash="beef", violations=violations, rows=rows, again="x"
    )


def test_every_life_has_its_columns_and_its_end():
    assert list(lives(ROWS, "relay")) == [Life(1, 0, 1, 4), Life(2, 5, None, 8)]


def test_a_trace_that_begins_in_the_middle_of_a_life_shows_it_as_up():
    assert next(lives(ROWS[3:], "relay")) == Life(1, 0, 0, 1)


def test_a_life_that_nothing_ended_reaches_to_the_last_column():
    assert list(lives(ROWS, "a")) == [Life(1, 0, 0, 9)]


def test_what_happened_is_drawn_once_each():
    svg = drawing(ROWS, failed=True)
    assert classes(svg, "path") == ["crash", "error"]
    assert classes(svg, "circle") == ["saw"]
    assert classes(svg, "rect") == ["life", "up", "life", "life", "up"]
    assert [one.get("class") for one in shapes(svg, "line")].count("end") == 1
    assert "end" not in classes(drawing(ROWS, failed=False), "line")


def test_every_mark_leads_to_its_row():
    html = made()
    rows = set(re.findall(r'<tr id="(r\d+)"', html))
    marks = set(re.findall(r'<a href="#(r\d+)"', html))
    assert len(rows) == len(ROWS)
    assert marks == {"r2", "r3", "r4", "r6", "r7", "r9"}


def test_what_comes_from_a_world_is_text_and_no_markup():
    html = made()
    assert "a &lt;world&gt;" in html
    assert "pushed &lt;0a&gt; &amp; more" in html
    assert "<world>" not in html
    assert "<0a>" not in html


def test_the_page_loads_nothing():
    assert re.findall(r"(?:src|href)=\"(?!#)|url\(|@import|<script|<link|http", made()) == []


def test_violations_stand_before_the_drawing():
    html = made()
    assert html.index("<li>replies: 1, then 2</li>") < html.index("<svg width")
    assert "Every invariant holds" in made(violations=())


def test_a_long_trace_is_cut_where_a_browser_would_not_follow_and_says_so():
    long = tuple(Row(float(number), "a", 1, "point", "durable.append") for number in range(COLUMNS_AT_MOST + 5))
    html = made(rows=long)
    assert html.count("<tr id=") == COLUMNS_AT_MOST
    assert "The first 5 are only in the JSONL file" in html


def test_a_scenario_with_a_long_name_has_files_for_each_of_its_cases():
    story = Scenario(format="ferryman.scenario/1", name="long story " * 15, step=({"do": "push"},))
    cases = [parse_case(f"a:io#{number}/torn/0") for number in (1, 2)]
    names = [name for case in cases for name in evidence(story, "a.toml", Outcome(case, (), "", ROWS, True, {}), "x")]
    assert len(set(names)) == 4
    assert max(map(len, names)) <= 255


def test_the_files_of_a_run_are_named_after_it_and_hold_all_of_it():
    scenario = Scenario(format="ferryman.scenario/1", name="A push / twice", step=({"do": "push"},))
    cases = [parse_case(text) for text in ("a:io#1/torn/0", "a:io+1/torn/0", "a:io#1/torn/0~2")]
    outcomes = [Outcome(case, ("log: no",), "beef", ROWS, True, {}) for case in cases]
    files = [evidence(scenario, "a.toml", outcome, "again") for outcome in outcomes]
    assert len({name for made in files for name in made}) == 6
    name = "A-push-twice-a-io-1-torn-0.jsonl"
    head, *rows = [json.loads(line) for line in files[0][name].splitlines()]
    assert head["format"] == "ferryman.trace/1"
    assert (head["case"], head["violations"]) == ("a:io#1/torn/0", ["log: no"])
    assert rows[3] == {"t": 0.25, "machine": "relay", "life": 1, "kind": "point", "what": "buffer.commit"}
    assert len(rows) == len(ROWS)
