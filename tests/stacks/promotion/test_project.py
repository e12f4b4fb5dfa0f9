"""A stack whose settings name a key of AWS KMS has no passphrase, and no secret of its lies anywhere in the clear."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from live_platform import quiet
from object_store import KEYS, ObjectStore, object_store

from headrace.contract.errors import TemporaryError
from headrace.local.toolchain import builder
from headrace.stacks.promotion.project import Project

pytestmark = pytest.mark.slow

SECRET = "hush, this is nobody's business"
KEY = "awskms://alias/headrace-prod?region=us-east-1&awssdk=v2"
PROGRAM = 'import pulumi\n\npulumi.export("token", pulumi.Config().require_secret("token"))\n'


def client(aws: ObjectStore, service: str) -> Any:
    return boto3.client(
        service, endpoint_url=aws.address, region_name=KEYS["AWS_DEFAULT_REGION"],
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"], aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def aws() -> Iterator[ObjectStore]:
    """A bucket, and a key for secrets of stacks."""
    with object_store() as started:
        kms = client(started, "kms")
        kms.create_alias(AliasName="alias/headrace-prod", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
        yield started


@pytest.fixture(params=["file", "s3"])
def state(request: pytest.FixtureRequest, aws: ObjectStore, tmp_path: Path) -> str:
    """Where the state is, as `pulumi login` has it."""
    return f"{aws.folder}?region=us-east-1&awssdk=v2" if request.param == "s3" else f"file://{tmp_path / 'state'}"


@pytest.fixture
def project(state: str, aws: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with settings for one stack, and no stack yet; whoever runs it has AWS' credentials, no passphrase."""
    for folder in ("state", "project"):
        (tmp_path / folder).mkdir()
    (tmp_path / "project" / "Pulumi.yaml").write_text("name: program\nruntime: python\n")
    (tmp_path / "project" / "__main__.py").write_text(PROGRAM)
    settings = {"secretsprovider": KEY, "config": {"program:host": "models.example.com"}}
    (tmp_path / "project" / "Pulumi.prod.yaml").write_text(yaml.safe_dump(settings))
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    environment = {
        **aws.environment,
        "PATH": f"{builder.deployer(quiet())}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": state,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "project"


def test_a_key_encrypts_what_a_stack_keeps_secret(
    project: Path, state: str, aws: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks = Project(project)
    stacks.make("prod")
    command = ["pulumi", "config", "set", "--secret", "token", SECRET, "--stack", "prod"]
    subprocess.run(command, cwd=project, capture_output=True, check=True)
    stacks.up("prod", tell=lambda line: None)
    assert stacks.outputs("prod") == {"token": SECRET}
    assert stacks.setting("prod", "token") == SECRET

    settings = (project / "Pulumi.prod.yaml").read_text()
    assert yaml.safe_load(settings)["secretsprovider"] == KEY
    kept = held(state, aws, tmp_path / "state")
    assert any("awskms://" in text for text in kept)
    assert [text for text in (settings, *kept) if SECRET in text] == []

    with object_store() as without_the_key:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", without_the_key.address)
        asked = subprocess.run(
            ["pulumi", "stack", "output", "--show-secrets", "--stack", "prod"],
            cwd=project, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert asked.returncode != 0
    assert SECRET not in asked.stdout


def held(state: str, aws: ObjectStore, folder: Path) -> list[str]:
    """Every text that the backend keeps: the state, its copies and the history."""
    if state.startswith("file:"):
        return [path.read_text() for path in folder.rglob("*") if path.is_file()]
    s3, bucket = client(aws, "s3"), aws.folder.removeprefix("s3://")
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    return [s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys]


@pytest.mark.parametrize("state", ["file"], indirect=True)
def test_a_key_that_there_is_not_makes_no_stack(project: Path) -> None:
    settings = project / "Pulumi.prod.yaml"
    settings.write_text(settings.read_text().replace("headrace-prod", "misspelled"))

    with pytest.raises(TemporaryError, match=r"stack prod cannot be made: .*misspelled"):
        Project(project).make("prod")

    assert "encryptionsalt" not in settings.read_text()
