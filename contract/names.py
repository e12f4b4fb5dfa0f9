"""Names that two or more programs must spell alike: objects, labels, ports, paths, headers, variables.

A name that only one program uses does not belong here.
"""

import re
from typing import Final

# --- Objects ---------------------------------------------------------------------------------------------------
API_GROUP: Final = "serving.headrace.dev"
API_VERSION: Final = "v1alpha1"
MODEL_ENDPOINT_KIND: Final = "ModelEndpoint"
MODEL_ENDPOINT_PLURAL: Final = "modelendpoints"
APA_KIND: Final = "AutopilotPodAutoscaler"
APA_PLURAL: Final = "autopilotpodautoscalers"

DEFAULT_TIMEOUT_SECONDS: Final = 297.0
"""Longest time one request may take where nobody says: the limit of the reference platform."""

SYSTEM_NAMESPACE: Final = "headrace-system"
"""Where the proxies, the control plane and the autoscaler run."""

POP_PROXY: Final = "pop-proxy"
LOAD_BALANCER: Final = "load-balancer"
ROUTING: Final = "routing"
AUTOSCALER: Final = "autoscaler"
MANAGEMENT: Final = "management"
ACTIVATOR: Final = "activator"
ROLLOUT: Final = "rollout"
TABLES: Final = "tables"
CONSOLE: Final = "console"
COLLECTOR: Final = "collector"
"""Names of the platform's Deployments and Services, and values of COMPONENT_LABEL."""
PLATFORM_CONFIG_MAP: Final = "platform"
"""ConfigMap in SYSTEM_NAMESPACE by which people's tools find the platform: PLATFORM_URL_KEY and CA_KEY."""
PLATFORM_URL_KEY: Final = "url"
"""Base address for clients, https://host:port."""
CA_KEY: Final = "ca.crt"
"""PEM of the authority that clients must trust; empty where a public one signed the certificate."""
CONTROL_PLANE_HOST: Final = f"{ROUTING}.{SYSTEM_NAMESPACE}.svc.cluster.local"
"""Where the proxies find the control plane, and the name in its certificate."""
IDENTITY_DIRECTORY: Final = "/etc/headrace/identity"
"""In the pods of the proxies and the control plane: tls.crt and tls.key, by which they prove who they are to each
other, and ca.crt, which says whom they believe. A proxy's certificate has its name of those above."""

# --- Labels ----------------------------------------------------------------------------------------------------
COMPONENT_LABEL: Final = f"{API_GROUP}/component"
"""On platform pods: which part of the platform this is."""
ENDPOINT_LABEL: Final = f"{API_GROUP}/endpoint"
"""On model pods, their Services and EndpointSlices: the endpoint's name."""
VERSION_LABEL: Final = f"{API_GROUP}/version"
"""On model pods, their Services and EndpointSlices: the served version's name."""
GPU_POOL_LABEL: Final = f"{API_GROUP}/gpu-pool"
"""On nodes with GPUs: the pool they belong to; models select it."""
EVIDENCE_ANNOTATION: Final = f"{API_GROUP}/evidence"
"""On a ModelEndpoint that was promoted: the signed evidence of its version from the stack before, as text."""

# --- Ports -----------------------------------------------------------------------------------------------------
POP_PORT: Final = 8443
"""PopProxy: TLS."""
LOAD_BALANCER_PORT: Final = 8080
"""LoadBalancer: HTTP/2 without TLS inside the cluster."""
XDS_PORT: Final = 18000
"""Control plane: ADS over gRPC and TLS, for callers with a certificate of the proxies."""
MANAGEMENT_PORT: Final = 8082
"""Management API: HTTP without TLS inside the cluster."""
ACTIVATOR_PORT: Final = 8083
"""Activator: gRPC without TLS inside the cluster, for the LoadBalancer alone."""
TABLES_PORT: Final = 8084
"""Table writer: HTTP without TLS inside the cluster, for sidecars and the console, who show their pod's token."""
CONSOLE_PORT: Final = 8085
"""Console: HTTP without TLS inside the cluster, for the PopProxy alone."""
OTLP_GRPC_PORT: Final = 4317
"""Collector: OTLP over gRPC, for the proxies."""
OTLP_HTTP_PORT: Final = 4318
"""Collector: OTLP over HTTP, for model pods."""
CONTROL_HEALTH_PORT: Final = 8081
"""Control plane, management API, activator, autoscaler, rollout controller, table writer and console: /healthz,
/readyz, /metrics."""
ENVOY_ADMIN_PORT: Final = 9901
"""Envoy's admin interface, on the pod's loopback only."""
ENVOY_STATS_PORT: Final = 9902
"""Envoy listener that serves /stats/prometheus and /ready and nothing else of the admin interface."""
FRONT_PORT: Final = 8080
"""Model pod: the front's HTTP port, for gRPC too, which reaches it over HTTP/1.1."""
FRONT_ADMIN_PORT: Final = 8002
"""Model pod: concurrency limit, metrics, proof and answers; only the autoscaler, the management API, Prometheus, the
control plane and the rollout controller may reach it."""
SIDECAR_PORT: Final = 8003
"""Model pod: metrics of the sidecar, where there is one."""

# --- Paths inside a model image --------------------------------------------------------------------------------
FRONT_HOME: Final = "/opt/headrace"
"""The platform's environment and code: `site` holds packages, importable as headrace.*."""
MODEL_ENVIRONMENT: Final = "/opt/model/env"
"""A virtual environment with exactly the model's logged requirements."""
MODEL_PYTHON: Final = "/opt/model/python"
"""The interpreter of that environment, where the one that the front runs on is of another minor version."""
MODEL_HOME: Final = "/opt/model/model"
"""The MLflow model directory (holds MLmodel)."""

FRONT_SITE: Final = f"{FRONT_HOME}/site"
"""On PYTHONPATH of every Headrace process in a container, never of a model worker."""
ENVOY_BINARY: Final = "/usr/local/bin/envoy"
COLLECTOR_BINARY: Final = "/usr/local/bin/collector"
RUN_AS_USER: Final = 65532
"""Numeric user and group of every container we build; numeric so that the kubelet can prove it is not root."""

# --- Environment variables of a model pod ----------------------------------------------------------------------
ENV_ENDPOINT: Final = "HEADRACE_ENDPOINT"
ENV_VERSION: Final = "HEADRACE_VERSION"
ENV_IMAGE: Final = "HEADRACE_IMAGE"
"""The pod's own image, pinned by digest, so that what the pod finds out is not taken for another image's."""
ENV_CONCURRENCY: Final = "HEADRACE_CONCURRENCY"
"""Hard admission limit at start; the autoscaler changes it through the admin port. Absent: derived from cores."""
ENV_WORKERS: Final = "HEADRACE_WORKERS"
"""Number of worker processes. Absent: derived from the pod's CPU limit."""
ENV_GRACE_SECONDS: Final = "HEADRACE_GRACE_SECONDS"
"""How long the front may spend draining after SIGTERM."""
ENV_TIMEOUT_SECONDS: Final = "HEADRACE_TIMEOUT_SECONDS"
"""Longest time one request may take in the pod, queueing included. Absent: ModelEndpointSpec.timeout_seconds."""

# --- HTTP ------------------------------------------------------------------------------------------------------
SERVED_MODEL_HEADER: Final = "served-model-name"
"""Response header that the Databricks SDK reads."""
REQUEST_ID_HEADER: Final = "x-request-id"
ENDPOINT_HEADER: Final = "x-headrace-endpoint"
"""Set by the PopProxy after authentication, stripped from clients."""
SUBJECT_HEADER: Final = "x-headrace-subject"
"""The verified subject of the caller's token, with its issuer's prefix: set by the PopProxy, stripped from clients."""
GROUPS_HEADER: Final = "x-headrace-groups"
"""The caller's groups, as `contract.caller` reads them, for the platform's own programs: set by the PopProxy, stripped
from clients; no pod sees it."""

CLUSTER_HEADER: Final = "x-headrace-cluster"
"""Set by the LoadBalancer: `<endpoint>/<version>` that a request was routed to. Stripped from clients."""
DESTINATION_HEADER: Final = "x-envoy-original-dst-host"
"""Envoy's name: address and port of the pod that the activator gives a request to. Stripped from clients."""
TIMEOUT_HEADER: Final = "x-headrace-timeout-ms"
"""Set by the LoadBalancer: longest time a request to the endpoint may take. Stripped from clients."""
UNPROCESSED_HEADER: Final = "x-headrace-unprocessed"
"""Set by the front on a refusal of a request that no worker has seen: the LoadBalancer may try another pod."""

GRPC_SERVICE: Final = "inference.GRPCInferenceService"
"""The Open Inference Protocol's service; its methods are the paths `/<service>/<method>` of HTTP/2."""

TOKEN_AUDIENCE: Final = "headrace"
"""Audience a caller's JWT must carry."""

DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""RFC 1123 label, as Kubernetes checks namespace and service names."""

ENDPOINT_NAME_MAX: Final = 63 - len("endpoint-")
"""Longest endpoint name: its namespace is `endpoint-<name>` and must be a DNS label."""


def endpoint_namespace(endpoint: str) -> str:
    """The namespace that isolates one endpoint."""
    return f"endpoint-{endpoint}"


def invocations_path(endpoint: str) -> str:
    """Path, on the PoP, that scores with the endpoint's current traffic split."""
    return f"/serving-endpoints/{endpoint}/invocations"
