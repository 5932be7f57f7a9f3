# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of ``onprem.platform.secret_scan_info``: runs on the controller, where bundle, repository and logs lie."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils._oci import Layout, Registry
from ..plugin_utils._bundle_common import BundleError
from ..plugin_utils._controller_action import ControllerAction
from ..plugin_utils._secret_canaries import make_canaries, missed
from ..plugin_utils._secret_scan import Collection, Gitleaks

CONFIGURATION = Path(__file__).resolve().parents[2] / "roles" / "verify" / "files" / "gitleaks.toml"
ARGUMENTS = {
    "gitleaks": {"type": "path", "required": True},
    "configuration": {"type": "path"},
    "repository": {"type": "path"},
    "paths": {"type": "list", "elements": "path", "default": []},
    "layout": {"type": "path"},
    "images": {"type": "list", "elements": "str", "default": []},
    "registry": {"type": "str"},
    "ca_cert": {"type": "path"},
    "artifacts": {"type": "list", "elements": "str", "default": []},
    "canaries": {"type": "bool", "default": False},
    "given": {"type": "dict", "default": {}, "no_log": True},
}


class ActionModule(ControllerAction):
    """Search for secrets where none may be."""

    ARGUMENTS = ARGUMENTS

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the module's result."""
        return {"changed": False, **scan(arguments)}


def scan(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the module's result.

    :raises BundleError: something cannot be searched, or there was nothing to search.
    :raises OciError: the layout or the registry does not have what was asked for.
    """
    gitleaks = Gitleaks(Path(arguments["gitleaks"]), Path(arguments["configuration"] or CONFIGURATION))
    given = {str(name): str(value) for name, value in arguments["given"].items()}
    planted, lacking = 0, list[str]()
    if arguments["canaries"]:
        canaries = make_canaries()
        with tempfile.TemporaryDirectory(prefix="secret-scan-") as directory:
            planted, lacking = missed(Path(directory), gitleaks, canaries)
        given |= {f"canary {name}": canary.text for name, canary in canaries.items()}
    with tempfile.TemporaryDirectory(prefix="secret-scan-") as directory:
        collection = Collection(Path(directory), given)
        if arguments["repository"]:
            collection.add_repository(Path(arguments["repository"]))
        for path in arguments["paths"]:
            collection.add_path(Path(path))
        if arguments["layout"]:
            layout = Layout(Path(arguments["layout"]))
            collection.add_images(layout, arguments["images"] or sorted(layout.images))
        if arguments["artifacts"]:
            if not arguments["registry"]:
                raise BundleError("artifacts needs registry, the address that has them.")
            collection.add_artifacts(Registry(arguments["registry"], arguments["ca_cert"]), arguments["artifacts"])
        if not collection.files:
            raise BundleError("There was nothing to search: that no secret was found would say nothing.")
        found = [*collection.found, *gitleaks.scan(collection)]
    return {
        "findings": [asdict(one) for one in found],
        "files": collection.files,
        "size": collection.size,
        "canaries": {"planted": planted, "missed": lacking},
    }
