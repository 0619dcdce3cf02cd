"""The Grafana dashboard asks for nothing that a relay does not export, and leaves out nothing that it does."""

import json
import re

import pytest

from ferryman.actors.relay.metrics import METRICS, Metrics
from tests.fakes.deploying import DEPLOY

DASHBOARD = json.loads((DEPLOY / "grafana.json").read_text())
QUERIES = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
OF_PROMETHEUS = {"job", "le"}


def exported():
    """{name: labels} of a relay that has counted something of everything."""
    metrics = Metrics()
    metrics.error(2000)
    metrics.restarted("group")
    found = {}
    for line in metrics.text({"group": 1}).splitlines():
        if not line.startswith("#"):
            name, labels = re.fullmatch(r"(\w+)(?:\{(.*)\})? \S+", line).groups()
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels or ""))
    return found


def names(query):
    return set(re.findall(r"\bsync_\w+", query))


@pytest.mark.parametrize(
    ("panel", "query"), QUERIES, ids=[f"{panel}, {number}" for number, (panel, _) in enumerate(QUERIES)]
)
@pytest.mark.req("S4-131")
def test_a_query_names_metrics_and_labels_that_a_relay_exports(panel, query):
    known = exported()
    assert names(query)
    assert names(query) - known.keys() == set()
    labels = set().union(*(known[name] for name in names(query))) | OF_PROMETHEUS
    for group in re.findall(r"\bby \(([^)]*)\)", query):
        assert {label.strip() for label in group.split(",")} <= labels


def test_every_metric_is_on_the_dashboard():
    asked = set().union(*(names(query) for _, query in QUERIES))
    families = {re.sub(r"_(bucket|sum|count)$", "", name) if name not in METRICS else name for name in asked}
    assert families == set(METRICS)


def test_a_counter_is_asked_for_its_rate_and_a_gauge_is_not():
    for _, query in QUERIES:
        for name in names(query):
            family = name if name in METRICS else re.sub(r"_(bucket|sum|count)$", "", name)
            grows = METRICS[family][0] != "gauge"
            assert (f"rate({name}" in query or f"increase({name}" in query) is grows, query


def test_panels_lie_beside_each_other_and_have_ids_of_their_own():
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_variables_that_it_uses_are_its_own_or_grafana_s():
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"])))
    own = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert used <= own | {"__rate_interval"}
    assert own <= used
