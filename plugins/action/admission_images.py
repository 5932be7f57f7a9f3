# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of ``onprem.platform.admission_images``: runs on the controller, where the bundle and the key are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from ..plugin_utils._admission_images import REPOSITORY, AdmissionImages
from ..plugin_utils._bundle_common import file_digest
from ..plugin_utils._bundle_index import Index
from ..plugin_utils._bundle_lock import load_lock
from ..plugin_utils._bundle_signature import Origin
from ..plugin_utils._controller_action import ControllerAction
from .bundle_signature import COLLECTION, KEY_ARGUMENTS, cosign_of

display = Display()
ARGUMENTS = {
    **KEY_ARGUMENTS,
    "image": {"type": "str", "default": "toolbox"},
    "images": {"type": "path", "required": True},
}


class ActionModule(ControllerAction):
    """Make images for trying a policy."""

    ARGUMENTS = ARGUMENTS

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the module's result."""
        lock = COLLECTION / "roles" / "bundle" / "files" / "lock.yml"
        images = AdmissionImages(
            Index(Path(arguments["directory"])),
            arguments["image"],
            Path(arguments["images"]),
            load_lock(lock),
            cosign_of(arguments),
            arguments["registry"],
            Origin("onprem.platform.admission_images", "", file_digest(lock)),
            display.display,
        )
        changed = not images.complete()
        if changed and not self._task.check_mode:
            images.make()
        digests = images.digests()
        return {
            "changed": changed,
            "images": {name: f"{arguments['registry']}/{REPOSITORY}@{digest}" for name, digest in digests.items()},
            "tags": {name: f"{arguments['registry']}/{REPOSITORY}:{name}" for name in digests},
            "layouts": [str(images.bundle / "images"), str(images.signatures / "oci")],
        }
