# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads and pulls against a server on loopback, with each fault that upstream can have."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import socket
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.plugin_utils import _bundle_upstream
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_cache import Cache
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_lock import Download
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_upstream import (
    ImageAddress,
    UnreachableError,
    Upstream,
)
from ansible_collections.onprem.platform.plugins.plugin_utils._oci_layout import OciLayout

_spec = importlib.util.spec_from_file_location(
    "bundle_upstream_server", Path(__file__).with_name("bundle_upstream_server.py")
)
assert _spec is not None and _spec.loader is not None
server: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(server)

CONTENT = bytes(range(256)) * 4096
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def fake() -> Iterator[Any]:
    """Run a server that offers one file at /tool."""
    upstream = server.FakeUpstream()
    upstream.publish("/tool", CONTENT)
    with server.serve(upstream):
        yield upstream


@pytest.fixture
def lines() -> list[str]:
    """Collect what is reported."""
    return []


@pytest.fixture
def make(tmp_path: Path, lines: list[str]) -> Any:
    """Return a factory of downloaders that share one cache and wait for nothing."""

    def make_upstream(**options: Any) -> Upstream:
        return Upstream(Cache(tmp_path / "cache"), lines.append, **{"backoff": 0.0, "timeout": 2.0, **options})

    return make_upstream


def test_good_file_is_downloaded_once(fake: Any, make: Any) -> None:
    part = Download(f"{fake.base}/tool", SHA)
    assert make().file(part).content.read_bytes() == CONTENT
    assert make().file(part).meta["sha256"] == SHA
    assert fake.counts["/tool"] == 1


def test_wrong_checksum_keeps_nothing(fake: Any, make: Any, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f"wrong checksum. Expected sha256 {'0' * 64}, got {SHA}"):
        make().file(Download(f"{fake.base}/tool", "0" * 64))
    assert fake.counts["/tool"] == 1
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []


def test_truncated_transfer_is_continued_from_where_it_broke(fake: Any, make: Any, lines: list[str]) -> None:
    fake.failures["/tool"] = [-500_000]
    assert make().file(Download(f"{fake.base}/tool", SHA)).meta["size"] == len(CONTENT)
    assert fake.requests[-1].startswith("GET /tool bytes=")
    assert "attempt 2 of 6" in lines[0]


def test_killed_download_is_continued_by_the_next_run(fake: Any, make: Any, tmp_path: Path) -> None:
    downloads = tmp_path / "cache" / "downloads"
    downloads.mkdir(parents=True)
    (downloads / f"{SHA}.part").write_bytes(CONTENT[:1000])
    assert make().file(Download(f"{fake.base}/tool", SHA)).meta["sha256"] == SHA
    assert fake.requests == ["GET /tool bytes=1000-"]


def test_wrong_remains_of_a_download_are_thrown_away(fake: Any, make: Any, tmp_path: Path, lines: list[str]) -> None:
    downloads = tmp_path / "cache" / "downloads"
    downloads.mkdir(parents=True)
    (downloads / f"{SHA}.part").write_bytes(b"x" * 1000)
    assert make().file(Download(f"{fake.base}/tool", SHA)).meta["sha256"] == SHA
    assert any("beginning anew" in line for line in lines)


def test_complete_part_needs_no_more_bytes(fake: Any, make: Any, tmp_path: Path) -> None:
    downloads = tmp_path / "cache" / "downloads"
    downloads.mkdir(parents=True)
    (downloads / f"{SHA}.part").write_bytes(CONTENT)
    assert make().file(Download(f"{fake.base}/tool", SHA)).meta["sha256"] == SHA


def test_missing_file_is_said_at_once(fake: Any, make: Any) -> None:
    with pytest.raises(BundleError, match="/absent answered 404"):
        make().file(Download(f"{fake.base}/absent", SHA))
    assert fake.counts["/absent"] == 1


def test_server_error_is_tried_again(fake: Any, make: Any, lines: list[str]) -> None:
    fake.failures["/tool"] = [500, 503, 0]
    assert make().file(Download(f"{fake.base}/tool", SHA)).meta["sha256"] == SHA
    assert fake.counts["/tool"] == 4
    assert ["status 500" in lines[0], "status 503" in lines[1], "no answer" in lines[2]] == [True] * 3


def test_lasting_server_error_ends_after_the_attempts(fake: Any, make: Any) -> None:
    fake.failures["/tool"] = [500] * 9
    with pytest.raises(UnreachableError, match="status 500, 3 attempts"):
        make(attempts=3).file(Download(f"{fake.base}/tool", SHA))
    assert fake.counts["/tool"] == 3


def test_waits_double_and_are_reported(fake: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    # Only this module's name for the clock: threads of other tests sleep too.
    monkeypatch.setattr(_bundle_upstream, "time", SimpleNamespace(sleep=waits.append, monotonic=time.monotonic))
    fake.failures["/tool"] = [500] * 9
    with pytest.raises(UnreachableError):
        make(backoff=1.0, attempts=5).file(Download(f"{fake.base}/tool", SHA))
    assert waits == [1.0, 2.0, 4.0, 8.0]


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_unreachable_server(make: Any) -> None:
    url = f"http://127.0.0.1:{free_port()}/tool"
    upstream = make(attempts=2)
    assert not upstream.reachable(url)
    with pytest.raises(UnreachableError, match=r"no answer.*use producer: source"):
        upstream.file(Download(url, SHA))


def test_reachable_server_is_asked_once(fake: Any, make: Any) -> None:
    upstream = make()
    assert upstream.reachable(f"{fake.base}/a")
    assert upstream.reachable(f"{fake.base}/app:v1")
    assert fake.heads == 1


def test_unpinned_file_is_refused_without_a_request(fake: Any, make: Any) -> None:
    with pytest.raises(BundleError, match="has no sha256 in the lock and no pin"):
        make().file(Download(f"{fake.base}/tool"))
    assert fake.requests == []


def test_trust_on_first_use_remembers_the_checksum(fake: Any, make: Any) -> None:
    upstream = make(trust_on_first_use=True)
    assert upstream.file(Download(f"{fake.base}/tool")).content.read_bytes() == CONTENT
    assert upstream.pins == {f"{fake.base}/tool": SHA}
    assert make().file(Download(f"{fake.base}/tool", SHA)).meta["sha256"] == SHA
    assert fake.counts["/tool"] == 1


def tar_of(files: dict[str, bytes]) -> bytes:
    """Return a gzip-compressed tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            directory = tarfile.TarInfo(name.rpartition("/")[0])
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(directory)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def test_members_of_archives(fake: Any, make: Any) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("vault", b"program")
    for path, content, member in (
        ("/a.tar.gz", tar_of({"./bin/ctr": b"program"}), "bin/ctr"),
        ("/a.zip", zipped.getvalue(), "vault"),
    ):
        sha256 = fake.publish(path, content)
        assert make().file(Download(f"{fake.base}{path}", sha256, member)).content.read_bytes() == b"program"
        with pytest.raises(BundleError, match="has no other"):
            make().file(Download(f"{fake.base}{path}", sha256, "other"))


def test_directory_of_an_archive(fake: Any, make: Any) -> None:
    sha256 = fake.publish("/src.tar.gz", tar_of({"repo-1.0/config/a.yaml": b"a: 1", "other/b": b""}))
    found = make().file(Download(f"{fake.base}/src.tar.gz", sha256, "repo-1.0")).content
    assert [p.relative_to(found).as_posix() for p in found.rglob("*") if p.is_file()] == ["config/a.yaml"]


def test_image_is_pulled_by_digest(fake: Any, make: Any, tmp_path: Path) -> None:
    digest = fake.publish_image("team/app", "v1", [b"layer one", b"layer two"])
    layout = OciLayout(tmp_path / "layout")
    assert make().image(f"{fake.base}/team/app:v1", digest, layout, "app:v1") == digest
    assert layout.references() == {"app:v1": digest}
    assert "/v2/team/app/manifests/v1" not in fake.counts


def test_index_gives_the_image_of_the_platform(fake: Any, make: Any, tmp_path: Path) -> None:
    digest = fake.publish_image("app", "v1", [b"layer"], ("arm64", "amd64"))
    layout = OciLayout(tmp_path / "layout")
    pulled = make().image(f"{fake.base}/app:v1", digest, layout, "app:v1")
    assert pulled != digest
    assert fake.content["/v2/app/manifests/v1-amd64"] == layout.blob_path(pulled).read_bytes()


def test_index_without_the_platform_is_refused(fake: Any, make: Any, tmp_path: Path) -> None:
    digest = fake.publish_image("app", "v1", [b"layer"], ("arm64",))
    with pytest.raises(BundleError, match="not published for linux/amd64"):
        make().image(f"{fake.base}/app:v1", digest, OciLayout(tmp_path / "layout"), "app:v1")


def test_manifest_with_another_content_is_refused(fake: Any, make: Any, tmp_path: Path) -> None:
    digest = fake.publish_image("app", "v1", [b"layer"])
    fake.content[f"/v2/app/manifests/{digest}"] += b" "
    with pytest.raises(BundleError, match="the manifest has the digest"):
        make().image(f"{fake.base}/app:v1", digest, OciLayout(tmp_path / "layout"), "app:v1")


def test_blob_with_another_content_is_refused(fake: Any, make: Any, tmp_path: Path) -> None:
    digest = fake.publish_image("app", "v1", [b"layer"])
    blob = next(path for path, content in fake.content.items() if content == b"layer")
    fake.content[blob] = b"LAYER"
    layout = OciLayout(tmp_path / "layout")
    with pytest.raises(BundleError, match="wrong checksum"):
        make().image(f"{fake.base}/app:v1", digest, layout, "app:v1")
    assert layout.references() == {}


def test_faults_of_a_registry_are_tried_again(fake: Any, make: Any, tmp_path: Path) -> None:
    digest = fake.publish_image("app", "v1", [b"layer" * 1000])
    blob = next(path for path, content in fake.content.items() if content == b"layer" * 1000)
    fake.failures = {f"/v2/app/manifests/{digest}": [502], blob: [-100, 429]}
    assert make().image(f"{fake.base}/app:v1", digest, OciLayout(tmp_path / "layout"), "app:v1") == digest


def test_unpinned_image_is_refused_or_trusted_once(fake: Any, make: Any, tmp_path: Path) -> None:
    digest = fake.publish_image("app", "v1", [b"layer"])
    reference = f"{fake.base}/app:v1"
    layout = OciLayout(tmp_path / "layout")
    with pytest.raises(BundleError, match="has no digest in the lock and no pin"):
        make().image(reference, None, layout, "app:v1")
    upstream = make(trust_on_first_use=True)
    assert upstream.image(reference, None, layout, "app:v1") == digest
    assert upstream.pins == {reference: digest}


def test_token_is_only_fetched_over_tls(fake: Any, make: Any, tmp_path: Path) -> None:
    fake.token = "pull"
    digest = fake.publish_image("app", "v1", [b"layer"])
    with pytest.raises(BundleError, match="no https address"):
        make().image(f"{fake.base}/app:v1", digest, OciLayout(tmp_path / "layout"), "app:v1")


def test_token_is_used_for_manifest_and_blobs(
    fake: Any, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.token = "pull"
    digest = fake.publish_image("app", "v1", [b"layer"])
    monkeypatch.setattr(Upstream, "_token", lambda _self, challenge: "pull" if "realm" in challenge else "")
    assert make().image(f"{fake.base}/app:v1", digest, OciLayout(tmp_path / "layout"), "app:v1") == digest


@pytest.mark.parametrize(
    ("reference", "base", "repository"),
    [
        ("registry.k8s.io/kube-proxy:v1", "https://registry.k8s.io", "kube-proxy"),
        ("docker.io/coredns/coredns:1.14.3", "https://registry-1.docker.io", "coredns/coredns"),
        ("http://127.0.0.1:5000/a/b:c", "http://127.0.0.1:5000", "a/b"),
    ],
)
def test_image_addresses(reference: str, base: str, repository: str) -> None:
    address = ImageAddress.parse(reference)
    assert (address.base, address.repository) == (base, repository)


def test_reference_without_tag_is_refused() -> None:
    with pytest.raises(BundleError, match="no image reference"):
        ImageAddress.parse("registry.k8s.io/kube-proxy")
