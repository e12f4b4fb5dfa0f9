"""Indexes that a model names or this machine does, and the passwords that lead to them: in no place that stays."""

from collections.abc import Callable
from pathlib import Path

import pytest
from logged_packages import BASE, PASSWORD, SITE, installed, logged, pins, with_password

from headrace.contract.errors import PermanentError
from headrace.images import environment
from headrace.images.model import model_layer
from headrace.images.store import Store

pytestmark = pytest.mark.slow  # half a second each, and many: real resolvers and installers

MakeWheel = Callable[..., str]
Serve = Callable[..., str]


def test_the_best_version_of_all_indexes_is_taken_and_the_first_index_by_choice(
    *,
    store: Store,
    wheels: MakeWheel,
    index: Serve,
    model_directory: Path,
    log: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, version in (("public", "2.0"), ("private", "1.0")):
        wheels("scorer", version, into=tmp_path / name / "scorer")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index("public"))
    model = logged(model_directory, f"--extra-index-url {index('private')}", "scorer>=2")

    assert pins(store, model, log) == ("scorer==2.0",)

    monkeypatch.setenv("UV_INDEX_STRATEGY", "first-index")
    with pytest.raises(PermanentError, match="scorer"):
        environment.lock(Store(tmp_path / "careful"), model, BASE, pins=(), log=log)


def test_an_index_that_the_requirements_name_is_asked_and_not_the_machines(
    *,
    store: Store,
    wheels: MakeWheel,
    index: Serve,
    model_directory: Path,
    log: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, version in (("machine", "2.0"), ("named", "1.0")):
        wheels("scorer", version, into=tmp_path / name / "scorer")
    monkeypatch.setenv("UV_DEFAULT_INDEX", index("machine"))

    model = logged(model_directory, f"--index-url {index('named')}", "scorer")

    assert installed(store, model, log)[f"{SITE}/scorer/__init__.py"] == "VERSION = '1.0'\n"


@pytest.mark.usefixtures("nothing_else")
@pytest.mark.parametrize("way", ["written", "included", "variable", "netrc", "pip"])
def test_the_password_of_an_index_is_in_no_place_that_stays(
    *,
    way: str,
    store: Store,
    wheels: MakeWheel,
    index: Serve,
    model_directory: Path,
    log: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wheels("scorer", "1.0", requires=["needed"], into=tmp_path / "private" / "scorer")
    wheels("needed", "1.5", into=tmp_path / "private" / "needed")
    host = index("private", credentials=f"me:{PASSWORD}").removeprefix("http://")
    option = {
        "written": f"--extra-index-url http://me:{PASSWORD}@{host}",
        "included": "-r private.txt",
        "variable": f"--index-url http://me:${{INDEX_PASSWORD}}@{host}",
        "netrc": f"--index-url http://{host}",
        "pip": "--pre",
    }[way]
    if way == "written":
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://{host}")
    if way == "variable":
        monkeypatch.setenv("INDEX_PASSWORD", PASSWORD)
    if way == "netrc":
        (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {PASSWORD}\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    if way == "pip":
        monkeypatch.delenv("UV_DEFAULT_INDEX")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://me:{PASSWORD}@{host}")
    (model_directory / "requirements.txt").write_text(f"{option}\nscorer\n")
    if way == "included":
        (model_directory / "private.txt").write_text(f"--index-url http://me:{PASSWORD}@{host}\n")
    model = logged(model_directory, option, "scorer")

    files = installed(store, model, log)
    model_layer(store, model, log=log)

    assert files[f"{SITE}/needed/__init__.py"] == "VERSION = '1.5'\n"
    assert not with_password(store, log)


def test_a_password_that_was_hidden_in_the_state_is_found_in_the_model_again(
    *, store: Store, wheels: MakeWheel, index: Serve, model_directory: Path, log: Path, tmp_path: Path
) -> None:
    """Pulumi hands the provider the lines that it keeps, which do not have it."""
    wheels("scorer", "1.0", into=tmp_path / "private" / "scorer")
    host = index("private", credentials=f"me:{PASSWORD}").removeprefix("http://")
    (model_directory / "requirements.txt").write_text(f"--index-url http://me:{PASSWORD}@{host}\nscorer\n")
    kept = f"--index-url http://${{HEADRACE_CREDENTIAL_1}}@{host}"

    assert pins(store, logged(model_directory, kept, "scorer"), log) == ("scorer==1.0",)


@pytest.mark.usefixtures("nothing_else")
def test_a_file_behind_a_password_is_in_the_lock_without_it(
    *, store: Store, wheels: MakeWheel, index: Serve, model_directory: Path, log: Path, tmp_path: Path
) -> None:
    wheels("scorer", "1.0", into=tmp_path / "private")
    host = index("private", credentials=f"me:{PASSWORD}").removeprefix("http://")
    model = logged(model_directory, f"scorer @ http://me:{PASSWORD}@{host}/scorer-1.0-py3-none-any.whl")

    files = installed(store, model, log)

    assert f"{SITE}/scorer/__init__.py" in files
    assert "${HEADRACE_CREDENTIAL_1}" in files[f"opt/model/env/{environment.LOCK_FILE}"]
    assert not with_password(store, log)


def test_an_error_about_a_private_index_holds_no_password(
    store: Store, wheels: MakeWheel, index: Serve, model_directory: Path, log: Path
) -> None:
    host = index("private", credentials="me:another").removeprefix("http://")
    line = f"scorer @ http://me:{PASSWORD}@{host}/scorer-1.0-py3-none-any.whl"

    with pytest.raises(PermanentError) as caught:
        environment.lock(store, logged(model_directory, line), BASE, pins=(), log=log)

    assert "401" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in log.read_text()


def test_an_index_that_refuses_the_password_is_named_first(
    store: Store, index: Serve, model_directory: Path, log: Path
) -> None:
    host = index("private", credentials="me:another").removeprefix("http://")
    line = f"--index-url http://me:{PASSWORD}@{host}/simple"

    with pytest.raises(PermanentError) as caught:
        environment.lock(store, logged(model_directory, line, "scorer"), BASE, pins=(), log=log)

    said = str(caught.value)
    assert said.startswith(
        f"The package index http://{host}/simple refused access (401 Unauthorized); see that the name"
    )
    assert "or in a netrc file. The model's requirements cannot be resolved" in said
    assert PASSWORD not in said + log.read_text()


def test_a_variable_that_is_not_set_is_asked_for(store: Store, model_directory: Path, log: Path) -> None:
    line = "--extra-index-url https://${SURELY_NOT_SET}@index.example/simple"

    with pytest.raises(PermanentError, match=r"names the variable SURELY_NOT_SET, which is not set on this machine"):
        environment.lock(store, logged(model_directory, line, "scorer"), BASE, pins=(), log=log)
