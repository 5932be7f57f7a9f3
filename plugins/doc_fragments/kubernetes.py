# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that every module has which talks to the Kubernetes API."""

from __future__ import annotations


class ModuleDocFragment:
    """Connection options, named as in kubernetes.core."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file, or its content as a mapping. Several paths may be joined by colons.
      - Without this option and without O(host), E(KUBECONFIG) and then V(~/.kube/config) are used.
      - Can also be set by the environment variable E(K8S_AUTH_KUBECONFIG).
    type: raw
  context:
    description:
      - Name of a context in the kubeconfig, if not its current one.
      - Can also be set by E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description:
      - URL of the API server.
      - Can also be set by E(K8S_AUTH_HOST).
    type: str
  api_key:
    description:
      - Bearer token.
      - Can also be set by E(K8S_AUTH_API_KEY).
    type: str
  client_cert:
    description:
      - Path of a client certificate.
      - Can also be set by E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - Path of the client certificate's key.
      - Can also be set by E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  ca_cert:
    description:
      - Path of the CA certificate that the server's certificate is checked with.
      - Can also be set by E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  validate_certs:
    description:
      - Whether the server's certificate is checked. Only the kubeconfig or this option can switch it off.
      - Can also be set by E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  tls_server_name:
    description:
      - Name to expect in the server's certificate, if it is not the one in the URL.
      - Can also be set by E(K8S_AUTH_TLS_SERVER_NAME).
    type: str
  proxy:
    description:
      - URL of an HTTP proxy.
      - Can also be set by E(K8S_AUTH_PROXY).
    type: str
  impersonate_user:
    description:
      - User to act as.
      - Can also be set by E(K8S_AUTH_IMPERSONATE_USER).
    type: str
  impersonate_groups:
    description:
      - Groups to act as; needs O(impersonate_user).
      - Can also be set by E(K8S_AUTH_IMPERSONATE_GROUPS).
    type: list
    elements: str
  request_timeout:
    description: Seconds until one request is given up.
    type: int
    default: 30
  retry_timeout:
    description:
      - Seconds for which a request is repeated while the server cannot be reached, is overloaded or answers with a
        server error. Only requests that can be repeated without harm are.
    type: int
    default: 30
requirements:
  - PyYAML
  - urllib3 >= 2
  - kubernetes (only for kubeconfigs with a credential plugin)
"""

    PLAN = r"""
options:
  plan_without_cluster:
    description:
      - In check mode, report every object as one to be created when the kubeconfig file does not exist or the API
        server cannot be reached, instead of failing. For check runs of playbooks that make the cluster first.
    type: bool
    default: false
"""
