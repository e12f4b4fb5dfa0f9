"""The dynamic resource behind every image: when it builds, when it does not, and what is said meanwhile."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.runtime import rpc

from headrace.components.platform import image_build
from headrace.components.platform.image_build import ImageBuildProvider
from headrace.contract.errors import HeadraceError, PermanentError, TemporaryError
from headrace.images.architecture import Architecture
from headrace.images.build import BuiltImage, ImageDescription, Resolved
from headrace.images.request import Delivery, ImageRequest
from headrace.images.steps import Step
from headrace.images.store import Store

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
IMAGE = "headrace.local/models/fraud@sha256:1"


class _Builder:
    """Has the image builder's functions, builds nothing and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.built: list[ImageRequest] = []
        self.pins: Sequence[str] = ()
        """Of the last build."""
        self.steps: list[Step] = []
        """What a build says."""
        self.on_nodes: frozenset[str] | None = frozenset({IMAGE})
        self.unresolvable: HeadraceError | None = None
        self.impossible: set[Architecture] = set()

    def describe(self, request: ImageRequest) -> ImageDescription:
        self.asked.append("describe")
        lines = () if request.model is None else request.model.requirements
        return ImageDescription(platform_digest="p", environment_digest=",".join(lines))

    def resolve(self, request: ImageRequest, _store: Store) -> Resolved:
        self.asked.append("resolve")
        if self.unresolvable is not None:
            raise self.unresolvable
        possible = tuple(each for each in request.architectures if each not in self.impossible)
        return Resolved(
            architectures=possible, pins=(), notes=tuple(f"no image for {each}" for each in self.impossible)
        )

    def build(
        self, request: ImageRequest, _store: Store, *, pins: Sequence[str], tell: Callable[[Step], object]
    ) -> BuiltImage:
        self.asked.append("build")
        self.built.append(request)
        self.pins = pins
        for step in self.steps:
            tell(step)
        return BuiltImage(
            image=IMAGE,
            layers={"model": "sha256:2"},
            pins=("mlflow==3.17.2",),
            log=Path("/log"),
            architectures=tuple(each for each in request.architectures if each not in self.impossible),
        )

    def held(self, _delivery: Delivery) -> frozenset[str] | None:
        self.asked.append("on_nodes")
        return self.on_nodes


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Builder:
    builder = _Builder()
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path))
    monkeypatch.setattr(image_build, "builder", builder)
    monkeypatch.setattr(image_build, "on_nodes", builder.held)
    return builder


def _configured() -> ImageBuildProvider:
    """As at the start of an update."""
    provider = ImageBuildProvider()
    provider.configure(ConfigureRequest(Config({}, "headrace")))
    return provider


@pytest.fixture
def provider() -> ImageBuildProvider:
    return _configured()


def _checked(provider: ImageBuildProvider, **changes: Any) -> dict[str, Any]:
    request = {**REQUEST, "model": {**REQUEST["model"], **changes}}
    return provider.check({}, {"request": request}).inputs


def test_a_preview_shows_what_the_image_is_made_of(provider: ImageBuildProvider, builder: _Builder) -> None:
    inputs = _checked(provider)

    assert inputs["platform_digest"] == "p"
    assert inputs["environment_digest"] == "mlflow"
    assert "build" not in builder.asked


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
    assert builder.asked.count("resolve") == 1

    provider.check(before, {"request": {**REQUEST, "model": {**REQUEST["model"], "identity": "i-2"}}})
    assert builder.asked.count("resolve") == 1


def _for_nodes(*architectures: str, needed: bool = False) -> dict[str, Any]:
    return {**REQUEST, "architectures": [*architectures], "is_each_needed": needed}


def test_a_preview_says_on_which_of_the_nodes_the_image_will_not_run(
    provider: ImageBuildProvider, builder: _Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    builder.impossible = {Architecture.ARM64}

    inputs = provider.check({}, {"request": _for_nodes("amd64", "arm64")}).inputs

    assert inputs["architectures"] == ["amd64"]
    assert capsys.readouterr().err == "models/fraud: no image for arm64\n"
    built = provider.create(inputs).outs
    assert built is not None
    assert built["architectures"] == ["amd64"]


def test_an_image_keeps_an_architecture_whose_nodes_are_gone_for_now(provider: ImageBuildProvider) -> None:
    before = provider.check({}, {"request": _for_nodes("amd64", "arm64")}).inputs

    later = provider.check(before, {"request": _for_nodes("amd64")}).inputs
    wanted = provider.check(before, {"request": _for_nodes("amd64", needed=True)}).inputs

    assert later["architectures"] == ["amd64", "arm64"]
    assert wanted["architectures"] == ["amd64"], "where it was said which, that counts"


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


def test_a_release_with_another_input_for_bases_builds_nothing_anew(
    provider: ImageBuildProvider, builder: _Builder
) -> None:
    state = provider.create(_checked(provider)).outs
    assert state is not None
    with_input = {**_checked(provider), "request": {**REQUEST, "base": {**REQUEST["base"], "packages": []}}}

    assert provider.diff("id", state, with_input).changes is False


def test_another_destination_gets_the_image(provider: ImageBuildProvider, builder: _Builder) -> None:
    state = provider.create(_checked(provider)).outs
    assert state is not None
    elsewhere = {**_checked(provider), "request": {**REQUEST, "delivery": {"kind": "kind", "cluster": "dev"}}}

    assert provider.diff("id", state, elsewhere).changes is True


@pytest.mark.parametrize(
    ("on_nodes", "changes"), [(frozenset({"another"}), True), (frozenset({IMAGE}), False), (None, False)]
)
def test_an_image_that_is_gone_is_brought_back_and_silence_is_not_loss(
    provider: ImageBuildProvider, builder: _Builder, on_nodes: frozenset[str] | None, changes: bool
) -> None:
    state = provider.create(_checked(provider)).outs
    assert state is not None
    builder.on_nodes = on_nodes

    assert provider.diff("id", state, _checked(provider)).changes is changes
    assert provider.read("id", state).id == ("" if changes else "id")


def test_a_new_version_keeps_the_environment_it_had(provider: ImageBuildProvider, builder: _Builder) -> None:
    state = provider.create(_checked(provider)).outs
    assert state is not None

    provider.update("id", state, _checked(provider, identity="i-2"))
    assert builder.pins == ("mlflow==3.17.2",)
    provider.update("id", state, _checked(provider, requirements=["numpy"]))
    assert builder.pins == ()


def test_a_release_that_reads_the_same_requirements_otherwise_keeps_the_versions(
    provider: ImageBuildProvider, builder: _Builder
) -> None:
    state = provider.create(_checked(provider)).outs
    assert state is not None

    provider.update("id", {**state, "environment_digest": "of an earlier release"}, _checked(provider))

    assert builder.pins == ("mlflow==3.17.2",)


def test_a_platform_image_has_no_model(provider: ImageBuildProvider, builder: _Builder) -> None:
    request = {key: value for key, value in REQUEST.items() if key != "model"}  # Pulumi drops what is null

    provider.create({"request": request})

    assert builder.built[-1].model is None


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


def test_nodes_are_asked_once_an_update_however_many_images_they_hold(builder: _Builder) -> None:
    state = _configured().create({"request": REQUEST}).outs
    assert state is not None
    provider = _configured()

    for _ in range(50):
        assert provider.diff("id", state, state).changes is False

    assert builder.asked.count("on_nodes") == 1
    _configured().diff("id", state, state)
    assert builder.asked.count("on_nodes") == 2


def test_only_the_progress_of_long_builds_is_shown(
    provider: ImageBuildProvider, builder: _Builder, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, seconds in ((1, 0.1), (2, 65.3)):
        builder.steps.append(Step(number=number, of=2, what="base", elapsed_seconds=seconds))

    provider.create({"request": REQUEST})

    assert capfd.readouterr().err.splitlines() == ["models/fraud: step 2 of 2, base (65 s)"]


def test_a_failure_is_its_sentence_without_the_frames_that_led_to_it(
    provider: ImageBuildProvider, builder: _Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        try:
            raise OSError("disk")
        except OSError as cause:
            raise TemporaryError("The disk is full") from cause

    monkeypatch.setattr(builder, "build", refuse)

    with pytest.raises(TemporaryError, match="The disk is full") as caught:
        provider.create({"request": REQUEST})

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
