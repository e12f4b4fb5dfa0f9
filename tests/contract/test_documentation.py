"""docs/objects.md holds, word for word, what the declarations say.

Run with HEADRACE_UPDATE_DOCS=1 to write its reference part anew.
"""

import os
from pathlib import Path

from object_reference import reference

from headrace.contract.apa import AUTOPILOT_POD_AUTOSCALER
from headrace.contract.model_endpoint import MODEL_ENDPOINT

PAGE = Path(__file__).parents[2] / "docs" / "objects.md"
MARK = "<!-- reference: written by tests/contract/test_documentation.py -->\n"


def test_the_page_says_what_the_declarations_say() -> None:
    written, found, told = PAGE.read_text().partition(MARK)
    expected = "".join(["".join(reference(known)) for known in (MODEL_ENDPOINT, AUTOPILOT_POD_AUTOSCALER)])
    if os.environ.get("HEADRACE_UPDATE_DOCS"):
        PAGE.write_text(written + MARK + expected)
        return

    assert found
    assert told == expected
