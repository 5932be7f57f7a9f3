# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Laravel chart, rendered by the bundle's own helm: what every pod, policy and hook must say (R8, R9, R14, R18)."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.module_utils._oci_artifact import helm_chart

CHART = Path(__file__).parents[3] / "roles/application/files/charts/laravel"
LONG_RUNNING = ("app", "nginx", "worker")
VALUES: dict[str, Any] = {
    "registry": "registry.platform.internal:5000",
    "images": {
        "app": {"repository": "shop", "digest": "sha256:" + "1" * 64},
        "nginx": {"repository": "shop-nginx", "digest": "sha256:" + "2" * 64},
        "agent": {"repository": "vault", "digest": "sha256:" + "3" * 64},
    },
    "application": {"environment": {"APP_ENV": "production", "DB_HOST": "mariadb"}},
    "vault": {
        "address": "https://vault.vault.svc:8200",
        "role": "shop",
        "jobRole": "shop-job",
        "keyValue": "kv/data/shop",
        "database": "database/creds/shop",
        "jobDatabase": "database/creds/shop-job",
    },
    "networkPolicy": {
        "prometheus": {
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}]
        },
        "workerExternal": {"port": 443, "cidrs": ["203.0.113.10/32"]},
    },
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True, "groups": [{"name": "shop", "rules": [{"alert": "A", "expr": "up == 0"}]}]},
}


@pytest.fixture(scope="module")
def helm() -> str:
    """Return the helm program: the bundle's, else the one of the machine."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    bundled = cache / "onprem-platform/bundle/files/helm"
    found = str(bundled) if bundled.exists() else shutil.which("helm")
    if not found:
        pytest.fail(f"No helm at {bundled} nor in PATH: run `make bundle` first.")
    return found


def helm_template(helm: str, values: dict[str, Any], chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    command = [helm, "template", "shop", str(chart), "--namespace", "shop", "--kube-version", "1.36.3", "--values", "-"]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, timeout=60, check=False)


def documents(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert result.returncode == 0, result.stderr
    return [document for document in yaml.safe_load_all(result.stdout) if document]


def merged(**changes: Any) -> dict[str, Any]:
    """Return the values with changes, named by path with double underscores."""
    values = copy.deepcopy(VALUES)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = values
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = value
    return values


def render(helm: str, **changes: Any) -> list[dict[str, Any]]:
    return documents(helm_template(helm, merged(**changes)))


@pytest.fixture(scope="module")
def objects(helm: str) -> list[dict[str, Any]]:
    return render(helm)


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"]: document for document in objects if document["kind"] == kind}


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return every pod template by the name of its owner."""
    found = {}
    for document in objects:
        name = f"{document['kind']}/{document['metadata']['name']}"
        if document["kind"] in ("Deployment", "Job"):
            found[name] = document["spec"]["template"]
        elif document["kind"] == "CronJob":
            found[name] = document["spec"]["jobTemplate"]["spec"]["template"]
    return found


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def component(document: dict[str, Any]) -> str:
    return str(document["metadata"]["labels"]["app.kubernetes.io/component"])


# --- workloads (R18) -------------------------------------------------------------------------------------------------


def test_workloads(objects):
    assert set(pods(objects)) == {
        "Deployment/shop-app",
        "Deployment/shop-nginx",
        "Deployment/shop-worker",
        "CronJob/shop-scheduler",
        "Job/shop-expand",
        "Job/shop-seed",
        "Job/shop-contract",
    }
    for deployment in of_kind(objects, "Deployment").values():
        assert deployment["spec"]["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
        }
        # The autoscaler owns the number.
        assert "replicas" not in deployment["spec"]


def test_autoscaling(objects):
    scalers = of_kind(objects, "HorizontalPodAutoscaler")
    assert set(scalers) == {f"shop-{name}" for name in LONG_RUNNING}
    for name in LONG_RUNNING:
        spec = scalers[f"shop-{name}"]["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 8)
        assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"shop-{name}"}
        targets = {
            metric["containerResource"]["name"]: metric["containerResource"]["target"]["averageUtilization"]
            for metric in spec["metrics"]
        }
        assert targets == ({"cpu": 60} if name == "nginx" else {"cpu": 60, "memory": 70})
        pod = pods(objects)[f"Deployment/shop-{name}"]
        (measured,) = (c for c in containers(pod) if c["name"] == spec["metrics"][0]["containerResource"]["container"])
        assert set(targets) <= set(measured["resources"]["requests"])


def test_fixed_replicas_without_autoscaling(helm):
    objects = render(
        helm, app__autoscaling={"enabled": False, "minReplicas": 1, "maxReplicas": 1, "cpu": 60}, app__replicas=3
    )
    assert of_kind(objects, "Deployment")["shop-app"]["spec"]["replicas"] == 3
    assert "shop-app" not in of_kind(objects, "HorizontalPodAutoscaler")


def test_disruption_budgets(objects):
    budgets = of_kind(objects, "PodDisruptionBudget")
    assert {name: budget["spec"]["maxUnavailable"] for name, budget in budgets.items()} == {
        f"shop-{name}": 1 for name in LONG_RUNNING
    }
    for name in LONG_RUNNING:
        selector = budgets[f"shop-{name}"]["spec"]["selector"]["matchLabels"]
        assert selector.items() <= pods(objects)[f"Deployment/shop-{name}"]["metadata"]["labels"].items()


def test_scheduler(objects):
    (scheduler,) = of_kind(objects, "CronJob").values()
    spec = scheduler["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"], spec["startingDeadlineSeconds"]) == ("* * * * *", "Forbid", 60)
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 600


def test_selectors_match_their_pods_only(objects):
    templates = pods(objects)
    for name, deployment in of_kind(objects, "Deployment").items():
        selector = deployment["spec"]["selector"]["matchLabels"].items()
        matching = [owner for owner, pod in templates.items() if selector <= pod["metadata"]["labels"].items()]
        assert matching == [f"Deployment/{name}"]
    for name, target in {"shop-app": "shop-app", "shop-nginx": "shop-nginx", "shop-metrics": "shop-nginx"}.items():
        selector = of_kind(objects, "Service")[name]["spec"]["selector"].items()
        matching = [owner for owner, pod in templates.items() if selector <= pod["metadata"]["labels"].items()]
        assert matching == [f"Deployment/{target}"]


def test_graceful_replacement(objects):
    templates = pods(objects)
    for name in ("app", "nginx"):
        pod = templates[f"Deployment/shop-{name}"]["spec"]
        (main,) = pod["containers"]
        drain = main["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert drain == 15
        assert pod["terminationGracePeriodSeconds"] > drain + 30
        assert main["readinessProbe"]
        assert main["livenessProbe"]["tcpSocket"]
    (probe,) = (c["readinessProbe"] for c in templates["Deployment/shop-app"]["spec"]["containers"])
    assert probe["exec"]["command"][1:] == [
        "/etc/laravel/probe.php",
        "127.0.0.1:9000",
        "/srv/app/public/index.php",
        "/healthz",
    ]
    worker = templates["Deployment/shop-worker"]["spec"]
    command = worker["containers"][0]["command"]
    assert command[:3] == ["php", "/etc/laravel/worker.php", "/vault/secrets/.env"]
    (timeout,) = (int(part.split("=")[1]) for part in command if part.startswith("--timeout="))
    assert worker["terminationGracePeriodSeconds"] > timeout
    assert set(of_kind(objects, "ConfigMap")["shop-scripts"]["data"]) == {"worker.php", "probe.php", "wait.php"}


# --- Pod Security "restricted" and images (R9) -----------------------------------------------------------------------


def test_every_pod_is_restricted(objects):
    for owner, pod in pods(objects).items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, owner
        assert spec["enableServiceLinks"] is False, owner
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), owner
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, owner
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 10001, owner
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, owner
        allowed = {"emptyDir", "configMap", "projected"}
        assert all(set(volume) - {"name"} <= allowed for volume in spec["volumes"]), owner
        for container in containers(pod):
            place = f"{owner} {container['name']}"
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }, place
            assert not any("hostPort" in port for port in container.get("ports", [])), place
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), place
            assert "memory" in container["resources"]["limits"], place


def test_images_are_pinned(objects):
    images = {c["image"] for pod in pods(objects).values() for c in containers(pod)}
    assert images == {
        f"registry.platform.internal:5000/{image['repository']}@{image['digest']}"
        for image in VALUES["images"].values()
    }


def test_mounts_have_volumes(objects):
    for owner, pod in pods(objects).items():
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        mounted = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", [])}
        assert mounted == volumes, owner
        names = {volume["configMap"]["name"] for volume in pod["spec"]["volumes"] if "configMap" in volume}
        assert names - {"platform-ca"} <= set(of_kind(objects, "ConfigMap")), owner


# --- Vault Agent (R6, R7, R10) ---------------------------------------------------------------------------------------


def agent_configuration(objects: list[dict[str, Any]], pod: dict[str, Any], container: dict[str, Any]) -> str:
    (volume,) = (v for v in pod["spec"]["volumes"] if v["name"] == "agent-configuration")
    file = container["args"][1].removeprefix("-config=/etc/vault-agent/")
    return str(of_kind(objects, "ConfigMap")[volume["configMap"]["name"]]["data"][file])


def setting(configuration: str, name: str) -> str:
    """Return the value of a setting that occurs once in HCL."""
    (value,) = re.findall(rf"^\s*{name}\s*= (.*)$", configuration, re.MULTILINE)
    return str(value).strip('"')


def test_agents(objects):
    """Long-running pods: a sidecar, and a wait for its file. Jobs: once, with the role of short leases."""
    for owner, pod in pods(objects).items():
        agents = pod["spec"].get("initContainers", [])
        if owner == "Deployment/shop-nginx":
            assert agents == []
            continue
        long_running = owner.startswith("Deployment/")
        assert [agent["name"] for agent in agents] == (["agent", "wait"] if long_running else ["agent"])
        assert agents[0].get("restartPolicy") == ("Always" if long_running else None)
        if long_running:
            assert agents[1]["command"][:3] == ["php", "/etc/laravel/wait.php", "/vault/secrets/.env"]
            assert "restartPolicy" not in agents[1]
        for configuration in [agent_configuration(objects, pod, agents[0])]:
            assert setting(configuration, "exit_after_auth") == ("false" if long_running else "true")
            assert setting(configuration, "type") == "kubernetes"
            assert setting(configuration, "mount_path") == "auth/kubernetes"
            assert setting(configuration, "role") == ("shop" if long_running else "shop-job")
            assert setting(configuration, "address") == "https://vault.vault.svc:8200"
            assert setting(configuration, "ca_cert") == "/etc/platform-ca/ca.crt"
            assert setting(configuration, "destination") == "/vault/secrets/.env"
            assert setting(configuration, "perms") == "0640"
            assert "cache" not in configuration
            path = "database/creds/shop" if long_running else "database/creds/shop-job"
            assert f'secret "{path}"' in configuration
            assert 'secret "kv/data/shop"' in configuration


def test_secrets_stay_in_memory_and_tokens_with_the_agent(objects):
    for owner, pod in pods(objects).items():
        for volume in pod["spec"]["volumes"]:
            if volume["name"] == "secrets":
                assert volume["emptyDir"]["medium"] == "Memory", owner
            if "projected" in volume:
                (source,) = volume["projected"]["sources"]
                assert source["serviceAccountToken"] == {
                    "audience": "vault",
                    "expirationSeconds": 3600,
                    "path": "token",
                }
        for container in containers(pod):
            if container["name"] == "agent":
                continue
            assert "agent-token" not in {mount["name"] for mount in container["volumeMounts"]}, owner
            assert all(mount["readOnly"] for mount in container["volumeMounts"] if mount["name"] == "secrets"), owner


def test_service_accounts(objects):
    accounts = of_kind(objects, "ServiceAccount")
    assert set(accounts) == {"shop", "shop-nginx", "shop-scheduler", "shop-hook"}
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())
    used = {owner: pod["spec"]["serviceAccountName"] for owner, pod in pods(objects).items()}
    assert used == {
        "Deployment/shop-app": "shop",
        "Deployment/shop-worker": "shop",
        "Deployment/shop-nginx": "shop-nginx",
        "CronJob/shop-scheduler": "shop-scheduler",
        "Job/shop-expand": "shop-hook",
        "Job/shop-seed": "shop-hook",
        "Job/shop-contract": "shop-hook",
    }


def test_no_secret_is_rendered(objects):
    assert not {"Secret", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & {o["kind"] for o in objects}
    for pod in pods(objects).values():
        for container in containers(pod):
            assert all("valueFrom" not in variable for variable in container.get("env", []))
            assert "envFrom" not in container


@pytest.mark.parametrize("name", ["DB_PASSWORD", "APP_KEY", "API_TOKEN", "MAIL_SECRET"])
def test_a_secret_in_plain_values_is_refused(helm, name):
    result = helm_template(helm, merged(application__environment={name: "canary-value"}))
    assert result.returncode != 0
    assert name in result.stderr
    assert "canary-value" not in result.stderr


# --- hooks (R14) -----------------------------------------------------------------------------------------------------


def test_hook_order(objects):
    hooks = {
        name: (
            job["metadata"]["annotations"]["helm.sh/hook"].split(","),
            job["metadata"]["annotations"]["helm.sh/hook-weight"],
        )
        for name, job in of_kind(objects, "Job").items()
    }
    assert hooks == {
        "shop-expand": (["post-install", "pre-upgrade"], "10"),
        "shop-seed": (["post-install", "post-upgrade"], "15"),
        "shop-contract": (["post-upgrade"], "20"),
    }
    for job in of_kind(objects, "Job").values():
        policy = job["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert policy == "before-hook-creation,hook-succeeded"
        assert job["spec"]["activeDeadlineSeconds"] < 600
        assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_hook_jobs_use_no_object_of_the_release(objects):
    """Before an upgrade the release's objects are those of the old version, or absent: only hooks may be named."""
    earlier = {
        (document["kind"], document["metadata"]["name"])
        for document in objects
        if document["metadata"].get("annotations", {}).get("helm.sh/hook") == "pre-install,pre-upgrade"
    }
    assert earlier == {
        ("ServiceAccount", "shop-hook"),
        ("ConfigMap", "shop-hook"),
        ("NetworkPolicy", "shop-migrator"),
        ("NetworkPolicy", "shop-seeder"),
    }
    for document in objects:
        if (document["kind"], document["metadata"]["name"]) in earlier:
            annotations = document["metadata"]["annotations"]
            assert int(annotations["helm.sh/hook-weight"]) < 0
            assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation"
    for name in of_kind(objects, "Job"):
        spec = pods(objects)[f"Job/{name}"]["spec"]
        assert ("ServiceAccount", spec["serviceAccountName"]) in earlier
        named = {volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume}
        assert {("ConfigMap", each) for each in named - {"platform-ca"}} <= earlier


def test_hooks_can_be_switched_off(helm):
    objects = render(helm, hooks__contract={"enabled": False})
    assert set(of_kind(objects, "Job")) == {"shop-expand", "shop-seed"}


# --- network policies (R8) -------------------------------------------------------------------------------------------


def selects(policy: dict[str, Any], pod: dict[str, Any]) -> bool:
    selector = policy["spec"]["podSelector"]
    labels = pod["metadata"]["labels"]
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


def peer_name(peer: dict[str, Any]) -> str:
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"])
    labels = peer.get("podSelector", {}).get("matchLabels", {})
    namespace = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name")
    name = labels.get("app.kubernetes.io/component") or labels.get("app.kubernetes.io/name") or labels.get("k8s-app")
    return "/".join(part for part in (namespace, name) if part)


def paths(objects: list[dict[str, Any]], direction: str) -> dict[str, set[tuple[str, str]]]:
    """Return by component the peers and ports that all policies together admit."""
    peers, key = ("to", "egress") if direction == "Egress" else ("from", "ingress")
    admitted: dict[str, set[tuple[str, str]]] = {}
    for pod in pods(objects).values():
        rules = admitted.setdefault(component(pod), set())
        policies = [policy for policy in of_kind(objects, "NetworkPolicy").values() if selects(policy, pod)]
        assert any(direction in policy["spec"]["policyTypes"] for policy in policies)
        for policy in policies:
            for rule in policy["spec"].get(key, []):
                for peer in rule.get(peers, [{}]):
                    rules |= {(peer_name(peer), f"{port['protocol']}/{port['port']}") for port in rule["ports"]}
    return admitted


def test_egress_matrix(objects):
    dns = {("kube-system/kube-dns", "UDP/53"), ("kube-system/kube-dns", "TCP/53")}
    database, redis, vault = ("mariadb", "TCP/3306"), ("valkey", "TCP/6379"), ("vault/vault", "TCP/8200")
    assert paths(objects, "Egress") == {
        "nginx": {("app", "TCP/9000"), *dns},
        "app": {database, redis, vault, *dns},
        "worker": {database, redis, vault, ("203.0.113.10/32", "TCP/443"), *dns},
        "scheduler": {database, redis, vault, *dns},
        "migrator": {database, vault, *dns},
        "seeder": {database, vault, *dns},
    }


def test_ingress_matrix(objects):
    assert paths(objects, "Ingress") == {
        "nginx": {("", "TCP/8080"), ("observability", "TCP/9090")},
        "app": {("nginx", "TCP/9000")},
        "worker": set(),
        "scheduler": set(),
        "migrator": set(),
        "seeder": set(),
    }


def test_an_empty_list_opens_nothing(helm):
    """Only nginx.from means everybody when it is empty; an empty `to` in a policy would mean every address."""
    empty = {"port": 3306, "to": []}
    objects = render(helm, networkPolicy={"database": empty, "prometheus": {"from": []}, "dns": {"to": []}})
    for policy in of_kind(objects, "NetworkPolicy").values():
        for rule in policy["spec"].get("egress", []):
            assert rule["to"]
    assert paths(objects, "Ingress")["nginx"] == {("", "TCP/8080")}
    assert ("203.0.113.10/32", "TCP/443") not in paths(objects, "Egress")["worker"]


# --- monitoring (R15) ------------------------------------------------------------------------------------------------


def test_monitoring_is_switched(helm, objects):
    (monitor,) = of_kind(objects, "ServiceMonitor").values()
    assert monitor["spec"]["endpoints"] == [{"port": "metrics", "path": "/metrics", "interval": "30s"}]
    service = of_kind(objects, "Service")["shop-metrics"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "shop"
    assert of_kind(objects, "PrometheusRule")["shop"]["spec"]["groups"] == VALUES["prometheusRule"]["groups"]
    off = render(helm, serviceMonitor={"enabled": False}, prometheusRule={"enabled": False})
    assert not {"ServiceMonitor", "PrometheusRule"} & {document["kind"] for document in off}


# --- the chart itself ------------------------------------------------------------------------------------------------


def test_two_renders_are_equal(helm):
    assert helm_template(helm, VALUES).stdout == helm_template(helm, VALUES).stdout


def test_a_new_image_restarts_only_its_pods(helm, objects):
    """The new version's number is on the objects, not in the pods: what did not change is not restarted."""
    released = render(helm, images__app={"repository": "shop", "digest": "sha256:" + "4" * 64})
    changed = {owner for owner, pod in pods(released).items() if pod != pods(objects)[owner]}
    assert "Deployment/shop-nginx" not in changed
    assert {"Deployment/shop-app", "Deployment/shop-worker"} <= changed


def test_a_changed_agent_restarts_its_pods(helm, objects):
    moved = render(helm, vault__address="https://vault.other.svc:8200")
    changed = {owner for owner, pod in pods(moved).items() if pod != pods(objects)[owner]}
    assert changed == {"Deployment/shop-app", "Deployment/shop-worker"}


def test_lint(helm, tmp_path):
    values = tmp_path / "values.json"
    values.write_text(json.dumps(VALUES))
    command = [helm, "lint", str(CHART), "--strict", "--values", str(values), "--kube-version", "1.36.3"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"images__app": {"repository": "shop", "digest": "latest"}}, "/images/app/digest"),
        ({"images__app": {"repository": "shop"}}, "/images/app"),
        ({"registry": ""}, "/registry"),
        ({"registry": "https://registry"}, "/registry"),
        ({"user": 0}, "/user"),
        ({"vault__address": "http://vault:8200"}, "/vault/address"),
        ({"vault__directory": "/vault/../etc"}, "/vault/directory"),
        ({"vault__role": "Shop; drop"}, "/vault/role"),
        ({"app__port": 70000}, "/app/port"),
        ({"app__replica": 2}, "replica"),
        ({"application__path": "srv"}, "/application/path"),
        ({"application__environment": {"NOT-A-NAME": "x"}}, "NOT-A-NAME"),
        ({"nginx__service": {"type": "ExternalName"}}, "/nginx/service/type"),
        ({"nginx__service": {"type": "NodePort", "nodePort": 80}}, "/nginx/service/nodePort"),
        ({"scheduler__schedule": "every minute"}, "/scheduler/schedule"),
        ({"hooks__seed": {"events": ["sometimes"]}}, "/hooks/seed/events"),
        ({"hooks__expand": {"command": []}}, "/hooks/expand/command"),
        (
            {"networkPolicy__workerExternal": {"port": 443, "cidrs": ["anywhere"]}},
            "/networkPolicy/workerExternal/cidrs",
        ),
        ({"networkPolicy__nginx": {"from": [{}]}}, "/networkPolicy/nginx/from"),
        ({"serviceMonitor__interval": "often"}, "/serviceMonitor/interval"),
    ],
)
def test_bad_values_are_refused(helm, changes, place):
    result = helm_template(helm, merged(**changes))
    assert result.returncode != 0
    assert place in result.stderr


# --- a release -------------------------------------------------------------------------------------------------------


@pytest.fixture
def released(tmp_path: Path) -> Any:
    """Return a function that packs a release of the demonstration application as the role does."""
    values = yaml.safe_load((CHART.parents[1] / "releases/laravel-demo.yml").read_text())

    def pack(version: str, digit: str) -> Path:
        images = {name: {**VALUES["images"][name], "digest": "sha256:" + digit * 64} for name in ("app", "nginx")}
        images["agent"] = VALUES["images"]["agent"]
        manifest, tag = helm_chart(CHART, {}, version, version, {**values, "images": images})
        assert tag == version
        (layer,) = (descriptor["digest"] for descriptor in json.loads(manifest.content)["layers"])
        place = tmp_path / f"{version}.tgz"
        with manifest.blobs[layer][0]() as archive:
            place.write_bytes(archive.read())
        return place

    return pack


def test_a_release_needs_nothing_but_the_site(helm, released):
    """The site's values name no image: a new version is one artifact and nothing else (R13)."""
    site = {name: VALUES[name] for name in ("registry", "vault")}
    versions = {"1.0.0": "a", "2.0.0": "b"}
    rendered = {v: documents(helm_template(helm, site, released(v, digit))) for v, digit in versions.items()}
    for version, digit in versions.items():
        deployment = of_kind(rendered[version], "Deployment")["shop-app"]
        (app,) = deployment["spec"]["template"]["spec"]["containers"]
        assert app["image"].endswith("@sha256:" + digit * 64)
        assert deployment["metadata"]["labels"]["app.kubernetes.io/version"] == version
    assert [(o["kind"], o["metadata"]["name"]) for o in rendered["1.0.0"]] == [
        (o["kind"], o["metadata"]["name"]) for o in rendered["2.0.0"]
    ]


def test_alerts_of_the_demonstration(helm, released):
    """The table of R15: names, waiting times and severities; every metric that a rule reads has a fixed name."""
    site = {**{name: VALUES[name] for name in ("registry", "vault")}, "prometheusRule": {"enabled": True}}
    (rule,) = of_kind(documents(helm_template(helm, site, released("1.0.0", "a"))), "PrometheusRule").values()
    rules = [rule for group in rule["spec"]["groups"] for rule in group["rules"]]
    assert {rule["alert"]: (rule["for"], rule["labels"]["severity"]) for rule in rules} == {
        "QueueBacklogHigh": ("10m", "warning"),
        "QueueStuckReserved": ("5m", "critical"),
        "SmsGatewayDown": ("2m", "critical"),
        "SmsBalanceLow": ("0m", "warning"),
        "HighLoad": ("10m", "warning"),
        "HighMemoryUsage": ("10m", "warning"),
        "UnconfirmedBraceletsHighRatio": ("30m", "warning"),
    }
    assert all(rule["annotations"]["summary"] and rule["annotations"]["description"] for rule in rules)


def test_a_site_changes_one_threshold(helm, released):
    site = {name: VALUES[name] for name in ("registry", "vault")}
    expressions = []
    for thresholds in ({}, {"queue_size": 20}):
        values = {**site, "prometheusRule": {"enabled": True, "thresholds": thresholds}}
        (rule,) = of_kind(documents(helm_template(helm, values, released("1.0.0", "a"))), "PrometheusRule").values()
        expressions.append({rule["alert"]: rule["expr"] for group in rule["spec"]["groups"] for rule in group["rules"]})
    production, lab = expressions
    assert production["QueueBacklogHigh"].endswith("> 100")
    assert lab["QueueBacklogHigh"].endswith("> 20")
    assert production["HighMemoryUsage"].endswith("> 130023424")
    assert {**production, "QueueBacklogHigh": ""} == {**lab, "QueueBacklogHigh": ""}


def test_a_threshold_without_value_is_refused(helm):
    groups = [{"name": "shop", "rules": [{"alert": "A", "expr": "up < [[lowest]]"}]}]
    result = helm_template(helm, merged(prometheusRule={"enabled": True, "groups": groups}))
    assert result.returncode != 0
    assert "no value for [[lowest]]" in result.stderr
