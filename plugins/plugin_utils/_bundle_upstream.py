# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Producer ``upstream``: files by HTTP and images from registries, each checked against its pinned checksum.

Registry requests follow the OCI distribution specification 1.1 (pulling) and the token protocol that public
registries use (https://distribution.github.io/distribution/spec/auth/token/).
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

try:
    import requests
    from urllib3.exceptions import HTTPError

    REQUESTS_ERROR: Exception | None = None
except ImportError as error:
    REQUESTS_ERROR = error

from ..module_utils._oci import ACCEPTED_MANIFESTS, DIGEST, MEDIA_TYPE_INDEX, sha256_digest
from ._bundle_cache import Cache, CachedObject, remove_tree
from ._bundle_common import CHUNK, BundleError, Report, file_digest, human_size, key_of
from ._bundle_lock import Download
from ._oci_layout import OciLayout

INDEXES = (MEDIA_TYPE_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")
READ = 1 << 16
"""Bytes per read: what a broken connection loses at most."""
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_REFERENCE = re.compile(r"(?:(?P<scheme>https?)://)?(?P<host>[^/]+)/(?P<repository>[^:@]+):(?P<tag>[^:@/]+)")


class _Transient(Exception):
    """An attempt failed in a way that another attempt may mend."""


class UnreachableError(BundleError):
    """The server could not be reached in any attempt."""


@dataclass(frozen=True)
class ImageAddress:
    """Where an image is published."""

    base: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, reference: str) -> ImageAddress:
        """Split ``registry/repository:tag``; ``docker.io`` is served by registry-1.docker.io.

        :raises BundleError: the reference has another form.
        """
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise BundleError(f"{reference!r} is no image reference of the form registry/repository:tag.")
        host = "registry-1.docker.io" if match["host"] == "docker.io" else match["host"]
        return cls(f"{match['scheme'] or 'https'}://{host}", match["repository"], match["tag"])

    def url(self, kind: str, digest: str) -> str:
        """Return the address of a manifest or blob (``kind`` is ``manifests`` or ``blobs``)."""
        return f"{self.base}/v2/{self.repository}/{kind}/{digest}"


class Upstream:
    """Downloads into the cache, with retries and resume.

    :ivar trust_on_first_use: accept what has no checksum yet and remember its checksum in ``pins``.
    :ivar pins: URL or image reference -> checksum that this run accepted on first use.
    """

    def __init__(
        self,
        cache: Cache,
        report: Report,
        trust_on_first_use: bool = False,
        attempts: int = 6,
        backoff: float = 1.0,
        timeout: float = 30.0,
    ) -> None:
        """Prepare a session; proxies and certificate authorities come from the usual environment variables.

        :param backoff: seconds before the second attempt, doubled for each further one (at most 30).
        :param timeout: seconds for connecting and for each read.
        """
        if REQUESTS_ERROR:
            raise BundleError(f"Downloading needs the Python package requests on the controller: {REQUESTS_ERROR}")
        self.cache, self.report = cache, report
        self.trust_on_first_use = trust_on_first_use
        self.attempts, self.backoff, self.timeout = attempts, backoff, timeout
        self.pins: dict[str, str] = {}
        self._session = requests.Session()
        self._tokens: dict[str, str] = {}
        self._reachable: dict[str, bool] = {}

    # -- choosing -----------------------------------------------------------------------------------------------

    def reachable(self, url: str) -> bool:
        """Tell whether the server of a URL or image reference gives any HTTP answer; each server is asked once."""
        parts = urlsplit(url if "://" in url else ImageAddress.parse(url).base)
        base = f"{parts.scheme}://{parts.netloc}/"
        if base not in self._reachable:
            try:
                self._session.head(base, timeout=min(self.timeout, 5), allow_redirects=False)
                self._reachable[base] = True
            except requests.RequestException:
                self._reachable[base] = False
        return self._reachable[base]

    # -- files --------------------------------------------------------------------------------------------------

    @staticmethod
    def file_key(part: Download) -> str:
        """Return the cache key of a pinned download."""
        return key_of({"recipe": "download/1", "sha256": part.sha256, "member": part.member})

    def file(self, part: Download) -> CachedObject:
        """Return the file of an upstream address, or the member (file or directory) of its archive.

        :raises BundleError: no checksum and not trusted on first use, wrong checksum, refused, unreachable.
        """
        name = part.url.rsplit("/", 1)[-1]
        if part.sha256 is None:
            if not self.trust_on_first_use:
                raise BundleError(
                    f"{part.url} has no sha256 in the lock and no pin, so it is not downloaded. Add its published "
                    "checksum to the pins file, or allow trust_on_first_use once and review the pins it records."
                )
            downloads = self.cache.directory / "downloads"
            with self.cache.lock(f"download-{key_of({'url': part.url})[:16]}", self.report):
                fresh = self._fetch(part.url, downloads / key_of({"url": part.url}), None, name)
            self.pins[part.url] = file_digest(fresh)
            part = Download(part.url, self.pins[part.url], part.member)
            fresh.replace(downloads / str(part.sha256))
        key = self.file_key(part)
        cached = self.cache.get(key)
        if cached is not None:
            return cached
        with self.cache.lock(f"download-{key[:16]}", self.report):
            cached = self.cache.get(key)
            if cached is not None:
                return cached
            started = time.monotonic()
            whole = self._fetch(part.url, self.cache.directory / "downloads" / str(part.sha256), part.sha256, name)
            content = whole if part.member is None else _member(whole, part.member)
            meta = {"name": name, "url": part.url, "seconds": round(time.monotonic() - started, 1)}
            stored = self.cache.put(key, content, meta)
            whole.unlink(missing_ok=True)
            return stored

    # -- images -------------------------------------------------------------------------------------------------

    def image(self, reference: str, digest: str | None, layout: OciLayout, name: str) -> str:
        """Pull an image for linux/amd64 into a layout and return the digest of its manifest.

        :param digest: pinned digest of the manifest or of a multi-platform index.
        :param name: ``<repository>:<tag>`` that the layout gives the image.
        :raises BundleError: as for files.
        """
        address = ImageAddress.parse(reference)
        if digest is None and not self.trust_on_first_use:
            raise BundleError(
                f"{reference} has no digest in the lock and no pin, so it is not pulled. Add its published digest to "
                "the pins file, or allow trust_on_first_use once and review the pins it records."
            )
        manifest, media_type = self._manifest(address, digest or address.tag)
        if digest is None:
            self.pins[reference] = sha256_digest(manifest)
        if media_type in INDEXES:
            chosen = [
                entry["digest"]
                for entry in json.loads(manifest)["manifests"]
                if entry.get("platform", {}).get("os") == "linux" and entry["platform"].get("architecture") == "amd64"
            ]
            if not chosen:
                raise BundleError(f"{reference} is not published for linux/amd64.")
            manifest, media_type = self._manifest(address, chosen[0])
        parts = json.loads(manifest)
        for number, part in enumerate((parts["config"], *parts["layers"])):
            blob = str(part["digest"])
            if layout.blob_path(blob).exists():
                continue
            label = f"{reference} blob {number + 1} of {len(parts['layers']) + 1}"
            hexadecimal = blob.removeprefix("sha256:")
            target = self.cache.directory / "downloads" / hexadecimal
            with self.cache.lock(f"download-{hexadecimal[:16]}", self.report):
                layout.add_file(self._fetch(address.url("blobs", blob), target, hexadecimal, label), blob)
        return layout.add_manifest(name, manifest, media_type)

    def _manifest(self, address: ImageAddress, wanted: str) -> tuple[bytes, str]:
        """Return a manifest and its media type; when asked for by digest, the content is checked against it."""
        url = address.url("manifests", wanted)

        def attempt() -> tuple[bytes, str]:
            response = self._get(url, {"Accept": ACCEPTED_MANIFESTS}, stream=False)
            return response.content, response.headers.get("Content-Type", "").split(";")[0]

        content, media_type = self._retry(url, attempt)
        if DIGEST.fullmatch(wanted) and sha256_digest(content) != wanted:
            raise BundleError(f"{url}: the manifest has the digest {sha256_digest(content)}. Do not use this registry.")
        return content, json.loads(content).get("mediaType") or media_type

    # -- HTTP ---------------------------------------------------------------------------------------------------

    def _fetch(self, url: str, target: Path, sha256: str | None, label: str) -> Path:
        """Download into ``target``; a part left by an earlier attempt or run is continued.

        :raises BundleError: wrong checksum (the file is removed), refusal, or no answer in any attempt.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        if sha256 and target.exists() and file_digest(target) == sha256:
            return target
        resumed = False

        def attempt() -> None:
            nonlocal resumed
            # Without a checksum a part could belong to another file of the same address: begin anew.
            have = part.stat().st_size if sha256 and part.exists() else 0
            headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
            response = self._get(url, headers, stream=True, accept=(200, 206, 416))
            if response.status_code == 416:
                return  # the part is already as long as the file; the checksum decides
            continued = response.status_code == 206
            resumed = resumed or continued
            with part.open("ab" if continued else "wb") as stream:
                self._copy(response, stream, label, have if continued else 0)

        self._retry(url, attempt)
        found = file_digest(part)
        if sha256 and found != sha256 and resumed:
            self.report(f"{label}: the continued download has the wrong checksum, beginning anew")
            part.unlink()
            self._retry(url, attempt)
            found = file_digest(part)
        if sha256 and found != sha256:
            part.unlink()
            raise BundleError(
                f"{url}: wrong checksum. Expected sha256 {sha256}, got {found}. Nothing of it was kept; check the lock "
                "against what upstream publishes, and the way between."
            )
        part.replace(target)
        return target

    def _copy(self, response: Any, stream: IO[bytes], label: str, have: int) -> None:
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        reported, last = have, time.monotonic()
        try:
            for chunk in response.iter_content(READ):
                stream.write(chunk)
                reported += len(chunk)
                if time.monotonic() - last > 5:
                    last = time.monotonic()
                    self.report(f"{label}: {human_size(reported)}{f' of {human_size(total)}' if total else ''}")
        except (requests.RequestException, HTTPError) as error:
            raise _Transient(f"the connection broke after {human_size(reported)} ({error})") from error
        if total is not None and reported != total:
            raise _Transient(f"truncated: {reported} of {total} bytes")

    def _get(self, url: str, headers: Mapping[str, str], stream: bool, accept: tuple[int, ...] = (200,)) -> Any:
        """Send one GET, with a registry token when one is asked for.

        :raises _Transient: no answer, or a status that may pass.
        :raises BundleError: any other refusal.
        """
        scope = url.split("/manifests/")[0].split("/blobs/")[0]
        for _turn in range(2):
            token = self._tokens.get(scope)
            try:
                response = self._session.get(
                    url,
                    headers={**headers, **({"Authorization": f"Bearer {token}"} if token else {})},
                    stream=stream,
                    timeout=self.timeout,
                )
            except requests.exceptions.SSLError as error:
                raise BundleError(
                    f"{url}: the server's certificate cannot be verified ({error}). When a proxy of the site stands "
                    "between, name its authority by the environment variable REQUESTS_CA_BUNDLE."
                ) from error
            except requests.RequestException as error:
                raise _Transient(f"no answer ({error})") from error
            challenge = response.headers.get("WWW-Authenticate", "")
            if response.status_code != 401 or token or not challenge.lower().startswith("bearer "):
                break
            self._tokens[scope] = self._token(challenge)
        if response.status_code in accept:
            return response
        if response.status_code in TRANSIENT:
            raise _Transient(f"status {response.status_code}")
        raise BundleError(f"{url} answered {response.status_code} {response.reason}. Check the address in the lock.")

    def _token(self, challenge: str) -> str:
        """Get an anonymous pull token as the registry's challenge says."""
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = fields.pop("realm", "")
        if not realm.startswith("https://"):
            raise BundleError(f"The registry sends us to {realm!r} for a token, which is no https address.")
        try:
            answer = self._session.get(realm, params=fields, timeout=self.timeout)
            answer.raise_for_status()
            values = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise _Transient(f"no token from {realm} ({error})") from error
        return str(values.get("token") or values.get("access_token"))

    def _retry(self, url: str, attempt: Any) -> Any:
        """Call ``attempt`` until it succeeds; wait longer each time.

        :raises UnreachableError: it failed in every attempt.
        """
        for number in range(1, self.attempts + 1):
            try:
                return attempt()
            except _Transient as error:
                if number == self.attempts:
                    raise UnreachableError(
                        f"{url}: {error}, {self.attempts} attempts. What arrived is kept and continued by the next "
                        "run; without a way to upstream use producer: source."
                    ) from error
                wait = min(self.backoff * 2 ** (number - 1), 30)
                self.report(f"{url}: {error}; attempt {number + 1} of {self.attempts} in {wait:g} s")
                time.sleep(wait)
        raise AssertionError("unreachable")


def _member(archive: Path, member: str) -> Path:
    """Extract one regular file or one directory of a tar or zip archive next to it.

    :raises BundleError: no such member.
    """
    target = archive.with_name(f"{archive.name}.member")
    remove_tree(target)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped, zipped.open(member) as source, target.open("wb") as stream:
                shutil.copyfileobj(source, stream, CHUNK)
            return target
        with tarfile.open(archive) as tarred:
            entries = {entry.name.removeprefix("./"): entry for entry in tarred.getmembers()}
            below = {name: entry for name, entry in entries.items() if name.startswith(f"{member}/")}
            if below:
                for name, entry in below.items():
                    if entry.isfile() or entry.isdir():
                        entry.name = name.removeprefix(f"{member}/")
                        tarred.extract(entry, target, filter="data")
                return target
            with cast(IO[bytes], tarred.extractfile(entries[member])) as packed, target.open("wb") as stream:
                shutil.copyfileobj(packed, stream, CHUNK)
            return target
    except (KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise BundleError(f"{archive.name} has no {member} ({error}).") from error
