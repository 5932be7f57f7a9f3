# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of ``onprem.platform.admission_images``: runs on the controller, where the bundle and the key are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils._admission_images import REPOSITORY, AdmissionImages
from ..plugin_utils._bundle_common import BundleError, file_digest
from ..plugin_utils._bundle_index import Index
from ..plugin_utils._bundle_lock import load_lock
from ..plugin_utils._bundle_signature import Origin
from .bundle_signature import COLLECTION, KEY_ARGUMENTS, cosign_of

display = Display()
ARGUMENTS = {
    **KEY_ARGUMENTS,
    "image": {"type": "str", "default": "toolbox"},
    "images": {"type": "path", "required": True},
}


class ActionModule(ActionBase):  # type: ignore[misc] # ansible-core has no types
    """Make images for trying a policy."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action; see the module's documentation for arguments and result."""
        super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(ARGUMENTS)
        lock = COLLECTION / "roles" / "bundle" / "files" / "lock.yml"
        try:
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
        except BundleError as error:
            raise AnsibleActionFail(str(error)) from error
        return {
            "changed": changed,
            "images": {name: f"{arguments['registry']}/{REPOSITORY}@{digest}" for name, digest in digests.items()},
            "tags": {name: f"{arguments['registry']}/{REPOSITORY}:{name}" for name in digests},
            "layouts": [str(images.bundle / "images"), str(images.signatures / "oci")],
        }
