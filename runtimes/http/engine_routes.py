"""Routes in front of an engine: requests pass as they are where it speaks the caller's protocol, else translated."""

from typing import Any, Final

import orjson

from headrace.contract.errors import InputError, PermanentError
from headrace.contract.runtime import EnginePlan, Protocol
from headrace.contract.signature import Signature, optional_columns
from headrace.runtimes.calls import Outcome
from headrace.runtimes.engines.engine import LOST, Engine, EngineRequest
from headrace.runtimes.http import openai_routes
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.http.open_inference_routes import Worded, paths_of
from headrace.runtimes.http.routes import Handled, Route
from headrace.runtimes.http.served import Served
from headrace.runtimes.http.submission import json_body, plain_body, submit
from headrace.runtimes.protocols import errors, open_inference, request_body, result_json, scoring
from headrace.runtimes.protocols.answers import Answer, Headers
from headrace.runtimes.protocols.doubles import Doubles
from headrace.runtimes.protocols.errors import Failure, Reason
from headrace.runtimes.protocols.open_inference import JSON_LENGTH_HEADER, InferRequest

_LENGTH: Final = JSON_LENGTH_HEADER.encode()
_PASSED_ON: Final = (b"content-type", b"accept", _LENGTH, b"x-request-id")
_JSON: Final = ((b"content-type", b"application/json"),)
_NO_TABLES: Final = Failure(
    Reason.UNSUPPORTED_TYPE, f"This model takes {request_body.JSON} only: its engine reads no tables."
)
_NOT_STREAMED: Final = Failure(Reason.BAD_REQUEST, "Only requests with 'messages' or 'prompt' are streamed.")
_UNSPOKEN: Final = Failure(
    Reason.NOT_IMPLEMENTED, "This model's engine does not speak the Open Inference Protocol; use /invocations."
)


class EngineRoutes:
    """Everything but health; what gRPC asks, too."""

    def __init__(self, served: Served, engine: Engine, plan: EnginePlan) -> None:
        self._served, self._engine, self._plan = served, engine, plan
        self._model = f"/v2/models/{served.settings.endpoint}"
        self._columns = [name for name, _ in Signature.of(plan.signature).columns]

    def routes(self) -> dict[str, Route]:
        """What is at each path, by the protocol that the engine speaks."""
        speaks = self._plan.protocol
        found = {"/invocations": Route("POST", self._invocations, predicts=True)}
        if speaks is Protocol.OPENAI:
            found["/v1/models"] = Route("GET", lambda exchange: self._asked(exchange, "/v1/models"))
            found.update({path: Route("POST", self._openai, predicts=True) for path in openai_routes.PATHS})
        if speaks is Protocol.OPEN_INFERENCE:
            models = {"models": [self._served.settings.endpoint]}
            found["/v2"] = Route("GET", lambda exchange: self._asked(exchange, "/v2"))
            found["/v2/models"] = Route("GET", lambda _: Answer(200, orjson.dumps(models)))
            for path in paths_of(self._served.settings):
                # The engine has one version, whatever it calls it. Not offered: model repositories, shared memory and
                # traces, which reach beyond one model.
                for verb in ("", "/ready", "/config", "/stats"):
                    found[path + verb] = Route("GET", lambda exchange, verb=verb: self._about(exchange, verb))  # type: ignore[misc] # mypy cannot infer it
                found[f"{path}/infer"] = Route("POST", self._infer, predicts=True)
        return found

    def _about(self, exchange: Exchange, verb: str) -> Handled:
        return self._served.not_ready() if self._served.draining else self._asked(exchange, self._model + verb)

    def _asked(self, exchange: Exchange, path: str) -> Handled:
        """A question about the model, which takes no place from requests for predictions."""
        if not self._engine.ready:
            return self._served.not_ready()
        return self._engine.asked(EngineRequest(path, _passed_on(exchange), b"", method="GET"))

    def _openai(self, exchange: Exchange) -> Handled:
        body = json_body(exchange)
        return body if isinstance(body, Failure) else self._passed(exchange, exchange.path.rstrip("/"), body)

    def _infer(self, exchange: Exchange) -> Handled:
        body = plain_body(exchange, marked=_LENGTH in exchange.fields)
        return body if isinstance(body, Failure) else self._passed(exchange, f"{self._model}/infer", body)

    def _passed(self, exchange: Exchange, path: str, body: bytes) -> Handled:
        """A request for a prediction, as it is."""
        if not self._engine.ready:
            return self._served.turned_away()
        return submit(self._served, exchange, EngineRequest(path, _passed_on(exchange), body), exchange)

    def _invocations(self, exchange: Exchange) -> Handled:
        content_type = request_body.content_type(exchange.fields.get(b"content-type"))
        if isinstance(content_type, Failure):
            return content_type
        speaks = self._plan.protocol
        if speaks is Protocol.INVOCATIONS:
            body = plain_body(exchange)
            return body if isinstance(body, Failure) else self._passed(exchange, "/invocations", body)
        if content_type != request_body.JSON:
            return _NO_TABLES
        body = json_body(exchange)
        if isinstance(body, Failure):
            return body
        if not self._engine.ready:
            return self._served.turned_away()
        document = orjson.loads(body)
        try:
            if speaks is Protocol.OPENAI:
                return self._generated(exchange, document)
            table = scoring.read_table(document)
        except InputError as error:
            return errors.of_input(error)
        return self._scored(table)

    def _generated(self, exchange: Exchange, document: Any) -> Handled:
        """/invocations in front of OpenAI's protocol."""
        path, sent, wrapped = scoring.generation(document, model=self._served.settings.endpoint)
        if wrapped and sent.get("stream") is True:
            return _NOT_STREAMED
        headers = tuple({**dict(_passed_on(exchange)), **dict(_JSON)}.items())
        request = EngineRequest(path, headers, orjson.dumps(sent), translated=True)
        return self._wrapped(request) if wrapped else submit(self._served, exchange, request, exchange)

    async def _wrapped(self, request: EngineRequest) -> Outcome:
        outcome = await self._served.dispatcher.infer(request)
        if not isinstance(outcome, Answer):
            return outcome
        return Answer(200, result_json.written({"predictions": scoring.texts_of(result_json.read(outcome.body))}))

    async def _scored(self, table: scoring.Table) -> Outcome:
        """/invocations in front of the Open Inference Protocol."""
        described = await self._engine.described(self._served.settings.endpoint)
        if isinstance(described, Failure):
            return described
        signature = self._plan.signature
        try:
            text, raw = scoring.infer_request(
                table, described["inputs"], columns=self._columns,
                optional=optional_columns(signature), binary=self._engine.binary,
            )  # fmt: skip
            outcome = await self._served.dispatcher.infer(self._inference(text, raw))
            if not isinstance(outcome, Answer):
                return outcome
            outputs, rest = _split(outcome)
            return Answer(200, result_json.written({"predictions": scoring.predictions(outputs, rest, signature)}))
        except InputError as error:
            return errors.of_input(error)
        except PermanentError as error:
            return errors.of_result(error)

    def _inference(self, text: bytes, raw: bytes) -> EngineRequest:
        headers: Headers = _JSON
        if raw:
            headers = ((b"content-type", b"application/octet-stream"), (_LENGTH, b"%d" % len(text)))
        return EngineRequest(f"{self._model}/infer", headers, text + raw, translated=True)

    async def described(self) -> dict[str, Any] | Failure:
        """The model's metadata, under the endpoint's name and version."""
        if self._plan.protocol is not Protocol.OPEN_INFERENCE:
            return _UNSPOKEN
        if not self._served.serving:
            return self._served.not_ready()
        settings = self._served.settings
        told = await self._engine.described(settings.endpoint)
        if isinstance(told, Failure):
            return told
        return {
            "name": settings.endpoint,
            "versions": [settings.version] if settings.version else [],
            "platform": str(told.get("platform", "")),
            "inputs": [_tensor(one) for one in told.get("inputs", ())],
            "outputs": [_tensor(one) for one in told.get("outputs", ())],
        }

    def pack(self, inputs: Doubles) -> bytes | None:
        """An engine takes inputs one by one."""
        del inputs
        return None

    def inferred(
        self, request: InferRequest, exchange: Exchange, worded: Worded, *, timeout_seconds: float | None = None
    ) -> Handled:
        """Hands a request to the engine, which answers with the outputs that the request asks for."""
        if self._plan.protocol is not Protocol.OPEN_INFERENCE:
            return _UNSPOKEN
        if not self._engine.ready:
            return self._served.turned_away()
        return self._inferred(request, exchange, worded, timeout_seconds)

    async def _inferred(
        self, request: InferRequest, exchange: Exchange, worded: Worded, timeout_seconds: float | None
    ) -> Outcome:
        told = await self._engine.described(self._served.settings.endpoint)
        if isinstance(told, Failure):
            return told
        try:
            document, raw = open_inference.written(request, binary=self._engine.binary)
            for tensor in request.inputs:
                tensor.values.clear()  # several times as large as the bytes that wait
            work = self._inference(orjson.dumps(document), raw)
            exchange.hold(len(work.body))
            outcome = await self._served.dispatcher.infer(work, timeout_seconds=timeout_seconds)
            if not isinstance(outcome, Answer):
                return outcome if isinstance(outcome, Failure) else LOST  # no such engine streams its answer to infer
            outputs, rest = _split(outcome)
            return worded(request, open_inference.chosen(request, open_inference.read_outputs(outputs, rest)))
        except InputError as error:
            return errors.of_input(error)
        except PermanentError as error:
            return errors.of_result(error)


def _passed_on(exchange: Exchange) -> Headers:
    fields = exchange.fields
    return tuple((name, fields[name]) for name in _PASSED_ON if name in fields)


def _split(answer: Answer) -> tuple[Any, bytes]:
    """The described outputs of an engine's answer, and the raw bytes behind."""
    given = dict(answer.headers).get(_LENGTH)
    at = len(answer.body) if given is None else int(given)
    return result_json.read(answer.body[:at])["outputs"], answer.body[at:]


def _tensor(described: Any) -> dict[str, Any]:
    return {
        "name": str(described["name"]),
        "datatype": str(described["datatype"]),
        "shape": [int(length) for length in described["shape"]],
    }
