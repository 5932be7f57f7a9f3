# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry with TLS, a small bundle and cosign's keys, all from the programs of the bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.onprem.platform.plugins.module_utils._oci import Layout, OciError, Registry, push
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_index import Index
from ansible_collections.onprem.platform.plugins.plugin_utils._oci_layout import OciLayout
from ansible_collections.onprem.platform.tests.integration.bundled_images import bundle_directory
from ansible_collections.onprem.platform.tests.integration.ports import free_port

PASSWORD = "canary-7d21"
LEGACY = ("--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=false", "--yes")
SPDX = "https://spdx.dev/Document"
CUE = 'predicateType: "https://spdx.dev/Document"\npredicate: spdxVersion: "SPDX-2.3"\n'


def program(name: str) -> str:
    """Return the path of one of the bundle's programs."""
    index = Index(bundle_directory())
    return str(index.path(index.find("file", name)))


class RegistryService:
    """The bundle's registry on loopback."""

    def __init__(
        self, directory: Path, certificate: Path, key: Path, authority: Path, storage: dict[str, Any] | None = None
    ) -> None:
        self.directory, self.authority = directory, authority
        self.certificate, self.key = certificate, key
        self.address = f"127.0.0.1:{free_port()}"
        configuration = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": storage or {"filesystem": {"rootdirectory": str(directory / "storage")}},
            "http": {"addr": self.address, "tls": {"certificate": str(certificate), "key": str(key)}},
        }
        (directory / "config.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        self._process: subprocess.Popen[str] | None = None

    def read_only(self, directory: Path) -> RegistryService:
        """Return another service for the same storage that takes nothing (not started)."""
        files = {"rootdirectory": str(self.directory / "storage")}
        storage = {"filesystem": files, "maintenance": {"readonly": {"enabled": True}}}
        return RegistryService(directory, self.certificate, self.key, self.authority, storage)

    @property
    def client(self) -> Registry:
        return Registry(self.address, str(self.authority))

    def start(self) -> None:
        with (self.directory / "log").open("a", encoding="utf-8") as log:
            command = [program("registry"), "serve", str(self.directory / "config.yml")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, text=True)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.client.tags("none")
                return
            except OciError:
                assert self._process.poll() is None, (self.directory / "log").read_text(encoding="utf-8")
                assert time.monotonic() < deadline, "the registry does not answer"
                time.sleep(0.2)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def push_image(self, repository: str, tag: str, directory: Path, **labels: str) -> str:
        """Push a tiny image of its own and return its digest."""
        layout = OciLayout(directory / f"{repository}-{tag}")
        config = {"config": {"Labels": {"name": repository + tag, **labels}}}
        digest = layout.add_image(f"{repository}:{tag}", config, [], {})
        push([self.client], [(repository, tag, Layout(layout.directory).manifest(f"{repository}:{tag}"))])
        return digest


class Keys:
    """A key pair of cosign."""

    def __init__(self, directory: Path, name: str) -> None:
        self.private, self.public = directory / f"{name}.key", directory / f"{name}.pub"
        cosign("generate-key-pair", f"--output-key-prefix={directory / name}")

    @property
    def pem(self) -> str:
        return self.public.read_text(encoding="utf-8")

    def sign(self, service: RegistryService, image: str) -> None:
        """Sign an image ``repository@digest`` as a pipeline does."""
        cosign("sign", f"--key={self.private}", *LEGACY, f"{service.address}/{image}", authority=service.authority)

    def attest(self, service: RegistryService, image: str, predicate: Any, kind: str = SPDX) -> None:
        """Attest something about an image as a pipeline does."""
        path = self.private.with_name("predicate.json")
        path.write_text(json.dumps(predicate), encoding="utf-8")
        options = [f"--key={self.private}", *LEGACY, f"--predicate={path}", f"--type={kind}"]
        cosign("attest", *options, f"{service.address}/{image}", authority=service.authority)


def cosign(*arguments: str, authority: Path | None = None, fails: bool = False) -> str:
    """Run the bundle's cosign and return all that it printed."""
    environment = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
    if authority is not None:
        environment["SSL_CERT_FILE"] = str(authority)
    done = subprocess.run(
        [program("cosign"), *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def small_bundle(directory: Path, *images: str) -> Path:
    """Return a bundle that has only some images of the bundle (hard links), and all of its charts."""
    source = Index(bundle_directory())
    layout = OciLayout(directory / "images")
    entries = [entry for entry in source.entries if entry["kind"] == "image" and entry["name"] in images]
    for entry in entries:
        layout.copy_image(OciLayout(source.directory / "images"), f"{entry['repository']}:{entry['tag']}")
    charts = [entry for entry in source.entries if entry["kind"] == "chart"]
    (directory / "charts").mkdir()
    for entry in charts:
        # A copy: tests change them.
        shutil.copy(source.path(entry), directory / entry["path"])
    index = {
        "schema": 1,
        "platform": source.platform,
        "producer": "mixed",
        "go_version": source.go_version,
        "entries": [*charts, *entries],
    }
    (directory / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return directory


def policy(address: str, pem: str) -> dict[str, Any]:
    """Return a policy that demands a bill of materials by the key."""
    attestation = {"name": "sbom", "predicateType": SPDX, "policy": {"type": "cue", "data": CUE}}
    authority = {"name": "release", "key": {"data": pem}, "attestations": [attestation]}
    return {
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": "release"},
        "spec": {"images": [{"glob": f"{address}/**"}], "mode": "enforce", "authorities": [authority]},
    }


def judge(service: RegistryService, path: Path, image: str) -> tuple[bool, str]:
    """Ask policy-controller's own program."""
    done = subprocess.run(
        [program("policy-tester"), f"--policy={path}", f"--image={service.address}/{image}", "--log-level=error"],
        env={**os.environ, "SSL_CERT_FILE": str(service.authority)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode == 0, done.stdout + done.stderr
