# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make what a release consists of: archive, bill of materials (SPDX 2.3), checksums of both, and their signature.

Usage: release.py [--draft] OUTPUT_DIRECTORY

RELEASE_KEY is the private key (a file, or an address as cosign takes it), COSIGN_PASSWORD its password. The same commit
gives the same archive, bill of materials and checksums. ``--draft`` makes it of a tree that is not ready for a release.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".build/collections"))

from package import git

from ansible_collections.onprem.platform.plugins.plugin_utils._archive_contents import archive_contents
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_statements import archive_sbom
from ansible_collections.onprem.platform.plugins.plugin_utils._cosign import Cosign

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
COSIGN = CACHE / "onprem-platform/bundle/files/cosign"


class ReleaseError(Exception):
    """Why there is no release."""


def unready(version: str) -> list[str]:
    """Return what has to be done before this commit can be released."""
    releases = yaml.safe_load((ROOT / "changelogs/.changes.yaml").read_text(encoding="utf-8"))["releases"]
    fragments = sorted(path.name for path in (ROOT / "changelogs/fragments").glob("*.yml"))
    found = []
    if git("status", "--porcelain"):
        found.append("the tree has changes that are not committed")
    if version not in releases:
        found.append(f"the changelog has no {version}: run antsibull-changelog release")
    if fragments:
        found.append(f"changelogs/fragments still has {', '.join(fragments)}: run antsibull-changelog release")
    if f"v{version}" not in git("tag", "--points-at", "HEAD").split():
        found.append(f"this commit has no tag v{version}")
    return found


def bill_of_materials(archive: Path, galaxy: dict[str, Any], epoch: int) -> dict[str, Any]:
    """Return the archive's files, and the Python packages that the collection needs on the controller."""
    content = archive.read_bytes()
    name = f"{galaxy['namespace']}.{galaxy['name']}"
    made = datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = archive_sbom(
        name,
        galaxy["version"],
        f"sha256:{hashlib.sha256(content).hexdigest()}",
        archive_contents(content),
        made,
        licence=" AND ".join(galaxy["license"]),
        purl=f"pkg:generic/{name}@{galaxy['version']}",
    )
    needed = (ROOT / "meta/ee-requirements.txt").read_text(encoding="utf-8")
    for package, bound in re.findall(r"^([A-Za-z][\w.-]*)([^#\n]*)", needed, re.MULTILINE):
        identifier = f"SPDXRef-Python-{package}"
        document["packages"].append(
            {
                "SPDXID": identifier,
                "name": package,
                "versionInfo": bound.strip() or "any",
                "downloadLocation": "NOASSERTION",
                "filesAnalyzed": False,
                "externalRefs": [
                    {
                        "referenceCategory": "PACKAGE-MANAGER",
                        "referenceType": "purl",
                        "referenceLocator": f"pkg:pypi/{package.lower()}",
                    }
                ],
            }
        )
        document["relationships"].append(
            {
                "spdxElementId": document["packages"][0]["SPDXID"],
                "relationshipType": "DEPENDS_ON",
                "relatedSpdxElement": identifier,
            }
        )
    return document


def signer(output: Path) -> Cosign:
    """Return the program with the release's key.

    :raises ReleaseError: no program or no key.
    """
    program = shutil.which("cosign") or (str(COSIGN) if COSIGN.exists() else None)
    if program is None:
        raise ReleaseError("cosign is missing. It is in the bundle (make bundle), or install it.")
    key = os.environ.get("RELEASE_KEY", "")
    if not key or ("://" not in key and not Path(key).is_file()):
        raise ReleaseError("RELEASE_KEY names no key. Make a pair once: cosign generate-key-pair")
    password = os.environ.get("COSIGN_PASSWORD", "")
    return Cosign(Path(program), key, output / "release.pub", password)


def release(output: Path, draft: bool) -> list[Path]:
    """Write all files of the release and return them.

    :raises ReleaseError: the tree is not ready, or nobody can sign.
    """
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    if not draft and (found := unready(galaxy["version"])):
        raise ReleaseError(f"This is not ready for a release: {'; '.join(found)}.")
    cosign = signer(output)
    output.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.tar.gz", "*.tar.gz.spdx.json", "SHA256SUMS*"):
        for path in output.glob(pattern):
            path.unlink()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct"))
    subprocess.run([sys.executable, str(ROOT / "scripts/package.py"), str(output)], check=True, stdout=sys.stderr)
    (archive,) = output.glob("*.tar.gz")
    materials = output / f"{archive.name}.spdx.json"
    materials.write_text(json.dumps(bill_of_materials(archive, galaxy, epoch), indent=1) + "\n", encoding="utf-8")
    sums = output / "SHA256SUMS"
    sums.write_text(
        "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in (archive, materials)),
        encoding="ascii",
    )
    signature = output / "SHA256SUMS.sig"
    signature.write_text(base64.b64encode(cosign.sign(sums.read_bytes())).decode() + "\n", encoding="ascii")
    cosign.fetch_public_key()
    return [archive, materials, sums, signature, cosign.public_key_file]


def main() -> None:
    """Make the release and print its files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draft", action="store_true")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    try:
        for path in release(arguments.output, arguments.draft):
            print(path)
    except (ReleaseError, BundleError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
