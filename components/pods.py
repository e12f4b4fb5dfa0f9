"""Pure functions to pod templates. Every pod here is admitted under the Pod Security Standard `restricted`."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

import pulumi

from headrace.components import envoy_bootstrap, flows, probes
from headrace.components.manifests import Labels, Manifest
from headrace.components.sizing import GPU_RESOURCE, Allotment
from headrace.contract import names
from headrace.contract.runtime import ENV_ENGINE, EnginePlan

PRE_STOP_SECONDS: Final = 5
"""How long a pod that must go stays ready. The front serves on for 5 s more after SIGTERM, so that a version's only pod
answers for 10 s, in which a small model's next pod starts."""
_FRONT_LEAVES_SECONDS: Final = 7
"""Of its grace, the front spends 5 s serving on and up to 2 s stopping its workers."""
_EXIT_SECONDS: Final = 5
"""Between the end of the drain and SIGKILL."""
_PROXY_DRAIN_SECONDS: Final = 300
"""A proxy that leaves waits for its last request, which may take 297 s and a little; an idle one ends after seconds."""

_ENGINE_SCRATCH: Final = "512Mi"
"""For what engines compile at start (vLLM: tens of MB of kernels and graphs) and their sockets."""
_GPU_TOLERATION: Final = {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
"""Nodes with GPUs keep pods without that away, by this taint on every managed Kubernetes."""

_CONFIG_DIGEST: Final = f"{names.API_GROUP}/config-digest"
_CONFIG_FILE: Final = "envoy.json"
_CONFIG_PATH: Final = f"/etc/headrace/{_CONFIG_FILE}"
_TLS_PATH: Final = "/etc/headrace/tls"
_PROMETHEUS_FILE: Final = "prometheus.json"  # JSON is YAML
_PROMETHEUS_PATH: Final = f"/etc/headrace/{_PROMETHEUS_FILE}"
_PROMETHEUS_DATA: Final = "/prometheus"
_UNREACHABLE_SECONDS: Final = 20
"""A lost node's only pod is started elsewhere after this; Kubernetes' own default is five minutes."""


def model_pod(
    *,
    endpoint: str,
    version: str,
    image: pulumi.Input[str],
    account: str,
    labels: Labels,
    allotment: Allotment,
    timeout_seconds: float,
    start_seconds: int,
    engine: EnginePlan | None = None,
) -> Manifest:
    """The pod template of one version of one model, which `engine` serves, or our own workers where that is None.

    Ready means that /ping answered, which the front allows only after a warm-up prediction. Alive is asked elsewhere
    (/health) and far less often, so that a busy model is not mistaken for a dead one. `start_seconds` is how long
    loading may take, `timeout_seconds` how long one request may: after SIGTERM a pod lives on until the last one it
    accepted can be done, and ends at once when it has none.
    """
    drain_seconds = _drain_seconds(timeout_seconds)
    selector = {names.ENDPOINT_LABEL: endpoint, names.VERSION_LABEL: version}
    container = {
        "name": "model",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": _environment(
            {
                names.ENV_ENDPOINT: endpoint,
                names.ENV_VERSION: version,
                names.ENV_TIMEOUT_SECONDS: f"{timeout_seconds:g}",
                names.ENV_GRACE_SECONDS: str(drain_seconds),
                "HOME": "/tmp",  # libraries write caches beneath it, and the root file system is read-only
                **({} if engine is None else {ENV_ENGINE: json.dumps(engine.to_json(), sort_keys=True)}),
                # each worker of ours loads the model, and a GPU holds it once
                **({names.ENV_WORKERS: "1"} if engine is None and allotment.gpus else {}),
            }
        ),
        "ports": _ports({"http": names.FRONT_PORT, "grpc": names.FRONT_GRPC_PORT, "admin": names.FRONT_ADMIN_PORT}),
        "resources": allotment.manifest(),
        "startupProbe": (probes.of_start if engine is None else probes.of_engine_start)(start_seconds),
        "readinessProbe": probes.probe("/ping", "http", period=3, timeout=3, failures=2),
        "livenessProbe": probes.probe("/health", "http", period=10, timeout=5, failures=3),
        "lifecycle": _linger(),
        "securityContext": _container_security(),
        "volumeMounts": [_scratch_mount()],
    }
    volumes = [_scratch("64Mi" if engine is None else _ENGINE_SCRATCH)]
    if allotment.shared_memory_mib:
        volumes.append(_memory("shared-memory", f"{allotment.shared_memory_mib}Mi"))
        container["volumeMounts"] = [_scratch_mount(), {"name": "shared-memory", "mountPath": "/dev/shm"}]
    return {
        "metadata": {"labels": {**labels, **selector}},
        "spec": {
            **_pod_base(account, selector),
            **({"tolerations": [_GPU_TOLERATION]} if allotment.gpus else {}),
            "terminationGracePeriodSeconds": grace_seconds(timeout_seconds),
            "containers": [container],
            "volumes": volumes,
        },
    }


def grace_seconds(timeout_seconds: float) -> int:
    """How long a model's pod may take to go, when its requests may take `timeout_seconds`."""
    return PRE_STOP_SECONDS + _drain_seconds(timeout_seconds) + _EXIT_SECONDS


def proxy_pod(
    component: str,
    *,
    image: pulumi.Input[str],
    account: str,
    labels: Labels,
    port: int,
    bootstrap: Mapping[str, Any],
    tls_secret: str | None = None,
) -> Manifest:
    """The pod template of an Envoy, started from the ConfigMap of its own name that holds `bootstrap`."""
    selector = {names.COMPONENT_LABEL: component}
    mounts = [
        _scratch_mount(),
        {"name": "config", "mountPath": _CONFIG_PATH, "subPath": _CONFIG_FILE, "readOnly": True},
    ]
    volumes: list[Manifest] = [_scratch("16Mi"), {"name": "config", "configMap": {"name": component}}]
    if tls_secret is not None:
        # A volume of its own: Envoy watches its directory, and a renewed certificate is served without a restart.
        mounts.append({"name": "tls", "mountPath": _TLS_PATH, "readOnly": True})
        volumes.append({"name": "tls", "secret": {"secretName": tls_secret, "defaultMode": 0o440}})
    container = {
        "name": "envoy",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [
            names.ENVOY_BINARY,
            "--config-path",
            _CONFIG_PATH,
            "--service-cluster",
            component,
            "--service-node",
            "$(POD_NAME)",
            "--concurrency",
            "2",
            "--disable-hot-restart",
            "--log-level",
            "warning",
            *envoy_bootstrap.ARGUMENTS,
        ],
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": _ports({"proxy": port, "stats": names.ENVOY_STATS_PORT}),
        "resources": _proxy_resources(),
        "startupProbe": probes.probe("/ready", "stats", period=1, timeout=2, failures=120),
        "readinessProbe": probes.probe("/ready", "stats", period=2, timeout=2, failures=2),
        # A port, not /ready: an Envoy that drains is not ready and must not be killed for it.
        "livenessProbe": {
            "tcpSocket": {"port": "stats"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "lifecycle": {
            "preStop": {
                "exec": {"command": envoy_bootstrap.drain_command(component, longest_seconds=_PROXY_DRAIN_SECONDS)}
            }
        },
        "securityContext": _container_security(),
        "volumeMounts": mounts,
    }
    return {
        "metadata": {
            "labels": {**labels, **selector},
            "annotations": {_CONFIG_DIGEST: hashlib.sha256(config_text(bootstrap).encode()).hexdigest()},
        },
        "spec": {
            **_pod_base(account, selector),
            "terminationGracePeriodSeconds": _PROXY_DRAIN_SECONDS + _EXIT_SECONDS,
            "containers": [container],
            "volumes": volumes,
        },
    }


def controller_pod(
    program: str,
    *,
    image: pulumi.Input[str],
    labels: Labels,
    ports: Mapping[str, int],
    environment: Mapping[str, str] | None = None,
) -> Manifest:
    """The pod template of a program that talks to the API server: `python -m headrace.<program>`, with a token.

    It answers /healthz and /readyz on its port `health`, which is added to `ports`.
    """
    selector = {names.COMPONENT_LABEL: program}
    container = {
        "name": program,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-m", f"headrace.{program}"],  # to the interpreter that the image starts
        "env": _environment(environment or {}),
        "ports": _ports({**ports, "health": names.CONTROL_HEALTH_PORT}),
        "resources": {
            "requests": {"cpu": "50m", "memory": "256Mi", "ephemeral-storage": "16Mi"},
            "limits": {"cpu": "1000m", "memory": "256Mi", "ephemeral-storage": "256Mi"},
        },
        "startupProbe": probes.probe("/healthz", "health", period=1, timeout=3, failures=120),
        "readinessProbe": probes.probe("/readyz", "health", period=2, timeout=3, failures=2),
        "livenessProbe": probes.probe("/healthz", "health", period=10, timeout=5, failures=3),
        "securityContext": _container_security(),
        "volumeMounts": [_scratch_mount()],
    }
    return {
        "metadata": {"labels": {**labels, **selector}},
        "spec": {
            **_pod_base(program, selector),
            "automountServiceAccountToken": True,
            "terminationGracePeriodSeconds": 15,
            "containers": [container],
            "volumes": [_scratch("16Mi")],
        },
    }


def prometheus_pod(
    program: str, *, image: pulumi.Input[str], labels: Labels, config: Mapping[str, Any], memory_mib: int
) -> Manifest:
    """The pod template of a Prometheus, started from the ConfigMap of its own name that holds `config`.

    It keeps ten minutes in blocks of five: Prometheus' own blocks of two hours would be held in memory for up to three.
    """
    selector = {names.COMPONENT_LABEL: program}
    memory = f"{memory_mib}Mi"
    container = {
        "name": program,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            f"--config.file={_PROMETHEUS_PATH}",
            f"--storage.tsdb.path={_PROMETHEUS_DATA}",
            "--storage.tsdb.retention.time=10m",
            "--storage.tsdb.min-block-duration=5m",
            "--storage.tsdb.max-block-duration=5m",
            "--storage.tsdb.wal-segment-size=10MB",
            # A source that went silent is no data after seconds; by default its last word would count for 5 minutes.
            "--query.lookback-delta=10s",
            "--query.max-samples=2000000",
            "--query.timeout=10s",
            f"--web.listen-address=:{flows.PROMETHEUS_PORT}",
            "--log.level=warn",
        ],
        # The collector works harder before the kernel's killer comes.
        "env": _environment({"GOMEMLIMIT": f"{memory_mib * 9 // 10}MiB"}),
        "ports": _ports({"web": flows.PROMETHEUS_PORT}),
        "resources": {
            "requests": {"cpu": "50m", "memory": memory, "ephemeral-storage": "64Mi"},
            "limits": {"cpu": "1000m", "memory": memory, "ephemeral-storage": "2Gi"},
        },
        "startupProbe": probes.probe("/-/ready", "web", period=1, timeout=3, failures=120),
        "readinessProbe": probes.probe("/-/ready", "web", period=2, timeout=3, failures=2),
        "livenessProbe": probes.probe("/-/healthy", "web", period=10, timeout=5, failures=3),
        "securityContext": _container_security(),
        "volumeMounts": [
            _scratch_mount(),
            {"name": "data", "mountPath": _PROMETHEUS_DATA},
            {"name": "config", "mountPath": _PROMETHEUS_PATH, "subPath": _PROMETHEUS_FILE, "readOnly": True},
        ],
    }
    return {
        "metadata": {
            "labels": {**labels, **selector},
            "annotations": {_CONFIG_DIGEST: hashlib.sha256(config_text(config).encode()).hexdigest()},
        },
        "spec": {
            **_pod_base(program, selector),
            "terminationGracePeriodSeconds": 15,
            "tolerations": [
                {
                    "key": f"node.kubernetes.io/{fault}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": _UNREACHABLE_SECONDS,
                }
                for fault in ("not-ready", "unreachable")
            ],
            "containers": [container],
            "volumes": [
                _scratch("16Mi"),
                {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}},
                {"name": "config", "configMap": {"name": program}},
            ],
        },
    }


def prometheus_data(config: Mapping[str, Any]) -> dict[str, str]:
    """The `data` of the ConfigMap that `prometheus_pod` mounts."""
    return {_PROMETHEUS_FILE: config_text(config)}


def config_text(bootstrap: Mapping[str, Any]) -> str:
    """The text of a configuration, the same for the same data."""
    return json.dumps(bootstrap, indent=1, sort_keys=True)


def config_data(bootstrap: Mapping[str, Any]) -> dict[str, str]:
    """The `data` of the ConfigMap that `proxy_pod` mounts."""
    return {_CONFIG_FILE: config_text(bootstrap)}


def _drain_seconds(timeout_seconds: float) -> int:
    return math.ceil(timeout_seconds) + _FRONT_LEAVES_SECONDS


def _pod_base(account: str, selector: Labels) -> Manifest:
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # a variable for each Service of the namespace, read by nobody
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": names.RUN_AS_USER,
            "runAsGroup": names.RUN_AS_USER,
            "fsGroup": names.RUN_AS_USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": dict(selector)},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
    }


def _container_security() -> Manifest:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
    }


def _proxy_resources() -> Manifest:
    """No CPU limit: throttling a proxy adds latency to every endpoint at once.

    Memory: 17 MiB idle, and up to twice each body in flight, of 16 MiB at most (three at once: 106 MiB, measured).
    """
    return {
        "requests": {"cpu": "100m", "memory": "512Mi", "ephemeral-storage": "16Mi"},
        "limits": {"memory": "512Mi", "ephemeral-storage": "256Mi"},
    }


def _environment(values: Mapping[str, str]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _ports(ports: Mapping[str, int]) -> list[Manifest]:
    return [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()]


def _linger() -> Manifest:
    return {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}}


def _scratch(size: str) -> Manifest:
    """In memory, so that it is counted and capped with the container's own."""
    return _memory("scratch", size)


def _memory(name: str, size: str) -> Manifest:
    return {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": size}}


def _scratch_mount() -> Manifest:
    return {"name": "scratch", "mountPath": "/tmp"}
