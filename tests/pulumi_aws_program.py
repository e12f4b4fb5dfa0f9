"""A program on AWS under the real Pulumi engine and the stand-in for AWS."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pulumi_preview
from stand_in_aws.running import Account, aws, environment, plugin


@dataclass(frozen=True, kw_only=True)
class AwsProgram:
    """One stack of a program, and the account that it is deployed to."""

    folder: Path
    address: str
    faults: Path
    """The file that says which calls of AWS fail."""
    variables: Mapping[str, str]
    """By which Pulumi's engine finds the stand-in."""

    @property
    def account(self) -> Account:
        """What there is in AWS."""
        return Account(self.address)

    def write(self, program: str) -> None:
        """Changes the program."""
        (self.folder / "__main__.py").write_text(program)

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command of Pulumi."""
        with mock.patch.dict("os.environ", self.variables):
            return pulumi_preview.pulumi(self.folder, *arguments)

    def headrace(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command of Headrace in the project's folder."""
        with mock.patch.dict("os.environ", self.variables):
            return pulumi_preview.run(self.folder, sys.executable, "-m", "headrace.cli", *arguments)

    def up(self, stack: str = "dev") -> subprocess.CompletedProcess[str]:
        """`pulumi up`."""
        return self.pulumi("up", "--yes", "--skip-preview", "--stack", stack)


@contextmanager
def deployed(folder: Path, program: str, *, kubeconfig: Path | None = None, **quotas: float) -> Iterator[AwsProgram]:
    """A project with the stack `dev` of the program in the empty folder, and an empty account; `kubeconfig` is of the
    cluster that stands for what EKS makes."""
    faults = folder / "faults.json"
    faults.write_text("{}")
    with aws(**quotas) as address:
        variables = environment(address, faults=faults, kubeconfig=kubeconfig)
        with plugin(variables) as attached:
            pulumi_preview.started(folder, program)
            yield AwsProgram(folder=folder, address=address, faults=faults, variables={**variables, **attached})
