"""TableWriter: the program that puts records of requests into Delta tables, for all endpoints that record any.

Sidecars reach it by the address of its Service, since model pods get no DNS. It may read ModelEndpoints, write their
status, and ask the API server whose a token is. Its tables are on a volume, or in a store whose credentials are in a
Secret; nothing else of the platform sees either.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import checks, manifests, network_policies
from headrace.components.kubernetes.checks import DNS_SUBDOMAIN
from headrace.components.kubernetes.object import KubernetesObject
from headrace.components.platform.controller import READ, Controller, Grant, require
from headrace.contract import names
from headrace.contract.codec import read
from headrace.contract.declaration import Bounds, Text
from headrace.contract.telemetry import ENV_TELEMETRY_TABLES

RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [names.API_GROUP], "resources": [names.MODEL_ENDPOINT_PLURAL], "verbs": READ},
    {"apiGroups": [names.API_GROUP], "resources": [f"{names.MODEL_ENDPOINT_PLURAL}/status"], "verbs": ["patch"]},
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
]
_TABLES: Final = Controller(
    program=names.TABLES,
    module="observability.tables",
    grants=(Grant(role=f"headrace-{names.TABLES}", rules=RULES),),
    policy=network_policies.tables,
    port_name="http",
    port=names.TABLES_PORT,
)
_VOLUME: Final = "/tables"
_STORAGE: Final = "/etc/headrace/storage"
_MEMORY: Final = "1Gi"
"""deltalake itself takes 150 MiB; joining a day's small files takes some hundred more."""
Name = Annotated[str, Text(pattern=DNS_SUBDOMAIN.pattern, meaning="a name")]


class InferenceTables(TypedDict):
    """Where tables of requests are kept, for endpoints with an `inference_table`."""

    volume_gib: NotRequired[int]
    """Size of a volume that is made for tables below /tables. Absent: none is made."""
    storage_class: NotRequired[str]
    """Storage class of that volume. Absent: the cluster's default."""
    storage_secret: NotRequired[str]
    """Secret in headrace-system with the storage options of a store, for example AWS_ACCESS_KEY_ID, one a key. Absent:
    none, or those of the pod's identity."""
    store_ports: NotRequired[list[int]]
    """Ports on which stores may be reached, at any address. Absent or empty: none."""
    replicas: NotRequired[int]
    """Copies, without a volume. Default 1: rows wait in their pods while it is away."""


@dataclass(frozen=True, kw_only=True)
class CheckedTables:
    """InferenceTables, checked."""

    volume_gib: Annotated[int, Bounds(minimum=1)] | None = None
    storage_class: Name | None = None
    storage_secret: Name | None = None
    store_ports: tuple[Annotated[int, Bounds(minimum=1, maximum=65535)], ...] = ()
    replicas: Annotated[int, Bounds(minimum=1)] = 1


def tables_faults(given: object) -> Iterator[str]:
    """All that is wrong with InferenceTables."""
    checked, faults = read(CheckedTables, given)
    yield from (f"inference_tables.{fault}" for fault in faults)
    if checked is None:
        return
    if checked.storage_class is not None and checked.volume_gib is None:
        yield "inference_tables.storage_class is for volume_gib only; remove it or set volume_gib"
    if checked.volume_gib is not None and checked.replicas > 1:
        yield (
            f"inference_tables.replicas = {checked.replicas}, must be 1 with volume_gib: one node at a time holds a "
            "volume"
        )
    if checked.volume_gib is None and not checked.store_ports:
        yield "inference_tables names no place for tables; set volume_gib, or store_ports such as [443]"


class TableWriterArgs(TypedDict):
    """Inputs of TableWriter."""

    image: pulumi.Input[str]
    """Image of the table writer, pinned by digest."""
    tables: InferenceTables
    """Where tables are kept."""
    telemetry_folder: NotRequired[str]
    """Folder of the tables of spans and logs. Absent: none are written."""
    api_server_addresses: NotRequired[list[str]]
    """Address blocks in which the API server listens, for example ["10.0.0.0/24"]: on managed clusters that move it.
    Absent: its addresses at the time of the update."""
    log_collector: NotRequired[str]
    """Host and port of a Collector that takes lines of the log, OTLP over HTTP. Absent: they are in the pods alone."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class TableWriter(pulumi.ComponentResource):
    """Deployment, Service, identity, rights and volume of the table writer, in the platform's namespace."""

    address: pulumi.Output[str]
    """Address and port inside the cluster, without a name."""

    def __init__(self, name: str, args: TableWriterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        missing, faults = checks.present(args, "tables"), tables_faults(args.get("tables", {}))
        require("TableWriter", name, args, missing, faults, shape=TableWriterArgs)
        tables = checked_tables(args["tables"])
        super().__init__("headrace:index:TableWriter", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        program, space = names.TABLES, names.SYSTEM_NAMESPACE
        labels = manifests.standard_labels(program, args.get("labels", {}))
        before: list[pulumi.Resource] = []
        volumes: list[tuple[manifests.Manifest, manifests.Manifest]] = []
        if tables.volume_gib is not None:
            claim = manifests.volume_claim(
                program, space, labels=labels, storage_class=tables.storage_class, gib=tables.volume_gib
            )
            before.append(KubernetesObject(f"{name}-claim", claim, child))
            volumes.append(
                (
                    {"name": "tables", "persistentVolumeClaim": {"claimName": program}},
                    {"name": "tables", "mountPath": _VOLUME},
                )
            )
        if tables.storage_secret is not None:
            volumes.append(
                (
                    {"name": "storage", "secret": {"secretName": tables.storage_secret}},
                    {"name": "storage", "mountPath": _STORAGE, "readOnly": True},
                )
            )
        writer = replace(_TABLES, policy=partial(network_policies.tables, store_ports=tables.store_ports))
        folder = {ENV_TELEMETRY_TABLES: args["telemetry_folder"]} if "telemetry_folder" in args else {}
        service = writer.register(
            self, name, args, environment=folder, volumes=volumes, memory=_MEMORY, after=before,
            replicas=tables.replicas, is_exclusive=tables.volume_gib is not None,
        )  # fmt: skip
        port = writer.port
        self.address = service.spec.apply(lambda spec: f"{spec['clusterIP']}:{port}" if spec.get("clusterIP") else "")
        self.register_outputs({"address": self.address})


def checked_tables(given: Mapping[str, Any]) -> CheckedTables:
    """InferenceTables without faults, with its defaults."""
    checked, _ = read(CheckedTables, given)
    assert checked is not None  # what has no fault can be read
    return checked
