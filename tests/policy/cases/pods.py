"""Pods that break rules, one change of the good Deployment at a time."""

from collections.abc import Callable
from typing import Any

from judging import Case, deployment
from rules.pods import (
    account,
    api_token,
    bounds,
    digest,
    plain_secret,
    probes,
    read_only_root,
    registry,
    restricted,
)

_HOST_PATH = {"name": "root", "hostPath": {"path": "/"}}
_BROKEN: list[tuple[Any, Callable[[Any, Any, Any], Any], str]] = [
    (digest.RULE, lambda spec, pod, c: c.update(image="registry.example/model:v7"), "pin it"),
    (digest.RULE, lambda spec, pod, c: c.pop("image"), "pin it"),
    (digest.RULE, lambda spec, pod, c: pod.update(initContainers=[{"name": "first", "image": "x:latest"}]), "first"),
    (bounds.RULE, lambda spec, pod, c: c.pop("resources"), "resources.limits for memory and ephemeral-storage"),
    (bounds.RULE, lambda spec, pod, c: c["resources"]["limits"].pop("memory"), "resources.limits for memory"),
    (bounds.RULE, lambda spec, pod, c: c["resources"]["requests"].pop("cpu"), "resources.requests for cpu"),
    (restricted.RULE, lambda spec, pod, c: pod.update(hostNetwork=True), "hostNetwork"),
    (restricted.RULE, lambda spec, pod, c: pod.update(volumes=[_HOST_PATH]), "root"),
    (restricted.RULE, lambda spec, pod, c: pod.pop("securityContext"), "seccompProfile"),
    (restricted.RULE, lambda spec, pod, c: c.pop("securityContext"), "allowPrivilegeEscalation"),
    (restricted.RULE, lambda spec, pod, c: c["securityContext"].update(privileged=True), "privileged"),
    (restricted.RULE, lambda spec, pod, c: c["securityContext"].update(runAsUser=0), "root"),
    (
        restricted.RULE,
        lambda spec, pod, c: c["securityContext"]["capabilities"].update(add=["NET_RAW"]),
        "capabilities",
    ),
    (restricted.RULE, lambda spec, pod, c: c.update(ports=[{"hostPort": 80}]), "hostPort"),
    (read_only_root.RULE, lambda spec, pod, c: c["securityContext"].update(readOnlyRootFilesystem=False), "changed"),
    (read_only_root.RULE, lambda spec, pod, c: c.pop("securityContext"), "changed"),
    (api_token.RULE, lambda spec, pod, c: pod.pop("automountServiceAccountToken"), "token"),
    (account.RULE, lambda spec, pod, c: pod.pop("serviceAccountName"), "'default'"),
    (account.RULE, lambda spec, pod, c: pod.update(serviceAccountName="default"), "'default'"),
    (probes.RULE, lambda spec, pod, c: c.pop("readinessProbe"), "set readinessProbe"),
    (probes.RULE, lambda spec, pod, c: c.pop("livenessProbe"), "set livenessProbe"),
    *(
        (
            plain_secret.RULE,
            lambda spec, pod, c, n=name, v=value: c.update(env=[{"name": n, "value": v}]),
            f"environment[{name}] is a plain value; use a secret",
        )
        for name, value in (
            *((name, "hush") for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "dbPassword")),
            *((name, "hush") for name in ("CLIENT_SECRET", "spring.datasource.password", "SECRET_KEY_BASE", "GIT_PAT")),
            ("NOTE", "-----BEGIN RSA PRIVATE KEY-----"),
            ("MODEL_HUB", "sk-proj-abcdefghijklmnopqrstuvwxyz"),
            ("WHO", "AKIAABCDEFGHIJKLMNOP"),
            ("DATABASE", "postgresql://reader:hush@db.example/features"),
            ("WHO", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0xx.c2lnbmF0dXJl"),
        )
    ),
]
_KEPT_ENVIRONMENT = (
    *(("TOKENIZERS_PARALLELISM", value) for value in ("false", "many")),
    *(("MAX_TOKENS", value) for value in ("512", "some")),
    *((name, "value") for name in ("AWS_ACCESS_KEY_ID", "SECRET_NAME", "TOKEN_URL", "PARTITION_KEY", "KEYBOARD")),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
    ("GOOGLE_APPLICATION_CREDENTIALS", "/var/run/google/key.json"),
    ("USE_TOKEN", "true"),
    ("PASSWORD", ""),
    ("HEADRACE_ENDPOINT", "fraud"),
    ("HUB", "https://hub.example/sk-learn"),
)
_REGISTRIES = {"registries": ["registry.example/models", "ghcr.io"]}


def _from(image: str) -> list[Any]:
    return [deployment(lambda spec, pod, c: c.update(image=image))]


CASES = [
    *(Case(rule, [deployment(change)], words) for rule, change, words in _BROKEN),
    *(
        Case(rule, [deployment()])
        for rule in (
            digest.RULE,
            registry.RULE,
            restricted.RULE,
            read_only_root.RULE,
            api_token.RULE,
            account.RULE,
            bounds.RULE,
            probes.RULE,
            plain_secret.RULE,
        )
    ),
    Case(registry.RULE, _from("registry.example/models/fraud:1"), config=_REGISTRIES),
    Case(registry.RULE, _from("ghcr.io/org/image:1"), config=_REGISTRIES),
    Case(registry.RULE, _from("registry.example/models-of-others/fraud:1"), "from none of", _REGISTRIES),
    Case(registry.RULE, _from("nginx"), "'nginx', which is from none", _REGISTRIES),
    Case(registry.RULE, _from("nginx"), config={"registries": ["docker.io/library"]}),
    Case(registry.RULE, _from("bitnami/nginx"), "from none", {"registries": ["docker.io/library"]}),
    Case(probes.RULE, [deployment(lambda spec, pod, c: (c.pop("ports"), c.pop("readinessProbe")))]),
    *(
        Case(plain_secret.RULE, [deployment(lambda s, p, c, n=name, v=value: c.update(env=[{"name": n, "value": v}]))])
        for name, value in _KEPT_ENVIRONMENT
    ),
]
