"""What the workers said of their model, as protocols need it: what it takes, what it answers, what it can."""

import json
from collections.abc import Mapping
from typing import Any

from headrace.contract.signature import Signature
from headrace.runtimes.calls import ModelInput
from headrace.runtimes.protocols import packing, request_body
from headrace.runtimes.protocols.errors import Failure
from headrace.runtimes.protocols.openai import Abilities


class DescribedModel:
    """One description, read."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.mlflow_version = str(described["mlflow_version"])
        self.streams = bool(described["streams"])
        """Whether it can answer in pieces."""
        self.signature = Signature.of(described["signature"], hinted=bool(described.get("hinted")))
        self.abilities = Abilities.of(described)
        self.packer = packing.Packer(described)
        self._needs_empty_params = not described.get("empty_params_say_nothing")
        """Whether the model can tell `"params": {}` from a request without."""

    def reads(self, content_type: str, body: bytes) -> "tuple[ModelInput | packing.Packed, bool] | Failure":
        """What a worker gets of a scoring request, and whether its caller wants the answer in pieces.

        A table or tensor of numbers becomes raw doubles; everything else goes as it came.
        """
        if content_type != request_body.JSON:
            return ModelInput(content_type, body), False
        packed = self.packer.text(body)
        if packed is not None:
            return packed, False  # as deep as its shape, hence not too deep
        document = request_body.parse_json(body)
        if isinstance(document, Failure):
            return document
        if type(document) is dict and document.get("params") == {} and not self._needs_empty_params:
            del document["params"]
            body = _without_params(body)
        packed = self.packer.document(document)
        if packed is not None:
            return packed, False  # as above
        deep = request_body.too_deep(body)
        if deep is not None:
            return deep
        streamed = self.streams and type(document) is dict and document.get("stream") is True
        return ModelInput(content_type, body), streamed


def _without_params(body: bytes) -> bytes:
    """The same JSON object without `params`; by the parser that keeps whole numbers of any length."""
    document: dict[str, Any] = json.loads(body)
    del document["params"]
    return json.dumps(document).encode()


UNDESCRIBED = DescribedModel({"mlflow_version": "", "streams": False, "signature": None})
"""A model of which nothing is known yet."""
