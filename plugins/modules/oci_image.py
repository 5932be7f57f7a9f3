#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy images of an OCI image layout to registries."""

from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image
short_description: Copy images from an OCI image layout to registries
version_added: 0.1.0
description:
  - Compares the digest of each tag in each registry with the layout and uploads only what differs.
  - One call copies many images to all replicas of a registry.
author:
  - onprem.platform contributors (@onprem-platform)
options:
  layout:
    description: Directory of the OCI image layout, for example C(images) of the bundle directory.
    type: path
    required: true
  images:
    description: Images to copy, V(repository:tag). Without it, all images of the layout.
    type: list
    elements: str
extends_documentation_fragment:
  - onprem.platform.registry
attributes:
  check_mode:
    description: Reports what would be pushed and pushes nothing.
    support: full
  diff_mode:
    description: Shows the digests per image before and after.
    support: full
  idempotent:
    description: Nothing is uploaded when every registry has every digest.
    support: full
"""

EXAMPLES = r"""
- name: Bring the bundle's images into the cluster's registry
  onprem.platform.oci_image:
    layout: /var/lib/onprem-platform/bundle/images
    registries:
      - 192.0.2.11:5001
      - 192.0.2.12:5001
      - 192.0.2.13:5001
    ca_cert: /etc/onprem-platform/pki/ca.crt
    client_cert: /run/onprem-platform/push.crt
    client_key: /run/onprem-platform/push.key
"""

RETURN = r"""
images:
  description: Every image asked for.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Repository and tag.
      type: str
      sample: etcd:3.6.8-0
    digest:
      description: Digest of the manifest.
      type: str
      sample: sha256:7d0ba9a2c1f04ee8a7ff0d5cbd1a1e6ac7fcb66ad8c0bd6d3c3a2fa6ba1e9c01
    pushed_to:
      description: Registries that did not have it.
      type: list
      elements: str
      sample: ["192.0.2.11:5001"]
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._oci import Layout, OciError, Registry, checked_repository, checked_tag, on_every, push
from ..module_utils._oci_module import REGISTRY_ARGUMENTS, registries_of
from ..module_utils._progress import announcer


def copy_images(module: AnsibleModule) -> dict[str, Any]:
    """Compare, push what differs unless in check mode, and return the module's result."""
    layout = Layout(Path(module.params["layout"]))
    wanted = []
    for name in module.params["images"] or sorted(layout.images):
        repository, _separator, tag = name.rpartition(":")
        wanted.append((checked_repository(repository), checked_tag(tag), layout.manifest(name)))
    registries = registries_of(module)

    def present(registry: Registry) -> list[str | None]:
        return [registry.manifest_digest(repository, tag) for repository, tag, _manifest in wanted]

    found = on_every(registries, present)
    images: list[dict[str, Any]] = []
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for number, (repository, tag, manifest) in enumerate(wanted):
        name = f"{repository}:{tag}"
        missing = [
            registry.address
            for registry, digests in zip(registries, found, strict=True)
            if digests[number] != manifest.digest
        ]
        images.append({"name": name, "digest": manifest.digest, "pushed_to": missing})
        before[name] = {registry.address: digests[number] for registry, digests in zip(registries, found, strict=True)}
        after[name] = {registry.address: manifest.digest for registry in registries}
    if not module.check_mode:
        announce = announcer(module)
        for registry in registries:
            outdated = [
                item for item, image in zip(wanted, images, strict=True) if registry.address in image["pushed_to"]
            ]
            push([registry], outdated, announce)
    changed = any(image["pushed_to"] for image in images)
    differing = [image["name"] for image in images if image["pushed_to"]]
    return {
        "changed": changed,
        "images": images,
        "diff": {
            "before": {name: before[name] for name in differing},
            "after": {name: after[name] for name in differing},
        },
    }


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "layout": {"type": "path", "required": True},
            "images": {"type": "list", "elements": "str"},
            **REGISTRY_ARGUMENTS,
        },
        required_together=[("client_cert", "client_key")],
        supports_check_mode=True,
    )
    try:
        result = copy_images(module)
    except OciError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
