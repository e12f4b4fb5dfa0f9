"""OpenAI's protocol: what MLflow models answer, in the shape that OpenAI's clients read. Pure.

Models logged for chat answer in this shape already; missing fields are filled in, and plain texts are wrapped.
"""

import base64
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace.contract.errors import InputError, PermanentError

CHAT_LOADERS: Final = frozenset(f"mlflow.pyfunc.loaders.{name}" for name in ("chat_model", "chat_agent"))
CHAT_TASKS: Final = frozenset({"llm/v1/chat", "agent/v1/chat", "agent/v2/chat"})
COMPLETION_TASKS: Final = frozenset({"llm/v1/completions"})
EMBEDDING_TASKS: Final = frozenset({"llm/v1/embeddings"})
RESPONSES_TASK: Final = "agent/v1/responses"
RESPONSES_LOADER: Final = "mlflow.pyfunc.loaders.responses_agent"


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """Which of the shapes a model fits."""

    chat: bool
    completions: bool
    embeddings: bool
    """The model takes OpenAI's own embeddings request."""
    encodes: bool
    """The model takes texts as MLflow inputs and answers vectors."""
    responses: bool = False
    """The model is a ResponsesAgent."""

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "Abilities":
        """Reads a worker's description of its model."""
        task, loader = str(described.get("task", "")), str(described.get("loader", ""))
        return cls(
            chat=task in CHAT_TASKS or loader in CHAT_LOADERS,
            completions=task in COMPLETION_TASKS,
            embeddings=task in EMBEDDING_TASKS,
            encodes="sentence_transformers" in (described.get("flavors") or ()),
            responses=task == RESPONSES_TASK or loader == RESPONSES_LOADER,
        )


def require(document: Any, key: str, kinds: tuple[type, ...]) -> Mapping[str, Any]:
    """The request, if it is an object with such a key."""
    if not isinstance(document, dict) or not isinstance(document.get(key), kinds) or not document[key]:
        wanted = " or ".join("a list" if kind is list else "a text" for kind in kinds)
        raise InputError("request", [f"'{key}' must be {wanted} and not be empty"])
    return document


def _only(answer: Any) -> Any:
    return answer[0] if isinstance(answer, list) and len(answer) == 1 else answer


def _filled(answer: Mapping[str, Any], *, identity: str, kind: str, created: int, model: str) -> dict[str, Any]:
    """The answer with the fields that clients require and models leave out or null."""
    made = {"id": identity, "object": kind, "created": created, "model": model}
    made.update({key: value for key, value in answer.items() if value is not None})
    return made


def chat(answer: Any, *, identity: str, created: int, model: str) -> dict[str, Any]:
    """A chat completion."""
    answer = _only(answer)
    if isinstance(answer, dict) and "choices" in answer:
        made = _filled(answer, identity=identity, kind="chat.completion", created=created, model=model)
    elif isinstance(answer, dict) and isinstance(answer.get("messages"), list) and answer["messages"]:
        choice = {"index": 0, **_said(answer["messages"][-1], answer, "message"), "logprobs": None}
        choice["finish_reason"] = choice["finish_reason"] or "stop"
        told = {"choices": [choice], "usage": answer.get("usage")}
        made = _filled(told, identity=identity, kind="chat.completion", created=created, model=model)
    else:
        message = {"role": "assistant", "content": answer if isinstance(answer, str) else str(answer)}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        made = _filled({"choices": [choice]}, identity=identity, kind="chat.completion", created=created, model=model)
    return made


def _said(message: Mapping[str, Any], around: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What of a choice a ChatAgent says: the message, or a piece of one, and why it ended."""
    told = {"role": "assistant", "content": message.get("content")}
    calls = message.get("tool_calls")
    if calls:
        told["tool_calls"] = [{"index": at, **call} for at, call in enumerate(calls)] if name == "delta" else calls
    elif told["content"] is None:
        told["content"] = ""
    return {name: told, "finish_reason": around.get("finish_reason") or ("tool_calls" if calls else None)}


def chat_piece(piece: Any, *, identity: str, created: int, model: str) -> dict[str, Any]:
    """One piece of a streamed chat completion."""
    if isinstance(piece, dict) and "choices" in piece:
        return _filled(piece, identity=identity, kind="chat.completion.chunk", created=created, model=model)
    delta = piece.get("delta") if isinstance(piece, dict) else piece
    choice: dict[str, Any] = {"index": 0}
    if isinstance(delta, dict):
        choice |= _said(delta, piece, "delta")
    else:
        text = delta if isinstance(delta, str) else str(delta)
        choice |= {"delta": {"role": "assistant", "content": text}, "finish_reason": None}
    return _filled({"choices": [choice]}, identity=identity, kind="chat.completion.chunk", created=created, model=model)


def completion(answer: Any, *, identity: str, created: int, model: str) -> dict[str, Any]:
    """A text completion."""
    texts = _only(answer)
    if isinstance(texts, dict) and "choices" in texts:
        return _filled(texts, identity=identity, kind="text_completion", created=created, model=model)
    listed = texts if isinstance(texts, list) else [texts]
    choices = [
        {"index": at, "text": str(text), "logprobs": None, "finish_reason": "stop"} for at, text in enumerate(listed)
    ]
    return _filled({"choices": choices}, identity=identity, kind="text_completion", created=created, model=model)


def response_request(document: Mapping[str, Any]) -> dict[str, Any]:
    """The request as a ResponsesAgent takes it: a plain text, which OpenAI allows, is one message of the user's."""
    said = require(document, "input", (str, list))["input"]
    return {**document, "input": [{"role": "user", "content": said}] if isinstance(said, str) else said}


def response(answer: Any, *, identity: str, created: int, model: str) -> dict[str, Any]:
    """A response: the agent's own, with the fields that clients require and agents leave out."""
    made = {"id": identity, "object": "response", "created_at": created, "model": model, "status": "completed"}
    made.update({key: value for key, value in answer.items() if value is not None})
    return made


def embeddings(answer: Any, *, model: str, encoding: str) -> dict[str, Any]:
    """Embeddings; `encoding` is float or base64 (little-endian float32), which OpenAI's client always asks for."""
    if encoding not in ("float", "base64"):
        raise InputError("request", ["encoding_format must be float or base64"])
    answer = _only(answer) if isinstance(answer, list) and answer and isinstance(answer[0], dict) else answer
    if isinstance(answer, dict):
        vectors = [item["embedding"] for item in answer.get("data", ())]
        usage = answer.get("usage")
    else:
        vectors, usage = answer, None
    if not isinstance(vectors, list) or not all(isinstance(vector, list) for vector in vectors):
        raise InputError("model", ["its answer is not a list of vectors"])
    data = [
        {"object": "embedding", "index": at, "embedding": _packed(vector) if encoding == "base64" else vector}
        for at, vector in enumerate(vectors)
    ]
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": usage or {"prompt_tokens": 0, "total_tokens": 0},
    }


def _packed(vector: list[float | None]) -> str:
    numbers = [math.nan if value is None else value for value in vector]
    try:
        return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    except (struct.error, OverflowError):
        raise PermanentError("The model's vectors hold what is no float32; ask for encoding_format float.") from None
