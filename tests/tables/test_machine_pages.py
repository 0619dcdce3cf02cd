"""docs/machines/ says what the machines do: the pages are made anew here and compared."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tables.machine_examples import PORTRAITS
from tests.tools.machines import ROOT, check, pages

WRITTEN = dict(pages(PORTRAITS))


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_says_what_its_machine_does(name):
    assert (ROOT / name).read_text() == WRITTEN[name], "stale: run `make machines`"


def test_every_machine_has_a_page_and_everything_about_it_an_example():
    assert check(PORTRAITS) == []


def test_no_page_and_no_drawing_is_left_over():
    assert {str(path.relative_to(ROOT)) for path in Path(ROOT / "docs/machines").iterdir()} == set(WRITTEN)


def test_a_machine_without_a_page_is_a_problem():
    others = {name: portrait for name, portrait in PORTRAITS.items() if name != "inbox"}
    assert check(others) == ["ferryman.protocol.sync.inbox: a machine without a page"]


def without(examples, name):
    return {called: one for called, one in examples.items() if not called.startswith(name)}


def test_a_command_without_an_example_is_a_problem():
    group = PORTRAITS["group"]
    problems = check({**PORTRAITS, "group": replace(group, told=without(group.told, "Pin"))})
    assert problems == ["group: commands: no example brings Pin"]


def test_an_effect_that_is_on_no_list_is_a_problem():
    outbox = PORTRAITS["outbox"]
    kinds = {kind: union for kind, union in outbox.kinds.items() if kind != "Effects"}
    problems = check({**PORTRAITS, "outbox": replace(outbox, kinds=kinds)})
    assert problems == ["outbox: AnnounceBlobs is on no list"]


def test_a_state_that_is_reached_and_is_no_example_is_a_problem():
    group = PORTRAITS["group"]
    problems = check({**PORTRAITS, "group": replace(group, states=without(group.states, "disabled"))})
    assert "group: 'disabled' is reached, and is no example" in problems


def test_an_example_under_a_wrong_name_is_a_problem():
    group = PORTRAITS["group"]
    swapped = {**group.states, "enabled": group.states["disabled"]}
    assert "group: the example of 'enabled' is 'disabled'" in check({"group": replace(group, states=swapped)})


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_asks_nobody_for_anything(name):
    text = WRITTEN[name].replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert re.findall(r"https?:|<script|<link|@import", text) == []
