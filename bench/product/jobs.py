"""Jobs for the client: what it writes, to whom, and how often."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench import bodies
from bench.bodies import Form
from bench.load import generator, rpc
from bench.product import models, peers
from bench.product.peers import Peer
from bench.product.plan import Case
from bench.product.stage import Endpoint, Stage
from headrace.contract import names

MOST_CONNECTIONS: Final = 256
"""Of an open loop: more requests than that at once wait for one, which their latency tells."""


def load(job: Mapping[str, Any]) -> dict[str, Any]:
    """Runs a job; latencies of no answers are 0."""
    return {"p50_ms": 0.0, "p90_ms": 0.0, "p99_ms": 0.0, **generator.run(job)}


def of_case(endpoint: Endpoint, case: Case, *, seconds: float | None = None, connections: int | None = None) -> Any:
    """The load of a case, through the PoP; with other seconds or connections in place of its own."""
    form = document_form(models.document(endpoint.model))
    job = through_pop(endpoint, form)
    if case.steps:
        return {**job, "rates": case.rates, "seconds": len(case.rates), "connections": MOST_CONNECTIONS}
    return {
        **job,
        "seconds": case.seconds if seconds is None else seconds,
        "connections": case.connections if connections is None else connections,
    }


def document_form(document: Mapping[str, Any]) -> Form:
    """A request to /invocations."""
    body = json.dumps(document).encode()
    return Form(name="document", path="/invocations", headers=(("Content-Type", bodies.JSON),), body=body)


def forms(endpoint: Endpoint) -> dict[str, Form]:
    """Every form of one row of the table."""
    return bodies.forms(models.COLUMNS, [models.ROW], endpoint=endpoint.name)


def through_pop(endpoint: Endpoint, form: Form) -> dict[str, Any]:
    """A request with token and TLS, as any caller sends it."""
    stage: Stage = endpoint.stage
    authority = f"{stage.host}:{stage.port}"
    token = ("authorization", f"Bearer {stage.description['token']}")
    if form.grpc:
        headers = [token, ("headrace-endpoint", endpoint.name)]
        parts: Sequence[bytes] = rpc.call(authority, form.path, form.body, headers, secure=True)
    else:
        path = f"{names.invocations_path(endpoint.name).removesuffix('/invocations')}{form.path}"
        parts = form.writes(authority, path=path, headers=[token])
    return {
        "host": stage.host, "port": stage.port, "ca_file": stage.description["ca_file"], "grpc": form.grpc,
        "parts": bodies.texts(parts),
    }  # fmt: skip


def to_peer(peer: Peer, form: Form | None = None) -> dict[str, Any]:
    """A request to a peer's Service, without TLS and token; `form` in place of the one that it serves best."""
    host = peer.address()
    if form is None:
        form = Form(name="peer", path=peer.path, headers=(("Content-Type", bodies.JSON),), body=peer.body)
    return {**form.job(host, peers.PORT), "requests_a_connection": peers.REQUESTS_A_CONNECTION}


def table_form(name: str) -> Form:
    """One of the forms of one row of the table, of a bare server."""
    return bodies.forms(models.COLUMNS, [models.ROW])[name]
