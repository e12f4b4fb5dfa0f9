"""OpenAI's routes in front of our own workers, on the same queue as /invocations."""

import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import orjson

from headrace.contract.errors import InputError, PermanentError
from headrace.runtimes.calls import ModelInput, Outcome
from headrace.runtimes.http.event_stream import events
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.http.routes import Handled, Route
from headrace.runtimes.http.served import Served
from headrace.runtimes.http.submission import json_body
from headrace.runtimes.protocols import errors, openai, request_body, result_json
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.errors import Dialect, Failure, Reason
from headrace.runtimes.protocols.openai import Abilities
from headrace.runtimes.workers.described_model import DescribedModel

CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
EMBEDDINGS: Final = "/v1/embeddings"
RESPONSES: Final = "/v1/responses"
PATHS: Final = (CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES)

_UNSPOKEN: Final = Failure(Reason.NOT_FOUND, "This model does not speak this protocol; use /invocations.")


class OpenAIRoutes:
    """Answers under /v1."""

    def __init__(self, served: Served, model: Callable[[], DescribedModel]) -> None:
        self._served, self._model = served, model
        self._started = int(time.time())

    def routes(self) -> dict[str, Route]:
        """What is at each path."""
        endpoint = self._served.settings.endpoint
        one = {"id": endpoint, "object": "model", "created": self._started, "owned_by": "headrace"}
        listed = {"object": "list", "data": [one]}
        return {
            "/v1/models": Route("GET", lambda _: Answer(200, orjson.dumps(listed))),
            f"/v1/models/{endpoint}": Route("GET", lambda _: Answer(200, orjson.dumps(one))),
            **{path: Route("POST", self.generate, predicts=True) for path in PATHS},
        }

    def generate(self, exchange: Exchange) -> Handled:
        """Reads a request; what it asks for takes a coroutine."""
        served = self._served
        if not served.backend.ready:
            return served.turned_away()
        path = exchange.path.rstrip("/")
        model = self._model()
        if not _fits(path, model.abilities):
            return _UNSPOKEN
        body = json_body(exchange)
        return body if isinstance(body, Failure) else self._answered(path, body, model)

    async def _answered(self, path: str, body: bytes, model: DescribedModel) -> Outcome:
        try:
            return await self._asked(path, body, model)
        except InputError as error:
            return errors.of_input(error)
        except PermanentError as error:
            return errors.of_result(error)

    def _asked(self, path: str, body: bytes, model: DescribedModel) -> Coroutine[Any, Any, Outcome]:
        document = orjson.loads(body)
        said: dict[str, Any] = {
            "identity": f"chatcmpl-{time.time_ns():x}",
            "created": int(time.time()),
            "model": self._served.settings.endpoint,
        }
        if path == EMBEDDINGS:
            return self._embedded(document, body, model)
        if path == RESPONSES:
            said["identity"] = said["identity"].replace("chatcmpl-", "resp_")
            request = openai.response_request(document)
            # An agent's own events are passed on as they are, as MLflow's agent server does.
            streams = request.get("stream") is True and model.streams
            if streams:
                return self._streamed(orjson.dumps(request), lambda piece: piece)
            return self._whole(orjson.dumps(request), lambda answer: openai.response(answer, **said))
        if path == COMPLETIONS:
            openai.require(document, "prompt", (str, list))
            return self._whole(body, lambda answer: openai.completion(answer, **said))
        openai.require(document, "messages", (list,))
        if document.get("stream") is True and model.streams:
            return self._streamed(body, lambda piece: openai.chat_piece(piece, **said))
        return self._whole(body, lambda answer: openai.chat(answer, **said))

    async def _whole(self, body: bytes, shape: Callable[[Any], Any]) -> Outcome:
        outcome = await self._served.dispatcher.infer(ModelInput(request_body.JSON, body))
        if not isinstance(outcome, Answer):
            return outcome
        return Answer(200, result_json.written(shape(result_json.read(outcome.body))))

    async def _streamed(self, body: bytes, shape: Callable[[Any], Any]) -> Outcome:
        stream = await self._served.dispatcher.stream(ModelInput(request_body.JSON, body))
        return stream if isinstance(stream, Failure) else events(stream, Dialect.OPENAI, shape)

    async def _embedded(self, document: Any, body: bytes, model: DescribedModel) -> Outcome:
        openai.require(document, "input", (str, list))
        encoding = str(document.get("encoding_format") or "float")
        texts = document["input"] if isinstance(document["input"], list) else [document["input"]]

        def shape(read: Any) -> Any:
            vectors = read["predictions"] if isinstance(read, dict) and "predictions" in read else read
            return openai.embeddings(vectors, model=self._served.settings.endpoint, encoding=encoding)

        return await self._whole(body if model.abilities.embeddings else orjson.dumps({"inputs": texts}), shape)


def _fits(path: str, able: Abilities) -> bool:
    """Whether a model of these abilities answers at a path."""
    if path == EMBEDDINGS:
        return able.embeddings or able.encodes
    return {CHAT: able.chat, COMPLETIONS: able.completions, RESPONSES: able.responses}[path]
