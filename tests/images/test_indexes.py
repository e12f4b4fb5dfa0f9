"""Where packages are found: the requirements before the machine, and pip's settings where uv has none."""

import os
from pathlib import Path

import pytest

from headrace.images import indexes
from headrace.images.requirements import Requirements

NONE: dict[str, str] = {}


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing is set."""
    for name in os.environ:
        if name.startswith(("UV_", "PIP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_the_best_version_of_all_indexes_is_taken_unless_the_user_chose_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert indexes.variables(Requirements(), NONE)["UV_INDEX_STRATEGY"] == "unsafe-best-match"

    monkeypatch.setenv("UV_INDEX_STRATEGY", "first-index")

    assert "UV_INDEX_STRATEGY" not in indexes.variables(Requirements(), NONE)


def test_an_index_in_the_requirements_stands_for_all_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://machine/simple")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://more/simple")
    monkeypatch.setenv("TOKEN", "t1")

    found = indexes.variables(Requirements(index_urls=["https://first", "https://me:${TOKEN}@own/simple"]), NONE)

    assert found["UV_DEFAULT_INDEX"] == "https://me:t1@own/simple"
    assert found["UV_EXTRA_INDEX_URL"] == ""


def test_what_is_set_for_pip_counts_where_nothing_is_set_for_uv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "config" / "pip" / "pip.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        "[global]\nindex-url = https://file/simple\ntrusted-host = file\n[install]\nfind-links = /none /tmp\n"
    )
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a/simple https://b/simple")

    found = indexes.variables(Requirements(), NONE)

    assert found["UV_DEFAULT_INDEX"] == "https://file/simple"
    assert found["UV_EXTRA_INDEX_URL"] == "https://a/simple https://b/simple"
    assert (found["UV_INSECURE_HOST"], found["UV_FIND_LINKS"]) == ("file", "/tmp")

    monkeypatch.setenv("UV_INDEX_URL", "https://uv/simple")

    assert "UV_DEFAULT_INDEX" not in indexes.variables(Requirements(), NONE)


def test_what_uvs_own_file_sets_is_not_overruled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = tmp_path / "config" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('find-links = ["/wheels"]\n[pip]\nindex-strategy = "first-index"\nindex-url = "https://uv"\n')
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS"):
        monkeypatch.setenv(f"PIP_{name}", str(tmp_path))

    found = indexes.variables(Requirements(), NONE)

    assert not {"UV_INDEX_STRATEGY", "UV_DEFAULT_INDEX", "UV_FIND_LINKS"} & set(found)
    assert found["UV_EXTRA_INDEX_URL"] == str(tmp_path)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "x")
    wanted = Requirements(extra_index_urls=["https://${HERE}:${GIVEN}:${NOT_HERE}@host"])

    (fault,) = indexes.missing_variables(wanted, {"GIVEN": "y"})

    assert "names the variable NOT_HERE, which is not set on this machine; set it" in fault


def test_folders_to_look_into_are_the_models_or_the_machines_if_they_exist(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    places = ["wheels", "gone", str(tmp_path), "/gone", "https://host/links.html"]

    there, gone = indexes.existing(places, tmp_path, NONE)

    assert there == [str(tmp_path / "wheels"), str(tmp_path), "https://host/links.html"]
    assert gone == ["gone", "/gone"]
