# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The producer ``upstream`` by playbook, with an HTTP server and the bundle's own registry program as upstream.

Needs a bundle that has the file ``registry`` (``make bundle``).
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import io
import ipaddress
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.onprem.platform.plugins.action.bundle import default_cache_directory
from ansible_collections.onprem.platform.plugins.module_utils._oci import Layout, OciError, Registry, push
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_index import Index
from ansible_collections.onprem.platform.plugins.plugin_utils._oci_layout import OciLayout
from ansible_collections.onprem.platform.tests.integration.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
BUNDLE = Path(os.environ.get("ONPREM_BUNDLE_DIRECTORY", default_cache_directory() / "bundle"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "upstream")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("tls")
    paths = directory / "tls.crt", directory / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture(scope="module")
def registry(certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the bundle's registry with TLS and yield its address."""
    try:
        index = Index(BUNDLE)
        program = index.path(index.find("file", "registry"))
    except BundleError as error:
        pytest.fail(f"This test runs the bundle's registry program: {error} `make bundle` makes it.")
    address = f"127.0.0.1:{free_port()}"
    directory = tmp_path_factory.mktemp("registry")
    configuration = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "storage")}},
        "http": {"addr": address, "tls": {"certificate": str(certificate[0]), "key": str(certificate[1])}},
    }
    (directory / "config.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    with (directory / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen([str(program), "serve", str(directory / "config.yml")], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                Registry(address, str(certificate[0])).tags("none")
                break
            except OciError:
                assert process.poll() is None, (directory / "log").read_text(encoding="utf-8")
                assert time.monotonic() < deadline, "the registry does not answer"
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run an HTTP server and yield its address and the directory that it serves."""
    directory = tmp_path_factory.mktemp("files")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", directory
    server.shutdown()
    server.server_close()
    thread.join()


class Controller:
    """A controller with a lock of its own, on which the action is run by ansible-playbook."""

    def __init__(self, directory: Path, lock: dict[str, Any], authority: Path) -> None:
        self.directory, self.lock, self.authority = directory, lock, authority
        (directory / "lock" / "debian").mkdir(parents=True)
        (directory / "lock" / "debian" / "selections.yml").write_text("suites: {}\nselections: {}\n", encoding="utf-8")

    def run(self, check: bool = False, **arguments: Any) -> tuple[dict[str, Any], str]:
        """Run the action once; return its result and all that was printed."""
        lock = self.directory / "lock" / "lock.yml"
        lock.write_text(yaml.safe_dump(self.lock), encoding="utf-8")
        values = {
            "directory": str(self.directory / "bundle"),
            "cache_directory": str(self.directory / "cache"),
            "lock": str(lock),
            "producer": "upstream",
            **arguments,
        }
        output = self.directory / "result.json"
        output.unlink(missing_ok=True)
        tasks = [
            {"onprem.platform.bundle": values, "register": "result", "ignore_errors": True},
            {
                "ansible.builtin.copy": {"content": "{{ result | to_json }}", "dest": str(output), "mode": "0600"},
                "check_mode": False,
            },
        ]
        play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
        playbook = self.directory / "play.yml"
        playbook.write_text(yaml.safe_dump(play), encoding="utf-8")
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), playbook, *(["--check"] if check else [])],
            cwd=ROOT,
            env={**os.environ, "REQUESTS_CA_BUNDLE": str(self.authority)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert output.exists(), done.stdout + done.stderr
        return json.loads(output.read_text(encoding="utf-8")), done.stdout


@pytest.fixture
def controller(tmp_path: Path, registry: str, certificate: tuple[Path, Path], files: tuple[str, Path]) -> Controller:
    """Publish a program, an archive and an image, and return a controller whose lock names them."""
    address, directory = files
    (directory / "kubeadm").write_bytes(b"kubeadm program")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("bin/containerd")
        entry.size = 10
        archive.addfile(entry, io.BytesIO(b"containerd"))
    (directory / "containerd.tar.gz").write_bytes(packed.getvalue())

    layout = OciLayout(tmp_path / "published")
    layer = b"layer" * 10000
    descriptor = {
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": layout.add_blob(layer),
        "size": len(layer),
    }
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [descriptor["digest"]]}}
    digest = layout.add_image("team/app:v1", config, [descriptor], {})
    manifest = Layout(layout.directory).manifest("team/app:v1")
    push([Registry(registry, str(certificate[0]))], [("team/app", "v1", manifest)])

    def of(name: str) -> dict[str, str]:
        return {"url": f"{address}/{name}", "sha256": hashlib.sha256((directory / name).read_bytes()).hexdigest()}

    common = {"version": "v1", "licence": "Apache-2.0"}
    lock = {
        "schema": 1,
        "platform": "linux/amd64",
        "files": [
            {"name": "kubeadm", **common, "upstream": of("kubeadm")},
            {"name": "containerd", **common, "upstream": {**of("containerd.tar.gz"), "member": "bin/containerd"}},
        ],
        "images": [
            {"name": "app", **common, "upstream": {"reference": f"{registry}/team/app:v1", "digest": digest}},
        ],
    }
    return Controller(tmp_path, lock, certificate[0])


def test_check_create_again_damage_and_repair(controller: Controller) -> None:
    planned, _output = controller.run(check=True)
    assert planned["changed"] and not (controller.directory / "bundle").exists()
    assert [entry["action"] for entry in planned["entries"]] == ["download"] * 3

    made, output = controller.run()
    assert made["changed"] and not made.get("failed"), made
    assert "[3/3] image app v1" in output
    bundle = controller.directory / "bundle"
    assert (bundle / "files" / "containerd").read_bytes() == b"containerd"

    again, _output = controller.run()
    assert (again["changed"], {entry["action"] for entry in again["entries"]}) == (False, {"present"})
    assert controller.run(state="verified")[0]["msg"] == "Every checksum is right."

    (bundle / "files" / "kubeadm").unlink()
    (bundle / "files" / "kubeadm").write_bytes(b"kubeadm PROGRAM")
    damaged, _output = controller.run(state="verified")
    assert damaged["failed"] and "files/kubeadm: its sha256 is not" in damaged["msg"]
    controller.run()
    assert not controller.run(state="verified")[0].get("failed")


def test_wrong_checksum_stops_with_the_reason_and_keeps_the_rest(controller: Controller) -> None:
    controller.lock["files"][1]["upstream"]["sha256"] = "0" * 64
    result, _output = controller.run()
    assert result["failed"] and "wrong checksum. Expected sha256 " + "0" * 64 in result["msg"]
    assert sorted(path.name for path in (controller.directory / "bundle" / "files").iterdir()) == ["kubeadm"]


def test_image_that_the_registry_does_not_have(controller: Controller) -> None:
    controller.lock["images"][0]["upstream"]["digest"] = "sha256:" + "0" * 64
    result, _output = controller.run(names=["app"])
    assert result["failed"] and "answered 404" in result["msg"]


def test_without_pins_nothing_is_downloaded_and_trust_records_them(controller: Controller) -> None:
    controller.lock["files"][0]["upstream"]["sha256"] = None
    controller.lock["images"][0]["upstream"]["digest"] = None
    result, _output = controller.run()
    assert result["failed"] and "no checksum in the lock and no pin" in result["msg"]
    assert not (controller.directory / "bundle" / "files").exists()

    pins = controller.directory / "pins.yml"
    refused, _output = controller.run(trust_on_first_use=True)
    assert refused["failed"] and "trust_on_first_use needs pins" in refused["msg"]
    made, _output = controller.run(trust_on_first_use=True, pins=str(pins))
    assert made["changed"] and not made.get("failed"), made
    assert len(yaml.safe_load(pins.read_text(encoding="utf-8"))) == 2
    again, _output = controller.run(pins=str(pins))
    assert not again["changed"] and not again.get("failed")


def test_registry_whose_certificate_is_not_trusted(controller: Controller, tmp_path: Path) -> None:
    empty = tmp_path / "none.pem"
    other = subprocess.run(["cat", "/etc/ssl/certs/ca-certificates.crt"], capture_output=True, check=True)
    empty.write_bytes(other.stdout)
    controller.authority = empty
    result, _output = controller.run(names=["app"])
    assert result["failed"] and "certificate" in result["msg"].lower()
