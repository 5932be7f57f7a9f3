#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring files, packages, kernel settings and units of a host to the wanted state in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_config
short_description: Files, packages, kernel settings and units of a host in one call
version_added: 0.1.0
description:
  - Compares everything that a role wants on a host and writes only the difference.
  - Text travels with the call. Binary files and packages are uploaded afterwards, and only those that differ, so a
    run that finds everything in place costs one module call.
  - The order is packages, users, directories, files, links, absent paths, trust anchors, names in C(/etc/hosts), kernel
    modules, kernel settings, units.
  - Files appear whole or not at all. A run that was killed at any point is completed by the next one; a unit that still
    runs with older files than those on disk is restarted then.
author:
  - onprem.platform contributors (@onprem-platform)
options:
  bundle_directory:
    description: Bundle directory on the controller, for O(files[].bundle) and O(bundle_packages).
    type: path
  bundle_packages:
    description: Package selections of the bundle to install, such as V(node-debian-12); they are added to O(packages).
    type: list
    elements: str
    default: []
  packages:
    description:
      - Debian packages to install from files of the controller, all in one go.
      - A package that is installed in this version or a newer one is left alone. Services are not started by the
        installation, and configuration files on the host are kept.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the package.
        type: str
        required: true
      version:
        description: Version of the package.
        type: str
        required: true
      src:
        description: Path of the package file on the controller.
        type: path
        required: true
      sha256:
        description: Checksum of O(packages[].src); computed when not given.
        type: str
      size:
        description: Size of O(packages[].src) in bytes; read from the file when not given.
        type: int
      distribution:
        description:
          - Operating system for which the package was made, such as V(debian-12).
          - On another one a package of that name must be there already; libraries are then the distribution's matter.
        type: str
  users:
    description: System users to create, each with a group of the same name, without password and login shell.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the user.
        type: str
        required: true
      home:
        description: Home directory; it is not created.
        type: str
        default: /nonexistent
  directories:
    description: Directories to create or to correct. Missing parents are made with mode 0755.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: str
        required: true
      mode:
        description: Octal mode.
        type: str
        default: '0755'
      owner:
        description: User name or number.
        type: str
        default: root
      group:
        description: Group name or number.
        type: str
        default: root
  files:
    description: Files to write.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path on the host.
        type: str
        required: true
      content:
        description: Text of the file. Give one of this, O(files[].src) and O(files[].bundle).
        type: str
      src:
        description: Path of the file on the controller.
        type: path
      bundle:
        description: Name of a file of the bundle.
        type: str
      sha256:
        description: Checksum of O(files[].src); computed when not given.
        type: str
      size:
        description: Size of O(files[].src) in bytes; read from the file when not given.
        type: int
      mode:
        description: Octal mode.
        type: str
        default: '0644'
      owner:
        description: User name or number.
        type: str
        default: root
      group:
        description: Group name or number.
        type: str
        default: root
      sensitive:
        description: Keep the content out of the diff and the result.
        type: bool
        default: false
      replace:
        description: With V(false), a file that exists keeps its content, whatever it is.
        type: bool
        default: true
  links:
    description: Symbolic links.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path of the link.
        type: str
        required: true
      target:
        description: What the link points to.
        type: str
        required: true
  absent:
    description: Files, links and directory trees to remove. Directories of the operating system are refused.
    type: list
    elements: str
    default: []
  trust_anchors:
    description: Certificate authorities that programs of the host trust (Debian and Ubuntu).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the authority's file, without ending.
        type: str
        required: true
      content:
        description: One certificate in PEM. Give this or O(trust_anchors[].src).
        type: str
      src:
        description: Path of the certificate on the controller.
        type: path
  hosts_entries:
    description: Names for the managed block of C(/etc/hosts). V([]) leaves the file alone.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: IP address.
        type: str
        required: true
      names:
        description: Host names.
        type: list
        elements: str
        required: true
  hosts_block:
    description: Name in the marks around the managed block.
    type: str
    default: onprem.platform
  kernel_modules:
    description: Kernel modules to load now and at each start. A part of the kernel itself counts as loaded.
    type: list
    elements: str
    default: []
  kernel_modules_optional:
    description: Like O(kernel_modules), but the kernel may lack them.
    type: list
    elements: str
    default: []
  kernel_modules_file:
    description: File that lists the modules for the next start.
    type: str
    default: /etc/modules-load.d/onprem-platform.conf
  sysctl:
    description: Kernel settings, written to O(sysctl_file) and set at once.
    type: dict
    default: {}
  sysctl_optional:
    description: Keys of O(sysctl) that the kernel may lack or refuse.
    type: list
    elements: str
    default: []
  sysctl_file:
    description: File that keeps the settings for the next start.
    type: str
    default: /etc/sysctl.d/90-onprem-platform.conf
  units:
    description: systemd units.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Full name, such as V(containerd.service).
        type: str
        required: true
      enabled:
        description: Whether the unit starts with the host. Left alone when not given.
        type: bool
      state:
        description: Whether the unit runs. Left alone when not given.
        type: str
        choices: [started, stopped]
      restart_on:
        description: Restart the running unit when one of these files changed since it started.
        type: list
        elements: str
        default: []
      reload_on:
        description: Reload the running unit when one of these files changed since it last read them.
        type: list
        elements: str
        default: []
  _payload:
    description: Set by the action plugin; the texts of all files, as one masked value.
    type: str
  _staging_directory:
    description: Set by the action plugin; directory of the uploaded files on the host.
    type: str
  _staging_archive:
    description: Set by the action plugin; archive of the smaller ones among them.
    type: str
requirements:
  - systemd 248 or newer on the host
extends_documentation_fragment:
  - onprem.platform.attributes
attributes:
  check_mode:
    support: full
    details: Predicts every item.
  diff_mode:
    support: full
    details: Text is shown, of binary files size and checksum, of sensitive files only that they differ.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Install a program with its unit and settings
  onprem.platform.host_config:
    bundle_directory: ~/.cache/onprem-platform/bundle
    directories:
      - path: /etc/example
        mode: '0750'
    files:
      - path: /usr/local/bin/example
        bundle: crane
        mode: '0755'
      - path: /etc/example/token
        content: "{{ example_token | default('only an example') }}"
        mode: '0600'
        sensitive: true
      - path: /etc/systemd/system/example.service
        content: |
          [Service]
          ExecStart=/bin/sleep infinity
          [Install]
          WantedBy=multi-user.target
    sysctl:
      net.ipv4.ip_forward: 1
    hosts_entries:
      - address: 192.0.2.11
        names: [registry.platform.internal]
    units:
      - name: example.service
        enabled: true
        state: started
        restart_on:
          - /usr/local/bin/example
          - /etc/systemd/system/example.service
"""

RETURN = r"""
results:
  description: Every item of the call.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Sort of the item, such as V(file), V(package), V(sysctl) or V(unit).
      type: str
    name:
      description: Path or name.
      type: str
    changed:
      description: Whether it changed, or would change in check mode.
      type: bool
    action:
      description: What was done, V(none) when nothing was, V(not available) for what the kernel lacks.
      type: str
  sample:
    - kind: file
      name: /etc/example/token
      changed: true
      action: create
uploaded:
  description: Number and size of the files that were sent to the host.
  returned: success
  type: dict
  contains:
    files:
      description: Number of files.
      type: int
    bytes:
      description: Their size.
      type: int
"""

import base64
import contextlib
import json
import zlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host import Host, HostError, Record, exclusive, valid_path
from ..module_utils._host_files import Files, Staging, apply_absent, apply_directories, apply_links
from ..module_utils._host_packages import Packages
from ..module_utils._host_system import (
    apply_hosts_entries,
    apply_modules,
    apply_sysctl,
    apply_trust_anchors,
    apply_users,
)
from ..module_utils._host_units import Units

LOCK_FILE = "/run/onprem-platform.lock"


def _items(**options: Any) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


def _names() -> dict[str, Any]:
    return {"type": "list", "elements": "str", "default": []}


def argument_spec() -> dict[str, Any]:
    """Options as documented, and the internal ones that the action plugin fills."""
    path = {"type": "str", "required": True}
    name = {"type": "str", "required": True}
    owner = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}
    source = {"src": {"type": "path"}, "sha256": {"type": "str"}, "size": {"type": "int"}}
    return {
        # Resolved by the action plugin, so that they never reach a host.
        "bundle_directory": {"type": "path"},
        "bundle_packages": _names(),
        "packages": _items(
            name=name,
            version=name,
            distribution={"type": "str"},
            **{**source, "src": {"type": "path", "required": True}},
        ),
        "users": _items(name=name, home={"type": "str", "default": "/nonexistent"}),
        "directories": _items(path=path, mode={"type": "str", "default": "0755"}, **owner),
        "files": _items(
            path=path,
            content={"type": "str"},
            bundle={"type": "str"},
            mode={"type": "str", "default": "0644"},
            sensitive={"type": "bool", "default": False},
            replace={"type": "bool", "default": True},
            **source,
            **owner,
        ),
        "links": _items(path=path, target={"type": "str", "required": True}),
        "absent": _names(),
        "trust_anchors": _items(name=name, content={"type": "str"}, src={"type": "path"}),
        "hosts_entries": _items(
            address={"type": "str", "required": True}, names={"type": "list", "elements": "str", "required": True}
        ),
        "hosts_block": {"type": "str", "default": "onprem.platform"},
        "kernel_modules": _names(),
        "kernel_modules_optional": _names(),
        "kernel_modules_file": {"type": "str", "default": "/etc/modules-load.d/onprem-platform.conf"},
        "sysctl": {"type": "dict", "default": {}},
        "sysctl_optional": _names(),
        "sysctl_file": {"type": "str", "default": "/etc/sysctl.d/90-onprem-platform.conf"},
        "units": _items(
            name=name,
            enabled={"type": "bool"},
            state={"type": "str", "choices": ["started", "stopped"]},
            restart_on=_names(),
            reload_on=_names(),
        ),
        # One value, so that masking it in the output masks nothing else.
        "_payload": {"type": "str", "no_log": True},
        "_staging_directory": {"type": "str"},
        "_staging_archive": {"type": "str"},
    }


def unpack(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the texts that travelled in ``_payload`` in their items.

    The module's own options stay as they are: ansible-core adds them to the result (before 2.21 always), unmasked.
    """
    packed = parameters["_payload"]
    texts = json.loads(zlib.decompress(base64.b64decode(packed))) if packed else {}
    filled = {
        kind: [{**item, "content": texts.get(f"{kind}:{item[key]}", item["content"])} for item in parameters[kind]]
        for kind, key in (("files", "path"), ("trust_anchors", "name"))
    }
    return {**parameters, **filled}


def configure(host: Host, parameters: dict[str, Any]) -> tuple[list[str], Record]:
    """Return the checksums of files that must be uploaded first (then nothing was done), and what was done."""
    directory = parameters["_staging_directory"]
    staging = Staging(directory, parameters["_staging_archive"]) if directory else None
    lock = contextlib.nullcontext() if host.check else exclusive(host.path(LOCK_FILE), "the configuration of this host")
    with lock:
        try:
            return _configure(host, parameters, staging)
        finally:
            if staging:
                staging.remove()


def _configure(host: Host, parameters: dict[str, Any], staging: Staging | None) -> tuple[list[str], Record]:
    record = Record()
    files, packages = Files(host, parameters["files"]), Packages(host, parameters["packages"])
    units = Units(host, parameters["units"])
    needed = sorted({*files.needed(), *packages.needed()})
    if needed and staging is None and not host.check:
        return needed, record
    packages.apply(record, staging)
    apply_users(host, record, parameters["users"])
    apply_directories(host, record, parameters["directories"])
    files.apply(record, staging)
    apply_links(host, record, parameters["links"])
    apply_absent(host, record, parameters["absent"])
    apply_trust_anchors(host, record, parameters["trust_anchors"])
    if parameters["hosts_entries"]:
        apply_hosts_entries(host, record, parameters["hosts_entries"], parameters["hosts_block"])
    pending = False
    if parameters["kernel_modules"] or parameters["kernel_modules_optional"]:
        path = valid_path(parameters["kernel_modules_file"])
        pending = apply_modules(host, record, parameters["kernel_modules"], parameters["kernel_modules_optional"], path)
    if parameters["sysctl"]:
        path = valid_path(parameters["sysctl_file"])
        apply_sysctl(host, record, parameters["sysctl"], parameters["sysctl_optional"], path, pending)
    units.apply(record, record.changed_names("file", "link", "absent", "trust_anchor"))
    return [], record


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    host = Host(check=module.check_mode)
    try:
        needed, record = configure(host, unpack(module.params))
    except (HostError, OSError) as error:
        module.fail_json(msg=str(error))
    if needed:
        module.exit_json(changed=False, needed=needed)
    module.exit_json(changed=record.changed, results=record.results, diff=record.diffs)


if __name__ == "__main__":
    main()
