"""Conversion: programs from what people have: KServe, Databricks and SageMaker.

    converted = conversion.converted(text, subject="service.yaml")
    print(converted.program)

Every value of the source is mapped, ignored with a reason, or told as not mapped; and no program is written whose
inputs ModelEndpoint would refuse. Pure.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from headrace.contract.errors import InputError
from headrace.stacks.conversion import databricks_endpoint, inference_service, sagemaker_endpoint
from headrace.stacks.conversion.endpoint_draft import EndpointDraft, ModelUris, Setting
from headrace.stacks.conversion.program_text import program
from headrace.stacks.conversion.source_document import Finding, Outcome, SourceDocument

__all__ = ["Converted", "Finding", "Format", "Outcome", "converted"]


class Format(StrEnum):
    """What is converted."""

    KSERVE = "kserve"
    """InferenceServices, v1beta1."""
    DATABRICKS = "databricks"
    """A serving endpoint."""
    SAGEMAKER = "sagemaker"
    """An endpoint configuration."""


_KNOWN = (
    "a KServe InferenceService (v1beta1), a serving endpoint of Databricks (name and config.served_entities) or an "
    "endpoint configuration of SageMaker (EndpointConfigName and ProductionVariants)"
)


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What a file became."""

    format: Format
    endpoints: tuple[EndpointDraft, ...]
    beside: tuple[Finding, ...]
    """About objects in the file that are no endpoints."""

    @property
    def program(self) -> str:
        """The text of a `__main__.py`."""
        return program(self.endpoints)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to do by hand."""
        found = [finding for draft in self.endpoints for finding in draft.findings]
        return all(finding.outcome is not Outcome.NOT_MAPPED for finding in (*found, *self.beside))

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "format": self.format.value,
            "endpoints": [
                {
                    "name": draft.name,
                    "inputs": _plain(draft.ordered()),
                    "findings": [finding.document() for finding in draft.findings],
                }
                for draft in self.endpoints
            ],
            "beside": [finding.document() for finding in self.beside],
            "program": self.program,
        }


def converted(
    text: str, *, subject: str, source: Format | None = None, model_uris: Mapping[str, str] | None = None
) -> Converted:
    """What the YAML or JSON in `text` becomes; `source` where its content shall not say what it is.

    `model_uris` are URIs of MLflow models by the names of those whose model the source does not have, or by the empty
    name where there is one. Raises InputError about `subject` for a text that is none of the known.
    """
    try:
        documents = [data for data in _loaded(text) if data is not None]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(subject, [f"it is neither YAML nor JSON, {_where(error)}; correct it"]) from error
    found = _recognised(documents) if source is None else source
    if found is None or not documents:
        raise InputError(subject, [f"it is none of what is known, must be {_KNOWN}; name it by --from if it is one"])
    uris = ModelUris({} if model_uris is None else model_uris)
    beside: tuple[Finding, ...] = ()
    if found is Format.KSERVE:
        endpoints, beside = _services(documents, uris, subject)
    elif len(documents) > 1:
        raise InputError(subject, [f"it has {len(documents)} documents, must have one; convert each by itself"])
    elif not isinstance(documents[0], Mapping):
        raise InputError(subject, [f"it is no mapping, must be {_KNOWN}"])
    else:
        module = databricks_endpoint if found is Format.DATABRICKS else sagemaker_endpoint
        endpoints = [module.convert(documents[0], uris)]
    uris.checked()
    _require_names(endpoints, subject)
    return Converted(format=found, endpoints=tuple(endpoints), beside=beside)


def _loaded(text: str) -> list[Any]:
    """JSON's documents are YAML's too, unless they are indented by tabs."""
    try:
        return [json.loads(text)]
    except ValueError:
        return list(yaml.safe_load_all(text))


def _recognised(documents: Sequence[Any]) -> Format | None:
    matching = (
        (Format.KSERVE, inference_service.matches),
        (Format.DATABRICKS, databricks_endpoint.matches),
        (Format.SAGEMAKER, sagemaker_endpoint.matches),
    )
    return next((each for each, matches in matching if any(matches(data) for data in documents)), None)


def _services(
    documents: Sequence[Any], uris: ModelUris, subject: str
) -> tuple[list[EndpointDraft], tuple[Finding, ...]]:
    """The InferenceServices, and that the other objects are nothing that is converted."""
    every = [item for data in documents for item in inference_service.objects(data)]
    services = [item for item in every if inference_service.is_converted(item)]
    if not services:
        rule = "must be serving.kserve.io/v1beta1 or of serving.kubeflow.org; ask a cluster with KServe for it"
        versions = {str(item.get("apiVersion")) for item in every if inference_service.matches(item)}
        faults = [f"it has an InferenceService of the version {version}, {rule}" for version in sorted(versions)]
        raise InputError(subject, faults if faults else ["it has no InferenceService, must have one of v1beta1"])
    others = [item for item in every if not inference_service.is_converted(item)]
    drafts = [inference_service.convert(item, uris, others) for item in services]
    beside = SourceDocument({f"{item.get('kind')} {_name(item)}": None for item in others})
    for key, part in beside.root.parts():
        if str(key).startswith("ServiceAccount "):
            part.ignore("its annotations are at the endpoints whose pods were this account")
        else:
            part.lose("only InferenceServices are converted; write it with Pulumi or keep it as it is")
    return drafts, beside.findings()


def _name(item: Mapping[str, Any]) -> str:
    metadata = item.get("metadata")
    return str(metadata.get("name")) if isinstance(metadata, Mapping) else ""


def _require_names(endpoints: Sequence[EndpointDraft], subject: str) -> None:
    names = [draft.name for draft in endpoints]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        rule = "a platform has one of a name; rename or remove the others"
        raise InputError(subject, [f"it has several endpoints {name}, {rule}" for name in twice])


def _plain(value: Any) -> Any:
    """As JSON has it; a value that the program reads from its configuration is {"config": KEY}."""
    if isinstance(value, Setting):
        return {"config": value.key, **({"secret": True} if value.secret else {})}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return str(error) if mark is None else f"at line {mark.line + 1}"
