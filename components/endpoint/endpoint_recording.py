"""EndpointInferenceTable: which requests are recorded, and where; as inputs, rules and parts of pods."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.endpoint.endpoint_telemetry import telemetry_variables
from headrace.components.endpoint.model_pod import PodNeeds
from headrace.components.kubernetes import checks, pods
from headrace.components.kubernetes.manifests import Manifest
from headrace.contract import inference_table, names
from headrace.contract.codec import read
from headrace.contract.inference_table import InferenceTable, Recording
from headrace.contract.telemetry import ENV_COLLECTOR

_SCHEMES: Final = ("s3://", "s3a://", "gs://", "az://", "azure://", "adl://", "abfs://", "abfss://", "/tables/")
_MEMORY: Final = "96Mi"
_SPOOL: Final = "320Mi"
"""The limit of all segments (Recording.limit_bytes), one more, and what filesystems add."""
_JSON_PATH: Final = re.compile(r"\$(\.[A-Za-z_][A-Za-z0-9_-]*|\['[^']*'\]|\[\d+\]|\[\*\]|\.\*)*")


class EndpointRedaction(TypedDict):
    """What is replaced by [REDACTED] before a record touches a disk."""

    columns: NotRequired[list[str]]
    """Columns and tensors of the model's input and output, by name."""
    json_paths: NotRequired[list[str]]
    """Places in request and response, for example $.messages[*].content; $ is all of it."""
    patterns: NotRequired[list[str]]
    """Regular expressions, looked for in every text and number of request and response, and in the ids of both."""


class EndpointDrift(TypedDict):
    """How recent requests, predictions and labels are compared with those of a version's first ones."""

    every_hours: NotRequired[int]
    """Between two checks; each looks at the requests since the one before. Default 24: most load repeats by days."""


class EndpointInferenceTable(TypedDict):
    """A Delta table with a row for each request."""

    uri: str
    """Folder of the table: s3://…, gs://…, abfss://… or, on the platform's volume, /tables/…"""
    sampling_fraction: NotRequired[float]
    """Share of the requests that are recorded. Default 1."""
    redact: NotRequired[EndpointRedaction]
    """What is replaced before a record touches a disk. Absent: nothing."""
    retention_days: NotRequired[int]
    """Rows of older days are deleted. Absent: none is."""
    drift: NotRequired[EndpointDrift]
    """How often the table is looked through for drift. Absent: never."""


@dataclass(frozen=True, kw_only=True)
class RecordingParts:
    """What recording adds to a pod."""

    variables: Mapping[str, pulumi.Input[str]]
    """Of the model's container."""
    mount: Manifest
    """Of the model's container."""
    volumes: tuple[Manifest, ...]
    sidecar: Manifest


def table_faults(given: object) -> Iterator[str]:
    """What is wrong with an EndpointInferenceTable beyond the types of its fields."""
    table = read(InferenceTable, given)[0] if isinstance(given, Mapping) else None
    if table is None:
        return
    place = "inference_table"
    if not table.uri.startswith(_SCHEMES) or ".." in table.uri.split("/"):
        known = "a store's address such as s3://bucket/fraud, or a folder such as /tables/fraud"
        yield f"{place}.uri = {table.uri!r}, must be {known}"
    if table.redact is None:
        return
    for path in table.redact.json_paths:
        if not _JSON_PATH.fullmatch(path):
            rule = "must be $ and then .name, ['name'], [3], [*] or .*, for example $.messages[*].content"
            yield f"{place}.redact.json_paths has {path!r}, {rule}"
    for pattern in table.redact.patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"{place}.redact.patterns has {pattern!r}, must be a regular expression: {error}"


def with_recording(needs: PodNeeds, found: RecordingParts) -> PodNeeds:
    """The needs of a pod that records, too."""
    return replace(
        needs,
        environment=[*needs.environment, *pods.environment(found.variables)],
        volumes=[*needs.volumes, *found.volumes],
        mounts=[*needs.mounts, found.mount],
        sidecars=[*needs.sidecars, found.sidecar],
    )


def writer_of(platform: pulumi.Output[Any], *, endpoint: str) -> pulumi.Output[str]:
    """Address and port of the platform's table writer. ArgsError, once that is known, where it has none."""

    def required(address: str | None) -> str:
        told = "inference_table needs a platform that writes tables; set inference_tables of its ServingPlatform"
        checks.require(f"ModelEndpoint '{endpoint}'", [] if address is not None else [told])
        return address or ""

    return platform.apply(lambda known: known.get("table_writer")).apply(required)


def parts(
    table: InferenceTable, *, endpoint: str, version: str, image: pulumi.Input[str], writer: pulumi.Input[str],
    collector: pulumi.Input[str] = "",
) -> RecordingParts:  # fmt: skip
    """What a pod needs to record. `writer`: address and port of the platform's table writer; `collector`: those of its
    Collector, or empty."""
    recording = Recording(sampling_fraction=table.sampling_fraction, redact=table.redact)
    mount = {"name": "records", "mountPath": inference_table.RECORDS_DIRECTORY}
    variables = {
        names.ENV_ENDPOINT: endpoint,
        names.ENV_VERSION: version,
        inference_table.ENV_TABLE_WRITER: writer,
        ENV_COLLECTOR: collector,
    }
    uid = {"name": inference_table.ENV_POD_UID, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
    resources = {"memory": _MEMORY, "ephemeral-storage": _SPOOL}
    container: dict[str, Any] = {
        "name": "sidecar",
        "image": image,
        "args": [inference_table.SIDECAR],
        "env": [*pods.environment(variables), uid],
        "ports": pods.container_ports({"records": names.SIDECAR_PORT}),
        "resources": {"requests": {"cpu": "10m", **resources}, "limits": {"cpu": "500m", **resources}},
        "volumeMounts": [
            mount,
            {"name": "table-token", "mountPath": inference_table.TOKEN_DIRECTORY, "readOnly": True},
        ],
    }
    return RecordingParts(
        variables={
            inference_table.ENV_RECORDING: json.dumps(recording.to_json(), sort_keys=True),
            **telemetry_variables(collector),
        },
        mount=mount,
        volumes=(
            {"name": "records", "emptyDir": {"sizeLimit": _SPOOL}},
            pods.token_volume("table-token", audience=inference_table.TOKEN_AUDIENCE),
        ),
        sidecar=pods.sidecar(container),
    )
