"""EksCluster: a cluster of Amazon EKS with all that a platform needs of AWS, closed by default.

It makes, in the network of an EksNetwork or in one that exists: the control plane with its key and logs, managed
add-ons, the nodes that are always there, what Karpenter needs to make all others, repositories of images and buckets.
Not created here: Karpenter itself and pools of GPUs, which are objects of the cluster (Karpenter, GpuNodePool), a name
for clients (EksEntrance), and the provider, which belongs to the program:

    cluster = EksCluster("cluster")
    kubernetes = pulumi_kubernetes.Provider("kubernetes", kubeconfig=cluster.kubeconfig)
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NotRequired, TypedDict, cast

import pulumi
import yaml
from pulumi_aws import eks

from headrace.components.cluster.cluster_ref import ClusterRef
from headrace.components.cluster.eks.account import account
from headrace.components.cluster.eks.addons import addons_before_nodes, addons_on_nodes
from headrace.components.cluster.eks.control_plane import control_plane
from headrace.components.cluster.eks.interruptions import interruption_queue
from headrace.components.cluster.eks.karpenter_role import karpenter_role
from headrace.components.cluster.eks.network import EksNetwork, NetworkRef
from headrace.components.cluster.eks.nodes import EksNodes, node_group, node_role, nodes_faults
from headrace.components.cluster.eks.owner import Owner, tag_faults
from headrace.components.cluster.eks.registry import registry
from headrace.components.cluster.eks.storage import bucket
from headrace.components.kubernetes import checks

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,37}")
"""EKS takes 100 characters, but names of roles are the cluster's, a suffix and seven digits, 64 in all."""
_VERSION: Final = re.compile(r"1\.\d{2}")
_PRINCIPAL: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/[\w+=,.@/-]+")
_DEFAULT_LOG_DAYS: Final = 365
_LOG_DAYS: Final = (*(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731), *(1827, 3653))
"""What CloudWatch takes."""


class EksClusterArgs(TypedDict):
    """Inputs of EksCluster; none is required."""

    network: NotRequired[NetworkRef]
    """Where it is put: a network that exists already, or the outputs of an EksNetwork. Absent: an EksNetwork with its
    defaults is made."""
    kubernetes_version: NotRequired[str]
    """For example 1.35. Absent: the newest that EKS has when the cluster is made; it is then not changed."""
    administrators: NotRequired[list[str]]
    """ARNs of IAM roles and users that may do everything in the cluster. Absent: only who deploys, because somebody
    must, and nobody else should without being named."""
    public_access: NotRequired[list[str]]
    """Address blocks from which the API server is reached over the internet, for example ["192.0.2.0/24"]. Default
    none: it is reached from inside the VPC only, by a VPN or a runner there, because everybody may try a public one."""
    nodes: NotRequired[EksNodes]
    """The nodes that are always there. Default two to six of 4 cores."""
    log_days: NotRequired[int]
    """Days for which the control plane's logs are kept. Default 365: most intrusions are found months later."""
    deletion_protection: NotRequired[bool]
    """Whether Pulumi and AWS refuse to delete the cluster, its key, buckets and repositories. Default true, so that no
    mistaken `pulumi destroy` takes models and tables with it; set it to false and update before you mean it."""
    tags: NotRequired[dict[str, str]]
    """Put on everything."""


_NO_ARGS: Final[EksClusterArgs] = {}


class EksCluster(pulumi.ComponentResource):
    """A Kubernetes cluster of Amazon EKS."""

    kubeconfig: pulumi.Output[str]
    """Self-contained kubeconfig with one context; it holds no credentials, but asks the AWS command line for them."""
    server: pulumi.Output[str]
    """Address of the API server."""
    ref: pulumi.Output[Mapping[str, Any]]
    """What pools of nodes must know of the cluster; plain data, fit for a stack output."""
    repository: pulumi.Output[str]
    """Host and path under which images are pushed: the `repository` of a platform's image_delivery."""
    models_bucket: pulumi.Output[str]
    """Name of the bucket for models."""
    tables_bucket: pulumi.Output[str]
    """Name of the bucket for tables of requests."""

    def __init__(self, name: str, args: EksClusterArgs = _NO_ARGS, opts: pulumi.ResourceOptions | None = None) -> None:
        checks.require(f"EksCluster '{name}'", _faults(name, args))
        super().__init__("headrace:index:EksCluster", name, dict(args), opts)
        owner = Owner(name=name, tags=args.get("tags", {}), component=self)
        protected = bool(args.get("deletion_protection", True))
        deployer = account(f"EksCluster '{name}'", self)
        network = args.get("network") or _own_network(owner)

        cluster, key = control_plane(
            owner,
            deployer=deployer,
            network=network,
            version=args.get("kubernetes_version"),
            administrators=args.get("administrators", []),
            public_access=args.get("public_access", []),
            log_days=int(args.get("log_days", _DEFAULT_LOG_DAYS)),
            protected=protected,
        )
        may = node_role(owner)
        joining = eks.AccessEntry(
            f"{name}-node-entry",
            cluster_name=cluster.name,
            principal_arn=may.arn,
            type="EC2_LINUX",
            tags=owner.tagged("node-entry"),
            opts=owner.options(),
        )
        first = [joining, *addons_before_nodes(owner, cluster)]
        nodes = node_group(owner, cluster, network=network, nodes=args.get("nodes", {}), key=key, may=may, after=first)
        addons_on_nodes(owner, cluster, nodes)
        queue = interruption_queue(owner)
        karpenter_role(owner, cluster, may, queue)

        self.repository = registry(owner, key, protected=protected)
        self.models_bucket = bucket(owner, "models", key, protected=protected).bucket
        self.tables_bucket = bucket(owner, "tables", key, protected=protected).bucket
        self.server = cluster.endpoint
        self.kubeconfig = pulumi.Output.all(cluster.arn, cluster.endpoint, cluster.certificate_authority.data).apply(
            lambda known: kubeconfig(*known)
        )
        self.ref = pulumi.Output.all(
            server=cluster.endpoint,
            name=cluster.name,
            region=cluster.arn.apply(lambda arn: arn.split(":")[3]),
            node_role=may.name,
            node_security_group=cluster.vpc_config.cluster_security_group_id,
            interruption_queue=queue.name,
            vpc=network["vpc_id"],
            public_subnets=network["public_subnets"],
            disk_key=key.arn,
            node_group=nodes.resources[0].autoscaling_groups[0].name,
        ).apply(lambda known: cast(ClusterRef, known))
        self.register_outputs(
            {
                "kubeconfig": self.kubeconfig,
                "server": self.server,
                "ref": self.ref,
                "repository": self.repository,
                "models_bucket": self.models_bucket,
                "tables_bucket": self.tables_bucket,
            }
        )


def kubeconfig(arn: str, endpoint: str, authority: str) -> str:
    """A kubeconfig for the cluster with this ARN, for whoever the AWS command line speaks for.

    `authority` is the certificate of the API server's authority in base64.
    """
    region, name = arn.split(":")[3], arn.rpartition("/")[2]
    command = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["eks", "get-token", "--output", "json", "--region", region, "--cluster-name", name],
        "interactiveMode": "Never",
    }
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [{"name": name, "cluster": {"server": endpoint, "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": {"exec": command}}],
        },
        sort_keys=True,
    )


def _own_network(owner: Owner) -> NetworkRef:
    made = EksNetwork(
        f"{owner.name}-network",
        {"cluster_name": owner.name, "tags": dict(owner.tags)},
        pulumi.ResourceOptions(parent=owner.component),
    )
    return {
        "vpc_id": made.vpc_id,
        "private_subnets": [made.private_subnets[index] for index in range(3)],
        "public_subnets": [made.public_subnets[index] for index in range(3)],
    }


def _faults(name: str, args: EksClusterArgs) -> Iterator[str]:
    yield from checks.known_keys(args, EksClusterArgs.__annotations__)
    if not _NAME.fullmatch(name):
        yield (
            f"the name {name!r} becomes the cluster's, must be at most 38 lower-case letters, digits and '-', "
            "beginning with a letter"
        )
    if "network" in args:
        yield from _network_faults(args["network"])
    version = args.get("kubernetes_version")
    if version is not None and not (isinstance(version, str) and _VERSION.fullmatch(version)):
        yield f"kubernetes_version = {version!r}, must be a minor version in quotes, for example '1.35'"
    for principal in args.get("administrators", []):
        if not _PRINCIPAL.fullmatch(str(principal)):
            yield (
                f"administrators has {principal!r}, must be the ARN of an IAM role or user, for example "
                "arn:aws:iam::123456789012:role/platform (of a session, its role)"
            )
    for block in args.get("public_access", []):
        yield from _public_faults(block)
    yield from nodes_faults(args.get("nodes", {}))
    if (days := args.get("log_days", _DEFAULT_LOG_DAYS)) not in _LOG_DAYS:
        yield f"log_days = {days!r}, must be one of {', '.join(map(str, _LOG_DAYS))} (what CloudWatch takes)"
    yield from tag_faults(args.get("tags", {}))


def _network_faults(network: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"network: {fault}" for fault in checks.known_keys(network, NetworkRef.__annotations__))
    yield from (f"network: {fault}" for fault in checks.present(network, "vpc_id", "private_subnets"))
    subnets = network.get("private_subnets")
    if isinstance(subnets, Sequence) and 0 < len(subnets) < 2:
        yield f"network.private_subnets has {len(subnets)} subnet, must be in at least two zones; add another"


def _public_faults(block: object) -> Iterator[str]:
    try:
        network = ipaddress.ip_network(str(block))
    except ValueError as error:
        yield f"public_access has {block!r}, must be a block such as 192.0.2.0/24: {error}"
        return
    if network.prefixlen == 0:
        yield f"public_access has {block!r}, which is everybody; list your own addresses"
