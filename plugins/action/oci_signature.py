# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of ``onprem.platform.oci_signature``: runs on the controller, where the key is."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ansible.utils.display import Display

from ..module_utils._oci import DIGEST, OciError, checked_repository
from ..module_utils._oci_module import REGISTRY_ARGUMENTS, registries_of
from ..module_utils._signature import PublicKey
from ..plugin_utils._artifact_signature import ArtifactSignatures, Origin, SignedArtifact
from ..plugin_utils._bundle_common import BundleError
from ..plugin_utils._bundle_statements import PROJECT
from ..plugin_utils._controller_action import ControllerAction
from ..plugin_utils._cosign import Cosign
from .bundle_signature import COLLECTION, commit_of

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
    "attest": {"type": "bool", "default": False},
    "builder": {"type": "str", "default": PROJECT},
    "source": {"type": "str", "default": PROJECT},
    "commit": {"type": "str", "default": ""},
    **REGISTRY_ARGUMENTS,
}


class ActionModule(ControllerAction):
    """Sign artifacts in registries."""

    ARGUMENTS = ARGUMENTS

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the module's result."""
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
        module = SimpleNamespace(params=arguments, check_mode=self._task.check_mode, warn=display.warning)
        signatures = ArtifactSignatures(
            registries_of(module), arguments["registry"], PublicKey("key", pem), cosign, _origin(arguments)
        )
        for item in arguments["artifacts"]:
            checked_repository(item["repository"])
            if not DIGEST.fullmatch(item["digest"]):
                raise OciError(f"'{item['digest']}' is no sha256 digest.")
        write = not self._task.check_mode
        done = [signatures.fill(item["repository"], item["digest"], write) for item in arguments["artifacts"]]
        lines = [f"{_line(item)} to {address}\n" for item in done for address in item.pushed_to]
        return {
            "changed": bool(lines),
            "artifacts": [asdict(item) for item in done],
            "diff": {"before": "", "after": "".join(lines)},
        }


def _origin(arguments: dict[str, Any]) -> Origin | None:
    if not arguments["attest"]:
        return None
    source, commit = arguments["source"], arguments["commit"]
    if not commit and source == PROJECT:
        commit = commit_of(COLLECTION, "plugins", "roles")
    return Origin(arguments["builder"], source, commit)


def _line(item: SignedArtifact) -> str:
    done = [name for name, made in (("signed", item.signed), ("attested", item.attested)) if made]
    return f"{item.repository}@{item.digest}: {' and '.join(done) or 'copied'}"
