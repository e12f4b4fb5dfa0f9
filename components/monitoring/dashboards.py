"""The Grafana dashboard of all endpoints, as the JSON that Grafana imports."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_WIDTH, _HEIGHT = 12, 8
"""Of a panel, of 24 columns and in rows of 30 pixels."""
_CHOSEN: Final = '{endpoint=~"$endpoint"}'
UID: Final = "headrace-endpoints"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot over time."""

    title: str
    unit: str
    """A name of Grafana's units."""
    lines: tuple[tuple[str, str], ...]
    """Expressions, each with the form of its legend."""


_VERSION: Final = "{{endpoint}}/{{version}}"
PANELS: Final = (
    Panel(title="Requests", unit="reqps", lines=((f"version:headrace_requests:rate5m{_CHOSEN}", _VERSION),)),
    Panel(
        title="Errors",
        unit="percentunit",
        lines=((f"endpoint:headrace_errors:ratio_rate5m{_CHOSEN}", "{{endpoint}}"),),
    ),
    Panel(
        title="Latency",
        unit="s",
        lines=(
            (f"version:headrace_latency_seconds:p50_5m{_CHOSEN}", f"p50 {_VERSION}"),
            (f"version:headrace_latency_seconds:p99_5m{_CHOSEN}", f"p99 {_VERSION}"),
        ),
    ),
    Panel(
        title="Requests in pods",
        unit="short",
        lines=(
            (f"version:headrace_requests_executing:mean5m{_CHOSEN}", f"executing {_VERSION}"),
            (f"version:headrace_requests_queued:mean5m{_CHOSEN}", f"queued {_VERSION}"),
        ),
    ),
    Panel(
        title="Pods wanted",
        unit="short",
        lines=(
            (
                'label_replace(version:headrace_replicas:max, "endpoint", "$1", "namespace", "endpoint-(.*)")',
                "{{namespace}}/{{version}}",
            ),
        ),
    ),
    Panel(
        title="Refused requests",
        unit="reqps",
        lines=((f"version:headrace_requests_refused:rate5m{_CHOSEN}", _VERSION),),
    ),
    Panel(
        title="Requests in a model call",
        unit="short",
        lines=((f"version:headrace_requests_per_call:mean5m{_CHOSEN}", _VERSION),),
    ),
    Panel(title="Phases of a pod's start", unit="s", lines=(("phase:headrace_start_seconds:p50_1h", "{{phase}}"),)),
    Panel(
        title="Share of a rollout",
        unit="percent",
        lines=((f"headrace_rollout_weight{_CHOSEN}", _VERSION),),
    ),
    Panel(
        title="Memory over its limit",
        unit="percentunit",
        lines=((f"max by (endpoint, version) (headrace_pod_memory_ratio{_CHOSEN})", _VERSION),),
    ),
    Panel(
        title="Cost an hour",
        unit="short",
        lines=(
            (f"endpoint:headrace_cost_per_hour:sum{_CHOSEN}", "{{endpoint}}, {{currency}}"),
            (f"endpoint:headrace_cost_per_hour:max7d{_CHOSEN}", "{{endpoint}} at its peak all week, {{currency}}"),
        ),
    ),
    Panel(
        title="Cost of a thousand requests, within an hour",
        unit="short",
        lines=((f"endpoint:headrace_cost_per_thousand_requests:mean1h{_CHOSEN}", "{{endpoint}}, {{currency}}"),),
    ),
    Panel(
        title="Saving against the peak of a week",
        unit="percentunit",
        lines=((f"endpoint:headrace_saving:ratio7d{_CHOSEN}", "{{endpoint}}, {{currency}}"),),
    ),
)


def dashboard() -> str:
    """JSON text; the Prometheus and the endpoints are chosen on the page."""
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    endpoint = {
        "name": "endpoint",
        "type": "query",
        "datasource": _SOURCE,
        "query": "label_values(version:headrace_requests:rate5m, endpoint)",
        "refresh": 2,  # when the range of time changes
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }
    content = {
        "uid": UID,
        "title": "Headrace endpoints",
        "tags": ["headrace"],
        "schemaVersion": 39,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [source, endpoint]},
        "panels": list(_panels()),
    }
    return json.dumps(content, indent=1) + "\n"


def _panels() -> Iterator[dict[str, Any]]:
    for number, panel in enumerate(PANELS):
        row, column = divmod(number, 24 // _WIDTH)
        yield {
            "id": number + 1,
            "type": "timeseries",
            "title": panel.title,
            "datasource": _SOURCE,
            "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
            "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
            "targets": [
                {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
                for index, (expression, legend) in enumerate(panel.lines)
            ],
        }
