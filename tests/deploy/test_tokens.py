"""Tokens are made and rotated as docs/deploy.md says, and the service accepts them all along."""

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.check import kubectl_problem
from deploy.tokens import main
from service.http.auth import Authentication
from service.http.errors import Problem

ROOT = Path(__file__).parents[2]
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()


def accepted(authentication: Authentication, token: str) -> bool:
    try:
        authentication.check(f"Bearer {token}", None)
    except Problem:
        return False
    return True


def test_a_rotation_never_shuts_out_a_client_that_follows_it(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    arguments = ("--file", str(file))
    assert main(["add", *arguments]) == 0
    authentication = Authentication(file, allow_anonymous=False)
    (old,) = file.read_text().split()

    assert main(["add", *arguments]) == 0
    first, new = file.read_text().split()
    assert first == old != new
    assert accepted(authentication, old)
    assert accepted(authentication, new)

    assert main(["retire", *arguments]) == 0
    assert file.read_text().split() == [new]
    assert not accepted(authentication, old)
    assert accepted(authentication, new)


def test_only_the_owner_reads_the_file_whatever_the_umask(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    previous = os.umask(0)
    try:
        main(["add", "--file", str(file)])
        main(["add", "--file", str(file)])
    finally:
        os.umask(previous)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["tokens"]


def test_a_step_out_of_order_changes_nothing_and_names_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tokens"
    for lines, command, remedy in (
        ("", "retire", "add a new one first"),
        ("a\n", "retire", "add a new one first"),
        ("a\nb\n", "add", "retire the older one"),
    ):
        file.write_text(lines)
        assert main([command, "--file", str(file)]) == 1
        assert remedy in capsys.readouterr().err
        assert file.read_text() == lines


def test_git_ignores_the_tokens_wherever_they_are_written() -> None:
    for place in ("tokens", ".tokens.part", "deploy/tokens", "deploy/k8s/overlays/own/tokens"):
        ignored = subprocess.run(["git", "check-ignore", "-q", place], cwd=ROOT, check=False)
        assert ignored.returncode == 0, place
    listed = subprocess.run(
        ["git", "ls-files", "--ignored", "--cached", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout == ""


@pytest.mark.skipif(kubectl_problem() is not None, reason=f"no Secret: {kubectl_problem()}")
def test_the_documented_commands_rotate_the_secret_and_give_clients_one_token(
    tmp_path: Path,
) -> None:
    (secret,) = re.findall(r"^ *(kubectl .*create secret .*) \\\n *\| kubectl", DEPLOY, re.M)
    (client,) = set(re.findall(r"OUTCROP_TOKEN=(\$\(.*\))", DEPLOY))
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("k8s"))

    def shell(line: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for lines in (1, 2):
        shell("python3 -m deploy.tokens add")
        manifest = yaml.safe_load(shell(secret))
        metadata = manifest["metadata"]
        assert (metadata["namespace"], metadata["name"]) == ("outcrop", "outcrop-tokens")
        content = base64.b64decode(manifest["data"]["tokens"]).decode()
        assert len(content.split()) == lines
        assert shell(f'printf %s "{client}"') == content.split()[-1]
