# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that keep one Flux object."""

from __future__ import annotations


class ModuleDocFragment:
    """What every Flux object has."""

    DOCUMENTATION = r"""
options:
  name:
    description: Name of the object.
    type: str
    required: true
  namespace:
    description: Namespace of the object.
    type: str
    default: flux-system
  state:
    description: Whether the object should exist.
    type: str
    choices: [present, absent]
    default: present
  labels:
    description: Labels of the object.
    type: dict
  annotations:
    description: Annotations of the object.
    type: dict
  interval:
    description: How often Flux reconciles the object, such as V(10m). Required with O(state=present).
    type: str
  timeout:
    description: How long one operation of Flux may take, such as V(5m).
    type: str
  suspend:
    description: Whether Flux leaves the object alone.
    type: bool
  spec:
    description: Further fields of the object's spec, as Flux names them. Fields that have an option cannot be set here.
    type: dict
    default: {}
  force_conflicts:
    description: Take over fields that other field managers own.
    type: bool
    default: false
  hidden_fields:
    description:
      - Dotted paths, such as V(spec.values.password), whose values are masked in the diff and in messages.
    type: list
    elements: str
    default: []
  expected_revision:
    description:
      - With O(wait), the revision that the object must have arrived at, whole (V(1.0.0@sha256:...)) or only its tag,
        branch, commit, digest or chart version.
    type: str
  wait:
    description:
      - With O(state=present), wait until Flux has reconciled this generation of the object with success. A release
        that was rolled back has failed.
      - With O(state=absent), wait until the object is gone.
    type: bool
    default: false
"""

    IMAGES = r"""
options:
  verify_images:
    description:
      - Whether waiting goes on until the Deployments, DaemonSets and StatefulSets in the object's own inventory are
        rolled out and each of their pods runs the image digests of their templates.
      - Images that are named without a digest are reported only; so are workloads whose old pods may stay
        (C(OnDelete), a C(partition)). Nothing is looked at for an object that is applied to another cluster.
      - Needs permission to list and watch these workloads, and to list pods. Where a container runtime reports other
        digests than those it was asked for, set it to V(false).
    type: bool
    default: true
"""
