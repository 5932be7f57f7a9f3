# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""Flux artifacts and Helm charts as OCI manifests. Private: may change in any release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._oci import (
    FLUX_CONFIG,
    FLUX_CONTENT,
    HELM_CONFIG,
    HELM_CONTENT,
    Manifest,
    OciError,
    archive,
    artifact,
    directory_files,
)

try:
    import yaml

    YAML_ERROR: Exception | None = None
except ImportError as error:
    YAML_ERROR = error


def _collect(directory: Path | None, files: Mapping[str, str]) -> dict[str, tuple[bytes, int]]:
    collected = directory_files(directory) if directory else {}
    collected.update({name: (text.encode(), 0o644) for name, text in files.items()})
    if not collected:
        raise OciError("There is no file to pack: give 'path' or 'files'.")
    return collected


def flux_artifact(directory: Path | None, files: Mapping[str, str], annotations: Mapping[str, str]) -> Manifest:
    """Return the files as the artifact that Flux's OCIRepository unpacks.

    Source: fluxcd/pkg, package ``oci``: empty JSON object as configuration, one tar+gzip layer.
    """
    return artifact({}, FLUX_CONFIG, archive(_collect(directory, files)), FLUX_CONTENT, annotations)


def merged(base: Any, changes: Any) -> Any:
    """Return ``base`` with mappings of ``changes`` merged in recursively; other values replace."""
    if isinstance(base, Mapping) and isinstance(changes, Mapping):
        keys = [*base, *(key for key in changes if key not in base)]
        return {key: merged(base.get(key), changes[key]) if key in changes else base[key] for key in keys}
    return changes


def helm_chart(
    directory: Path | None,
    files: Mapping[str, str],
    version: str | None,
    app_version: str | None,
    values: Mapping[str, Any],
) -> tuple[Manifest, str]:
    """Return a chart directory as Helm stores it in a registry, and the chart's version.

    :param version: replaces ``version`` of ``Chart.yaml`` when given; ``app_version`` likewise.
    :param values: merged over ``values.yaml``.
    Source: Helm documentation, "Use OCI-based registries": ``Chart.yaml`` as JSON is the configuration; the layer is
    the chart's archive, whose paths begin with the chart's name.
    """
    if YAML_ERROR:
        raise OciError(f"The Python package PyYAML is missing on this host: {YAML_ERROR}")
    collected = _collect(directory, files)
    if "Chart.yaml" not in collected:
        raise OciError(f"{directory} is no chart: it has no Chart.yaml.")
    try:
        metadata = yaml.safe_load(collected["Chart.yaml"][0])
        defaults = yaml.safe_load(collected["values.yaml"][0]) if "values.yaml" in collected else {}
    except yaml.YAMLError as error:
        raise OciError(f"Chart.yaml or values.yaml of {directory} is no YAML: {error}") from error
    if version:
        metadata["version"] = version
    if app_version:
        metadata["appVersion"] = app_version
    if not metadata.get("name") or not metadata.get("version"):
        raise OciError(f"Chart.yaml of {directory} needs 'name' and 'version'.")
    collected["Chart.yaml"] = (yaml.safe_dump(metadata, sort_keys=True).encode(), 0o644)
    if values:
        collected["values.yaml"] = (yaml.safe_dump(merged(defaults or {}, values), sort_keys=True).encode(), 0o644)
    layer = archive({f"{metadata['name']}/{name}": content for name, content in collected.items()})
    return artifact(metadata, HELM_CONFIG, layer, HELM_CONTENT), str(metadata["version"])
