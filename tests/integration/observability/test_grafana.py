# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana's settings and provisioning files, field by field as its documentation describes them.

Grafana itself is not built here, so nothing but its documentation can judge these files: pages "Provision Grafana" and
"Configure Grafana", and those of the data sources Prometheus, Loki and Alertmanager (version 12). What they name must
be in the tree too: services and their ports, secrets' files, the data sources of dashboards.
"""

from __future__ import annotations

import configparser
import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.observability.conftest import Document

DURATION = re.compile(r"\d+(ms|s|m|h)")
DATA_SOURCE_FILE = {"apiVersion": int, "prune": bool, "deleteDatasources": list, "datasources": list}
DATA_SOURCE = {
    "name": str, "type": str, "access": str, "orgId": int, "uid": str, "url": str, "user": str, "database": str,
    "basicAuth": bool, "basicAuthUser": str, "withCredentials": bool, "isDefault": bool, "jsonData": dict,
    "secureJsonData": dict, "version": int, "editable": bool,
}  # fmt: skip
JSON_DATA = {
    "prometheus": {
        "timeInterval": str, "httpMethod": str, "manageAlerts": bool, "alertmanagerUid": str, "prometheusType": str,
        "prometheusVersion": str, "cacheLevel": str, "incrementalQuerying": bool, "disableRecordingRules": bool,
        "customQueryParameters": str, "queryTimeout": str, "exemplarTraceIdDestinations": list,
    },
    "loki": {"maxLines": int, "derivedFields": list, "manageAlerts": bool, "alertmanagerUid": str},
    "alertmanager": {"implementation": str, "handleGrafanaManagedAlerts": bool},
}  # fmt: skip
DASHBOARD_FILE = {"apiVersion": int, "providers": list}
PROVIDER = {
    "name": str, "orgId": int, "folder": str, "folderUid": str, "type": str, "disableDeletion": bool,
    "updateIntervalSeconds": int, "allowUiUpdates": bool, "options": dict,
}  # fmt: skip
PROVIDER_OPTIONS = {"path": str, "foldersFromFilesStructure": bool}
# Section -> option -> what its value looks like.
BOOLEAN = r"true|false"
SETTINGS = {
    "server": {"root_url": r"https?://\S+"},
    "security": {
        "admin_user": r"\w+",
        "admin_password": r"\$__file\{/vault/secrets/[a-z-]+\}",
        "cookie_secure": BOOLEAN,
        "disable_gravatar": BOOLEAN,
    },
    "users": {"allow_sign_up": BOOLEAN},
    "auth.anonymous": {"enabled": BOOLEAN},
    "analytics": {"reporting_enabled": BOOLEAN, "check_for_updates": BOOLEAN, "check_for_plugin_updates": BOOLEAN},
    "plugins": {"preinstall_disabled": BOOLEAN},
    "news": {"news_feed_enabled": BOOLEAN},
    "unified_alerting": {"execute_alerts": BOOLEAN},
    "database": {"path": r"/var/lib/grafana/\S+"},
}


def check(fields: dict[str, Any], documented: dict[str, type]) -> None:
    """Expect only documented fields, each of its type."""
    assert set(fields) <= set(documented)
    assert {name: type(value) for name, value in fields.items()} == {name: documented[name] for name in fields}


@pytest.fixture(scope="module")
def files(documents: list[Document]) -> dict[str, str]:
    """The files that Grafana reads: name -> text."""
    found = [one for one in documents if one["kind"] == "ConfigMap" and "datasources.yaml" in one["data"]]
    assert len(found) == 1
    return dict(found[0]["data"])


@pytest.fixture(scope="module")
def data_sources(files: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The data sources by their uid."""
    content = yaml.safe_load(files["datasources.yaml"])
    check(content, DATA_SOURCE_FILE)
    assert content["apiVersion"] == 1
    return {one["uid"]: one for one in content["datasources"]}


def test_data_sources(data_sources: dict[str, dict[str, Any]], documents: list[Document]) -> None:
    services = {one["metadata"]["name"]: one["spec"]["ports"] for one in documents if one["kind"] == "Service"}
    assert {one["type"] for one in data_sources.values()} == set(JSON_DATA)
    for source in data_sources.values():
        check(source, DATA_SOURCE)
        check(source["jsonData"], JSON_DATA[source["type"]])
        assert source["access"] == "proxy" and source["editable"] is False
        url = urlsplit(source["url"])
        service, namespace, kind = str(url.hostname).split(".")
        assert (url.scheme, namespace, kind) == ("http", "observability", "svc")
        assert url.port in [port["port"] for port in services[service]]
    assert [one["uid"] for one in data_sources.values() if one.get("isDefault")] == ["prometheus"]
    prometheus = data_sources["prometheus"]["jsonData"]
    assert DURATION.fullmatch(prometheus["timeInterval"]) and prometheus["httpMethod"] in ("GET", "POST")
    alertmanager = data_sources[prometheus["alertmanagerUid"]]
    assert alertmanager["type"] == "alertmanager"
    assert alertmanager["jsonData"]["implementation"] in ("prometheus", "mimir", "cortex")


def test_dashboards(files: dict[str, str], data_sources: dict[str, dict[str, Any]], documents: list[Document]) -> None:
    content = yaml.safe_load(files["dashboards.yaml"])
    check(content, DASHBOARD_FILE)
    (provider,) = content["providers"]
    check(provider, PROVIDER)
    check(provider["options"], PROVIDER_OPTIONS)
    assert provider["type"] == "file"
    grafana = next(one for one in documents if one["kind"] == "Deployment" and one["metadata"]["name"] == "grafana")
    pod = grafana["spec"]["template"]["spec"]
    mounts = {one["mountPath"]: one["name"] for one in pod["containers"][0]["volumeMounts"]}
    volume = next(one for one in pod["volumes"] if one["name"] == mounts[provider["options"]["path"]])
    maps = {one["metadata"]["name"]: one["data"] for one in documents if one["kind"] == "ConfigMap"}
    texts = [text for source in volume["projected"]["sources"] for text in maps[source["configMap"]["name"]].values()]
    assert len(texts) == 9
    uids = {uid for text in texts for uid in re.findall(r'"datasource": \{[^}]*"uid": "([^"]+)"', text)}
    assert {"prometheus", "loki"} <= uids <= set(data_sources) | {"-- Grafana --", "grafana"}
    assert len({json.loads(text)["uid"] for text in texts}) == len(texts)


def test_settings(files: dict[str, str], documents: list[Document]) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(files["grafana.ini"])
    settings = {section: dict(parser[section]) for section in parser.sections()}
    assert {section: set(options) for section, options in settings.items()} == {
        section: set(options) for section, options in SETTINGS.items()
    }
    for section, options in SETTINGS.items():
        for name, pattern in options.items():
            assert re.fullmatch(pattern, settings[section][name]), f"[{section}] {name} = {settings[section][name]}"
    assert settings["auth.anonymous"]["enabled"] == settings["users"]["allow_sign_up"] == "false"
    # The agent renders the file that the password is read from.
    password = settings["security"]["admin_password"].removeprefix("$__file{").removesuffix("}")
    agents = [one["data"] for one in documents if one["metadata"]["name"].startswith("grafana-agent-")]
    assert len(agents) == 1 and any(password in text for text in agents[0].values())
