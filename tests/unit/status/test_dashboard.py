"""Dashboard and alert rules speak of metrics that exist, and every metric is documented."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.job import Draft, State
from daemon.ledger.store import Ledger
from daemon.messages import Done, PassAccount
from daemon.pool.memory import DeviceMemory
from daemon.status.health import Health
from daemon.status.metrics import Metrics

DOCS = Path(__file__).parents[3] / "docs"
SCRAPED = {"up": {"job", "instance"}}
"""What Prometheus itself adds; `job` and `instance` to every series."""

NAME = re.compile(r"\b(?:atelierd|process)_\w+")
SELECTOR = re.compile(r"\b(up|(?:atelierd|process)_\w+)\s*(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
USED = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of every series by its name, of a service that has done a little of everything."""
    path = tmp_path_factory.mktemp("state") / "ledger.sqlite3"
    metrics = Metrics(path, ["cpu"], Health(), lambda: [DeviceMemory("cpu", 1, 1, 1)])
    ledger = Ledger(path)
    ledger.add_picture("p", Path("a.jpg"))
    draft = Draft("j", "starry", Path("a.jpg"), {}, ())
    ledger.admit("p", sha256="", size=1, width_px=1, height_px=1, drafts=[draft])
    ledger.claim_job("me")
    outcome = Done(seconds=1.0, passes=(PassAccount(64, 48),))
    ledger.finish_job("j", "me", State.DONE, outcome=outcome)
    metrics.observe_job(ledger.job("j"))
    ledger.close()
    found: dict[str, set[str]] = {}
    for metric in metrics.registry.collect():
        for sample in metric.samples:
            found.setdefault(sample.name, {"job", "instance"}).update(sample.labels)
    return found | SCRAPED


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DOCS / "grafana.json").read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DOCS / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def questions() -> Iterator[tuple[str, str, str]]:
    """Title, query, and the text that shows its answer, of every panel and rule."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]
    for rule in rules():
        yield rule["alert"], rule["expr"], " ".join(rule["annotations"].values())


QUESTIONS = list(questions())


def outside_selectors(query: str) -> str:
    return re.sub(r"\{[^}]*\}", "", query)


def test_there_are_panels_and_rules_to_check() -> None:
    assert len(panels()) > 20 and len(rules()) > 8


@pytest.mark.parametrize(("title", "query", "shown"), QUESTIONS)
def test_query_names_metrics_and_labels_that_exist(
    known: dict[str, set[str]], title: str, query: str, shown: str
) -> None:
    asked = SELECTOR.findall(query)
    assert asked and {name for name, _ in asked} <= set(known)
    for name, matchers in asked:
        assert set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", matchers)) <= known[name], name
    labels = set.union(*(known[name] for name, _ in asked))
    grouped = {
        label.strip()
        for group in GROUPING.findall(outside_selectors(query))
        for label in group.split(",")
    }
    assert grouped <= labels
    shown_labels = set(USED.findall(shown)) - {"value"}
    assert shown_labels <= labels


@pytest.mark.parametrize(("title", "query", "shown"), QUESTIONS)
def test_label_that_is_shown_is_left_by_the_query(title: str, query: str, shown: str) -> None:
    """A sum without it would show nothing in its place."""
    text = re.sub(r"\{\{\s*\$value[^}]*\}\}", "", shown)
    by = re.search(r"\b(?:sum|max|min|count)\s*(?:by\s*\(([^)]*)\))?\s*\(", query)
    if by is not None:
        left = {label.strip() for label in (by[1] or "").split(",")}
        assert set(USED.findall(text)) <= left


def test_every_metric_is_documented(known: dict[str, set[str]]) -> None:
    text = (DOCS / "reference.md").read_text()
    table = text[text.index("## Metrics") :]
    written = set(NAME.findall(table))
    ending = re.compile("_(bucket|count|sum)$")
    metrics = {ending.sub("", name) for name in known} - set(SCRAPED)
    assert metrics == written
    for name in metrics - {one for one in metrics if one.startswith("process_")}:
        row = next(line for line in table.splitlines() if line.startswith(f"| `{name}`"))
        labels = set(re.findall(r"`(\w+)`", row.split("|")[2]))
        series = known.get(name) or known[f"{name}_count"]
        assert labels == series - {"job", "instance"}, name


def test_every_metric_is_on_the_dashboard_or_in_a_rule(known: dict[str, set[str]]) -> None:
    """But for those of the process that Prometheus's own client adds."""
    asked = {name for _, query, _ in QUESTIONS for name in NAME.findall(query)}
    ending = re.compile("_(bucket|count|sum)$")
    metrics = {ending.sub("", name) for name in known if name.startswith("atelierd_")}
    assert metrics <= {ending.sub("", name) for name in asked}


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


def test_panels_ask_the_data_source_that_was_chosen() -> None:
    found = {panel["datasource"]["uid"] for panel in panels()}
    found |= {target["datasource"]["uid"] for panel in panels() for target in panel["targets"]}
    assert found == {"${datasource}"}


def test_each_rule_says_what_is_wrong_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert len(rule["annotations"]["summary"]) < 100
        assert len(rule["annotations"]["description"]) > 80


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "command", [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]]
)
def test_promtool_finds_the_rules_right(command: list[str]) -> None:
    done = subprocess.run(["promtool", *command], cwd=DOCS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
