"""JSON requests by the functions of whichever MLflow the model was logged with; they had other names in other years."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")


class Parsed(NamedTuple):
    """A request as the model will see it."""

    data: Any
    params: dict[str, Any] | None
    unwrapped: bool
    """The caller spoke the unified LLM format, whose answer has no `predictions` around it."""


def parse_json(server: Any, text: str, metadata: Any, schema: Any) -> Parsed:
    """The document as `server`, MLflow's module of that name, hands it to the model. Raises what MLflow raises."""
    if hasattr(server, "_parse_json_data"):  # as MLflow 2.20
        parsed = server._parse_json_data(text, metadata, schema)
        return Parsed(parsed.data, parsed.params, bool(getattr(parsed, "is_unified_llm_input", False)))
    if hasattr(server, "_split_data_and_params_for_llm_input"):  # as 2.14
        document = server._decode_json_input(text)
        if any(key in document for key in server.SUPPORTED_LLM_FORMATS):
            known = metadata.get_params_schema() if hasattr(metadata, "get_params_schema") else None
            data, params = server._split_data_and_params_for_llm_input(document, known)
            return Parsed(data, params, True)
    if hasattr(server, "_split_data_and_params"):  # as 2.9
        data, params = server._split_data_and_params(text)
        return Parsed(server.infer_and_parse_data(data, schema), params, False)
    if hasattr(server, "SUPPORTED_FORMATS"):  # as 2.5
        return Parsed(server.infer_and_parse_json_input(text, schema), None, False)
    return Parsed(_before_2(server, json.loads(text), schema), None, False)


def _before_2(server: Any, document: Any, schema: Any) -> Any:
    """MLflow 1 took a bare table, and no name of its form: the forms are the platform's, the parsing is MLflow's."""
    found = [form for form in _FORMS if type(document) is dict and form in document]
    if len(found) != 1:
        forms = ", ".join(f"'{form}'" for form in _FORMS)
        message = f"The input must be a JSON dictionary with exactly one of the input fields {{{forms}}}"
        raise server.MlflowException(message, error_code=server.BAD_REQUEST)
    [form] = found
    if form in ("inputs", "instances"):
        return server.infer_and_parse_json_input(json.dumps({form: document[form]}), schema)
    return server.parse_json_input(json.dumps(document[form]), orient=form[len("dataframe_") :], schema=schema)
