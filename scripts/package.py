# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection's archive from the files that Git tracks; the same files give the same archive.

``ansible-galaxy collection build`` takes what lies in the directory, in the order of the file system, with the time of
the day. Here it builds from a copy of the tracked files, and its archive is written anew: sorted, with the time of the
last commit (or SOURCE_DATE_EPOCH). Usage: package.py OUTPUT_DIRECTORY
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def git(*arguments: str) -> str:
    """Return what Git prints about the repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def copy_tracked(target: Path) -> None:
    """Copy the tracked files as they are now."""
    for name in git("ls-files", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def as_json(value: object) -> bytes:
    """Return JSON as ansible-galaxy writes it."""
    return json.dumps(value, indent=1).encode()


def sort_lists(contents: dict[str, bytes]) -> None:
    """Sort the list of files, and correct its checksum in the manifest."""
    files = json.loads(contents["FILES.json"])
    files["files"].sort(key=lambda item: item["name"])
    contents["FILES.json"] = as_json(files)
    manifest = json.loads(contents["MANIFEST.json"])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(contents["FILES.json"]).hexdigest()
    contents["MANIFEST.json"] = as_json(manifest)


def rewrite(source: Path, target: Path, epoch: int) -> None:
    """Write the archive anew so that it depends on the contents and the time only."""
    with tarfile.open(source) as archive:
        members = {member.name: member for member in archive.getmembers()}
        streams = {name: archive.extractfile(item) for name, item in members.items() if item.isfile()}
        contents = {name: stream.read() for name, stream in streams.items() if stream is not None}
    sort_lists(contents)
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        # Readers want the manifest first.
        for name in sorted(members, key=lambda item: (item not in ("MANIFEST.json", "FILES.json"), item)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = members[name].type, members[name].mode, epoch
            entry.size = len(contents.get(name, b""))
            archive.addfile(entry, io.BytesIO(contents[name]) if name in contents else None)


def main() -> None:
    """Build, rewrite, and print path and checksum."""
    output = Path(sys.argv[1])
    output.mkdir(parents=True, exist_ok=True)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct"))
    with tempfile.TemporaryDirectory() as name:
        copy, built = Path(name) / "copy", Path(name) / "built"
        copy_tracked(copy)
        program = str(Path(sys.executable).with_name("ansible-galaxy"))
        command = [program, "collection", "build", str(copy), "--output-path", str(built)]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        subprocess.run(command, cwd=name, env=environment, check=True, stdout=subprocess.DEVNULL)
        (archive,) = built.glob("*.tar.gz")
        rewrite(archive, output / archive.name, epoch)
    target = output / archive.name
    print(f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target}")


if __name__ == "__main__":
    main()
