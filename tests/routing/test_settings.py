"""Settings from the environment."""

import pytest

from headrace.contract.errors import InputError
from headrace.contract.revoked import ENV_REVOKED, Revoked, revoked_text
from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.contract.trusted_issuers import ENV_TOKEN_ISSUERS, issuers_text
from headrace.routing.ads.settings import Settings


def test_nothing_set_gives_the_defaults() -> None:
    assert Settings.from_environment({"PATH": "/bin"}) == Settings()


def test_a_level_may_be_written_in_any_case() -> None:
    assert Settings.from_environment({"HEADRACE_ROUTING_LOG_LEVEL": "debug"}).log_level == "DEBUG"


def test_issuers_are_read_as_they_were_written() -> None:
    issuers = (TrustedIssuer(issuer="https://login.corp.test", groups_claim="groups"),)
    assert Settings.from_environment({ENV_TOKEN_ISSUERS: issuers_text(issuers)}).issuers == issuers


def test_what_is_revoked_is_read_as_it_was_written() -> None:
    revoked = Revoked(tokens=("6f1c",), subjects=("bob",))
    assert Settings.from_environment({ENV_REVOKED: revoked_text(revoked)}).revoked == revoked


def test_every_fault_is_named_at_once() -> None:
    issuers = issuers_text((TrustedIssuer(issuer="http://a.test"),))
    environment = {
        "HEADRACE_ROUTING_LOG_LEVEL": "loud", "HEADRACE_ROUTING_LOGLEVEL": "INFO", ENV_TOKEN_ISSUERS: issuers,
        ENV_REVOKED: '{"tokens": [""]}',
    }  # fmt: skip
    with pytest.raises(InputError) as caught:
        Settings.from_environment(environment)
    assert "'LOUD', must be DEBUG, INFO, WARNING or ERROR" in str(caught.value)
    assert "HEADRACE_ROUTING_LOGLEVEL is not a setting" in str(caught.value)
    assert "HEADRACE_TOKEN_ISSUERS: token_issuers[0].issuer = 'http://a.test', must be" in str(caught.value)
    assert "HEADRACE_REVOKED: revoked.tokens[0] = '', must be" in str(caught.value)
