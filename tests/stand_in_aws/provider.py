"""Provider: Pulumi's provider protocol over the kinds of resources that Headrace makes."""

# mypy: disable-error-code="no-untyped-call"
# Messages of gRPC carry types, helpers of protobuf do not.

import random
from typing import Any, Final

import grpc
from botocore.exceptions import ClientError, ParamValidationError
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from stand_in_aws import ec2, ecr, eks, elbv2, events, iam, kms, lookups, route53, s3, security_groups, sqs
from stand_in_aws.kind import Kind, Props

_SERVICES: Final = (ec2, ecr, eks, elbv2, events, iam, kms, route53, s3, security_groups, sqs)
KINDS: Final[dict[str, Kind]] = {kind.token: kind for service in _SERVICES for kind in service.KINDS}
_BY_ENGINE: Final = frozenset(("__defaults", "region"))
"""Keys that are in properties and mean nothing here; the region is that of the stack."""
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""Key that marks special values on Pulumi's wire; secrets carry it beside `value`."""


class Provider(provider_pb2_grpc.ResourceProviderServicer):  # type: ignore[misc]
    """The server; names of methods are Pulumi's."""

    def __init__(self) -> None:
        self._default_tags: dict[str, str] = {}

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="7.51.1")

    def Attach(self, request: Any, context: Any) -> Any:
        return Empty()

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True, acceptResources=False)

    def Check(self, request: Any, context: Any) -> Any:
        kind, inputs = _kind(request.urn, context), _plain(request.news)
        olds = _plain(request.olds)
        if kind.named and kind.named not in inputs:
            logical = request.urn.rpartition("::")[2]
            seed = random.Random(bytes(request.randomSeed) or logical)
            inputs[kind.named] = olds.get(kind.named, f"{logical}-{seed.getrandbits(28):07x}")
        failures = [
            provider_pb2.CheckFailure(property=key, reason=f"no call of the stand-in uses the input {key!r}")
            for key in sorted(set(inputs) - kind.takes - _BY_ENGINE)
        ] + [
            provider_pb2.CheckFailure(property=key, reason=f"missing required input {key!r}")
            for key in sorted(kind.required - set(inputs))
        ]
        return provider_pb2.CheckResponse(inputs=_struct(inputs), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        kind = _kind(request.urn, context)
        old, new = _plain(request.old_inputs), _plain(request.news)
        changed = {key for key in {*old, *new} - _BY_ENGINE if old.get(key) != new.get(key)}
        verdict = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=verdict,
            diffs=sorted(changed),
            replaces=sorted(kind.replaced_by(changed)),
            deleteBeforeReplace=False,
        )

    def Create(self, request: Any, context: Any) -> Any:
        kind, inputs = _kind(request.urn, context), _plain(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=_struct(inputs))
        with _Telling(context, f"creating {kind.token}"):
            made, outputs = kind.create(inputs)
            seen = kind.read(made, {**inputs, **outputs}) or {}
        return provider_pb2.CreateResponse(id=made, properties=_struct({**inputs, **outputs, **seen}))

    def Read(self, request: Any, context: Any) -> Any:
        kind, state = _kind(request.urn, context), _plain(request.properties)
        with _Telling(context, f"reading {kind.token}"):
            seen = kind.read(request.id, state)
        if seen is None:
            return provider_pb2.ReadResponse(id="")
        return provider_pb2.ReadResponse(id=request.id, properties=_struct({**state, **seen}), inputs=request.inputs)

    def Update(self, request: Any, context: Any) -> Any:
        kind, old, new = _kind(request.urn, context), _plain(request.olds), _plain(request.news)
        if not request.preview and kind.update is not None:
            with _Telling(context, f"updating {kind.token}"):
                kind.update(request.id, old, new)
                old = {**old, **(kind.read(request.id, {**old, **new}) or {})}
        return provider_pb2.UpdateResponse(properties=_struct({**old, **new}))

    def Delete(self, request: Any, context: Any) -> Any:
        kind, state = _kind(request.urn, context), _plain(request.properties)
        with _Telling(context, f"deleting {kind.token}"):
            if kind.read(request.id, state) is not None:
                kind.delete(request.id, state)
        return Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        look_up = lookups.LOOKUPS.get(request.tok)
        if look_up is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in for AWS does not know {request.tok}")
        with _Telling(context, f"invoking {request.tok}"):
            return provider_pb2.InvokeResponse(**{"return": _struct(look_up(_plain(request.args)))})

    def Cancel(self, request: Any, context: Any) -> Any:
        return Empty()


class _Telling:
    """Turns what botocore raises into the status that Pulumi shows."""

    def __init__(self, context: Any, doing: str) -> None:
        self._context, self._doing = context, doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ClientError | ParamValidationError):
            self._context.abort(grpc.StatusCode.UNKNOWN, f"{self._doing}: {error}")


def _kind(urn: str, context: Any) -> Kind:
    token = urn.split("::")[2].rpartition("$")[2]
    if token not in KINDS:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in for AWS does not know resources of type {token}")
    return KINDS[token]


def _struct(props: Props) -> Struct:
    return ParseDict({key: value for key, value in props.items() if value is not None}, Struct())


def _plain(message: Struct) -> Props:
    return {key: value for key, value in _value(MessageToDict(message)).items() if value is not None}


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        if _SIGNATURE in value and "value" in value:
            return _value(value["value"])
        return {key: _value(item) for key, item in value.items() if key != "__defaults"}
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
