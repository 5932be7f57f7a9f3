# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules, judged and run by promtool, and what must agree with them: runbooks, thresholds, tests."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import ROLE, ROOT, RULES

TESTS = Path(__file__).parent / "rules"
RUNBOOKS = ROOT / "docs/runbooks"
RELEASE = ROOT / "roles/application/files/releases/laravel-demo.yml"
# What an alert rule is told apart by: an alert may have several severities or windows.
KEY = ("alertname", "severity", "window")


def alerts(rules: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [rule for topic in rules.values() for rule in topic if "alert" in rule]


def promtool_run(promtool: str, *arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = ["nice", "-n", "10", promtool, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=directory, check=False)


def application_rules() -> list[dict[str, Any]]:
    """Return the demonstration application's rules with its thresholds filled in, as the chart does it."""
    values = yaml.safe_load(RELEASE.read_text())["prometheusRule"]
    rules = [rule for group in values["groups"] for rule in group["rules"]]
    for rule in rules:
        rule["expr"] = re.sub(r"\[\[(\w+)\]\]", lambda match: str(values["thresholds"][match[1]]), rule["expr"])
    return rules


def expected(entry: dict[str, Any]) -> set[tuple[str, ...]]:
    """Return the keys of the alerts that a check of promtool's tests expects."""
    labels = [{"alertname": entry["alertname"], **alert["exp_labels"]} for alert in entry["exp_alerts"]]
    return {tuple(str(label.get(name, "")) for name in KEY) for label in labels}


def test_every_topic_has_tests(rules):
    assert {path.stem.split("-")[0] for path in TESTS.glob("*.yml")} == {*rules, "release"}


def test_rules_are_accepted(promtool, rule_texts, tmp_path):
    for topic, text in rule_texts.items():
        (tmp_path / f"{topic}.yml").write_text(text)
    done = promtool_run(promtool, "check", "rules", *(f"{topic}.yml" for topic in rule_texts), directory=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(rule_texts)


def test_promtool_refuses_a_broken_rule(promtool, rule_texts, tmp_path):
    (tmp_path / "broken.yml").write_text(rule_texts["backups"].replace("max by (backup)", "max by backup"))
    assert promtool_run(promtool, "check", "rules", "broken.yml", directory=tmp_path).returncode != 0


@pytest.mark.parametrize("file", sorted(path.name for path in TESTS.glob("*.yml")))
def test_rules_fire_and_resolve(promtool, rules, file, tmp_path):
    """promtool compares annotations word for word; they are left out here and looked at below."""
    topic = file.removesuffix(".yml").split("-")[0]
    judged = application_rules() if topic == "release" else rules[topic]
    bare = [{key: value for key, value in rule.items() if key != "annotations"} for rule in judged]
    (tmp_path / f"rules-{topic}.yml").write_text(yaml.safe_dump({"groups": [{"name": topic, "rules": bare}]}))
    (tmp_path / file).write_text((TESTS / file).read_text())
    done = promtool_run(promtool, "test", "rules", file, directory=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_is_seen_silent_firing_and_resolved(rules):
    """For each alert and severity there is one test in which it is silent first, fires then, and is silent again."""
    proved = set()
    for path in TESTS.glob("*.yml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            steps = [expected(entry) for entry in test["alert_rule_test"]]
            for key in set().union(*steps):
                seen = [key in step for step in steps]
                if seen == [False, True, False]:
                    proved.add(key)
    wanted = {
        tuple(str({"alertname": rule["alert"], **rule["labels"]}.get(name, "")) for name in KEY)
        for rule in [*alerts(rules), *application_rules()]
    }
    assert wanted - proved == {("Watchdog", "none", "")}


def test_annotations_use_labels_that_the_alert_has(rules):
    """A label that the expression drops would be an empty place in somebody's mail."""
    labels: dict[str, set[str]] = {}
    for path in TESTS.glob("*.yml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for entry in test["alert_rule_test"]:
                for alert in entry["exp_alerts"]:
                    labels.setdefault(entry["alertname"], set()).update(alert["exp_labels"])
    for rule in [*alerts(rules), *application_rules()]:
        used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        optional = {"node"} if rule["alert"] == "TargetDown" else set()
        assert used - optional <= labels[rule["alert"]], rule["alert"]


def test_every_alert_says_what_it_means(rules):
    for rule in [*alerts(rules), *application_rules()]:
        assert rule["labels"]["severity"] in {"warning", "critical"} or rule["alert"] == "Watchdog"
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, rule["alert"]
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{rule['alert']}.md")


def test_alerts_and_runbooks_correspond(rules):
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {rule["alert"] for rule in [*alerts(rules), *application_rules()]}
    index = (RUNBOOKS / "README.md").read_text()
    assert set(re.findall(r"\]\((\w+)\.md\)", index)) == pages


def test_runbooks_have_their_parts():
    for path in RUNBOOKS.glob("[!R]*.md"):
        text = path.read_text()
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Meaning", "Impact", "Diagnosis", "Remedy"], path.name
        assert f"# {path.stem}\n" in text, path.name
    assert not list(RUNBOOKS.glob("R*.md")) or [path.name for path in RUNBOOKS.glob("R*.md")] == ["README.md"]


def test_thresholds_and_rules_correspond():
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    used = {name for path in RULES.glob("*.j2") for name in re.findall(r"thresholds\.(\w+)\s*[\]),]", path.read_text())}
    assert used == set(defaults["observability_thresholds"])


def test_recorded_names_are_used(rules):
    recorded = {rule["record"] for topic in rules.values() for rule in topic if "record" in rule}
    text = " ".join(rule["expr"] for topic in rules.values() for rule in topic)
    for name in recorded:
        assert re.search(rf"{re.escape(name)}\b", text), name
