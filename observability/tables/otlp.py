"""Otlp: spans and logs as the Collector sends them, OTLP in its JSON form, as rows of tables. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from arro3.core import Array, DataType, Field, Schema, Table, struct_array

from headrace.contract import telemetry
from headrace.contract.errors import InputError

_TYPES: Final = {
    "string": DataType.string(),
    "integer": DataType.int32(),
    "long": DataType.int64(),
    "date": DataType.date32(),
    "timestamp": DataType.timestamp("us", tz="UTC"),
}
_KINDS: Final = (
    "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
)  # fmt: skip
_CODES: Final = ("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR")
_DAY_NANOS: Final = 86_400_000_000_000

Document = Mapping[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class OtlpBatch:
    """Rows of one request of the Collector."""

    rows: Table

    @property
    def sequences(self) -> range:
        """A number for each row; the Collector gives none."""
        return range(1, self.rows.num_rows + 1)

    @property
    def last(self) -> int:
        """How many rows there are."""
        return int(self.rows.num_rows)


def schema(columns: Mapping[str, str]) -> Schema:
    """Arrow's, of the columns of one of the contract's tables."""
    return Schema([Field(name, _arrow_type(kind), nullable=True) for name, kind in columns.items()])


def read(body: bytes, columns: Mapping[str, str]) -> OtlpBatch:
    """The rows of an export request: of spans or of logs, as the `columns` are. Raises InputError for what is none."""
    try:
        document = orjson.loads(body)
        rows = list(_spans(document) if columns is telemetry.SPAN_COLUMNS else _logs(document))
        return OtlpBatch(rows=_table(rows, columns))
    except InputError:
        raise
    except Exception as error:  # a document of another form fails anywhere, and arro3 has an error of its own a fault
        raise InputError("otlp", [f"the body is no export request in JSON: {type(error).__name__}: {error}"]) from error


def _spans(document: Document) -> Iterator[Row]:
    for resource, scope, span in _items(document, "resourceSpans", "scopeSpans", "spans"):
        begin, status = int(span["startTimeUnixNano"]), span.get("status") or {}
        yield {
            **_common(resource, scope, span, begin),
            "record_id": f"{span['traceId']}-{span['spanId']}",
            "trace_state": span.get("traceState") or None,
            "parent_span_id": span.get("parentSpanId") or None,
            "name": span.get("name", ""),
            "kind": _named(_KINDS, span.get("kind", 0)),
            "start_time_unix_nano": begin,
            "end_time_unix_nano": int(span.get("endTimeUnixNano", begin)),
            "events": _texts([_event(each) for each in span.get("events") or ()]),
            "dropped_events_count": span.get("droppedEventsCount", 0),
            "links": _texts([_link(each) for each in span.get("links") or ()]),
            "dropped_links_count": span.get("droppedLinksCount", 0),
            "status": {"message": status.get("message", ""), "code": _named(_CODES, status.get("code", 0))},
            "span_schema_url": scope.get("schemaUrl"),
        }


def _logs(document: Document) -> Iterator[Row]:
    for resource, scope, log in _items(document, "resourceLogs", "scopeLogs", "logRecords"):
        observed = int(log.get("observedTimeUnixNano", 0))
        time = int(log.get("timeUnixNano", 0)) or observed
        body = _value(log.get("body") or {})
        yield {
            **_common(resource, scope, log, time),
            "record_id": log.get("logRecordUid"),
            "event_name": log.get("eventName") or None,
            "time_unix_nano": time,
            "observed_time_unix_nano": observed,
            "severity_number": str(log.get("severityNumber", 0)),
            "severity_text": log.get("severityText") or None,
            "body": body if isinstance(body, str) or body is None else _texts(body),
            "log_schema_url": scope.get("schemaUrl"),
        }


def _items(document: Document, *levels: str) -> Iterator[tuple[Document, Document, Document]]:
    outer, middle, inner = levels
    for resource in document.get(outer) or ():
        for scope in resource.get(middle) or ():
            for item in scope.get(inner) or ():
                yield resource, scope, item


def _common(resource: Document, scope: Document, item: Document, nanos: int) -> Row:
    """The columns that both tables have."""
    of_resource, of_scope = resource.get("resource") or {}, scope.get("scope") or {}
    known = _attributes(of_resource)
    return {
        "time": nanos // 1000,
        "date": nanos // _DAY_NANOS,
        "service_name": known.get("service.name"),
        "trace_id": item.get("traceId") or None,
        "span_id": item.get("spanId") or None,
        "flags": item.get("flags", 0),
        "attributes": _texts(_attributes(item)),
        "dropped_attributes_count": item.get("droppedAttributesCount", 0),
        "resource": {
            "attributes": _texts(known), "dropped_attributes_count": of_resource.get("droppedAttributesCount", 0),
        },
        "resource_schema_url": resource.get("schemaUrl"),
        "instrumentation_scope": {
            "name": of_scope.get("name"), "version": of_scope.get("version"),
            "attributes": _texts(_attributes(of_scope)),
            "dropped_attributes_count": of_scope.get("droppedAttributesCount", 0),
        },
    }  # fmt: skip


def _event(event: Document) -> Row:
    return {
        "time_unix_nano": int(event.get("timeUnixNano", 0)), "name": event.get("name", ""),
        "attributes": _attributes(event), "dropped_attributes_count": event.get("droppedAttributesCount", 0),
    }  # fmt: skip


def _link(link: Document) -> Row:
    return {
        "trace_id": link.get("traceId"), "span_id": link.get("spanId"), "trace_state": link.get("traceState"),
        "attributes": _attributes(link), "dropped_attributes_count": link.get("droppedAttributesCount", 0),
        "flags": link.get("flags", 0),
    }  # fmt: skip


def _attributes(item: Document) -> Row:
    return {one["key"]: _value(one.get("value") or {}) for one in item.get("attributes") or ()}


def _value(value: Document) -> Any:
    """Of an AnyValue."""
    if "intValue" in value:
        return int(value["intValue"])  # 64 bits, which JSON has as text
    if "arrayValue" in value:
        return [_value(each) for each in value["arrayValue"].get("values") or ()]
    if "kvlistValue" in value:
        return {one["key"]: _value(one.get("value") or {}) for one in value["kvlistValue"].get("values") or ()}
    return next(iter(value.values()), None)


def _named(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else names[0]


def _texts(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _table(rows: Sequence[Row], columns: Mapping[str, str]) -> Table:
    arrays = [_array([row[name] for row in rows], kind) for name, kind in columns.items()]
    return Table.from_arrays(arrays, schema=schema(columns))


def _array(values: Sequence[Any], kind: str) -> Array:
    fields = _fields(kind)
    if fields:
        parts = [_array([value[name] for value in values], each) for name, each in fields.items()]
        return struct_array(parts, fields=[Field(name, _TYPES[each], nullable=True) for name, each in fields.items()])
    given = {"date": DataType.int32(), "timestamp": DataType.int64()}.get(kind)
    return Array(list(values), _TYPES[kind]) if given is None else Array(list(values), given).cast(_TYPES[kind])


def _arrow_type(kind: str) -> DataType:
    fields = _fields(kind)
    if not fields:
        return _TYPES[kind]
    return DataType.struct([Field(name, _TYPES[each], nullable=True) for name, each in fields.items()])


def _fields(kind: str) -> dict[str, str]:
    """By name the type of each field of a struct; empty for another type."""
    inside = kind.removeprefix("struct<").removesuffix(">")
    return dict(part.split(":") for part in inside.split(",")) if inside != kind else {}
