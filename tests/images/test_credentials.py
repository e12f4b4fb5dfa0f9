"""Passwords in requirement lines: replaced by variables, and out of every text that is kept."""

import pytest

from headrace.images.credentials import hide, redact, scrub, secrets


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("--extra-index-url https://me:hunter2@index.example/simple", "me:hunter2"),
        ("-i https://me:p@ss@index.example/simple", "me:p@ss"),
        ("scorer @ git+https://ghp_abc@github.com/me/x.git@main", "ghp_abc"),
        ("scorer @ git+ssh://git:pw1@host/x.git", "git:pw1"),
        ("scorer @ https://blob.example/x.whl?sv=1&sig=abc%3D&se=2", "abc%3D"),
        ("--find-links https://host/links?private_token=abc", "abc"),
    ],
)
def test_a_credential_is_a_variable_in_the_line_and_gone_from_what_is_shown(line: str, secret: str) -> None:
    (hidden,), values = hide([line])

    assert values == {"HEADRACE_CREDENTIAL_1": secret}
    assert hidden == line.replace(secret, "${HEADRACE_CREDENTIAL_1}")
    assert redact(line) == line.replace(secret, "****")
    assert hide([hidden]) == ((hidden,), {}), "hidden once is hidden"


@pytest.mark.parametrize(
    "line",
    [
        "numpy==1.26",
        "--extra-index-url https://index.example/simple",
        "--extra-index-url https://${USER}:${TOKEN}@index.example/simple",
        "--extra-index-url https://me:${TOKEN}@index.example/simple",
        "--extra-index-url https://${TOKEN}@index.example/simple",
        "scorer @ git+ssh://git@github.com/me/x.git@v1",
        "scorer @ https://git@github.com/x.whl#sha256=aa",
    ],
)
def test_a_line_without_a_credential_stays_as_it_is(line: str) -> None:
    assert hide([line]) == ((line,), {})
    assert redact(line) == line


def test_the_same_credential_is_one_variable() -> None:
    lines, values = hide(["-i https://a:b1@x/s", "-f https://a:b1@x/f", "-f https://c:d1@y"])

    assert lines[0].replace("-i", "-f").replace("/s", "/f") == lines[1]
    assert list(values.values()) == ["a:b1", "c:d1"]


def test_a_log_holds_no_password_of_lines_variables_and_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "tokenvalue")
    monkeypatch.setenv("OTHER", "ordinary")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://me:of%20machine@host/simple")
    monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", "corporate")

    hidden = secrets(["-i https://${TOKEN}@h/s"], {"C": "me:hunter2"}, {"UV_DEFAULT_INDEX": "https://a:pipconf@h/s"})

    said = scrub("tokenvalue hunter2 of%20machine of machine corporate pipconf ordinary", hidden)
    assert said == "**** **** **** **** **** **** ordinary"
