#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow what runs in pods back to the commits that it was built from."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_chain_info
version_added: 0.1.0
short_description: Follow what runs in pods back to the commits that it was built from
author: onprem.platform contributors (@onprem-platform)
description:
  - Checks for every container of a pod, or of all pods of a namespace, the chain commit, tag, build, digest, signature,
    attestation, running image.
  - What a provenance or a bill of materials says counts only when one of O(public_keys) verifies it for this image.
  - A link that does not hold, or that cannot be checked, is a gap, unless O(allowances) says why it may be missing.
    Nothing is passed over in silence.
options:
  namespace:
    description: Namespace of the pods.
    type: str
    required: true
  pod:
    description: Name of one pod. All pods of the namespace if unset.
    type: str
  label_selector:
    description: Only pods with these labels, such as V(app.kubernetes.io/name=laravel).
    type: str
  public_keys:
    description: Names of signers and their public keys in PEM.
    type: dict
    required: true
  registries:
    description:
      - Address V(host:port) by which a registry is reached from here, by the name that images have it by. A registry
        that is not named here is reached by its own name.
    type: dict
    default: {}
  registry_ca_cert:
    description: PEM file of the authority that issued the registries' certificates; the system's authorities if unset.
    type: path
  registry_client_cert:
    description: PEM file of a client certificate, for registries that demand one.
    type: path
  registry_client_key:
    description: PEM file of the key of O(registry_client_cert).
    type: path
  attested:
    description: Types of attestation that every image must have, beside the provenance.
    type: list
    elements: str
    default: ["https://spdx.dev/Document"]
  builders:
    description: Builders that count, as their provenance names them. Any if empty.
    type: list
    elements: str
    default: []
  repository:
    description:
      - Path of a local clone of the Git repository that the images are made from. The commit must be in it, and a tag
        must point to it - the one that the provenance names, when it names one.
      - Without it, the commit is believed because the provenance is signed.
    type: path
  allowances:
    description: Links that may be missing.
    type: list
    elements: dict
    default: []
    suboptions:
      images:
        description: Globs of the images as the pods name them, where C(*) stands for any characters.
        type: list
        elements: str
        required: true
      links:
        description: The links.
        type: list
        elements: str
        choices: [commit, tag, build, digest, signature, attestation, running]
        required: true
      reason:
        description: Why. It is shown beside each link that it is used for.
        type: str
        required: true
  require_whole:
    description: Fail when there is a gap.
    type: bool
    default: false
requirements:
  - cryptography
  - git, only with O(repository)
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.attributes
  - onprem.platform.attributes.k8s
  - onprem.platform.attributes.info
notes:
  - An image may be named by the digest of an index. Its signatures are those of the index; the runtime may report the
    index, the manifest that it chose, or the image's configuration.
  - Where the image has no tag in its name, the pod's annotation or the image's label
    C(org.opencontainers.image.version) names it. Their C(org.opencontainers.image.revision), if there is one, must be
    the provenance's commit.
  - A container that has not started yet is no gap, but is shown.
seealso:
  - module: onprem.platform.image_signature_info
"""

EXAMPLES = r"""
- name: What runs in the shop, and where does it come from?
  onprem.platform.image_chain_info:
    namespace: shop
    public_keys:
      release: "{{ lookup('ansible.builtin.file', 'cosign.pub') }}"
    registries:
      registry.platform.internal:5000: 192.0.2.11:5000
    registry_ca_cert: /etc/onprem-platform/pki/ca.crt
    allowances:
      - images: ["docker.io/*"]
        links: [commit, build]
        reason: Images of others are mirrored and signed, but not built here.
  register: chain

- name: Show it
  ansible.builtin.debug:
    msg: "{{ chain.table }}"
"""

RETURN = r"""
whole:
  description: Whether every link of every container holds or may be missing.
  returned: always, unless the options are wrong or the API cannot be read
  type: bool
  sample: true
chains:
  description: Every container, in the order in which pods and containers start.
  returned: always, unless the options are wrong or the API cannot be read
  type: list
  elements: dict
  contains:
    pod:
      description: Name of the pod.
      type: str
      sample: shop-7d9f-abcde
    container:
      description: Name of the container.
      type: str
      sample: web
    kind:
      description: One of V(container), V(init), V(sidecar), V(ephemeral).
      type: str
      sample: container
    image:
      description: The image as the pod names it.
      type: str
      sample: registry.example:5000/shop@sha256:7d0ba9a2c1f04ee8a7ff0d5cbd1a1e6ac7fcb66ad8c0bd6d3c3a2fa6ba1e9c01
    whole:
      description: Whether no link of it is a gap.
      type: bool
      sample: true
    links:
      description: The links, from the commit to the running image.
      type: list
      elements: dict
      contains:
        link:
          description: One of V(commit), V(tag), V(build), V(digest), V(signature), V(attestation), V(running).
          type: str
          sample: commit
        state:
          description: One of V(ok), V(gap), V(allowed) (missing, with a reason of O(allowances)), V(waiting).
          type: str
          sample: ok
        value:
          description: What was found.
          type: str
          sample: 8f7c2d5b0a9e4c3d2b1a0f9e8d7c6b5a49382716
        reason:
          description: Why the link does not hold.
          type: str
          sample: ""
table:
  description: The same as lines of text. C(!) marks gaps, C(~) what may be missing, C(?) what has not started.
  returned: always, unless the options are wrong or the API cannot be read
  type: list
  elements: str
  sample: ["POD  CONTAINER  COMMIT  TAG  BUILD  DIGEST  SIGNATURE  ATTESTATION  RUNNING"]
failure:
  description: Code, reason and message of the error.
  returned: failure of the API
  type: dict
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any
from urllib.parse import quote

from ..module_utils._image_chain import (
    LINKS,
    Allowance,
    Chain,
    Demands,
    Evidence,
    Reference,
    chain,
    gather,
    table,
    wanted_digest,
)
from ..module_utils._kube_errors import KubeConfigError
from ..module_utils._kube_module import KubeModule
from ..module_utils._oci import OciError, Registry
from ..module_utils._pod_containers import Container, containers
from ..module_utils._signature import PublicKey, SignatureError

WORKERS = 8


class Registries:
    """The registries of the images."""

    def __init__(self, params: dict[str, Any], keys: list[PublicKey]) -> None:
        self._params, self._keys = params, keys
        self._registry = cache(self._connect)
        self.tag_digest = cache(self._tag_digest)

    def read(self, found: list[Container]) -> dict[tuple[str, str, str], Evidence | OciError | None]:
        """Read what there is of all images at once, each image once."""
        wanted = list(dict.fromkeys(key(item) for item in found))
        with ThreadPoolExecutor(WORKERS) as workers:
            return dict(zip(wanted, workers.map(lambda item: self._evidence(*item), wanted)))

    def _connect(self, name: str) -> Registry:
        address = str(self._params["registries"].get(name, name))
        return Registry(
            address if ":" in address else f"{address}:443",
            self._params["registry_ca_cert"],
            self._params["registry_client_cert"],
            self._params["registry_client_key"],
            self._params["request_timeout"],
        )

    def _evidence(self, name: str, repository: str, digest: str) -> Evidence | OciError | None:
        try:
            return gather(self._registry(name), repository, digest, self._keys) if digest else None
        except OciError as error:
            return error

    def _tag_digest(self, name: str, repository: str, tag: str) -> str | None:
        return self._registry(name).manifest_digest(repository, tag)


def key(container: Container) -> tuple[str, str, str]:
    """Return registry, repository and digest of what a container should run."""
    name = Reference.parse(container.image)
    return name.registry, name.repository, wanted_digest(container)


def git(module: KubeModule, repository: str) -> Callable[[str], list[str] | None]:
    """Return a function that gives the tags of a commit, None when the repository does not have it."""
    command = [module.get_bin_path("git", required=True), "-C", repository]

    def run(*arguments: str) -> tuple[int, str, str]:
        code, out, err = module.run_command([*command, *arguments])
        return code, out, err

    code, _out, err = run("rev-parse", "--git-dir")
    if code:
        raise KubeConfigError(f"{repository} is no Git repository: {err.strip()}", "Give the path of a clone.")

    @cache
    def tags_of(commit: str) -> list[str] | None:
        if run("cat-file", "-e", f"{commit}^{{commit}}")[0]:
            return None
        return run("tag", "--points-at", commit)[1].split()

    return tags_of


def work(module: KubeModule) -> dict[str, Any]:
    """Read pods and registries and check every link; raises KubeError."""
    params = module.params
    try:
        keys = [PublicKey(name, str(pem)) for name, pem in params["public_keys"].items()]
    except SignatureError as error:
        raise KubeConfigError(str(error)) from error
    demands = Demands(
        params["attested"],
        params["builders"],
        [Allowance(**item) for item in params["allowances"]],
        git(module, params["repository"]) if params["repository"] else None,
    )
    registries = Registries(params, keys)

    found = [container for pod in pods(module) for container in containers(pod)]
    evidence = registries.read(found)

    def check(container: Container) -> Chain:
        registry, repository, _digest = key(container)
        return chain(
            container, evidence[key(container)], lambda tag: registries.tag_digest(registry, repository, tag), demands
        )

    chains = [check(container) for container in found]
    broken = [item for item in chains if item.gaps]
    lines = table(chains)
    result = {"changed": False, "whole": not broken, "chains": [item.as_dict() for item in chains], "table": lines}
    if broken and params["require_whole"]:
        gaps = sum(len(item.gaps) for item in broken)
        module.fail_json(msg="\n".join([f"{gaps} gaps in {len(broken)} of {len(chains)} chains", *lines]), **result)
    return result


def pods(module: KubeModule) -> list[dict[str, Any]]:
    """Return the pods that were asked for; raises KubeError, also when there is none."""
    params = module.params
    path = f"/api/v1/namespaces/{quote(params['namespace'], safe='')}/pods"
    if params["pod"]:
        return [module.client.get(f"{path}/{quote(params['pod'], safe='')}")]
    found = list(module.client.get(path, {"labelSelector": params["label_selector"]}).get("items") or [])
    if not found:
        # Nothing that was checked is no chain that holds.
        raise KubeConfigError(f"namespace {params['namespace']} has no such pod", "Check namespace and label_selector.")
    return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))


def main() -> None:
    """Entry point of the module."""
    KubeModule(
        argument_spec={
            "namespace": {"type": "str", "required": True},
            "pod": {"type": "str"},
            "label_selector": {"type": "str"},
            "public_keys": {"type": "dict", "required": True, "no_log": False},
            "registries": {"type": "dict", "default": {}},
            "registry_ca_cert": {"type": "path"},
            "registry_client_cert": {"type": "path"},
            "registry_client_key": {"type": "path", "no_log": False},
            "attested": {"type": "list", "elements": "str", "default": ["https://spdx.dev/Document"]},
            "builders": {"type": "list", "elements": "str", "default": []},
            "repository": {"type": "path"},
            "allowances": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "images": {"type": "list", "elements": "str", "required": True},
                    "links": {"type": "list", "elements": "str", "choices": list(LINKS), "required": True},
                    "reason": {"type": "str", "required": True},
                },
            },
            "require_whole": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("pod", "label_selector")],
        required_together=[("registry_client_cert", "registry_client_key")],
    ).run(work)


if __name__ == "__main__":
    main()
