"""Answer samples: requests for predictions with their answers, which a front tells on its admin port while it is asked.

The rollout controller asks them of the version that serves and asks the new version the same.
"""

from dataclasses import dataclass
from typing import Final

ANSWERS_PATH: Final = "/answers"
"""On the admin port of a model pod: a list of AnswerSample as JSON, of those since it was last asked."""
SCORING_PATH: Final = "/invocations"
"""Path of the requests that are kept."""


@dataclass(frozen=True, kw_only=True)
class AnswerSample:
    """One request that was answered with a prediction."""

    content_type: str
    """Media type of the body, which is JSON."""
    body: str
    """The request's."""
    answer: str
    """The answer's body."""
