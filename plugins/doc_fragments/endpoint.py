# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules reach Prometheus, Alertmanager and an alert sink."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of ``module_utils/_http_endpoint.py``, for each service. Ansible wants them literal."""

    DOCUMENTATION = r"""
options:
  prometheus:
    description: Where Prometheus is.
    type: dict
    required: true
    suboptions:
      url:
        description:
          - Address of the service, for example V(http://prometheus:9090).
          - With a port-forward, its host only has to be the name in the service's certificate.
        type: str
        required: true
      ca_cert:
        description: File with the certificate authorities to trust. The default is the system's.
        type: path
      validate_certs:
        description: Whether the service's certificate is verified.
        type: bool
        default: true
      kubernetes_port_forward:
        description:
          - Reach the service through a port-forward of the API server, with this module's Kubernetes connection.
          - Needs C(websocket-client). No port is opened on the controller. One of pod and selector is required.
        type: dict
        suboptions:
          namespace:
            description: Namespace of the pod.
            type: str
            required: true
          pod:
            description: Name of the pod.
            type: str
          selector:
            description: Label selector; the first ready pod is taken, else the first running one.
            type: str
          port:
            description: Port of the pod. The default is the port of the URL.
            type: int
"""

    ALERTMANAGER = r"""
options:
  alertmanager:
    description: Where Alertmanager is; any replica will do.
    type: dict
    required: true
    suboptions:
      url:
        description:
          - Address of the service, for example V(http://alertmanager:9093).
          - With a port-forward, its host only has to be the name in the service's certificate.
        type: str
        required: true
      ca_cert:
        description: File with the certificate authorities to trust. The default is the system's.
        type: path
      validate_certs:
        description: Whether the service's certificate is verified.
        type: bool
        default: true
      kubernetes_port_forward:
        description:
          - Reach the service through a port-forward of the API server, with this module's Kubernetes connection.
          - Needs C(websocket-client). No port is opened on the controller. One of pod and selector is required.
        type: dict
        suboptions:
          namespace:
            description: Namespace of the pod.
            type: str
            required: true
          pod:
            description: Name of the pod.
            type: str
          selector:
            description: Label selector; the first ready pod is taken, else the first running one.
            type: str
          port:
            description: Port of the pod. The default is the port of the URL.
            type: int
"""

    SINK = r"""
options:
  sink:
    description: An alert sink, which shows the mails and webhooks that it received at C(/messages).
    type: dict
    required: false
    suboptions:
      url:
        description:
          - Address of the service, for example V(http://alert-sink:8080).
          - With a port-forward, its host only has to be the name in the service's certificate.
        type: str
        required: true
      ca_cert:
        description: File with the certificate authorities to trust. The default is the system's.
        type: path
      validate_certs:
        description: Whether the service's certificate is verified.
        type: bool
        default: true
      kubernetes_port_forward:
        description:
          - Reach the service through a port-forward of the API server, with this module's Kubernetes connection.
          - Needs C(websocket-client). No port is opened on the controller. One of pod and selector is required.
        type: dict
        suboptions:
          namespace:
            description: Namespace of the pod.
            type: str
            required: true
          pod:
            description: Name of the pod.
            type: str
          selector:
            description: Label selector; the first ready pod is taken, else the first running one.
            type: str
          port:
            description: Port of the pod. The default is the port of the URL.
            type: int
"""
