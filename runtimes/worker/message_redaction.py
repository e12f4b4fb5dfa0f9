"""What of an exception's message a caller may read: never a value of the request.

MLflow's messages repeat the request in a dozen places (`scoring_server/__init__.py`, `models/utils.py`,
`proto_json_utils.py` and `type_hints.py` of 3.17.2), whole DataFrames included. So the ones that are of use to a caller
are known here by their fixed words, and what follows these is cut; of any other message nothing is told. The words of a
model's own MlflowException are its author's, and are kept unless they say again what the request holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

LONGEST_MESSAGE = 2000
LONGEST_SEARCHED = 1 << 18
"""Bytes of a request that are searched for what a message says; of a longer one nothing is told."""
UNTOLD = "Invalid input. Data is not compatible with model signature."

_WRAPPINGS = (
    re.compile(r"\AFailed to predict data '.*'\. \nError: ", re.DOTALL),
    re.compile(r"\AFailed to enforce schema of data '.*' with schema '.*'\. Error: ", re.DOTALL),
)
"""Around the message that says what is wrong; greedy, as the data may hold the same words."""
_TYPE = r"<class '[\w.]+'>"
_SHAPE = r"\([-\d, ]*\)"
_DTYPE = r"[\w\[\]<>, .]+"
_FORMS = r"'(?:dataframe_split|dataframe_records|instances|inputs)'"
_KNOWN = re.compile(
    r"(?:Invalid input\. )?(?:"
    + "|".join(
        (
            # What a request looks like.
            r"The input must be a JSON dictionary with exactly one of the input fields \{[^}]*\}"
            rf"(?:\. Received (?:a list\.|unexpected input type '{_TYPE}\.|"
            rf"dictionary with input fields: \[(?:{_FORMS}(?:, )?)*\](?:\. IMPORTANT: .*)?))?",
            rf"Dataframe (?:records|split) format must be a [a-z ]+\. Got (?:list|dictionary|type {_TYPE})\.",
            r"Dataframe split format must have 'data' field and optionally 'columns' and 'index' fields\.",
            r"Provided dataframe_(?:split|records) field is not a valid dataframe representation in"
            r" '(?:split|records)' format\.(?: Error: '\d+ columns passed, passed data had \d+ columns')?",
            r"Ensure that (?:the )?input is a valid (?:JSON[ -]formatted|UTF-8 encoded) string\.",
            r"Failed to parse input as a Pandas DataFrame\. Ensure that the input is a valid [\w-]+ Pandas DataFrame"
            r" produced using the `pandas\.DataFrame\.to_\w+\(\)` method\.",
            r"Request payload must be a dictionary with 'inputs' key when the model contains a valid type hint\.",
            r"Expecting data to have `instances` as key\.",
            r"The length of values for each input/column name are not the same",
            rf"Failed to parse input data\. This model contains an un-named  model signature which expects a single"
            rf" n-dimensional array or a single value as input, however, an input of type {_TYPE} was found\.",
            # Columns; types are the signature's, and so are names, mostly (`_COLUMN`).
            r"Data is not compatible with model signature\. Failed to convert column .*? to type '[^']*'\.",
            r"Model is missing inputs \[.*?\]\.",
            r"Model inference is missing inputs\. The model signature declares \d+ inputs +but the provided value only"
            r" has \d+ inputs\.",
            rf"Incompatible input types for column .*?\. Can not safely convert {_DTYPE} to {_DTYPE}\."
            r"(?: Hint: the type mismatch is likely caused by missing values\.)?",
            rf"Failed to convert column .*? from type {_DTYPE} to {_DTYPE}\.",
            r"The input column '.*?' is required by the model signature but missing from the input data\.",
            r"Expected input to be DataFrame\. Found: \w+",
            r"Input DataFrame is empty\.",
            r"Failed to enforce model input schema\. Please check your input data\.",
            # Tensors.
            rf"Shape of input {_SHAPE} does not match expected shape {_SHAPE}\.",
            rf"dtype of input {_DTYPE} does not match expected dtype {_DTYPE}",
            rf"The value in the Input DataFrame column '.*?' could not be converted to the expected shape of:"
            rf" '{_SHAPE}'\.",
            r"This model contains a model signature with an unnamed input\. Since the input data is a pandas DataFrame"
            r" containing multiple columns, the input shape must be of the structure \(-1,"
            r" number_of_dataframe_columns\)\.",
            r"This model contains a tensor-based model signature with input names",
            r"Because the model signature requires tensor spec input, the input pandas dataframe values should be"
            r" either scalar value, python list containing scalar values or numpy array containing scalar values",
            # Nested values and parameters.
            r"Missing required properties: \{[^}]*\}",
            r"Expected data to be [a-z ]+, got \w+",
            r"Parameters must be a dictionary\. Got type '\w+'\.",
            r"Invalid parameters found",
            r"Failed to validate data against type hint `[\w\[\], .|]+`",
        )
    )
    + ")",
    re.DOTALL,
)
_COLUMN = re.compile(
    r"column '?(.*?)'?(?: to type | from type |\. Can not | could not be converted | is required by )", re.DOTALL
)
"""Without names in the signature, a column has the name that the request gave it."""
_WORD = re.compile(r"-?\w[\w.+-]*\w|-\d")


def of_mlflow(message: str, names: Collection[str] = ()) -> str:
    """The part of MLflow's own message that a caller may read; `names` are the signature's."""
    for wrapping in _WRAPPINGS:
        message = wrapping.sub("", message)
    found = _KNOWN.match(message)
    if found is None:
        return UNTOLD
    column = _COLUMN.search(found.group())
    return _cut(found.group()) if column is None or column.group(1) in names else UNTOLD


def of_author(message: str, body: bytes, names: Collection[str]) -> str | None:
    """A message that the model's author wrote, at most 2,000 characters; None when it repeats what the request holds.

    `names` are the signature's, which a message may say.
    """
    said = set(_WORD.findall(message)) - set(_WORD.findall(" ".join(names)))
    if len(body) > LONGEST_SEARCHED or not said.isdisjoint(_words(body)):
        return None
    return _cut(message)


def _words(body: bytes) -> set[str]:
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False)
    except ValueError:
        text = body.decode("utf-8", "replace")
    return set(_WORD.findall(text))


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + " …"
