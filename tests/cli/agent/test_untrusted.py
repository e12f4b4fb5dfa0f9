"""What others wrote, on its way to an agent."""

from headrace.cli.agent import untrusted


def test_every_answer_says_what_is_not_to_be_obeyed() -> None:
    assert untrusted.marked([1]) == {"notice": untrusted.NOTICE, "untrusted": [1]}


def test_hidden_characters_and_the_rest_of_long_texts_do_not_arrive() -> None:
    hidden = "a\u202eb\U000e0049c\x1b[31m\n"
    assert untrusted.clean_text(hidden) == "a�b�c�[31m\n"
    long = untrusted.clean_text("x" * (untrusted.TEXT_MOST + 5))
    assert long.endswith("x… (5 characters more)")
    assert len(long) < untrusted.TEXT_MOST + 30


def test_a_document_keeps_its_shape() -> None:
    found = untrusted.clean({"a\x00": (1, 2.5, float("inf"), None, True, ["\x07"])})
    assert found == {"a�": [1, 2.5, "inf", None, True, ["�"]]}
