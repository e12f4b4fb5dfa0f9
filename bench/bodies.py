"""One table of numbers in every form that callers send it in: what to write to a pod, or to the path in front of it.

`forms(columns, rows)` gives each form by name. A form's `path`, `headers` and `body` are those of a bare pod; `writes`
are the bytes that its client hands to the socket, one by one. Beside tables in MLflow's forms there are ordinary ways
of sending one: `requests` writes head and body apart, a generator's body is chunked, a proxy or an SDK packs it.
"""

import base64
import gzip
import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bench.load import rpc
from headrace.contract import names
from headrace.runtimes.protocols import messages

JSON: Final = "application/json"
FIRST_LABEL: Final = 18
"""Of `index`: the demo's own request is rows 18 to 20 of its table."""

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way of asking for the predictions of a table."""

    name: str
    path: str
    """Of a bare pod; of gRPC, service and method."""
    headers: tuple[tuple[str, str], ...]
    """Those that say what the body is; neither Host nor its length."""
    body: bytes
    apart: bool = False
    """Whether head and body are written one after the other."""
    chunked: bool = False
    """Whether the body has no length and comes in a chunk of its own, as `requests` sends a generator's."""
    grpc: bool = False
    """Whether `body` is a message of gRPC: HTTP/2, and no `writes`."""

    def writes(self, host: str, *, path: str | None = None, headers: Headers = ()) -> tuple[bytes, ...]:
        """What an HTTP/1.1 client writes; with another path and further headers where a proxy stands in front."""
        if self.grpc:
            raise ValueError(f"form '{self.name}' is gRPC's, must be one of HTTP/1.1: use its body as the message")
        framing = ("Transfer-Encoding", "chunked") if self.chunked else ("Content-Length", str(len(self.body)))
        lines = [("Host", host), *self.headers, *headers, framing]
        head = f"POST {path or self.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines)
        opening = head.encode() + b"\r\n"
        if self.chunked:
            return opening, b"%x\r\n%b\r\n" % (len(self.body), self.body), b"0\r\n\r\n"
        return (opening, self.body) if self.apart else (opening + self.body,)

    def over_http_1(self) -> "Form":
        """A call of gRPC as the load balancer sends it to a pod: a length-prefixed message in an HTTP/1.1 request."""
        return replace(self, body=struct.pack(">BI", 0, len(self.body)) + self.body, grpc=False)

    def job(self, host: str, port: int) -> dict[str, Any]:
        """To whom a bare server's load goes, and what it is, for `bench.load`."""
        authority = f"{host}:{port}"
        parts = rpc.call(authority, self.path, self.body) if self.grpc else self.writes(authority)
        return {"host": host, "port": port, "grpc": self.grpc, "parts": texts(parts)}


def texts(parts: Iterable[bytes]) -> list[str]:
    """Parts of a request as a job holds them."""
    return [base64.b64encode(part).decode() for part in parts]


def forms(columns: Sequence[str], rows: Sequence[Sequence[float]], *, endpoint: str = "model") -> dict[str, Form]:
    """Every form of a table, by name; `endpoint` is the model's name in the Open Inference Protocol."""
    split = {"columns": list(columns), "data": [list(row) for row in rows]}
    labelled = {"index": [FIRST_LABEL + at for at in range(len(rows))], **split}
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    by_column = {name: [row[at] for row in rows] for at, name in enumerate(columns)}
    plain = _scoring("split", {"dataframe_split": split})
    made = [
        plain,
        _scoring("split with index", {"dataframe_split": labelled}),
        _scoring("records", {"dataframe_records": records}),
        _scoring("inputs, columns", {"inputs": by_column}),
        _scoring("inputs, records", {"inputs": records}),
        _scoring("instances", {"instances": records}),
        Form(name="CSV", path="/invocations", headers=(("Content-Type", "text/csv"),), body=_csv(columns, rows)),
        *_over_rest(columns, rows, endpoint),
        *_over_grpc(columns, rows, endpoint),
        replace(plain, name="split, two writes", apart=True),
        replace(plain, name="split, chunked", chunked=True),
        replace(
            plain,
            name="split, gzip",
            headers=(*plain.headers, ("Content-Encoding", "gzip")),
            body=gzip.compress(plain.body, 6, mtime=0),
        ),
    ]
    return {form.name: form for form in made}


def _scoring(name: str, document: Any) -> Form:
    body = json.dumps(document).encode()
    return Form(name=name, path="/invocations", headers=(("Content-Type", JSON),), body=body)


def _csv(columns: Sequence[str], rows: Sequence[Sequence[float]]) -> bytes:
    return "".join(",".join(map(str, line)) + "\n" for line in (columns, *rows)).encode()


def _tensors(columns: Sequence[str], rows: Sequence[Sequence[float]]) -> dict[str, list[tuple[str, Any, list[float]]]]:
    """Name, shape and elements of each input: of one that holds all rows, and of one for each column."""
    flat = [value for row in rows for value in row]
    apart = [(name, [len(rows)], [row[at] for row in rows]) for at, name in enumerate(columns)]
    return {"one tensor": [("rows", [len(rows), len(columns)], flat)], "a tensor a column": apart}


def _over_rest(columns: Sequence[str], rows: Sequence[Sequence[float]], endpoint: str) -> list[Form]:
    path = f"/v2/models/{endpoint}/infer"
    made = []
    for how, inputs in _tensors(columns, rows).items():
        described: list[dict[str, Any]] = [
            {"name": name, "shape": shape, "datatype": "FP64"} for name, shape, _ in inputs
        ]
        values = [values for _, _, values in inputs]
        texts = [{**one, "data": data} for one, data in zip(described, values, strict=True)]
        body = json.dumps({"inputs": texts}).encode()
        made.append(Form(name=f"v2 JSON, {how}", path=path, headers=(("Content-Type", JSON),), body=body))
        raw = [_doubles(data) for data in values]
        sizes = [
            {**one, "parameters": {"binary_data_size": len(data)}} for one, data in zip(described, raw, strict=True)
        ]
        told = json.dumps({"inputs": sizes, "parameters": {"binary_data_output": True}}).encode()
        length = ("Inference-Header-Content-Length", str(len(told)))
        headers = (("Content-Type", "application/octet-stream"), length)
        made.append(Form(name=f"v2 binary, {how}", path=path, headers=headers, body=told + b"".join(raw)))
    return made


def _over_grpc(columns: Sequence[str], rows: Sequence[Sequence[float]], endpoint: str) -> list[Form]:
    made = []
    for how, inputs in _tensors(columns, rows).items():
        for contents in ("raw", "typed"):
            message = messages.made("ModelInferRequest", model_name=endpoint)
            for name, shape, values in inputs:
                described = message.inputs.add(name=name, datatype="FP64", shape=shape)
                if contents == "raw":
                    message.raw_input_contents.append(_doubles(values))
                else:
                    described.contents.fp64_contents.extend(values)
            made.append(
                Form(
                    name=f"gRPC {contents}, {how}",
                    path=f"/{names.GRPC_SERVICE}/ModelInfer",
                    headers=(("content-type", "application/grpc"),),
                    body=message.SerializeToString(),
                    grpc=True,
                )
            )
    return made


def _doubles(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)
