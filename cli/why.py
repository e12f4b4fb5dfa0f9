"""`headrace why ENDPOINT`: why an endpoint is as it is: the last decisions and events, in sentences, by time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from headrace.cli import options
from headrace.contract import names

if TYPE_CHECKING:
    from headrace.cli.cluster_reader import ClusterReader

HELP: Final = (
    "Tells why an endpoint is as it is: what its conditions say, what the autoscaler last ordered and for what "
    f"reasons, and what the cluster said of its pods, oldest first. {options.STATUSES}"
)
Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, order=True)
class Happening:
    """Something that happened to an endpoint."""

    time: str
    """RFC 3339, in UTC."""
    source: str
    """condition, decision or event."""
    about: str
    """Name of the endpoint, the version or the pod."""
    sentence: str
    numbers: Mapping[str, float]
    """What a decision was made of; empty for others."""


@options.told
def why(
    endpoint: options.Endpoint,
    as_json: options.AsJson = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """The command."""
    found = happenings(options.connected(kubeconfig, context), endpoint)
    if as_json:
        options.print_json([asdict(happening) for happening in found])
    else:
        console = options.console()
        for happening in found:
            console.print(_line(happening))
    return options.WELL


def happenings(cluster: "ClusterReader", endpoint: str) -> list[Happening]:
    """What happened to the endpoint, oldest first; raises PermanentError where there is no such endpoint."""
    item = cluster.endpoint(endpoint)
    namespace = names.endpoint_namespace(endpoint)
    found = [*_conditions(item), *_decisions(cluster.autoscalers(namespace)), *_events(cluster.events(namespace))]
    return sorted(found, key=lambda happening: happening.time)


def _conditions(endpoint: Object) -> Iterator[Happening]:
    for condition in endpoint.get("status", {}).get("conditions", ()):
        negated = {"True": "", "False": "not ", "Unknown": "not known to be "}[condition["status"]]
        yield Happening(
            time=condition.get("lastTransitionTime", ""),
            source="condition",
            about=endpoint["metadata"]["name"],
            sentence=f"is {negated}{condition['type']} ({condition['reason']}): {condition.get('message', '')}",
            numbers={},
        )


def _decisions(autoscalers: Iterable[Object]) -> Iterator[Happening]:
    for autoscaler in autoscalers:
        for decision in autoscaler.get("status", {}).get("decisions", ()):
            ordered = f"{decision.get('replicas')} pods of {decision.get('concurrency')} requests at once"
            yield Happening(
                time=decision.get("time", ""),
                source="decision",
                about=autoscaler["metadata"]["name"],
                sentence=f"{ordered}: {'; '.join(decision.get('reasons', ()))}",
                numbers=decision.get("inputs", {}),
            )


def _events(events: Iterable[Object]) -> Iterator[Happening]:
    for event in events:
        often = event.get("count") or event.get("series", {}).get("count", 1)
        times = f" ({often} times)" if often and often > 1 else ""
        yield Happening(
            time=event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp", ""),
            source="event",
            about=event.get("involvedObject", {}).get("name", ""),
            sentence=f"{event.get('reason', '')}: {event.get('message', '').strip()}{times}",
            numbers={},
        )


def _line(happening: Happening) -> Text:
    style = {"condition": "bold cyan", "decision": "bold green", "event": "dim"}[happening.source]
    line = Text(f"{happening.time[:19]:20}")
    line.append(f"{happening.source:10}", style=style)
    line.append(f"{happening.about}  {happening.sentence}")
    return line
