"""Settings from the environment."""

import pytest

from headrace.contract.errors import InputError
from headrace.routing.ads.settings import Settings


def test_nothing_set_gives_the_defaults() -> None:
    assert Settings.from_environment({"PATH": "/bin"}) == Settings()


def test_a_level_may_be_written_in_any_case() -> None:
    assert Settings.from_environment({"HEADRACE_ROUTING_LOG_LEVEL": "debug"}).log_level == "DEBUG"


def test_every_fault_is_named_at_once() -> None:
    environment = {"HEADRACE_ROUTING_LOG_LEVEL": "loud", "HEADRACE_ROUTING_LOGLEVEL": "INFO"}
    with pytest.raises(InputError) as caught:
        Settings.from_environment(environment)
    assert "'LOUD', must be DEBUG, INFO, WARNING or ERROR" in str(caught.value)
    assert "HEADRACE_ROUTING_LOGLEVEL is not a setting" in str(caught.value)
