"""Settings: every fault of one environment at once, and every setting documented."""

from pathlib import Path

import pytest

from headrace.autoscaler.settings import PREFIX, Settings
from headrace.contract.errors import InputError

ROOT = Path(__file__).parents[2]


def test_an_empty_environment_is_enough() -> None:
    settings = Settings.from_environment({"PATH": "/bin"})

    assert settings.prometheus_url == ""
    assert settings.identity != ""


def test_all_faults_are_named_at_once() -> None:
    wrong = {
        f"{PREFIX}PROMETEUS_URL": "x",
        f"{PREFIX}PROMETHEUS_URL": "ftp://x",
        f"{PREFIX}LOG_LEVEL": "loud",
        f"{PREFIX}PORT": "x",
    }

    with pytest.raises(InputError) as caught:
        Settings.from_environment(wrong)

    assert len(caught.value.faults) == 4


def test_every_setting_is_in_the_page() -> None:
    page = (ROOT / "docs" / "autoscaler.md").read_text()

    for name in Settings.__dataclass_fields__:
        assert f"`{PREFIX}{name.upper()}`" in page
