"""The dynamic resource behind every image: when it builds, when it does not, and what is said when it fails."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import rpc

from headrace.components import image_build
from headrace.components.image_build import ImageBuildProvider
from headrace.contract.errors import HeadraceError, PermanentError, TemporaryError

REQUEST: dict[str, Any] = {
    "kind": "model",
    "name": "models/fraud",
    "delivery": {"kind": "containerd", "address": "/c.sock"},
    "base": {"kind": "debian", "python": "3.11"},
    "model": {
        "source": "file:///m",
        "identity": "i-1",
        "python": "3.11.7",
        "requirements": ["mlflow"],
        "constraints": [],
        "tracking_uri": "",
    },
}
BUILT = {"image": "headrace.local/models/fraud@sha256:1", "digest": "sha256:1", "pins": ["mlflow==3.17.2"]}


class _Builder:
    """Answers as the builder program does and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.present: bool | None = True
        self.unresolvable: HeadraceError | None = None

    def ask(self, command: str, request: dict[str, Any], *, name: str = "") -> dict[str, Any]:
        self.asked.append((command, request))
        if command == "present":
            return {"present": self.present}
        if command == "resolve":
            if self.unresolvable is not None:
                raise self.unresolvable
            return {"pins": []}
        if command == "describe":
            return {"platform_digest": "p", "environment_digest": ",".join(request["model"]["requirements"])}
        layer = {"name": "model", "digest": "sha256:2", "size": 9, "created": True, "delivered": True}
        return {**BUILT, "layers": [layer], "log": "/log"}

    def of(self, command: str) -> list[dict[str, Any]]:
        return [request for asked, request in self.asked if asked == command]


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> _Builder:
    builder = _Builder()
    monkeypatch.setattr(image_build, "ask", builder.ask)
    return builder


@pytest.fixture
def provider() -> ImageBuildProvider:
    return ImageBuildProvider()


def _checked(provider: ImageBuildProvider, **changes: Any) -> dict[str, Any]:
    request = {**REQUEST, "model": {**REQUEST["model"], **changes}}
    return provider.check({}, {"request": request}).inputs


def test_a_preview_shows_what_the_image_is_made_of(provider: ImageBuildProvider, builder: _Builder) -> None:
    inputs = _checked(provider)

    assert inputs["platform_digest"] == "p"
    assert inputs["environment_digest"] == "mlflow"
    assert builder.of("build") == []


def test_a_preview_refuses_requirements_that_cannot_be_resolved(
    provider: ImageBuildProvider, builder: _Builder
) -> None:
    builder.unresolvable = PermanentError("uv says: there is no version of scikit-learn==99")

    (failure,) = provider.check({}, {"request": REQUEST}).failures

    assert failure.reason == str(builder.unresolvable)


def test_an_index_that_does_not_answer_does_not_stop_a_preview(provider: ImageBuildProvider, builder: _Builder) -> None:
    builder.unresolvable = TemporaryError("The index does not answer")

    result = provider.check({}, {"request": REQUEST})

    assert result.failures == []
    assert result.inputs["environment_digest"] == "mlflow"


def test_only_requirements_that_changed_are_resolved(provider: ImageBuildProvider, builder: _Builder) -> None:
    before = _checked(provider)
    assert len(builder.of("resolve")) == 1

    provider.check(before, {"request": {**REQUEST, "model": {**REQUEST["model"], "identity": "i-2"}}})
    assert len(builder.of("resolve")) == 1


def test_nothing_is_built_when_nothing_changed(provider: ImageBuildProvider, builder: _Builder) -> None:
    state = provider.create(_checked(provider)).outs
    assert state is not None

    assert provider.diff("id", state, _checked(provider)).changes is False


@pytest.mark.parametrize("changes", [{"identity": "i-2"}, {"requirements": ["mlflow", "numpy"]}])
def test_other_content_is_built(provider: ImageBuildProvider, builder: _Builder, changes: dict[str, Any]) -> None:
    state = provider.create(_checked(provider)).outs
    assert state is not None

    assert provider.diff("id", state, _checked(provider, **changes)).changes is True


@pytest.mark.parametrize("changes", [{"source": "s3://moved/m"}, {"tracking_uri": "http://renamed"}])
def test_the_same_content_from_elsewhere_is_not_built(
    provider: ImageBuildProvider, builder: _Builder, changes: dict[str, Any]
) -> None:
    state = provider.create(_checked(provider)).outs
    assert state is not None

    assert provider.diff("id", state, _checked(provider, **changes)).changes is False


def test_another_destination_gets_the_image(provider: ImageBuildProvider, builder: _Builder) -> None:
    state = provider.create(_checked(provider)).outs
    assert state is not None
    elsewhere = {**_checked(provider), "request": {**REQUEST, "delivery": {"kind": "kind", "cluster": "dev"}}}

    assert provider.diff("id", state, elsewhere).changes is True


@pytest.mark.parametrize(("present", "changes"), [(False, True), (True, False), (None, False)])
def test_an_image_that_is_gone_is_brought_back_and_silence_is_not_loss(
    provider: ImageBuildProvider, builder: _Builder, present: bool | None, changes: bool
) -> None:
    state = provider.create(_checked(provider)).outs
    assert state is not None
    builder.present = present

    assert provider.diff("id", state, _checked(provider)).changes is changes
    assert provider.read("id", state).id == ("" if present is False else "id")


def test_a_new_version_keeps_the_environment_it_had(provider: ImageBuildProvider, builder: _Builder) -> None:
    state = provider.create(_checked(provider)).outs
    assert state is not None

    provider.update("id", state, _checked(provider, identity="i-2"))
    assert builder.of("build")[-1]["pins"] == ["mlflow==3.17.2"]
    provider.update("id", state, _checked(provider, requirements=["numpy"]))
    assert builder.of("build")[-1]["pins"] == []


def test_a_platform_image_has_no_model(provider: ImageBuildProvider, builder: _Builder) -> None:
    request = {key: value for key, value in REQUEST.items() if key != "model"}  # Pulumi drops what is null

    provider.create({"request": request})

    assert builder.of("build")[-1]["model"] is None


def test_bad_settings_that_only_an_update_knows_are_named(provider: ImageBuildProvider, builder: _Builder) -> None:
    request = {**REQUEST, "delivery": {"kind": "carrier pigeon"}, "base": {"python": "three"}}

    result = provider.check({}, {"request": request})

    assert [failure.property for failure in result.failures] == ["", ""]  # a name would print the whole request
    assert "delivery: kind = 'carrier pigeon', must be one of" in result.failures[0].reason
    assert "base: python = 'three'" in result.failures[1].reason
    assert builder.asked == []


def test_what_is_not_known_yet_is_not_asked_about(provider: ImageBuildProvider, builder: _Builder) -> None:
    for request in (rpc.UNKNOWN, {**REQUEST, "delivery": rpc.UNKNOWN}):
        assert provider.check({}, {"request": request}).failures == []
    assert builder.asked == []


def test_the_provider_holds_no_secret_and_is_found_by_name() -> None:
    from pulumi.dynamic.dynamic import serialize_provider  # noqa: PLC0415

    assert ImageBuildProvider.serialize_as_secret_always is False
    assert len(serialize_provider(ImageBuildProvider())) < 200  # its module and name, none of its code


# --- the program it runs ---------------------------------------------------------------------------------------------


def _program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str) -> None:
    (tmp_path / "stand_in_builder.py").write_text(f"import json, sys\nrequest = json.load(sys.stdin)\n{source}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(image_build, "BUILDER_MODULE", "stand_in_builder")


def test_a_failure_is_its_sentence_with_the_end_of_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    progress = '{"step": 1, "of": 6, "what": "base", "elapsed_seconds": 0.0}\n'
    log.write_text("".join(f"line {number}\n" for number in range(100)) + progress + "No wheel for Python 3.11.\n")
    for temporary, error in ((True, TemporaryError), (False, PermanentError)):
        failure = {"message": "No wheel for Python 3.11.", "temporary": temporary, "log": str(log)}
        _program(
            monkeypatch, tmp_path, f"print(json.dumps(json.loads({json.dumps(json.dumps(failure))})))\nsys.exit(1)"
        )

        with pytest.raises(error) as caught:
            image_build.ask("build", {})

        message = str(caught.value)
        assert message.startswith(f"No wheel for Python 3.11.\nBuild log: {log}\n")
        assert "line 99" in message
        assert "line 60\n" not in message
        assert "elapsed_seconds" not in message
        assert message.count("No wheel") == 1


def test_a_builder_that_dies_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _program(monkeypatch, tmp_path, "sys.exit('Segmentation fault')")

    with pytest.raises(PermanentError, match=r"(?s)stopped with status 1 and no answer:\nSegmentation fault"):
        image_build.ask("build", {})


def test_only_the_progress_of_long_builds_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines: list[dict[str, Any]] = [
        {"step": n, "of": 2, "what": "base", "elapsed_seconds": seconds} for n, seconds in ((1, 0.1), (2, 65.3))
    ]
    lines.append({**lines[1], "elapsed_seconds": 75.3, "unfinished_bytes": 1_234_567_890})
    source = "".join(f"print({json.dumps(json.dumps(line))}, file=sys.stderr)\n" for line in lines)
    _program(monkeypatch, tmp_path, f"{source}print('{{}}')")

    assert image_build.ask("build", {}, name="models/fraud") == {}

    assert capfd.readouterr().err.splitlines() == [
        "models/fraud: step 2 of 2, base (65 s)",
        "models/fraud: step 2 of 2, base (75 s, 1,235 MB so far)",
    ]


def test_the_builder_runs_with_the_interpreter_that_runs_pulumi(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _program(monkeypatch, tmp_path, "print(json.dumps({'executable': sys.executable, 'request': request}))")

    assert image_build.ask("build", {"a": 1}) == {"executable": sys.executable, "request": {"a": 1}}
