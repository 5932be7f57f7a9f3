# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""Images of the container runtime of a node, in the name space that the kubelet uses."""

from __future__ import annotations

from collections.abc import Sequence

from . import _kubeadm_run as runner
from ._kubeadm_api import KubeadmError

CTR = ("ctr", "--namespace", "k8s.io", "images")
# The same directory that containerd has as config_path: who serves a registry, and by which authority it is verified.
HOSTS_DIRECTORY = "/etc/containerd/certs.d"


def missing(images: Sequence[str]) -> list[str]:
    """Those of ``images`` that are not on this host; all of them while there is no runtime."""
    try:
        done = runner.run([*CTR, "list", "--quiet"], 60)
    except KubeadmError:
        return list(images)
    there = set(done.output) if done.code == 0 else set()
    return [image for image in images if image not in there]


def fetch(images: Sequence[str], timeout: float) -> None:
    """Fetch and unpack images, one after the other, each in ``timeout`` seconds. Raises KubeadmError."""
    for image in images:
        done = runner.run([*CTR, "pull", "--hosts-dir", HOSTS_DIRECTORY, image], timeout)
        if done.code != 0:
            raise KubeadmError(
                f"{image} cannot be fetched: {done.last_lines(3)}. Look whether the registry answers on this host, "
                "and whether the images were copied to it."
            )
