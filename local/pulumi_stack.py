"""PulumiStack: runs the Pulumi engine on one stack, with its state and its passphrase in the state folder."""

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from headrace.contract.errors import HeadraceError, PermanentError, TemporaryError
from headrace.local import pending_operations
from headrace.local.paths import CHECKOUT, state_directory
from headrace.local.processes import end, start_time

STACK: Final = "local"
_LOCKED: Final = "the stack is currently locked"
_PENDING: Final = "pending operations from previous deployment"
_TRACEBACK: Final = re.compile(
    rf"Traceback \(most recent call last\):\n.*?{re.escape(HeadraceError.__module__)}\.\w+: ", re.DOTALL
)
"""The traceback that Pulumi prints before the error of a dynamic resource."""


@dataclass(frozen=True, kw_only=True)
class PulumiStack:
    """One stack of the program in this checkout."""

    programs: Path
    """Folder with `pulumi` and its plugins."""
    stack: str = STACK

    @property
    def _folder(self) -> Path:
        return state_directory() / "pulumi"

    @property
    def _project(self) -> Path:
        """Folder with links to the checkout's program: Pulumi writes the stack's settings file here, not there."""
        return self._folder / "project"

    @property
    def _configuration(self) -> Path:
        return self._project / "stacks" / f"Pulumi.{self.stack}.yaml"

    def environment(self) -> dict[str, str]:
        """Environment in which `pulumi` finds this stack, also by hand."""
        passphrase = self._folder / "passphrase"
        state = self._folder / "state"
        if not passphrase.exists():
            state.mkdir(parents=True, exist_ok=True)
            passphrase.touch(mode=0o600)
            passphrase.write_text(secrets.token_urlsafe(24))
        return {
            **os.environ,
            # on PATH a provider serves whatever version the program asks for; else the engine downloads that one
            "PATH": f"{self.programs}:{Path(sys.executable).parent}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
            "PULUMI_HOME": str(self._folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def up(self, settings: Mapping[str, Any], *, preview: bool = False) -> str:
        """`pulumi up` (or `pulumi preview`) with these settings; returns what it printed.

        Raises TemporaryError with Pulumi's own diagnostics when the update fails. An update that was killed leaves its
        lock and pending operations; both are removed first, so that the same call can be made again.
        """
        self._write_configuration(settings)
        verb = ["preview"] if preview else ["up", "--yes", "--skip-preview"]
        done = self._pulumi(*verb)
        if done.returncode != 0 and _LOCKED in done.stderr + done.stdout and not _pulumi_runs():
            self._pulumi("cancel", "--yes")
            # Before the update: it would run for minutes before it failed on an object that exists already.
            self._forget_pending(Path(settings["kubeconfig"]))
            done = self._pulumi(*verb)
        if done.returncode != 0 and _PENDING in done.stdout:
            self._forget_pending(Path(settings["kubeconfig"]))
            done = self._pulumi(*verb)
        if done.returncode != 0:
            raise TemporaryError(
                f"`pulumi {verb[0]}` of stack {self.stack} failed:\n{diagnostics(done.stdout)}{done.stderr}"
            )
        return done.stdout

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in clear."""
        done = self._pulumi("stack", "output", "--json", "--show-secrets")
        if done.returncode != 0:
            raise TemporaryError(f"the outputs of stack {self.stack} could not be read: {done.stderr.strip()}")
        outputs: dict[str, Any] = json.loads(done.stdout)
        return outputs

    def destroy(self) -> None:
        """`pulumi destroy`: removes every resource of the stack and keeps its history."""
        done = self._pulumi("destroy", "--yes", "--skip-preview")
        if done.returncode != 0:
            raise TemporaryError(
                f"`pulumi destroy` of stack {self.stack} failed:\n{diagnostics(done.stdout)}{done.stderr}"
            )

    def _write_configuration(self, settings: Mapping[str, Any]) -> None:
        self._configuration.parent.mkdir(parents=True, exist_ok=True)
        for name in ("Pulumi.yaml", "__main__.py", ".venv"):
            link = self._project / name
            if not link.is_symlink():
                link.symlink_to(CHECKOUT / name)
        if self._pulumi("stack", "select").returncode != 0:
            made = self._pulumi("stack", "init")
            if made.returncode != 0:
                raise PermanentError(f"stack {self.stack} could not be created: {made.stderr.strip()}")
        known = yaml.safe_load(self._configuration.read_text()) if self._configuration.exists() else {}
        config = {f"headrace:{name}": value for name, value in settings.items()}
        self._configuration.write_text(yaml.safe_dump({**(known or {}), "config": config}))

    def _pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.programs / "pulumi"), *arguments, "--stack", self.stack]
        with subprocess.Popen(
            [*command, "--non-interactive", "--color", "never"],
            cwd=self._project,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # its plugins stay in the session when it is killed
        ) as process:
            session = _sessions() / str(process.pid)
            session.write_text(str(start_time(process.pid)))
            try:
                out, errors = process.communicate()
            except BaseException:
                process.kill()
                raise
        if process.returncode >= 0:  # not killed: it has ended its plugins
            session.unlink()
        return subprocess.CompletedProcess(command, process.returncode, out, errors)

    def _forget_pending(self, kubeconfig: Path) -> None:
        """Removes the pending operations of a killed update from the state, and their objects from the cluster."""
        end_orphans()
        exported = json.loads(self._pulumi("stack", "export").stdout)
        pending = (exported["deployment"] or {}).pop("pending_operations", [])
        if not pending:
            return
        for operation in pending:
            resource = operation["resource"]
            if operation["type"] == "creating" and resource["type"].startswith("kubernetes:"):
                pending_operations.remove(kubeconfig, resource["inputs"])
        repaired = self._folder / "repaired.json"
        repaired.touch(mode=0o600)
        repaired.write_text(json.dumps(exported))
        done = self._pulumi("stack", "import", "--file", str(repaired))
        repaired.unlink()
        if done.returncode != 0:
            raise TemporaryError(f"the state of stack {self.stack} could not be repaired: {done.stderr.strip()}")


def end_orphans() -> None:
    """Ends the plugins that go on after the `pulumi` that we started was killed, and nothing that a person started."""
    for record in _sessions().glob("[0-9]*"):
        session = int(record.name)
        if start_time(session) in {None, record.read_text()}:  # else another program has the number now
            for pid in _processes():
                with suppress(ProcessLookupError):  # ended meanwhile
                    if os.getsid(pid) == session != os.getsid(0):
                        end(pid, grace_seconds=1)
        record.unlink()


def _sessions() -> Path:
    """Folder with a file for each running `pulumi` of ours: the session it leads, and in it when that began."""
    folder = state_directory() / "pulumi" / "sessions"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _pulumi_runs() -> bool:
    """Whether a `pulumi`, ours or a person's, works on this state, so that the lock is a live one."""
    return any(Path(f"/proc/{pid}/exe").resolve().name == "pulumi" for pid in _processes())


def _processes() -> list[int]:
    """Every process that has this checkout's Pulumi state in its environment: a person's shell may, too."""
    mark = f"PULUMI_BACKEND_URL=file://{state_directory() / 'pulumi' / 'state'}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue  # ended meanwhile, or another user's
    return found


def diagnostics(output: str) -> str:
    """The diagnostics in Pulumi's output, without the tracebacks of errors that explain themselves (HeadraceError)."""
    _, found, rest = output.partition("Diagnostics:")
    shown = rest.partition("\nOutputs:")[0].lstrip("\n") if found else output[-3000:]
    return _TRACEBACK.sub("", shown)
