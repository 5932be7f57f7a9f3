# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookups that render charts and kustomizations, with programs that record how they are called."""

from __future__ import annotations

import stat
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleLookupError

from ansible_collections.onprem.platform.plugins.lookup import helm_template, kustomize
from ansible_collections.onprem.platform.plugins.plugin_utils._command import plain, yaml_documents


def program(directory: Path, body: str) -> str:
    """Write an executable shell script and return its path."""
    path = directory / "program"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def lookup(module: ModuleType, term: Any, **options: Any) -> Any:
    """Run a lookup plugin with one term and its documented defaults."""
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    values = {name: option.get("default") for name, option in documented.items()} | options
    plugin = module.LookupModule()
    plugin.set_options = lambda **_arguments: None
    plugin.get_option = values.__getitem__
    return plugin.run([term], variables={}, **options)[0]


def test_helm_gets_values_on_standard_input(tmp_path: Path) -> None:
    helm = program(tmp_path, 'echo "argv: \\"$*\\""; echo "values:"; sed "s/^/  /"')
    documents = lookup(
        helm_template, "/chart", binary_path=helm, release_name="r", release_namespace="n",
        release_values={"a": {"b": [1, True, "x"]}}, kube_version="1.36.3",
    )  # fmt: skip
    assert documents == [
        {
            "argv": "template r /chart --namespace n --values - --include-crds --kube-version 1.36.3",
            "values": {"a": {"b": [1, True, "x"]}},
        }
    ]


def test_kustomize_gets_paths_relative_to_its_directory(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("kind: One\n")
    # The last argument is the directory; printing the resource proves that the relative path resolves.
    kubectl = program(tmp_path, 'cd "$4" && cat "$(sed -n "s/^- //p" kustomization.yaml)"')
    assert lookup(kustomize, {"resources": [str(tmp_path / "one.yaml")]}, binary_path=kubectl) == [{"kind": "One"}]


def test_failure_shows_the_programs_words(tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match=r"exit code 3: no such value"):
        yaml_documents([program(tmp_path, "echo no such value >&2; exit 3")])


def test_missing_program_names_the_bundle() -> None:
    with pytest.raises(AnsibleLookupError, match=r"onprem\.platform\.bundle"):
        yaml_documents(["/nowhere/helm"])


def test_slow_program_is_ended(tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match="within 1 seconds"):
        yaml_documents([program(tmp_path, "exec sleep 30")], timeout=1)


def test_plain_drops_subclasses() -> None:
    class Tagged(str):
        pass

    value = plain({Tagged("a"): (Tagged("b"), 1, False, None)})
    assert not any(isinstance(text, Tagged) for text in (*value, value["a"][0]))
    assert value == {"a": ["b", 1, False, None]}
