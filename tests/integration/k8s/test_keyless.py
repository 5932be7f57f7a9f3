# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Identities instead of keys, with an own authority whose certificates a TrustRoot brings, judged by policy-tester."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.module_utils._image_policy import specification
from ansible_collections.onprem.platform.tests.integration.k8s.conftest import REPOSITORY
from ansible_collections.onprem.platform.tests.integration.k8s.keyless import Fulcio, KeyRepository
from ansible_collections.onprem.platform.tests.integration.k8s.signing import RegistryService, program

ISSUER = "https://identities.example.org"
WORKFLOW = "https://git.example.org/acme/shop/.github/workflows/release.yml@refs/tags/v1.0.0"
EXPRESSION = r"^https://git\.example\.org/acme/shop/\.github/workflows/release\.yml@refs/tags/v.+$"


@pytest.fixture(scope="module")
def authority() -> Fulcio:
    return Fulcio()


@pytest.fixture(scope="module")
def images(registry_service: RegistryService, authority: Fulcio, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Images of the wanted workflow, another workflow, another provider, another authority; and an unsigned one."""
    directory = tmp_path_factory.mktemp("images")
    signers = {
        "good": (authority, ISSUER, WORKFLOW),
        "workflow": (authority, ISSUER, WORKFLOW.replace("release.yml@refs/tags", "test.yml@refs/heads")),
        "provider": (authority, "https://elsewhere.example.org", WORKFLOW),
        "authority": (Fulcio(), ISSUER, WORKFLOW),
    }
    digests = []
    for name, (signer, issuer, subject) in signers.items():
        digests.append(registry_service.push_image("keyless", name, directory))
        signer.sign(registry_service, "keyless", digests[-1], issuer, subject)
    return [*digests, registry_service.push_image("keyless", "unsigned", directory)]


def rendered(directory: Path, roots: str) -> dict[str, Any]:
    """Return the TrustRoot that the role makes of policy_trust_roots (YAML)."""
    book = directory / "playbook.yml"
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"policy_trust_roots": yaml.safe_load(roots)},
        "tasks": [
            {"when": False, "import_role": {"name": "onprem.platform.policy"}},
            {
                "ansible.builtin.copy": {
                    "content": "{{ _policy_trust_root_objects | to_json }}",
                    "dest": str(directory / "roots.json"),
                    "mode": "0600",
                }
            },
        ],
    }
    book.write_text(yaml.safe_dump([play], sort_keys=False))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), str(book)],
        cwd=REPOSITORY,
        env={**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads((directory / "roots.json").read_text())
    assert [item["metadata"]["name"] for item in found] == ["own"]
    return found[0]


@pytest.mark.parametrize("kind", ["keys", "repository"])
def test_only_the_wanted_workflow_is_admitted(
    kind: str, authority: Fulcio, images: list[str], registry_service: RegistryService, tmp_path: Path
) -> None:
    if kind == "keys":
        roots = yaml.safe_dump({"own": authority.keys})
    else:
        mirror = tmp_path / "mirror"
        mirror.mkdir()
        KeyRepository(mirror, authority)
        roots = f"""own: {{repository: "{{{{ lookup('onprem.platform.tuf_repository', '{mirror}') }}}}"}}"""
    (tmp_path / "root.yaml").write_text(yaml.safe_dump(rendered(tmp_path, roots)))
    identity = {"issuer": ISSUER, "issuer_reg_exp": None, "subject": None, "subject_reg_exp": EXPRESSION}
    keyless = {
        "url": "https://fulcio.example.org",
        "identities": [identity],
        "ca_cert": None,
        "trust_root_ref": "own",
        "insecure_ignore_sct": True,
    }
    options = {
        "images": [f"{registry_service.address}/**"],
        "mode": "enforce",
        "authorities": [{"name": "workflow", "keyless": keyless}],
        "policy": None,
        "match": None,
    }
    policy = {
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": "workflow"},
        "spec": specification(options),
    }
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy))
    verdicts = []
    for digest in images:
        image = f"--image={registry_service.address}/keyless@{digest}"
        files = [f"--policy={tmp_path / 'policy.yaml'}", f"--trustroot={tmp_path / 'root.yaml'}"]
        done = subprocess.run(
            [program("policy-tester"), *files, image, "--log-level=error"],
            env={**os.environ, "SSL_CERT_FILE": str(registry_service.authority)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        verdicts.append((done.returncode == 0, done.stdout + done.stderr))
    assert [admitted for admitted, _text in verdicts] == [True, False, False, False, False], verdicts
    assert "none of the expected identities matched" in verdicts[1][1] and "none of the expected" in verdicts[2][1]
    assert "certificate signed by unknown authority" in verdicts[3][1]
