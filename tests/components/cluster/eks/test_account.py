"""Why AWS does not say who deploys, in a sentence with what to do."""

import pytest

from headrace.components.cluster.eks.account import remedy


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("ExpiredToken: The security token included in the request is expired", "have expired; log in again"),
        ("api error InvalidClientTokenId: The security token is invalid", "does not know the credentials"),
        ("No valid credential sources found.", "there are no credentials of AWS"),
        ("one\ntwo: connection refused", "AWS does not say who deploys: two: connection refused"),
    ],
)
def test_an_answer_becomes_a_remedy(answer: str, sentence: str) -> None:
    assert sentence in remedy(answer)
