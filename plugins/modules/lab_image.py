#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the lab's machine image when its recipe has changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_image
short_description: Build the machine image of the lab
version_added: 0.1.0
description:
  - Builds a Debian root file system with C(mmdebstrap) and imports it into podman's store as
    C(<repository>:<digest of the recipe>), unless an image of this name is there.
  - The recipe is a directory with the files C(packages) (one package per line) and C(customize) (an executable that
    gets the path of the root file system), and whatever these use.
author: onprem.platform contributors (@onprem-platform)
extends_documentation_fragment: [onprem.platform.attributes]
requirements: [podman, mmdebstrap]
options:
  recipe:
    description: Directory of the recipe.
    type: path
    required: true
  repository:
    description: Name of the image without tag.
    type: str
    default: localhost/onprem-platform-lab-node
  suite:
    description: Debian suite.
    type: str
    default: bookworm
  mirror:
    description: Address of a Debian mirror. Empty means Debian's own, with the security archive.
    type: str
    default: ''
  runtime:
    description: OCI runtime that podman uses.
    type: path
    default: /usr/sbin/runc
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the name of the image that is added.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Build the machine image
  onprem.platform.lab_image:
    recipe: "{{ role_path }}/files/node-image"
  become: true
  register: image
"""

RETURN = r"""
image:
  description: Full name of the image.
  returned: always
  type: str
  sample: localhost/onprem-platform-lab-node:0a1b2c3d4e5f
seconds:
  description: Time that the build took; 0 when nothing was built.
  returned: always
  type: float
"""

import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._lab import LabError, Podman, exclusive, recipe_digest, run_tool


def build(podman: Podman, recipe: Path, suite: str, mirror: str, image: str) -> None:
    """Make the root file system in a temporary directory and import it as ``image``."""
    lines = (recipe / "packages").read_text(encoding="utf-8").splitlines()
    packages = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    with tempfile.TemporaryDirectory(prefix="lab-image-", dir="/var/tmp") as scratch:
        tar = f"{scratch}/root.tar"
        run_tool(
            "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}",
            *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")),
            f"--customize-hook={recipe / 'customize'}", suite, tar, *([mirror] if mirror else []),
            timeout=1800,
        )  # fmt: skip
        podman.run("import", "--change", 'CMD ["/sbin/init"]', "--change", "STOPSIGNAL SIGRTMIN+3", tar, image)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "recipe": {"type": "path", "required": True},
            "repository": {"type": "str", "default": "localhost/onprem-platform-lab-node"},
            "suite": {"type": "str", "default": "bookworm"},
            "mirror": {"type": "str", "default": ""},
            "runtime": {"type": "path", "default": "/usr/sbin/runc"},
        },
        supports_check_mode=True,
    )
    recipe, suite, mirror = Path(module.params["recipe"]), module.params["suite"], module.params["mirror"]
    missing = [name for name in ("packages", "customize") if not (recipe / name).is_file()]
    if missing:
        module.fail_json(msg=f"the recipe {recipe} lacks {' and '.join(missing)}")
    image = f"{module.params['repository']}:{recipe_digest(recipe, suite, mirror)}"
    podman = Podman("", module.params["runtime"])
    started = time.monotonic()
    try:
        with exclusive():
            absent = podman.run("image", "exists", image, check=False)[0] != 0
            if absent and not module.check_mode:
                build(podman, recipe, suite, mirror, image)
    except LabError as error:
        module.fail_json(msg=f"the machine image was not built: {error}")
    module.exit_json(
        changed=absent,
        image=image,
        seconds=round(time.monotonic() - started, 1) if absent else 0.0,
        diff={"before": "" if absent else f"{image}\n", "after": f"{image}\n"},
    )


if __name__ == "__main__":
    main()
