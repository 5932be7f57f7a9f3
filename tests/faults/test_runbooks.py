# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runbooks ask is asked on a platform on which nothing has happened: each question has an answer."""

from __future__ import annotations

import json
import re
from functools import cache

from ansible_collections.onprem.platform.tests.faults.reader import Reader, Shell, filled, follow, followed
from ansible_collections.onprem.platform.tests.rules.commands import NOT_RUN, Command, commands, pages

INDEX = "docs/runbooks/README.md"
# The first is for everybody, the other is followed in test_guides.py.
APART = (INDEX, "docs/runbooks/VaultLeasesIrrevocable.md")
TROUBLE = re.compile(
    r"^(error: |Error |Unable to |ssh: |curl: |Failed to |unknown |.*: (command )?not found$|.*No such file or)",
    re.MULTILINE,
)
# What has no answer where nothing has happened, or where a machine is a container: only that it can be asked is seen.
WITH_AN_INCIDENT = (
    "kubectl -n NAMESPACE logs POD -c CONTAINER --previous",
    "kubectl -n NAMESPACE logs job/JOB",
    "ssh NODE journalctl -b -1",
    "ssh NODE timedatectl",
    "ssh NODE systemctl status chrony",
    "ssh NODE dmesg",
    "ssh NODE head -c 200000 /proc/net/nf_conntrack",
)
# The pods that a page means, by the namespace of its command.
PODS = {
    "data": "app.kubernetes.io/name=mariadb",
    "kube-system": "k8s-app=cilium",
    "laravel-demo": "app.kubernetes.io/component=app",
    "observability": "app.kubernetes.io/name=prometheus",
    "observability-agents": "app.kubernetes.io/name=collector",
    "vault": "app.kubernetes.io/name=vault",
}
# The objects that a page means by NAME; elsewhere it is the application's release.
NAMES = {
    "AggregatedApiUnavailable": "v1beta1.metrics.k8s.io",
    "AutoscalerAtMaximum": "laravel-demo-app",
}
VALUES = {
    "CLAIM": "data-mariadb-0",
    "CONTAINER": "app",
    "CONTROL_PLANE": "cp1",
    "DEVICE": "eth0",
    "JOB": "none",
    "KIND": "helmrelease",
    "MOUNTPOINT": "/var",
    "NODE": "w1",
    "NODE1": "w1",
    "NODE2": "w2",
    "PATH": "/var/lib/kubelet/pki/kubelet-client-current.pem",
    "RELEASE": "laravel-demo",
    "RESOURCE": "pods",
    "WORKLOAD": "Deployment/laravel-demo-app",
}


def as_typed(page: str) -> list[Command]:
    """Return a page's commands; what follows a bare ``ssh`` in a block is typed there, so it is one command with it."""
    found: list[Command] = []
    there: int | None = None
    for command in commands(page):
        if there is not None and command.block == there:
            lines = found[-1].text.removesuffix("\nTYPED")
            found[-1] = Command(page, there, f"{lines}\n{command.text}\nTYPED")
        elif re.fullmatch(r"ssh [A-Z_]+", command.text):
            there = command.block
            found.append(Command(page, there, f"{command.text} bash -es <<'TYPED'\nTYPED"))
        else:
            found.append(command)
    return found


def test_runbooks(reader: Reader, shell: Shell) -> None:
    nodes = json.loads((reader.checkout / ".lab/lab.json").read_text(encoding="utf-8"))["nodes"]
    address = {node["name"]: node["address"] for node in nodes}
    servers = " ".join(address[name] for name in ("cp1", "cp2", "cp3"))
    known = {**VALUES, "NODE_IP": address["w1"], "OTHER_NODE": address["cp2"], "CONTROL_PLANES": servers}

    @cache
    def pod(namespace: str) -> str:
        names = "-o jsonpath='{.items[0].metadata.name}'"
        return shell.run(f"kubectl -n {namespace} get pods -l {PODS[namespace]} {names}") if namespace in PODS else ""

    # What somebody has in the own settings of SSH.
    shell.run('ssh() { command ssh -F .lab/ssh_config "$@"; }')
    for _command, output in follow(shell, commands(INDEX), {"NAME": "NodeDown"}):
        silence = output.split()[-1] if output.strip() else ""
    shell.run(f"amtool --alertmanager.url=http://127.0.0.1:9093 silence expire {silence}")
    wrong = []
    for page in (one for one in pages() if one.startswith("docs/runbooks/") and one not in APART):
        own = "data" if any("CLAIM" in command.text for command in commands(page)) else "laravel-demo"
        name = NAMES.get(page.rpartition("/")[2].removesuffix(".md"), "laravel-demo")
        for command in (one for one in as_typed(page) if one.text not in NOT_RUN):
            place = re.search(r"-n ([a-z-]+)", command.text)
            values = {**known, "NAMESPACE": own, "NAME": name, "POD": pod(place[1] if place else own)}
            if "/Etcd" in page:
                values["NODE"] = "cp1"
            said = "".join(text for _text, text in follow(shell, [command], values, codes=range(256)))
            trouble = TROUBLE.search(said) or (command.text.startswith("query ") and '"status": "success"' not in said)
            if trouble and not command.text.startswith(WITH_AN_INCIDENT):
                wrong.append(f"{page}: {filled(command.text, values)}\n{said[:600]}")
        followed.update(one for one in commands(page) if one.text not in NOT_RUN)
    assert wrong == [], "\n".join(wrong)
