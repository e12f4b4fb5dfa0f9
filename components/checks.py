"""Rules on inputs: one function per rule, each yielding the sentences of what is wrong, and one error for them all.

A component calls `require` before it registers anything, so that a bad input leaves nothing half-made.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pulumi

from headrace.contract import names

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
    """A misspelled key would otherwise be ignored: a TypedDict checks nothing when the program runs."""
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
