# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection and authentication options of all vault_* modules."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of ``module_utils/_vault.py``."""

    DOCUMENTATION = r"""
requirements:
  - hvac >= 2.3 (Python library) on the host that runs the module, usually the controller
  - websocket-client >= 1.7 (Python library) for O(kubernetes_port_forward)
  - kubernetes >= 31 (Python library) for kubeconfigs with a credential plugin
notes:
  - A parameter beats its environment variable.
  - An error carries RV(ignore:failure) with C(kind) (for example V(sealed), V(permission_denied), V(missing_mount)),
    C(path), C(status) and C(hint), so that a playbook can branch on it.
options:
  url:
    description:
      - Address of the Vault server as scheme, host and port.
      - Environment variables E(ANSIBLE_HASHI_VAULT_ADDR) and E(VAULT_ADDR).
    type: str
  ca_cert:
    description:
      - Path of a file with the certificate authorities to trust, or their PEM text itself.
      - Nothing else is trusted then. Environment variables E(ANSIBLE_HASHI_VAULT_CA_CERT) and E(VAULT_CACERT).
    type: str
    aliases: [cacert]
  validate_certs:
    description:
      - Whether the server's certificate is verified.
      - Without it, the environment variable E(VAULT_SKIP_VERIFY) can switch verification off; else it is on.
    type: bool
  tls_server_name:
    description:
      - Name that the server's certificate must bear, where it is not the host of O(url).
      - Environment variable E(VAULT_TLS_SERVER_NAME).
    type: str
  namespace:
    description:
      - Vault Enterprise or OpenBao namespace.
      - Environment variables E(ANSIBLE_HASHI_VAULT_NAMESPACE) and E(VAULT_NAMESPACE).
    type: str
  timeout:
    description:
      - Seconds to wait for a connection and for each answer. Environment variable E(ANSIBLE_HASHI_VAULT_TIMEOUT).
    type: int
    default: 30
  retries:
    description:
      - How often a request is repeated after a lost connection, a rate limit, a missing active node or a gateway error.
      - The waits double from 0.25 to 2 seconds, and are 2.5 times as long while a new active node is elected.
      - Requests that must not run twice are repeated only if the server cannot have seen them.
      - Environment variable E(ANSIBLE_HASHI_VAULT_RETRIES).
    type: int
    default: 6
  proxies:
    description:
      - Address of a proxy, or a mapping from C(http) and C(https) to addresses.
      - Environment variable E(ANSIBLE_HASHI_VAULT_PROXIES), for one address.
      - Without both, the usual environment variables hold. Ignored with O(kubernetes_port_forward).
    type: raw
  kubernetes_port_forward:
    description:
      - Reach the server through a port-forward of the Kubernetes API server. No port is opened on the controller.
      - TLS is verified as for a direct connection, against O(tls_server_name) or the host of O(url).
    type: dict
    suboptions:
      kubeconfig:
        description:
          - Path of the kubeconfig file.
          - Environment variables E(K8S_AUTH_KUBECONFIG) and E(KUBECONFIG).
        type: path
      context:
        description: Context in the kubeconfig file. Environment variable E(K8S_AUTH_CONTEXT).
        type: str
      namespace:
        description: Namespace of the pod.
        type: str
        required: true
      pod:
        description:
          - Name of the pod.
          - Without it and without O(kubernetes_port_forward.selector), the first label of the URL's host names the pod,
            so that C(https://vault-1.vault-internal:8200) reaches the pod C(vault-1).
        type: str
      selector:
        description: Label selector; the first ready pod is taken, else the first running one.
        type: str
      port:
        description: Port of the pod. The default is the port of O(url).
        type: int
  auth_method:
    description:
      - How to log in.
      - V(token) takes O(token), else the token file. V(token_file) takes the token file only.
      - V(none) sends no token.
      - Environment variable E(ANSIBLE_HASHI_VAULT_AUTH_METHOD).
    type: str
    choices: [token, token_file, approle, kubernetes, userpass, none]
    default: token
  auth_fallback:
    description:
      - How to log in when Vault refuses O(auth_method), or does not have it yet.
      - With the root token here, one task configures a fresh Vault, and later ones need no root token.
      - A server that is away, sealed or not trusted is an error as always.
    type: str
    choices: [token, token_file]
  token:
    description:
      - Token for O(auth_method=token) and O(auth_fallback=token).
      - Environment variables E(ANSIBLE_HASHI_VAULT_TOKEN) and E(VAULT_TOKEN).
    type: str
  token_path:
    description:
      - Directory of O(token_file). The default is the home directory.
      - Environment variable E(ANSIBLE_HASHI_VAULT_TOKEN_PATH).
    type: path
  token_file:
    description:
      - Name of the file that holds the token alone.
      - A key file written by M(onprem.platform.vault_init) serves as well; its root token is taken.
      - Environment variable E(ANSIBLE_HASHI_VAULT_TOKEN_FILE).
    type: str
    default: .vault-token
  token_validate:
    description:
      - Whether to look the token up before it is used. Environment variable E(ANSIBLE_HASHI_VAULT_TOKEN_VALIDATE).
    type: bool
    default: false
  mount_point:
    description:
      - Path of the auth method. The default is the name of the method.
      - Environment variable E(ANSIBLE_HASHI_VAULT_MOUNT_POINT).
    type: str
  role_id:
    description:
      - RoleID for O(auth_method=approle).
      - Environment variables E(ANSIBLE_HASHI_VAULT_ROLE_ID) and E(VAULT_ROLE_ID).
    type: str
  secret_id:
    description:
      - SecretID for O(auth_method=approle).
      - Environment variables E(ANSIBLE_HASHI_VAULT_SECRET_ID) and E(VAULT_SECRET_ID).
    type: str
  role:
    description: Role for O(auth_method=kubernetes).
    type: str
  jwt:
    description: Service account token for O(auth_method=kubernetes). Environment variable E(ANSIBLE_HASHI_VAULT_JWT).
    type: str
  jwt_path:
    description: File with the service account token for O(auth_method=kubernetes).
    type: path
  kubernetes_token_request:
    description:
      - Ask the Kubernetes API for a short-lived service account token for O(auth_method=kubernetes).
      - The token stays inside the module.
    type: dict
    suboptions:
      kubeconfig:
        description:
          - Path of the kubeconfig file.
          - Environment variables E(K8S_AUTH_KUBECONFIG) and E(KUBECONFIG).
        type: path
      context:
        description: Context in the kubeconfig file. Environment variable E(K8S_AUTH_CONTEXT).
        type: str
      namespace:
        description: Namespace of the service account.
        type: str
        required: true
      service_account:
        description: Name of the service account.
        type: str
        required: true
      audiences:
        description: Audiences of the token. The default is the API server's own.
        type: list
        elements: str
      expiration_seconds:
        description: Lifetime of the token.
        type: int
        default: 600
  username:
    description: User for O(auth_method=userpass). Environment variable E(ANSIBLE_HASHI_VAULT_USERNAME).
    type: str
  password:
    description: Password for O(auth_method=userpass). Environment variable E(ANSIBLE_HASHI_VAULT_PASSWORD).
    type: str
"""
