#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Push a directory as a Flux artifact or a Helm chart."""

from __future__ import annotations

DOCUMENTATION = r"""
module: oci_artifact
short_description: Push a directory to registries as a Flux artifact or a Helm chart
version_added: 0.1.0
description:
  - Packs files reproducibly, so that equal content always has the same digest.
  - Pushes only where the tag does not have that digest already, and says when a tag moved.
author:
  - onprem.platform contributors (@onprem-platform)
options:
  type:
    description:
      - V(flux) packs files as Flux's OCIRepository reads them.
      - V(helm) packs a chart directory as C(helm push) does. Its name and version name the tag.
    type: str
    choices: [flux, helm]
    default: flux
  path:
    description: Directory to pack.
    type: path
  files:
    description: Further files, relative path to text. They win over files of O(path) with the same name.
    type: dict
    default: {}
  repository:
    description: Repository in the registry, for example V(platform/tree) or V(charts/laravel).
    type: str
    required: true
  tag:
    description: Tag. For charts the default is the chart's version, and another tag is refused.
    type: str
  annotations:
    description: Annotations of the manifest. Change them only with the content, as they are part of the digest.
    type: dict
    default: {}
  chart_version:
    description: Version written into C(Chart.yaml) of O(type=helm).
    type: str
  app_version:
    description: C(appVersion) written into C(Chart.yaml) of O(type=helm).
    type: str
  chart_values:
    description: Values merged over the chart's C(values.yaml), such as image digests.
    type: dict
    default: {}
extends_documentation_fragment:
  - onprem.platform.registry
attributes:
  check_mode:
    description: Reports what would be pushed and pushes nothing.
    support: full
  diff_mode:
    description: Shows the digest of the tag in each registry before and after.
    support: full
  idempotent:
    description: Nothing is uploaded when every registry has the digest under the tag.
    support: full
"""

EXAMPLES = r"""
- name: Publish a tree of manifests for Flux
  onprem.platform.oci_artifact:
    path: "{{ playbook_dir }}/files/tree"
    repository: platform/tree
    tag: main
    registries: ["192.0.2.11:5001"]
    ca_cert: /etc/onprem-platform/pki/ca.crt
    client_cert: /run/onprem-platform/push.crt
    client_key: /run/onprem-platform/push.key

- name: Release a new version of a chart
  onprem.platform.oci_artifact:
    type: helm
    path: "{{ playbook_dir }}/files/chart"
    repository: charts/shop
    chart_version: 2.0.0
    chart_values:
      image:
        digest: sha256:7d0ba9a2c1f04ee8a7ff0d5cbd1a1e6ac7fcb66ad8c0bd6d3c3a2fa6ba1e9c01
    registries: ["192.0.2.11:5001"]
    ca_cert: /etc/onprem-platform/pki/ca.crt
    client_cert: /run/onprem-platform/push.crt
    client_key: /run/onprem-platform/push.key
"""

RETURN = r"""
digest:
  description: Digest of the artifact's manifest.
  returned: success
  type: str
  sample: sha256:7d0ba9a2c1f04ee8a7ff0d5cbd1a1e6ac7fcb66ad8c0bd6d3c3a2fa6ba1e9c01
repository:
  description: Repository of the artifact.
  returned: success
  type: str
  sample: platform/tree
tag:
  description: Tag of the artifact.
  returned: success
  type: str
  sample: main
revision:
  description: Revision as Flux reports it, V(tag@digest).
  returned: success
  type: str
  sample: main@sha256:7d0ba9a2c1f04ee8a7ff0d5cbd1a1e6ac7fcb66ad8c0bd6d3c3a2fa6ba1e9c01
pushed_to:
  description: Registries that did not have this digest under the tag.
  returned: success
  type: list
  elements: str
  sample: ["192.0.2.11:5001"]
moved_from:
  description: Other digests that the tag had before.
  returned: success
  type: list
  elements: str
  sample: []
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._oci import OciError, checked_repository, checked_tag, on_every, push
from ..module_utils._oci_artifact import flux_artifact, helm_chart
from ..module_utils._oci_module import REGISTRY_ARGUMENTS, registries_of


def publish(module: AnsibleModule) -> dict[str, Any]:
    """Pack, compare, push what differs unless in check mode, and return the module's result."""
    params = module.params
    repository = checked_repository(params["repository"])
    directory = Path(params["path"]) if params["path"] else None
    files = {name: str(text) for name, text in params["files"].items()}
    if params["type"] == "helm":
        manifest, version = helm_chart(
            directory, files, params["chart_version"], params["app_version"], params["chart_values"]
        )
        tag = version.replace("+", "_")  # a tag cannot hold "+"; Helm itself writes "_" in its place
        if params["tag"] not in (None, tag):
            raise OciError(f"The tag of a chart is its version: leave out 'tag' or set it to {tag}.")
    else:
        manifest, tag = flux_artifact(directory, files, params["annotations"]), params["tag"]
    checked_tag(tag)
    registries = registries_of(module)
    found = on_every(registries, lambda registry: registry.manifest_digest(repository, tag))
    missing = [registry for registry, digest in zip(registries, found, strict=True) if digest != manifest.digest]
    if not module.check_mode:
        push(missing, [(repository, tag, manifest)])
    return {
        "changed": bool(missing),
        "digest": manifest.digest,
        "repository": repository,
        "tag": tag,
        "revision": f"{tag}@{manifest.digest}",
        "pushed_to": [registry.address for registry in missing],
        "moved_from": sorted({digest for digest in found if digest and digest != manifest.digest}),
        "diff": {
            "before": {registry.address: digest for registry, digest in zip(registries, found, strict=True)},
            "after": {registry.address: manifest.digest for registry in registries},
        },
    }


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "type": {"type": "str", "choices": ["flux", "helm"], "default": "flux"},
            "path": {"type": "path"},
            "files": {"type": "dict", "default": {}},
            "repository": {"type": "str", "required": True},
            "tag": {"type": "str"},
            "annotations": {"type": "dict", "default": {}},
            "chart_version": {"type": "str"},
            "app_version": {"type": "str"},
            "chart_values": {"type": "dict", "default": {}},
            **REGISTRY_ARGUMENTS,
        },
        required_one_of=[("path", "files")],
        required_if=[("type", "flux", ("tag",)), ("type", "helm", ("path",))],
        required_together=[("client_cert", "client_key")],
        supports_check_mode=True,
    )
    try:
        result = publish(module)
    except OciError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
