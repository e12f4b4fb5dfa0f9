"""PopProxy: the Envoys that clients reach.

They terminate TLS, authenticate callers, and send requests to the LoadBalancer. Not created here: DNS names, and
certificates of a public authority (give their Secret as `tls_secret`).
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import checks, manifests, network_policies
from headrace.components.kubernetes.object import KubernetesObject
from headrace.components.platform.certificate import Certificate
from headrace.components.platform.platform_program import platform_program
from headrace.components.platform.proxy_pod import config_data, proxy_bootstrap, proxy_pod
from headrace.contract import names

_TLS_SECRET = f"{names.POP_PROXY}-tls"
_NODE_PORT = 30443


class Exposure(StrEnum):
    """How clients outside the cluster reach the PopProxy."""

    LOAD_BALANCER = "load_balancer"
    """A Service of type LoadBalancer: the cloud gives it an address."""
    NODE_PORT = "node_port"
    """A port of every node: for clusters without a provider of load balancers."""


class PopProxyArgs(TypedDict):
    """Inputs of PopProxy."""

    image: pulumi.Input[str]
    """Image that holds Envoy, pinned by digest."""
    exposure: NotRequired[Exposure]
    """How clients reach it. Default load_balancer."""
    host: NotRequired[str]
    """DNS name or address that clients use. Required with node_port; absent with load_balancer: the address that the
    Service gets, which the certificate cannot name."""
    node_port: NotRequired[int]
    """Port of the nodes, with exposure node_port. Default 30443."""
    server_names: NotRequired[list[str]]
    """DNS names and addresses, besides `host`, for which the certificate is valid."""
    tls_secret: NotRequired[str]
    """Name of a kubernetes.io/tls Secret in the platform's namespace, made by others (cert-manager, for example).
    Absent: a certificate of a private authority is made and renewed."""
    replicas: NotRequired[int]
    """Copies. Default 2, so that a lost node does not stop traffic."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class PopProxy(pulumi.ComponentResource):
    """Deployment, Service and certificate of the proxy at a point of presence, in the platform's namespace."""

    url: pulumi.Output[str]
    """Base address for clients, https://host:port."""
    address: pulumi.Output[str]
    """Name or address where it can be reached: what the DNS name `host` must lead to."""
    ca_certificate: pulumi.Output[str]
    """PEM of the authority a client must trust; empty when `tls_secret` was given."""

    def __init__(self, name: str, args: PopProxyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        exposure = args.get("exposure", Exposure.LOAD_BALANCER)
        node_port = int(args.get("node_port", _NODE_PORT))
        replicas = int(args.get("replicas", manifests.REPLICAS))
        checks.require(
            f"PopProxy '{name}'",
            checks.known_keys(args, PopProxyArgs.__annotations__),
            checks.present(args, "image"),
            exposure_faults(args),
            checks.at_least("replicas", replicas, 1),
            checks.labels("labels", args.get("labels", {})),
        )
        exposure = Exposure(exposure)
        super().__init__("headrace:index:PopProxy", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = manifests.standard_labels(names.POP_PROXY, args.get("labels", {}))
        tls_secret = args.get("tls_secret")
        after: list[pulumi.Resource] = []
        if tls_secret is None:
            tls_secret = _TLS_SECRET
            certificate = Certificate(f"{name}-certificate", _server_names(args), child)
            pair = {"tls.crt": certificate.certificate, "tls.key": certificate.private_key}
            files = {**pair, "ca.crt": certificate.ca_certificate}
            secret = manifests.tls_secret(tls_secret, names.SYSTEM_NAMESPACE, labels=labels, files=files)
            after.append(KubernetesObject(f"{name}-tls", secret, child))
            self.ca_certificate = certificate.ca_certificate
        else:
            self.ca_certificate = pulumi.Output.from_input("")
        program, bootstrap = names.POP_PROXY, proxy_bootstrap(names.POP_PROXY)
        pod = proxy_pod(
            program, image=args["image"], labels=labels, port=names.POP_PORT, bootstrap=bootstrap, tls_secret=tls_secret
        )
        open_to_nodes = exposure is Exposure.NODE_PORT
        port = manifests.service_port("proxy", names.POP_PORT, protocol="https")
        service = platform_program(
            program,
            name=name,
            parent=self,
            labels=labels,
            pod=pod,
            policy=network_policies.pop_proxy(names.SYSTEM_NAMESPACE, labels=labels),
            replicas=replicas,
            port={**port, **({"nodePort": node_port} if open_to_nodes else {"port": 443})},
            service_type="NodePort" if open_to_nodes else "LoadBalancer",
            files=config_data(bootstrap),
            after=after,
        )
        host = args.get("host", "")
        if open_to_nodes:
            self.address = pulumi.Output.from_input(host)
            self.url = pulumi.Output.from_input(f"https://{host}:{node_port}")
        else:
            self.address = service.status.apply(_ingress_address)
            # A host is known in a preview, and before there is an address.
            self.url = pulumi.Output.concat("https://", host or self.address)
        self.register_outputs({"url": self.url, "address": self.address, "ca_certificate": self.ca_certificate})


def exposure_faults(args: Mapping[str, Any]) -> Iterator[str]:
    """Faults of the inputs on how clients reach the proxy, which ServingPlatform passes on."""
    exposure = args.get("exposure", Exposure.LOAD_BALANCER)
    yield from checks.choice("exposure", exposure, [known.value for known in Exposure])
    yield from checks.node_port("node_port", args.get("node_port", _NODE_PORT))
    yield from checks.texts("server_names", args.get("server_names", []))
    if exposure == Exposure.NODE_PORT and not args.get("host"):
        yield "host is missing with exposure = node_port; set it to a name or address of a node that clients reach"


def _server_names(args: PopProxyArgs) -> list[str]:
    """Names of the certificate: the user's, then those that always lead here."""
    given = [args["host"]] if args.get("host") else []
    inside = f"{names.POP_PROXY}.{names.SYSTEM_NAMESPACE}.svc"
    return list(dict.fromkeys([*given, *args.get("server_names", []), "localhost", "127.0.0.1", inside]))


def _ingress_address(status: Mapping[str, Any]) -> str:
    """The name (AWS) or address (others) that a load balancer got."""
    ingress = status["loadBalancer"]["ingress"][0]
    return str(ingress.get("hostname") or ingress["ip"])
