# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, statuses and provenances that a chain is read from; tests/integration/k8s has a registry and pods."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._image_chain import (
    GAP,
    OK,
    PROVENANCE_V02,
    REVISION,
    VERSION,
    WAITING,
    Allowance,
    Demands,
    Evidence,
    Reference,
    build_of,
    chain,
    table,
    wanted_digest,
)
from ansible_collections.onprem.platform.plugins.module_utils._oci import OciError
from ansible_collections.onprem.platform.plugins.module_utils._pod_containers import Container, containers
from ansible_collections.onprem.platform.plugins.module_utils._signature import PROVENANCE, SPDX, Finding, Vouched

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
COMMIT = "ab" * 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry.test:5000/a/b:1@" + ONE, ("registry.test:5000", "a/b", "1", ONE)),
        ("registry.test:5000/b", ("registry.test:5000", "b", "", "")),
        ("localhost/b:1", ("localhost", "b", "1", "")),
        ("nginx:1.27", ("docker.io", "library/nginx", "1.27", "")),
        ("acme/shop@" + ONE, ("docker.io", "acme/shop", "", ONE)),
    ],
)
def test_names(text: str, expected: tuple[str, str, str, str]) -> None:
    assert Reference.parse(text) == Reference(*expected)


def provenance(**changes: Any) -> dict[str, Any]:
    material = {"uri": "git+https://git.test/shop@refs/tags/v1", "digest": {"gitCommit": COMMIT}}
    definition = {"buildType": "type", "externalParameters": {}, "resolvedDependencies": [{"name": "lock"}, material]}
    return {"buildDefinition": {**definition, **changes}, "runDetails": {"builder": {"id": "builder"}}}


def test_provenances() -> None:
    found = build_of(provenance())
    assert (found.builder, found.commit, found.tag, found.materials) == ("builder", COMMIT, "v1", 2)
    github = build_of(provenance(externalParameters={"workflow": {"ref": "refs/tags/v2"}}))
    assert github.tag == "v2"
    assert build_of(provenance(resolvedDependencies=[])).commit == ""
    assert build_of(provenance(resolvedDependencies=[{"digest": {"gitCommit": "--help"}}])).commit == ""
    source = {"uri": "git+https://git.test/shop@refs/heads/main", "digest": {"sha1": COMMIT}}
    old = {"builder": {"id": "b"}, "buildType": "t", "invocation": {"configSource": source}, "materials": []}
    assert (build_of(old).commit, build_of(old).tag, build_of(old).materials) == (COMMIT, "", 1)
    for wrong in ({}, {"buildDefinition": []}, {"builder": None}, None):
        with pytest.raises(ValueError, match="no provenance of SLSA"):
            build_of(wrong)


def test_all_containers_of_a_pod() -> None:
    pod = {
        "metadata": {"name": "p"},
        "spec": {
            "initContainers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i", "restartPolicy": "Always"}],
            "containers": [{"name": "c", "image": "i"}],
            "ephemeralContainers": [{"name": "d", "image": "i"}],
        },
        "status": {
            "initContainerStatuses": [{"name": "b", "imageID": f"registry.test/x@{ONE}"}],
            "ephemeralContainerStatuses": [{"name": "d", "imageID": ONE}],
        },
    }
    found = containers(pod)
    assert [(item.name, item.kind) for item in found] == [
        ("a", "init"),
        ("b", "sidecar"),
        ("c", "container"),
        ("d", "ephemeral"),
    ]
    assert [item.running_digest for item in found] == ["", ONE, "", ONE]
    assert wanted_digest(found[1]) == ONE


def container(image: str = f"registry.test/shop:1@{ONE}", running: str = ONE, **annotations: str) -> Container:
    return Container("pod", "web", "container", image, running, annotations)


def evidence(*attested: Finding, labels: dict[str, str] | None = None) -> Evidence:
    findings = list(attested) or [
        Finding(SPDX, ("key",), "", {}),
        Finding(PROVENANCE, ("key",), "", provenance()),
    ]
    return Evidence(frozenset({ONE, TWO}), labels or {}, Vouched([Finding("", ("key",), "")], findings))


def links(
    item: Container, found: Evidence | OciError | None, demands: Demands | None = None, tag: str | None = ONE
) -> dict[str, tuple[str, str]]:
    checked = chain(item, found, lambda name: tag, demands or Demands())
    return {link.name: (link.state, link.reason) for link in checked.links}


def test_every_link_is_checked() -> None:
    assert {state for state, _reason in links(container(), evidence()).values()} == {OK}
    assert links(container(running=""), evidence())["running"][0] == WAITING
    assert links(container(running=TWO), evidence())["running"][0] == OK, "a manifest of the index"
    other = links(container(**{REVISION: "cd" * 20}), evidence())
    assert other["commit"][1] == f"the pod says {'cd' * 20}, the provenance {COMMIT}"
    labelled = links(container(), evidence(labels={REVISION: "cd" * 20}))
    assert labelled["commit"][1].startswith("the image says")
    assert links(container(), evidence(), tag=None)["tag"] == (GAP, "the registry has no such tag")
    bare = f"registry.test/shop@{ONE}"
    assert links(container(bare), evidence())["tag"][0] == GAP
    assert links(container(bare), evidence(labels={VERSION: "1"}))["tag"][0] == OK
    assert links(container(bare, **{VERSION: "1"}), evidence())["tag"][0] == OK
    old = Finding(PROVENANCE_V02, ("key",), "", {"builder": {"id": ""}, "buildType": ""})
    found = links(container(), evidence(Finding(SPDX, ("key",), "", {}), old))
    assert found["commit"] == (GAP, "the provenance names no commit")
    assert found["build"] == (GAP, "the provenance names no builder")
    broken = links(container(), evidence(Finding(PROVENANCE, ("key",), "", "text")))
    assert broken["build"][0] == GAP and "no provenance of SLSA" in broken["build"][1]
    assert {state for state, _reason in links(container(), OciError("silent")).values()} == {GAP, OK}
    assert links(container("registry.test/shop:1", ""), None)["digest"] == (GAP, "it has no digest")


def test_tags_of_the_repository() -> None:
    for tags, expected in ((["v1"], OK), (["v2"], GAP), ([], GAP)):
        assert links(container(), evidence(), Demands(tags_of=lambda _commit, t=tags: t))["tag"][0] == expected  # type: ignore[misc]
    unknown = links(container(), evidence(), Demands(tags_of=lambda commit: None))
    assert unknown["commit"] == (GAP, "the repository does not have this commit")


def test_what_is_allowed_is_shown() -> None:
    demands = Demands(allowances=[Allowance(["registry.test/*"], ["signature"], "mirrored")])
    unsigned = Evidence(frozenset({ONE}), {}, Vouched([], evidence().vouched.attestations))
    item = chain(container(), unsigned, lambda name: ONE, demands)
    assert not item.gaps and item.as_dict()["whole"]
    lines = table([item])
    assert "~ -" in lines[1] and lines[2] == (
        "~ registry.test/shop:1@111111111111 signature: it is not signed; allowed: mirrored (pod/web)"
    )
    assert chain(container("elsewhere.test/shop@" + ONE), unsigned, lambda name: ONE, demands).gaps
