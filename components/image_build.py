"""ImageBuild: one image, built by the builder program and put where pods find it. ModelImage and PlatformImage are its
faces.

It is a dynamic resource: its code runs in Pulumi's provider process on the deployer's machine. It changes when what
goes into the image changes, and when the image is gone from its destination, for example because the node's disk was
cleared. It does not delete images: a rollback needs them, and nodes and registries have their own rules for what is
old.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pulumi
from pulumi import dynamic
from pulumi.runtime import rpc

from headrace.contract.errors import HeadraceError, InputError, PermanentError, TemporaryError
from headrace.contract.image import BUILDER_MODULE, Base, BuildFailure, Delivery, ImageRequest, ImageResult

_TAIL_LINES: Final = 30
"""Of the build log, shown with a failure."""
_QUIET_SECONDS: Final = 2.0
"""Progress of a build that is over sooner would only be noise."""

_NO_PROPERTY: Final = ""
"""Pulumi prints the whole value of a property that it is given the name of."""

REQUEST: Final = "request"
PLATFORM_DIGEST: Final = "platform_digest"
ENVIRONMENT_DIGEST: Final = "environment_digest"


class ImageBuildProvider(dynamic.ResourceProvider):
    """Create, check and update an image."""

    serialize_as_secret_always = False  # it holds no state at all

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Adds digests of what the image is made of, so that a preview shows whether it would be built and why.

        Requirements that changed are resolved, so that a preview refuses those that cannot be.
        """
        if _unknown(news.get(REQUEST)):
            return dynamic.CheckResult(news, [])
        request = news[REQUEST]
        faults = [
            dynamic.CheckFailure(_NO_PROPERTY, f"{field}: {fault}")
            for field, parse in (("delivery", Delivery.from_json), ("base", Base.from_json))
            for fault in _faults(parse, request[field])
        ]
        if not faults:
            try:
                described = ask("describe", _request(news))
                news = {**news, **{key: value for key, value in described.items() if value}}
                if news.get(ENVIRONMENT_DIGEST) not in {None, olds.get(ENVIRONMENT_DIGEST)}:
                    ask("resolve", _request(news))
            except TemporaryError:
                pass  # an index that does not answer now may do so when the image is built
            except HeadraceError as error:
                faults = [dynamic.CheckFailure(_NO_PROPERTY, str(error))]
        return dynamic.CheckResult(news, faults)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Changed when the content changed, or when the destination says that it no longer has the image."""
        changed = any(
            _content(olds, key) != _content(news, key) for key in (PLATFORM_DIGEST, ENVIRONMENT_DIGEST, REQUEST)
        )
        return dynamic.DiffResult(changes=changed or not _still_there(olds))

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Builds and delivers."""
        try:
            return dynamic.CreateResult(str(props[REQUEST]["name"]), _built(props, pins=()))
        except HeadraceError as error:
            raise error.with_traceback(None) from None  # Pulumi prints the frames; these say nothing to a user

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Builds what changed and delivers it; the same requirements resolve to what they resolved to before."""
        same = olds.get(ENVIRONMENT_DIGEST) == news.get(ENVIRONMENT_DIGEST)
        try:
            return dynamic.UpdateResult(_built(news, pins=tuple(olds.get("pins") or ()) if same else ()))
        except HeadraceError as error:
            raise error.with_traceback(None) from None

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """On refresh: an image that is gone is gone from the state too, and the next update makes it again."""
        return dynamic.ReadResult(id_ if _still_there(props) else "", props)


class ImageBuild(dynamic.Resource, module="headrace", name="ImageBuild"):
    """One delivered image."""

    image: pulumi.Output[str]
    """Reference pinned by digest."""
    digest: pulumi.Output[str]
    """Digest of the image's manifest."""
    log: pulumi.Output[str]
    """Path of the build log on the machine that built it."""

    def __init__(
        self,
        name: str,
        request: pulumi.Input[Mapping[str, Any]],
        shown: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`request` is an ImageRequest as JSON; `shown` are further inputs, for the reader of a preview."""
        outputs = dict.fromkeys(("image", "digest", "layers", "pins", "log", PLATFORM_DIGEST, ENVIRONMENT_DIGEST))
        super().__init__(ImageBuildProvider(), name, {**shown, REQUEST: request, **outputs}, opts)


def ask(command: str, request: Mapping[str, Any], *, name: str = "") -> dict[str, Any]:
    """Runs the builder; raises PermanentError or TemporaryError with its sentence and the end of its log.

    Progress of a long build goes to standard error, which Pulumi shows, under `name`.
    """
    command_line = [sys.executable, "-m", BUILDER_MODULE, command]
    said = []
    with (
        tempfile.TemporaryFile("w+") as answer,  # not a pipe: nobody reads it before the end
        subprocess.Popen(
            command_line, stdin=subprocess.PIPE, stdout=answer, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            with suppress(BrokenPipeError), process.stdin:  # what it said before it died is reported below
                json.dump(request, process.stdin)
            for line in process.stderr:
                progress = _progress(line)
                if progress is None:
                    said.append(line)
                elif progress["elapsed_seconds"] >= _QUIET_SECONDS:
                    step = f"{name}: step {progress['step']} of {progress['of']}, {progress['what']}"
                    size = progress.get("unfinished_bytes", 0)
                    so_far = f", {size / 1e6:,.0f} MB so far" if size else ""
                    print(f"{step} ({progress['elapsed_seconds']:.0f} s{so_far})", file=sys.stderr, flush=True)
            status = process.wait()
        except BaseException:
            process.kill()
            raise
        answer.seek(0)
        text = answer.read()
    try:
        value: dict[str, Any] = json.loads(text)
    except ValueError:
        raise PermanentError(
            f"The image builder stopped with status {status} and no answer:\n{''.join(said[-_TAIL_LINES:])}"
        ) from None
    if status != 0:
        failure = BuildFailure(**value)
        raise failure.error(tail=_tail(failure.log, failure.message))
    return value


def plain(request: ImageRequest) -> dict[str, Any]:
    """The request as Pulumi keeps it: dictionaries, lists, texts and numbers only."""
    value: dict[str, Any] = json.loads(json.dumps(request.to_json()))
    del value["pins"]  # an output
    return value


def _built(props: dict[str, Any], *, pins: tuple[str, ...]) -> dict[str, Any]:
    request = _request(props)
    value = ask("build", {**request, "pins": list(pins)}, name=str(request["name"]))
    result = ImageResult.from_json(value)
    return {
        **props,
        "image": result.image,
        "digest": result.digest,
        "layers": {layer.name: layer.digest for layer in result.layers},
        "pins": list(result.pins),
        "log": result.log,
    }


def _request(props: Mapping[str, Any]) -> dict[str, Any]:
    """The request with absent values as the builder expects them; Pulumi drops what is null."""
    return {"model": None, **props[REQUEST]}


def _content(props: Mapping[str, Any], key: str) -> Any:
    """What decides about a build: where a model's bytes are is not its content, what they are is."""
    value = props.get(key)
    if key != REQUEST or not isinstance(value, Mapping):
        return value
    model = value.get("model") or {}
    rest = {name: item for name, item in value.items() if name != "model"}
    return {**rest, "identity": model.get("identity")}


def _still_there(props: Mapping[str, Any]) -> bool:
    """False only when the destination says so: one that does not answer has lost nothing yet."""
    if not props.get("image"):
        return False
    try:
        answer = ask("present", {"image": props["image"], "delivery": props[REQUEST]["delivery"]})
    except HeadraceError:
        return True
    return answer["present"] is not False


def _faults(parse: Any, value: Any) -> list[str]:
    try:
        parse(value or {})
    except InputError as error:
        return list(error.faults)
    return []


def _unknown(value: Any) -> bool:
    """Whether a part of the value is known only after an update."""
    if isinstance(value, Mapping):
        return any(_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(_unknown(item) for item in value)
    return value is None or value == rpc.UNKNOWN


def _progress(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "step" in value else None


def _tail(log: str, message: str) -> str:
    """The end of the log without progress and without what the message says already."""
    try:
        lines = Path(log).read_text(errors="replace").splitlines() if log else []
    except OSError:
        return ""
    told = {line.strip() for line in message.splitlines()}
    return "\n".join([line for line in lines if _progress(line) is None and line.strip() not in told][-_TAIL_LINES:])
