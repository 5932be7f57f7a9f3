#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from a host what the CIS Kubernetes benchmark looks at."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cis_benchmark_info
short_description: Read from a host what the CIS Kubernetes benchmark looks at
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Reads modes and owners of files, the arguments of the running programs, their configuration, and what the kernel
    enforces on the containers of the host's pods.
  - It does not judge. The filter P(onprem.platform.cis_hosts#filter) does, for all hosts together.
  - Needs no Python package on the host. Keys are never read into the result.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
options: {}
seealso:
  - plugin: onprem.platform.cis_hosts
    plugin_type: filter
  - module: onprem.platform.cis_policies_info
"""

EXAMPLES = r"""
- name: Read what the benchmark looks at
  onprem.platform.cis_benchmark_info:
  register: benchmark
"""

RETURN = r"""
files:
  description: Mode (four octal digits), owner, group and kind of each file, by path.
  returned: always
  type: dict
  sample: {/etc/kubernetes/admin.conf: {mode: '0600', owner: root, group: root, directory: false}}
programs:
  description:
    - Arguments of each running program of Kubernetes, by the program's name and the flag without dashes.
    - For static pods that do not run at the moment, those of their manifests.
  returned: always
  type: dict
  sample: {kubelet: {config: /var/lib/kubelet/config.yaml}}
kubelet_configuration:
  description: The kubelet's configuration (YAML); empty when there is none.
  returned: always
  type: str
kube_proxy_configuration:
  description: kube-proxy's configuration (YAML); empty when there is none.
  returned: always
  type: str
audit_policy:
  description: The API server's audit policy (YAML); empty when there is none.
  returned: always
  type: str
authentication_configuration:
  description: The API server's authentication configuration (YAML); empty when there is none.
  returned: always
  type: str
encryption_providers:
  description: Names of the providers of encryption at rest, in their order, without keys.
  returned: always
  type: list
  elements: str
  sample: [secretbox, identity]
authorities:
  description: SHA-256 of the files of the certificate authorities C(kubernetes) and C(etcd).
  returned: always
  type: dict
apparmor:
  description: Whether the kernel enforces AppArmor.
  returned: always
  type: bool
containers:
  description: The first process of every container of a pod.
  returned: always
  type: list
  elements: dict
  contains:
    pod: {description: UID of the pod., type: str}
    container: {description: Beginning of the container's id., type: str}
    command: {description: Name of the program., type: str}
    seccomp: {description: Whether a seccomp filter of its own is in force., type: bool}
    apparmor: {description: AppArmor profile in force; empty when the kernel has none., type: str}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host_benchmark import BenchmarkHost


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, **BenchmarkHost().facts())


if __name__ == "__main__":
    main()
