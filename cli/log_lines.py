"""LogLine: a line of the log as a command reads it, from a pod or from a table: which it is of, and how people see it.

What a model or a caller wrote is text from a stranger: of a line in an endpoint's namespace the cluster says whose it
is, and no character of a text commands the terminal.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from headrace.contract import log_line, names

COMPONENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "front": (log_line.FRONT, log_line.SIDECAR, log_line.WEIGHTS),
    "model": (log_line.MODEL,),
    "pop": (names.POP_PROXY,),
    "balancer": (names.LOAD_BALANCER,),
    "controller": (
        names.ROUTING, names.AUTOSCALER, names.ROLLOUT, names.ACTIVATOR, names.MANAGEMENT, names.TABLES, names.CONSOLE,
    ),
}  # fmt: skip
"""What `--component` may be, and the components that each stands for."""
_SYNONYMS: Final = {"WARNING": "WARN", "CRITICAL": "FATAL", "ERR": "ERROR"}
"""Words of programs that are not ours, Envoy's own among them."""
_STYLES: Final = {"ERROR": "red", "FATAL": "red", "WARN": "yellow"}
_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
"""What terminals take for colours, titles and movements."""


@dataclass(frozen=True, kw_only=True, order=True)
class LogLine:
    """One line."""

    time: str
    """RFC 3339 in UTC, by which lines are ordered: as the node took the line, or as the table has it."""
    pod: str
    fields: Mapping[str, Any]
    """Those of log_line.FIELDS that are known."""

    @classmethod
    def of_pod(cls, text: str, *, time: str, pod: str, component: str, **certain: str) -> "LogLine":
        """A line that a pod wrote. `component`: whose it is where it does not say; `certain`: what the cluster knows of
        the pod, whatever the line says."""
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get(log_line.BODY), str):
            found = {log_line.BODY: text}
        known = {name: found[name] for name in log_line.FIELDS if found.get(name) not in (None, "")}
        severity = str(known.get(log_line.SEVERITY, "INFO")).upper()
        fields = {
            log_line.TIMESTAMP: time,
            **known,
            log_line.SEVERITY: _SYNONYMS.get(severity, severity),
            log_line.COMPONENT: known.get(log_line.COMPONENT, component),
            log_line.POD: pod,
            **certain,
        }
        return cls(time=time, pod=pod, fields=fields)

    @property
    def body(self) -> str:
        """What is said."""
        return str(self.fields.get(log_line.BODY, ""))

    def tells_of(self, endpoint: str) -> bool:
        """Whether it is about the endpoint: it says so or, where it says nothing, names it as a word."""
        said = self.fields.get(log_line.ENDPOINT)
        if said is not None:
            return bool(said == endpoint)
        word = rf"(?<![a-z0-9-])(?:{names.endpoint_namespace('')})?{re.escape(endpoint)}(?![a-z0-9-])"
        return re.search(word, self.body) is not None

    def belongs_to(self, request: str) -> bool:
        """Whether it is of the request, or the trace, of that id: it says so, or has it in its text."""
        fields = self.fields
        ids = fields.get(log_line.REQUEST_IDS)
        if request in (fields.get(log_line.REQUEST_ID), fields.get(log_line.TRACE_ID)):
            return True
        if isinstance(ids, list) and request in ids:
            return True
        attributes = fields.get(log_line.ATTRIBUTES)
        traced = str(attributes.get("traceparent", "")) if isinstance(attributes, dict) else ""
        return request in self.body or (bool(traced) and request in traced.split("-"))

    def is_of(self, component: str) -> bool:
        """Whether it is of one of COMPONENTS; empty: of any."""
        return not component or self.fields.get(log_line.COMPONENT) in COMPONENTS[component]

    def is_of_version(self, version: str) -> bool:
        """Whether it is of the version, or says of none; empty: of any."""
        return not version or self.fields.get(log_line.VERSION, version) == version

    def document(self) -> dict[str, Any]:
        """As JSON has it, fields in the order of all lines."""
        return {name: self.fields[name] for name in log_line.FIELDS if name in self.fields}

    def shown(self) -> Text:
        """As people see it."""
        fields = self.fields
        severity = str(fields.get(log_line.SEVERITY, ""))
        text = Text(f"{harmless(self.time[:23]):24}", style="dim")
        text.append(f"{harmless(str(fields.get(log_line.COMPONENT, ''))):14}{harmless(self.pod)} ")
        text.append(f"{harmless(severity):6}", style=_STYLES.get(severity, ""))
        text.append(harmless(self.body), style="default")
        request = fields.get(log_line.REQUEST_ID)
        if request is not None and str(request) not in self.body:
            text.append(f" request={harmless(str(request))}")
        trace = fields.get(log_line.EXCEPTION)
        if trace is not None:
            text.append("\n" + "\n".join(f"    {harmless(line)}" for line in str(trace).splitlines()))
        return text


def harmless(text: str) -> str:
    """The text without what commands a terminal, or turns the direction in which it is read."""
    plain = _ESCAPE.sub("", text)
    return "".join([letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in plain])
