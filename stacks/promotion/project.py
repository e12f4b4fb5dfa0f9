"""Project: the stacks of a Pulumi project, by Pulumi's Automation API, which runs the `pulumi` on PATH."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml
from pulumi import automation

from headrace.contract.errors import PermanentError, TemporaryError

Changes = Mapping[str, int]
"""Numbers of resources by what is done with them, in the engine's words: create, update, same."""
_ENDPOINT: Final = "headrace:index:ModelEndpoint"


class Project:
    """A folder with a Pulumi.yaml. Methods raise PermanentError for a stack that there is not, or without `pulumi`."""

    def __init__(self, folder: Path) -> None:
        """Raises PermanentError where the folder has no project."""
        if not (folder / "Pulumi.yaml").is_file():
            raise PermanentError(f"--cwd = {str(folder)!r}, must be a folder with a Pulumi.yaml; name the project's")
        self._folder = folder
        self._stacks: dict[str, automation.Stack] = {}

    def selected(self) -> str:
        """The stack that `pulumi stack select` chose. Raises PermanentError where none is."""
        try:
            found = self._workspace.stack()
        except automation.CommandError as error:
            raise TemporaryError(f"the stacks cannot be listed: {_said(error)}") from error
        if found is None:
            raise PermanentError("no stack is selected; give --stack, or run `pulumi stack select`")
        return found.name

    def make(self, stack: str) -> None:
        """Makes the stack where there is none yet, if the project has settings for it: a misspelled one has not.

        Its secrets are encrypted as the settings say under `secretsprovider`, which `pulumi stack init` itself takes
        out of them, and asks for a passphrase.
        """
        project = yaml.safe_load((self._folder / "Pulumi.yaml").read_text("utf-8"))
        settings = self._folder / project.get("stackConfigDir", "") / f"Pulumi.{stack.rpartition('/')[2]}.yaml"
        if settings.is_file():
            given = yaml.safe_load(settings.read_text("utf-8")) or {}
            self._workspace.secrets_provider = given.get("secretsprovider")
            try:
                self._stacks[stack] = automation.Stack.create_or_select(stack, self._workspace)
            except automation.CommandError as error:
                raise TemporaryError(f"stack {stack} cannot be made: {_said(error)}") from error

    def endpoints(self, stack: str) -> dict[str, str]:
        """The addresses of the endpoints that the stack has, by their names."""
        exported = self._stack(stack).export_stack().deployment or {}
        found = [each for each in exported.get("resources", ()) if each["type"] == _ENDPOINT]
        return {each["urn"].rpartition("::")[2]: str(each.get("outputs", {}).get("url", "")) for each in found}

    def outputs(self, stack: str) -> dict[str, Any]:
        """The stack's outputs."""
        return {name: output.value for name, output in self._stack(stack).outputs().items()}

    def setting(self, stack: str, name: str) -> Any:
        """One setting of the project's own, parsed; None where it is absent."""
        found = self._stack(stack).get_all_config()
        project = self._stack(stack).workspace.project_settings().name
        value = found.get(f"{project}:{name}")
        if value is None:
            return None
        try:
            return json.loads(value.value)
        except ValueError:
            return value.value

    def write(self, stack: str, values: Mapping[str, str | None]) -> None:
        """Sets settings by their paths, for example endpoints[0].model_uri; None removes one. `pulumi` writes the file,
        so that comments stay."""
        for path, value in values.items():
            if value is None:
                self._stack(stack).remove_config(path, path=True)
            else:
                self._stack(stack).set_config(path, automation.ConfigValue(value=value), path=True)

    def preview(self, stack: str, *, tell: Callable[[str], None], policy: Sequence[str] = ()) -> Changes:
        """`pulumi preview`, whose lines `tell` gets. Raises TemporaryError when it fails."""
        packs, configs = _of_policy(policy)
        try:
            found = self._stack(stack).preview(
                on_output=tell, policy_packs=packs, policy_pack_configs=configs, color="never"
            )
        except automation.CommandError as error:
            raise TemporaryError(f"`pulumi preview` of stack {stack} failed: {_said(error)}") from error
        return {str(operation): number for operation, number in found.change_summary.items()}

    def up(self, stack: str, *, tell: Callable[[str], None], policy: Sequence[str] = ()) -> Changes:
        """`pulumi up`, whose lines `tell` gets. Raises TemporaryError when it fails."""
        packs, configs = _of_policy(policy)
        try:
            done = self._stack(stack).up(
                on_output=tell, policy_packs=packs, policy_pack_configs=configs, color="never", show_secrets=False
            )
        except automation.CommandError as error:
            raise TemporaryError(f"`pulumi up` of stack {stack} failed: {_said(error)}") from error
        return {str(operation): number for operation, number in (done.summary.resource_changes or {}).items()}

    def former_settings(self, stack: str, name: str) -> Iterator[Any]:
        """The values of a setting at the updates that succeeded, newest first."""
        project = self._stack(stack).workspace.project_settings().name
        for update in self._stack(stack).history(page_size=50, page=1, show_secrets=False):
            if update.kind == "update" and update.result == "succeeded":
                value = update.config.get(f"{project}:{name}")
                if value is not None:
                    yield json.loads(value.value)

    @cached_property
    def _workspace(self) -> automation.LocalWorkspace:
        try:
            return automation.LocalWorkspace(work_dir=str(self._folder))
        except FileNotFoundError as error:
            raise PermanentError(
                "`pulumi` is not on PATH, must be, because it runs every update; "
                "https://www.pulumi.com/docs/install tells how it is installed"
            ) from error

    def _stack(self, name: str) -> automation.Stack:
        if name not in self._stacks:
            try:
                self._stacks[name] = automation.Stack.select(name, self._workspace)
            except automation.StackNotFoundError as error:
                raise PermanentError(
                    f"stack = {name!r}, must be a stack of the project in {self._folder}; `pulumi stack ls` lists them"
                ) from error
            except automation.CommandError as error:
                raise TemporaryError(f"stack {name} cannot be selected: {_said(error)}") from error
        return self._stacks[name]


def _of_policy(policy: Sequence[str]) -> tuple[list[str], list[str]]:
    """Folders of policy packs, and their configuration files."""
    return [part for part in policy if Path(part).is_dir()], [part for part in policy if not Path(part).is_dir()]


def _said(error: automation.CommandError) -> str:
    """What the engine wrote to its stderr; its stdout, which the error repeats, has been told line by line."""
    said = str(error).rpartition("\n stderr:")[2].strip()
    return said if said else "the lines above say why"
