"""Streams: server-sent events put together to the document that they add up to. Pure."""

from typing import Any, Final

import orjson

_END: Final = "[DONE]"
_MOST_CALLS: Final = 128
"""Of tools in one answer, as OpenAI takes at most that many tools."""


def events_of(data: bytes) -> list[str]:
    """The data of each event (WHATWG's event stream format), but for the one that tells the end."""
    text = data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    found = []
    for block in text.split("\n\n"):
        lines = [line.removeprefix("data:").removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        if lines and (joined := "\n".join(lines)) != _END:
            found.append(joined)
    return found


def whole(data: bytes) -> str:
    """The document as a text: of OpenAI's chunks the answer that would have come whole, else the list of events."""
    events = [_read(event) for event in events_of(data)]
    for kind in ("chat.completion.chunk", "text_completion"):
        pieces = [event for event in events if isinstance(event, dict) and event.get("object") == kind]
        if pieces and len(pieces) == len(events):
            return orjson.dumps(_completion(pieces, kind)).decode()
    return orjson.dumps(events).decode()


def usage(document: Any) -> tuple[int | None, int | None]:
    """Tokens in and out, as an answer tells them in OpenAI's words; None where it does not."""
    told = document.get("usage") if isinstance(document, dict) else None
    if not isinstance(told, dict):
        return None, None
    into = told.get("prompt_tokens", told.get("input_tokens"))
    out = told.get("completion_tokens", told.get("output_tokens"))
    return into if type(into) is int else None, out if type(out) is int else None


def _read(event: str) -> Any:
    try:
        return orjson.loads(event)
    except orjson.JSONDecodeError:
        return event


def _completion(pieces: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    is_chat = kind == "chat.completion.chunk"
    choices: dict[int, dict[str, Any]] = {}
    made = {key: value for key, value in pieces[0].items() if key != "choices"}
    made["object"] = "chat.completion" if is_chat else kind
    for piece in pieces:
        if isinstance(piece.get("usage"), dict):
            made["usage"] = piece["usage"]
        for choice in piece.get("choices") or ():
            at = choice.get("index", 0)
            begun = {"message": {"role": "assistant", "content": ""}} if is_chat else {"text": ""}
            known = choices.setdefault(at, {"index": at, **begun, "finish_reason": None})
            if is_chat:
                _add(known["message"], choice.get("delta") or {})
            else:
                known["text"] += choice.get("text") or ""
            if choice.get("finish_reason") is not None:
                known["finish_reason"] = choice["finish_reason"]
    made["choices"] = [choices[at] for at in sorted(choices)]
    return made


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    """Adds what a chunk says: texts are appended, but for roles, and calls of tools are told apart by their index."""
    for key, value in delta.items():
        if key == "tool_calls" and isinstance(value, list):
            calls = message.setdefault(key, [])
            for call in value:
                at = call.get("index", len(calls))
                if type(at) is not int or not 0 <= at <= _MOST_CALLS:
                    continue
                while len(calls) <= at:
                    calls.append({})
                _add(calls[at], {name: item for name, item in call.items() if name != "index"})
        elif isinstance(value, dict):
            _add(message.setdefault(key, {}), value)
        elif isinstance(value, str) and isinstance(message.get(key), str) and key not in ("role", "id", "type"):
            message[key] += value
        elif value is not None or key not in message:
            message[key] = value
