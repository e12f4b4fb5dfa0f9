"""Rules on inputs: one function for each rule, which yields a sentence for each fault, and one error with all faults.

A component calls `require` before it registers anything, so that no resource is registered when an input is wrong.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pulumi

from headrace.contract import names

_LABEL_NAME = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
"""As Kubernetes checks the keys and values of labels."""

DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""As Kubernetes checks the names of Secrets, claims, stores and most other objects."""
NODE_PORTS = range(30000, 32768)
"""The API server's default --service-node-port-range."""


class ArgsError(pulumi.RunError):
    """Every fault of one set of inputs, in one message; Pulumi prints it as a line, without a stack trace."""

    def __init__(self, subject: str, faults: Sequence[str]) -> None:
        self.subject = subject
        self.faults = tuple(faults)
        super().__init__(f"{subject}: " + "; ".join(faults))


def require(subject: str, *rules: Iterable[str]) -> None:
    """Raises ArgsError with the faults of all `rules` in order; returns when there are none."""
    faults = [fault for rule in rules for fault in rule]
    if faults:
        raise ArgsError(subject, faults)


def known_keys(args: Mapping[str, Any], allowed: Iterable[str]) -> Iterator[str]:
    """No key but the allowed ones; a TypedDict checks nothing at run time, and a misspelled key would be ignored."""
    allowed = sorted(allowed)
    for key in sorted(set(args) - set(allowed)):
        yield f"unknown input {key!r}, must be one of {', '.join(allowed)}"


def present(args: Mapping[str, Any], *required: str) -> Iterator[str]:
    """Required inputs are there and neither None nor the empty string."""
    for key in required:
        if args.get(key) is None or args.get(key) == "":
            yield f"{key} is missing; set it"


def endpoint_name(field: str, value: str) -> Iterator[str]:
    """The name becomes a namespace `endpoint-<name>`, so it is a DNS label of at most 54 characters."""
    if not names.DNS_LABEL.fullmatch(value) or len(value) > names.ENDPOINT_NAME_MAX:
        yield (
            f"{field} = {value!r}, must be a DNS label of at most {names.ENDPOINT_NAME_MAX} characters: "
            "lower-case letters, digits and '-', starting and ending with a letter or digit"
        )


def unique(field: str, values: Iterable[str]) -> Iterator[str]:
    """No value twice."""
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{field} = {value!r} is given {count} times, must be unique; rename or remove one"


def choice(field: str, value: str, allowed: Iterable[str]) -> Iterator[str]:
    """A closed set."""
    allowed = list(allowed)
    if value not in allowed:
        yield f"{field} = {value!r}, must be one of {', '.join(allowed)}"


def at_least(field: str, value: object, lowest: float) -> Iterator[str]:
    """A number, and a lower bound, itself allowed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield f"{field} = {value!r}, must be a number"
    elif not value >= lowest:
        yield f"{field} = {value:g}, must be at least {lowest:g}"


def node_port(field: str, value: int) -> Iterator[str]:
    """Inside the API server's default range of node ports."""
    if value not in NODE_PORTS:
        yield f"{field} = {value}, must be between {NODE_PORTS.start} and {NODE_PORTS.stop - 1}"


def labels(field: str, value: object) -> Iterator[str]:
    """Keys and values that Kubernetes accepts, and none of our own, which select pods."""
    yield from kubernetes_labels(field, value)
    for key in value if isinstance(value, Mapping) else ():
        if is_reserved(key):
            yield f"{field} has the key {key!r}, which belongs to Headrace; choose another"


def is_label_name(key: object) -> bool:
    """Whether Kubernetes accepts it as the key of a label, an annotation or a taint."""
    return isinstance(key, str) and _LABEL_NAME.fullmatch(key) is not None


def is_reserved(key: object) -> bool:
    """Whether it is one of our own keys."""
    return isinstance(key, str) and key.split("/")[0] == names.API_GROUP


def kubernetes_labels(field: str, value: object) -> Iterator[str]:
    """Keys and values that Kubernetes accepts as labels."""
    if not isinstance(value, Mapping):
        yield f"{field} = {value!r}, must be a mapping"
        return
    for key, text in value.items():
        if not is_label_name(key):
            yield f"{field} has the key {key!r}, must be a Kubernetes label name, for example team or example.com/team"
        elif not isinstance(text, str) or not _LABEL_VALUE.fullmatch(text):
            yield (
                f"{field}[{key!r}] = {text!r}, must be at most 63 letters, digits, '-', '_' and '.', starting and "
                "ending with a letter or digit"
            )


def texts(field: str, value: object) -> Iterator[str]:
    """A list of texts, none of them empty."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        yield f"{field} = {value!r}, must be a list of texts"
        return
    for position, text in enumerate(value):
        if not isinstance(text, str) or not text:
            yield f"{field}[{position}] = {text!r}, must be a text that is not empty"


def web_address(field: str, value: str) -> Iterator[str]:
    """http:// or https:// and a host."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield f"{field} = {value!r}, must be an address such as http://prometheus.monitoring:9090"
