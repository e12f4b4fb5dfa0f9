"""ExampleRequest: a body that a model takes, from what it says of its signature. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

_SAMPLES: Final = {"BOOL": False, "BYTES": "text"}
"""Values of the Open Inference Protocol's datatypes that are no numbers."""
_OPEN: Final = 8
"""Of a dimension whose length the signature leaves open."""
_CHAT: Final = {"messages": [{"role": "user", "content": "Hello"}]}


def example_request(metadata: Mapping[str, Any] | None) -> str:
    """JSON text for /invocations. `metadata` is the Open Inference Protocol's of the model; None for a model that does
    not speak it, which are those that talk."""
    inputs: Sequence[Mapping[str, Any]] = () if metadata is None else metadata.get("inputs", ())
    if not inputs:
        return json.dumps(_CHAT if metadata is None else {"inputs": []}, indent=1)
    if all(len(each["shape"]) == 1 for each in inputs):
        columns = [str(each["name"]) for each in inputs]
        row = [_sample(str(each["datatype"])) for each in inputs]
        return json.dumps({"dataframe_split": {"columns": columns, "data": [row]}}, indent=1)
    tensors = {str(each["name"]): _tensor(each["shape"], str(each["datatype"])) for each in inputs}
    return json.dumps({"inputs": tensors if len(tensors) > 1 else next(iter(tensors.values()))})


def _tensor(shape: Sequence[int], datatype: str) -> Any:
    """One row of it."""
    value: Any = _sample(datatype)
    for length in reversed(shape[1:]):
        value = [value] * (length if length > 0 else _OPEN)
    return [value]


def _sample(datatype: str) -> Any:
    return _SAMPLES.get(datatype, 0.0 if datatype.startswith(("FP", "BF")) else 0)
