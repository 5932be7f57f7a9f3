# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody new follows README, quick start and the guides that need no platform, in an empty home directory.

The tests run in the order of this file, those of test_guides.py after them. ``ONPREM_TEST_LAB`` may name the ``.lab``
directory of a checkout in which ``make site`` has run: its platform is used then, and nothing is taken away. ``pytest
-s`` shows the commands as they are typed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.onprem.platform.tests.faults.platform_lab import ROOT
from ansible_collections.onprem.platform.tests.faults.reader import Reader, Shell, changed, follow, reach
from ansible_collections.onprem.platform.tests.integration.ports import free_port
from ansible_collections.onprem.platform.tests.rules.commands import block_with, commands

QUICK_START = "docs/quick_start.md"
# In the shell of the lab, and what takes it away.
LATER = ("make shell", "make clean")


@pytest.fixture(scope="module")
def archive(reader: Reader) -> Path:
    """The archive that Galaxy or a release would give, of what is committed here."""
    output = reader.directory / "archive"
    subprocess.run([sys.executable, str(ROOT / "scripts/package.py"), str(output)], check=True, capture_output=True)
    return next(output.glob("*.tar.gz"))


# --- without a platform ----------------------------------------------------------------------------------------------
def test_contributing(reader: Reader) -> None:
    with reader.shell(reader.checkout) as shell:
        said = dict(follow(shell, commands("CONTRIBUTING.md")))
    assert " passed" in said[".venv/bin/pytest tests/unit/plugins/modules/test_vault_mount.py"]
    assert (reader.checkout / ".venv/bin/ansible-playbook").exists()


def test_air_gap(reader: Reader, archive: Path) -> None:
    """Packed with a network, unpacked and verified by somebody else without one."""
    page = "docs/air_gap.md"
    text = (ROOT / page).read_text(encoding="utf-8")
    at_site = commands(page).index(block_with(page, "pip install --no-index")[0])
    office, site, home = (reader.directory / name for name in ("office", "site", "home-at-site"))
    for place in (office, site, home):
        place.mkdir()
        subprocess.run(["cp", "-r", str(ROOT / "inventories/example"), str(place / "inventory")], check=True)
    (office / archive.name).hardlink_to(archive)
    with reader.shell(office) as shell:
        packed = dict(follow(shell, commands(page)[:at_site]))
    (office / "luggage").rename(site / "luggage")
    where = re.findall(r"^platform_bundle_directory: \S+$", text, re.MULTILINE)[0].replace("/srv", str(site))
    with (site / "inventory/group_vars/all.yml").open("a", encoding="utf-8") as settings:
        settings.write(f"{where}\n")
    offline = ("unshare", "--net", "bash", "--noprofile", "--norc")
    with Shell(site, reader.environment(home, network=False), *offline) as shell:
        unpacked = dict(follow(shell, commands(page)[at_site:], {"/srv": str(site)}))
    sums = [output.split()[0] for command, output in {**packed, **unpacked}.items() if command.startswith("sha256sum")]
    assert len(sums) == 2 and sums[0] == sums[1]
    assert set(changed(list(unpacked.values())[-1])) == {0}
    shutil.rmtree(site / "luggage")


def test_signing_in_a_pipeline(reader: Reader) -> None:
    """An image in a registry of the bundle is signed and attested; cosign finds both."""
    place, address = reader.directory / "pipeline", f"127.0.0.1:{free_port()}"
    place.mkdir()
    (place / "registry.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {place}/storage}}}}\nhttp: {{addr: '{address}'}}\n"
    )
    for name in ("sbom.spdx.json", "provenance.json"):
        (place / name).write_text("{}")
    with reader.shell(place, tools=True, COSIGN_PASSWORD="of a pipeline", TAG="1.0.0") as shell:
        shell.run("registry serve registry.yml >registry.log 2>&1 &")
        reach(int(address.rpartition(":")[2]), "the registry")
        shell.run(f"tar -cf layer.tar sbom.spdx.json && crane append -f layer.tar -t {address}/shop:$TAG")
        shell.run("cosign generate-key-pair")
        for _command in follow(
            shell, block_with("docs/signatures.md", "legacy="), {"registry.platform.internal:5001": address}
        ):
            pass
        verify = "--key cosign.pub --insecure-ignore-tlog=true --new-bundle-format=false"
        shell.run(f'cosign verify {verify} "$image"')
        for kind in ("https://spdx.dev/Document", "https://slsa.dev/provenance/v1"):
            shell.run(f'cosign verify-attestation {verify} --type {kind} "$image"')


def test_a_share_for_one_holder(reader: Reader) -> None:
    """That Vault encrypts shares so is tested with Vault; here a holder decrypts the own one as the page says."""
    place = reader.directory / "holder"
    place.mkdir()
    gpg = "gpg --batch --quiet --trust-model always"
    with reader.shell(place) as shell:
        shell.run(f"{gpg} --passphrase '' --quick-generate-key holder@example.org rsa2048 encrypt never")
        shell.run(f"share=$(printf 'the share' | {gpg} --encrypt -r holder@example.org | base64 -w0)")
        shell.run('printf \'{"keys_base64": ["%s"]}\' "$share" >keys.json')
        said = dict(follow(shell, block_with("docs/vault_keys.md", "jq ")))
        shell.run("gpgconf --kill all")
    assert "the share" in "".join(said.values())


# --- README and quick start ------------------------------------------------------------------------------------------
@pytest.mark.skipif("ONPREM_TEST_LAB" in os.environ, reason="the platform is there")
def test_make_site(reader: Reader) -> None:
    with reader.shell(reader.checkout) as shell:
        said = dict(follow(shell, commands("README.md")[:1]))
    assert "The application:  http://" in said["make site"]


def test_what_one_may_ask_of_make(reader: Reader) -> None:
    asked = {one.text: one for one in commands(QUICK_START) + commands("README.md") if one.text.startswith("make ")}
    chosen = [one for text, one in asked.items() if text not in LATER and text != "make site"]
    with reader.shell(reader.checkout) as shell:
        said = dict(follow(shell, chosen))
    assert set(changed(said["make check"])) == {0}, said["make check"][-6000:]
    for name in ("bundle", "lab"):
        assert set(changed(said[f"make {name}"])) == {0}
    assert re.search(r"nodes +6 of 6 ready", said["make status"]), said["make status"]


def test_make_shell(reader: Reader) -> None:
    with reader.platform_shell() as shell:
        said = dict(follow(shell, block_with(QUICK_START, "kubectl get nodes")))
    assert said["kubectl get nodes"].count(" Ready ") == 6
    assert "False" not in said["kubectl get kustomizations,helmreleases -A"]
    assert "<html" in said["curl http://127.0.0.1:8080/"].lower()


def test_own_servers(reader: Reader, archive: Path) -> None:
    """The second part of the quick start, which has the README's commands, on the lab's six machines."""
    home, place = reader.directory / "home-of-operator", reader.directory / "operator"
    for directory in (home, place):
        directory.mkdir()
    begin = commands(QUICK_START).index(block_with(QUICK_START, "python3 -m venv")[0])
    # The platform is there: to run site.yml again once is enough.
    chosen = dict.fromkeys([*commands(QUICK_START)[begin:], *commands("docs/preflight.md")])
    said: dict[str, str] = {}
    with Shell(place, reader.environment(home)) as shell:
        for command, output in follow(shell, chosen):
            said[command] = output
            if command == "pip install ansible-core":
                shell.run(f"ansible-galaxy collection install {archive}")  # in place of Galaxy's
            elif command.startswith("cp -r "):
                assert (place / "inventory/hosts.yml").exists()
                # Names and addresses of servers that are there.
                shell.run(f"rm -r inventory && ln -s {reader.checkout / 'inventories/lab'} inventory")
            elif re.search(r"onprem\.platform\.(bundle|preflight|site)$", command):
                assert set(changed(output)) == {0}, output[-6000:]
        planned = shell.run("ansible-playbook -i inventory onprem.platform.site --check --diff")
    assert set(changed(planned)) == {0}, planned[-6000:]
    reports = list((reader.checkout / ".lab/state/report").glob("*.xml"))
    assert len(reports) >= 8
    assert [one.name for one in reports if ' failures="0"' not in one.read_text(encoding="utf-8")] == []
