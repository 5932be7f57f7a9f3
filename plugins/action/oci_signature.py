# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of ``onprem.platform.oci_signature``: runs on the controller, where the key is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._oci import (
    DIGEST,
    MEDIA_TYPE_MANIFEST,
    Manifest,
    OciError,
    Registry,
    checked_repository,
    in_memory,
    on_every,
    push,
)
from ..module_utils._oci_module import REGISTRY_ARGUMENTS, PlannedRegistry, registries_of
from ..module_utils._signature import (
    SIGNATURE_SUFFIX,
    PublicKey,
    SignatureError,
    payload,
    signature_manifest,
    signatures,
    tag_of,
)
from ..plugin_utils._bundle_common import BundleError
from ..plugin_utils._cosign import Cosign

display = Display()
ARGUMENTS: dict[str, Any] = {
    "artifacts": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "repository": {"type": "str", "required": True},
            "digest": {"type": "str", "required": True},
        },
    },
    "registry": {"type": "str", "required": True},
    "key": {"type": "str", "required": True, "no_log": False},
    "public_key": {"type": "path", "required": True},
    "password": {"type": "str", "no_log": True},
    "cosign": {"type": "path", "required": True},
    **REGISTRY_ARGUMENTS,
}


class ActionModule(ActionBase):  # type: ignore[misc] # ansible-core has no types
    """Sign artifacts in registries."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action; see the module's documentation for arguments and result."""
        super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(ARGUMENTS)
        try:
            return self._sign(arguments)
        except (BundleError, OciError, SignatureError) as error:
            raise AnsibleActionFail(str(error)) from error

    def _sign(self, arguments: dict[str, Any]) -> dict[str, Any]:
        managed = "://" in arguments["key"]
        cosign = Cosign(
            Path(arguments["cosign"]),
            arguments["key"] if managed else os.path.expanduser(arguments["key"]),
            Path(arguments["public_key"]),
            # The variable that cosign itself reads.
            arguments["password"] or os.environ.get("COSIGN_PASSWORD", ""),
        )
        pem = cosign.public_key()
        if pem is None:
            raise BundleError(f"There is no public key {arguments['public_key']}. Make the pair with bundle_signature.")
        key = PublicKey("key", pem)
        module = SimpleNamespace(params=arguments, check_mode=self._task.check_mode, warn=display.warning)
        registries = registries_of(module)
        done = [self._sign_one(item, arguments["registry"], key, cosign, registries) for item in arguments["artifacts"]]
        lines = [
            f"{item['repository']}@{item['digest']}: {'signed' if item['signed'] else 'copied'} to {address}\n"
            for item in done
            for address in item["pushed_to"]
        ]
        return {
            "changed": bool(lines),
            "artifacts": done,
            "diff": {"before": "", "after": "".join(lines)},
        }

    def _sign_one(
        self, artifact: dict[str, str], name: str, key: PublicKey, cosign: Cosign, registries: list[Registry]
    ) -> dict[str, Any]:
        repository, digest = checked_repository(artifact["repository"]), artifact["digest"]
        if not DIGEST.fullmatch(digest):
            raise OciError(f"'{digest}' is no sha256 digest.")
        found = on_every(registries, lambda registry: existing(registry, repository, digest, key))
        missing = [registry for registry, manifest in zip(registries, found, strict=True) if manifest is None]
        manifest = next((item for item in found if item is not None), None)
        if missing and not self._task.check_mode:
            if manifest is None:
                content = payload(f"{name}/{repository}", digest)
                signed = signature_manifest(content, cosign.sign(content))
            push(missing, [(repository, tag_of(digest, SIGNATURE_SUFFIX), manifest or signed)])
        return {
            "repository": repository,
            "digest": digest,
            "signed": bool(missing) and manifest is None,
            "pushed_to": [registry.address for registry in missing],
        }


def existing(registry: Registry, repository: str, digest: str, key: PublicKey) -> Manifest | None:
    """Return the signatures that a registry has of an artifact; None when none of them is by the key."""
    found = None if isinstance(registry, PlannedRegistry) else registry.manifest(repository, tag_of(digest, "sig"))
    if found is None:
        return None
    try:
        value = json.loads(found[1])
    except ValueError as error:
        raise OciError(f"{repository}:{tag_of(digest, 'sig')} is no manifest: {error}") from error
    blobs: dict[str, bytes] = {}

    def blob(name: str) -> bytes:
        if name not in blobs:
            blobs[name] = registry.blob(repository, name)
        return blobs[name]

    if not any(item.verified_by for item in signatures(value, blob, digest, [key])):
        return None
    parts = {part["digest"]: blob(part["digest"]) for part in (value["config"], *value["layers"])}
    media_type = str(value.get("mediaType") or MEDIA_TYPE_MANIFEST)
    return Manifest(found[1], media_type, {name: (in_memory(text), len(text)) for name, text in parts.items()})
