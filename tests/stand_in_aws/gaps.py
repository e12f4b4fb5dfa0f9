"""The calls that moto 5.2.5 lacks: parts of EKS, templates of ECR's repositories, service quotas.

Requests come from boto3, which has held them to AWS' own model of the service; here they are kept and given back.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]

_EKS: Final = re.compile(
    r"/clusters/(?P<cluster>[^/]+)/(?P<kind>addons|access-entries|pod-identity-associations)(?P<rest>/.*)?"
)
_CLUSTER: Final = re.compile(r"/clusters(?:/(?P<cluster>[^/]+))?")
_TEMPLATES: Final = "AmazonEC2ContainerRegistry_V20150921."
_QUOTAS: Final = "ServiceQuotasV20190624."
_WRAPPED: Final = {"addons": "addon", "access-entries": "accessEntry", "pod-identity-associations": "association"}
_NAMED: Final = {"addons": "addonName", "access-entries": "principalArn", "pod-identity-associations": "associationId"}


class Gaps:
    """A WSGI application in front of moto's."""

    def __init__(self, moto: App, *, quotas: dict[str, float]) -> None:
        """`quotas` are values by the quota's code; one that is not there is a thousand."""
        self._moto = moto
        self._quotas = quotas
        self._eks: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self._policies: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self._templates: dict[str, dict[str, Any]] = {}

    def __call__(self, environ: Environ, start: Any) -> Iterable[bytes]:
        """One request, answered here or by moto."""
        path, target = _path(environ), environ.get("HTTP_X_AMZ_TARGET", "")
        if found := _EKS.fullmatch(path):
            answer = self._of_eks(environ, found["cluster"], found["kind"], (found["rest"] or "").lstrip("/"))
        elif target.startswith(_TEMPLATES) and "CreationTemplate" in target:
            answer = self._template(target.removeprefix(_TEMPLATES), _body(environ))
        elif target.startswith(_QUOTAS):
            code = _body(environ)["QuotaCode"]
            answer = {"Quota": {"QuotaCode": code, "Value": self._quotas.get(code, 1000.0)}}
        else:
            return self._moto(environ, start)
        status = "404 Not Found" if answer is None else "200 OK"
        headers = [("Content-Type", "application/json")]
        if answer is None:
            headers.append(("x-amzn-errortype", "ResourceNotFoundException"))
        start(status, headers)
        return [json.dumps(answer or {"message": f"{path} does not exist"}).encode()]

    def _of_eks(self, environ: Environ, cluster: str, kind: str, rest: str) -> dict[str, Any] | None:
        held = self._eks.setdefault((cluster, kind), {})
        method, wrapped = environ["REQUEST_METHOD"], _WRAPPED[kind]
        principal, _, policy = rest.partition("/access-policies")
        if "/access-policies" in rest:
            return self._policy(method, (cluster, principal), policy.lstrip("/"), environ)
        if method == "POST" and (not rest or rest.removesuffix("/update") not in held):
            made = _body(environ)
            name = made.setdefault(_NAMED[kind], f"a-{len(held):017x}")
            held[name] = {"clusterName": cluster, "status": "ACTIVE", **made}
            return {wrapped: held[name]}
        if method == "POST":
            held[rest.removesuffix("/update")].update(_body(environ))
            return {"update": {"id": "1", "status": "Successful"}, wrapped: held[rest.removesuffix("/update")]}
        if not rest:
            listed = list(held.values() if kind == "pod-identity-associations" else held)
            return {{"addons": "addons", "access-entries": "accessEntries"}.get(kind, "associations"): listed}
        found = held.pop(rest, None) if method == "DELETE" else held.get(rest)
        return None if found is None else {wrapped: found}

    def _policy(self, method: str, entry: tuple[str, str], policy: str, environ: Environ) -> dict[str, Any] | None:
        held = self._policies.setdefault(entry, {})
        if method == "POST":
            made = _body(environ)
            held[made["policyArn"]] = made
            return {"clusterName": entry[0], "principalArn": entry[1], "associatedAccessPolicy": made}
        if method == "DELETE":
            return None if held.pop(policy, None) is None else {}
        return {"clusterName": entry[0], "principalArn": entry[1], "associatedAccessPolicies": list(held.values())}

    def _template(self, operation: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if operation.startswith("Describe"):
            wanted = body.get("prefixes", list(self._templates))
            return {"repositoryCreationTemplates": [self._templates[p] for p in wanted if p in self._templates]}
        if operation.startswith("Delete"):
            removed = self._templates.pop(body["prefix"], None)
        else:
            removed = self._templates[body["prefix"]] = {**self._templates.get(body["prefix"], {}), **body}
        return None if removed is None else {"repositoryCreationTemplate": removed}


def _path(environ: Environ) -> str:
    return str(environ.get("PATH_INFO", ""))


def _body(environ: Environ) -> dict[str, Any]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return dict(json.loads(environ["wsgi.input"].read(length) or b"{}"))
