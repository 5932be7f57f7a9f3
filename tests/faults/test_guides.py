# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides are followed on the platform that test_documentation.py has installed, or on that of ``ONPREM_TEST_LAB``.

The tests run in the order of this file: what reads, what writes, what takes the platform away, and what was left out.
"""

from __future__ import annotations

import json
import os
import re

import pytest

from ansible_collections.onprem.platform.tests.faults.observability_lab import eventually
from ansible_collections.onprem.platform.tests.faults.platform_lab import BUNDLE, ROOT
from ansible_collections.onprem.platform.tests.faults.reader import (
    Reader,
    Shell,
    changed,
    filled,
    follow,
    followed,
)
from ansible_collections.onprem.platform.tests.rules.commands import (
    ELSEWHERE,
    NOT_RUN,
    block_with,
    commands,
    pages,
)

OWN_LAB = pytest.mark.skipif("ONPREM_TEST_LAB" in os.environ, reason="the lab, or the checkout, is somebody else's")
ADMINISTRATOR = re.search(
    r"^  export VAULT_TOKEN=.*\n.*$", (ROOT / "scripts/lab-shell").read_text("utf-8"), re.MULTILINE
)
VAULT_PASSWORD = "of an encrypted file"


def unseal_keys(reader: Reader) -> list[str]:
    """Return as many unseal keys as make a quorum."""
    text = (reader.checkout / ".lab/state/vault-keys.json").read_text(encoding="utf-8")
    return list(json.loads(text)["keys_base64"])[:3]


def value_of(name: str, output: str) -> str:
    """Return a value of the table that ``vault`` prints."""
    found = re.search(rf"^{name} +(\S+)\s*$", output, re.MULTILINE)
    assert found, output
    return found[1]


# --- what reads ------------------------------------------------------------------------------------------------------
def test_network(shell: Shell) -> None:
    for command in commands("docs/network.md"):
        (said,) = [output for _text, output in follow(shell, [command])]
        assert [line for line in command.shown if line != "..." and line not in said] == []


def test_access(shell: Shell) -> None:
    said = dict(follow(shell, commands("docs/access.md")))
    # The files of the collection are what the lab is.
    assert said["git diff roles/verify/files/rbac"] == ""


def test_hardening(shell: Shell) -> None:
    said = list(follow(shell, commands("docs/hardening.md")))
    assert all(changed(output) for _command, output in said)
    assert re.search(r"\d+ cases of hosts passed", said[0][1])


def test_signatures(reader: Reader, shell: Shell) -> None:
    place, signing = reader.directory / "carried", BUNDLE.parent / "lab-signing"
    place.mkdir()
    (place / "bundle").symlink_to(BUNDLE)
    for name in ("cosign.pub", "signatures"):
        (place / name).symlink_to(signing / name)
    shell.run(f"cd {place}")
    page = "docs/signatures.md"
    chosen = block_with(page, "cosign verify-blob") + block_with(page, "chart=")
    said = [output for command, output in follow(shell, chosen) if command.startswith("cosign ")]
    assert all("Verified OK" in output for output in said) and len(said) == 3
    # The controller makes the certificate anew.
    content = "kubectl -n cosign-system get secret webhook-certs -o jsonpath='{.data}'"
    assert all(" patched" in output for _command, output in follow(shell, block_with(page, "kubectl -n cosign-system")))
    eventually(lambda: "ca-cert.pem" in shell.run(content), "another certificate", 180)


def test_alerts(shell: Shell) -> None:
    values = {"INVENTORY": "inventories/lab"}
    for command, output in follow(shell, commands("docs/alerts.md"), values):
        if " silence add " in command:
            values["ID"] = output.split()[-1]
        elif " silence query" in command:
            assert values["ID"] in output and "ticket 4711" in output
        elif command.startswith("curl "):
            assert isinstance(json.loads(output), list)
        elif "status.yml" in command:
            assert changed(output)


def test_dashboards(shell: Shell) -> None:
    """The platform has been there for a while: every expression finds something."""
    said = dict(follow(shell, commands("docs/dashboards.md")))
    assert shell.run("git status --porcelain roles/observability") == ""
    assert len(said["PYTHONPATH=scripts python -m dashboards list"].splitlines()) > 200


@OWN_LAB
def test_images(shell: Shell) -> None:
    """Debian may have news, which are not kept here."""
    said = list(follow(shell, commands("docs/images.md")))
    assert all(changed(output) for _command, output in said)
    shell.run("git checkout --quiet -- roles/bundle")


# --- what writes -----------------------------------------------------------------------------------------------------
def test_one_phase(shell: Shell) -> None:
    (said,) = follow(shell, block_with("docs/cluster.md", "ansible-playbook onprem.platform.site"))
    assert set(changed(said[1])) == {0}, said[1][-6000:]


def test_vault_keys(reader: Reader, shell: Shell) -> None:
    """A quorum makes a root token, with which one looks at what only root may see."""
    shares = unseal_keys(reader)
    values: dict[str, str] = {}
    answers = {"vault operator generate-root -nonce": [("", f"{shares[0]}\r\x04")]}
    page = "docs/vault_keys.md"
    for command, output in follow(shell, block_with(page, "vault operator"), values, answers):
        if command.endswith("-init"):
            values |= {"NONCE": value_of("Nonce", output), "ONE_TIME_PASSWORD": value_of("OTP", output)}
        elif "-nonce" in command:
            for share in shares[1:]:
                output = shell.run(filled(command, values), [("", f"{share}\r\x04")])
            values["ENCODED"] = value_of("Encoded Token", output)
        else:
            shell.run(f"export VAULT_TOKEN={output.split()[-1]}")
    assert "root" in shell.run("vault token lookup")
    dict(follow(shell, block_with("docs/runbooks/VaultLeasesIrrevocable.md", "vault read")))
    shell.run("vault token revoke -self; unset VAULT_TOKEN")


def test_vault_operations(reader: Reader, shell: Shell) -> None:
    """Every command of the page but those for a lost database password; each run of the platform changes nothing."""
    page, shares = "docs/vault_operations.md", unseal_keys(reader)
    written = reader.directory / "written"
    written.write_text(json.dumps({"vault_unseal_keys": shares}))
    values = {"INVENTORY": "inventories/lab"}
    created = [(f"{word} Vault password: ", VAULT_PASSWORD) for word in ("New", "Confirm New")]
    asked = [("Vault password: ", VAULT_PASSWORD)]
    question = "Unseal Key (will be hidden): "
    answers = {
        "ansible-vault create": created,
        "ansible-playbook playbooks/vault_unseal.yml -i INVENTORY -e @": asked,
        "ansible-playbook playbooks/site.yml -i INVENTORY -e @": asked,
        "root -nonce": [(question, shares[0])],
    }
    chosen = [one for one in commands(page) if one not in block_with(page, "password=")]
    shell.run("rm -f /dev/shm/unseal.yml /dev/shm/root.yml")
    for command, output in follow(shell, chosen, values, answers):
        if command.startswith("ansible-playbook"):
            # The one change is that the root token is revoked.
            assert sum(changed(output)) == ("root.yml" in command), output[-6000:]
        elif command == "root -init":
            values |= {"NONCE": value_of("Nonce", output), "PASSWORD": value_of("OTP", output)}
        elif command.startswith("root -nonce"):
            for share in shares[1:]:
                output = shell.run(filled(command, values), [(question, share)])
            values["ENCODED"] = value_of("Encoded Token", output)
        elif command.startswith("root -decode"):
            token = output.split()[-1]
            shell.run(f"VAULT_TOKEN={token} vault token lookup")
            written.write_text(json.dumps({"vault_root_token": token}))
    refusal = shell.run(f"VAULT_TOKEN={token} vault token lookup", codes=(2,))
    assert "permission denied" in refusal or "bad token" in refusal


def test_a_database_whose_password_nobody_knows(shell: Shell) -> None:
    """Vault forgets its connection, as a new one would not know it."""
    assert ADMINISTRATOR
    shell.run(ADMINISTRATOR[0])
    shell.run("vault delete database/config/mariadb")
    page = "docs/vault_operations.md"
    said = dict(follow(shell, block_with(page, "password=")))
    assert changed(said["ansible-playbook playbooks/site.yml -i INVENTORY"])
    shell.run(ADMINISTRATOR[0])
    assert "username" in shell.run("vault read database/creds/laravel-demo")
    left = shell.run("kubectl -n data get secret mariadb-first-password --ignore-not-found")
    assert left == ""


# --- what takes it away ----------------------------------------------------------------------------------------------
@OWN_LAB
def test_reset(shell: Shell) -> None:
    chosen = block_with("docs/cluster.md", "ansible-playbook playbooks/reset.yml")
    said = [output for _command, output in follow(shell, chosen)]
    assert all(sum(changed(output)) > 0 for output in said)
    # Nothing serves the cluster any more.
    shell.run("kubectl --request-timeout=5s get nodes", codes=(1,))


@OWN_LAB
def test_lab(reader: Reader) -> None:
    """The last command makes a small one, which ``make clean`` removes."""
    state = reader.checkout / ".lab/lab.json"
    answers = {"ssh ": [("cp1", "hostname; exit")]}
    with reader.shell(reader.checkout, tools=True) as shell:
        for number, (command, output) in enumerate(follow(shell, commands("docs/lab.md"), answers=answers)):
            if number == 0:
                assert set(changed(output)) == {0}
            assert state.exists() == ("lab_state=absent" not in command)
    assert [one["name"] for one in json.loads(state.read_text(encoding="utf-8"))["nodes"]] == ["cp1", "w1", "w2"]


@OWN_LAB
def test_make_clean(reader: Reader) -> None:
    with reader.shell(reader.checkout) as shell:
        dict(follow(shell, [one for one in commands("docs/quick_start.md") if one.text == "make clean"]))
    assert not (reader.checkout / ".lab").exists()


@OWN_LAB
def test_releasing(reader: Reader) -> None:
    """A release of the clone, by a key of its own; signing a tag needs somebody's key, so this one has a plain one."""
    page = "docs/releasing.md"
    person = {f"GIT_{role}_{what}": "Somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    password = "..."  # as the page says
    answers = {"cosign generate": [(f"Enter password for private key{again}: ", password) for again in ("", " again")]}
    version = re.search(r"^version: (\S+)$", (ROOT / "galaxy.yml").read_text("utf-8"), re.MULTILINE)
    assert version
    with reader.shell(reader.checkout, tools=True, **person) as shell:
        shell.run("cd")
        dict(follow(shell, block_with(page, "cosign generate-key-pair"), answers=answers))
        shell.run(
            f"cd {reader.checkout} && antsibull-changelog release && git add --all && git commit --quiet -m Release"
        )
        shell.run(f"git tag v{version[1]}")
        dict(follow(shell, block_with(page, "RELEASE_KEY")))
        shell.run("cd .build/release")
        said = list(follow(shell, block_with(page, "cosign verify-blob"), {"<version>": version[1]}))
    assert "Verified OK" in said[0][1] and said[1][1].count(": OK") == 2


@OWN_LAB
def test_nothing_was_left_out() -> None:
    """Commands of several pages are run once."""
    known = {one.text for one in followed} | set(ELSEWHERE) | set(NOT_RUN) | {"make shell"}
    left = [f"{page}: {one.text}" for page in pages() for one in commands(page) if one.text not in known]
    assert left == []
