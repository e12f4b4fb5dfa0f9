"""The programs that the embedded default runs, each pinned to one version and built from one small Go module, or taken
from its publisher's releases."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from headrace.images.architecture import Architecture

KUBERNETES_VERSION: Final = "v1.36.3"
PULUMI_VERSION: Final = "v3.170.0"
PULUMI_KUBERNETES_VERSION: Final = "v2.0.0"
KWOK_VERSION: Final = "v0.8.0"
METRICS_SERVER_VERSION: Final = "v0.9.0"
SEAWEEDFS_VERSION: Final = "v0.0.0-20261109003541-7506e5f91cd6"
_COMPONENT_VERSION: Final = "k8s.io/component-base/version"


@dataclass(frozen=True, kw_only=True)
class CopiedFile:
    """A script that a Go module ships and that belongs beside a built program."""

    module: str
    """Module path and version, as `go mod download` takes it."""
    path: str
    """Path inside the module."""


@dataclass(frozen=True, kw_only=True)
class ReleasedFile:
    """A file that a program's publisher releases: an executable, or an archive with some."""

    address: str
    """With {arch}: amd64 or arm64, or {node_arch}: x64 or arm64."""
    checksums: str
    """Address of the SHA-256 beside it: alone, or in lines with names."""
    executables: tuple[str, ...] = ()
    """What is taken out of an archive, by name; empty: the file is the executable."""
    sha256: Mapping[Architecture, str] = field(default_factory=dict, compare=False)
    """By architecture, where it is known beforehand; the file of checksums is then not asked for."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A set of executables built together because they share dependencies."""

    name: str
    version: str
    module: str
    """Folder, beside this file, of the go.mod."""
    packages: tuple[str, ...]
    """What `go build` is given; each yields one executable named by its last path element."""
    linker_values: tuple[str, ...] = ()
    """`-X` settings: how these programs learn their own version."""
    links: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Executables that are called by several names: (executable, names)."""
    copied: tuple[CopiedFile, ...] = ()
    released: tuple[ReleasedFile, ...] = field(default=(), repr=False)  # repr is part of the cache's key
    """What can be downloaded in place of `packages`, but those in `built_always`, and of `copied`."""
    built_always: tuple[str, ...] = field(default=(), repr=False)
    """Packages that nobody releases as they are built here."""


_KUBE_NAMES: Final = (
    "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubeadm", "kubectl",
)  # fmt: skip
"""The one executable is whichever of them it is called by."""
_KUBERNETES_FILES: Final = f"https://dl.k8s.io/{KUBERNETES_VERSION}/bin/linux/{{arch}}"
KUBERNETES: Final = Program(
    name="kubernetes",
    version=KUBERNETES_VERSION,
    module="cluster",
    packages=("./kube", "./etcd", "./pause", "./coredns", "./kube-router"),
    linker_values=(
        f"{_COMPONENT_VERSION}.gitVersion={KUBERNETES_VERSION}",
        f"{_COMPONENT_VERSION}.gitMajor=1",
        f"{_COMPONENT_VERSION}.gitMinor=36",
    ),
    links=(("kube", _KUBE_NAMES),),
    released=tuple(
        ReleasedFile(address=f"{_KUBERNETES_FILES}/{name}", checksums=f"{_KUBERNETES_FILES}/{name}.sha256")
        for name in _KUBE_NAMES
    ),
    built_always=("./etcd", "./pause", "./coredns", "./kube-router"),
)

_PULUMI_FILES: Final = f"https://github.com/pulumi/pulumi/releases/download/{PULUMI_VERSION}"


def _of_pulumi(*executables: str) -> tuple[ReleasedFile, ...]:
    """Some of the executables of Pulumi's one archive."""
    return (
        ReleasedFile(
            address=f"{_PULUMI_FILES}/pulumi-{PULUMI_VERSION}-linux-{{node_arch}}.tar.gz",
            checksums=f"{_PULUMI_FILES}/pulumi-{PULUMI_VERSION.removeprefix('v')}-checksums.txt",
            executables=executables,
        ),
    )


PULUMI: Final = Program(
    name="pulumi",
    version=PULUMI_VERSION,
    module="pulumi",
    packages=("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",),
    linker_values=(f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={PULUMI_VERSION}",),
    released=_of_pulumi("pulumi"),
)

PULUMI_PYTHON: Final = Program(
    name="pulumi-language-python",
    version="v3.79.0",  # the last release that carries the language host inside the sdk module
    module="pulumi-language-python",
    packages=("github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",),
    copied=(
        CopiedFile(module="github.com/pulumi/pulumi/sdk/v3@v3.259.0", path="python/cmd/pulumi-language-python-exec"),
        CopiedFile(module="github.com/pulumi/pulumi/sdk/v3@v3.79.0", path="python/dist/pulumi-analyzer-policy-python"),
        CopiedFile(module="github.com/pulumi/pulumi/sdk/v3@v3.79.0", path="python/dist/pulumi-resource-pulumi-python"),
    ),
    released=_of_pulumi(
        *("pulumi-language-python", "pulumi-language-python-exec", "pulumi-analyzer-policy-python"),
        "pulumi-resource-pulumi-python",
    ),
)

PULUMI_KUBERNETES: Final = Program(
    name="pulumi-kubernetes",
    version=PULUMI_KUBERNETES_VERSION,
    module="pulumi-kubernetes",
    packages=("github.com/pulumi/pulumi-kubernetes/provider/v2/cmd/pulumi-resource-kubernetes",),
    linker_values=(f"github.com/pulumi/pulumi-kubernetes/provider/v2/pkg/version.Version={PULUMI_KUBERNETES_VERSION}",),
)
"""Built with the last client-go of its line, 0.17.17: with 0.17.0 the provider asks an API server for its groups five
times a second, and every update waited three seconds for them; so the released binary, which has that, is not taken.
Releases of the provider since 4.0 ask 50 times."""

KWOK: Final = Program(name="kwok", version=KWOK_VERSION, module="kwok", packages=("sigs.k8s.io/kwok/cmd/kwok",))
"""Plays nodes and pods for `python -m bench.autoscaler.scale`; nothing else builds it."""

METRICS_SERVER: Final = Program(
    name="metrics-server",
    version=METRICS_SERVER_VERSION,
    module="metrics-server",
    packages=("sigs.k8s.io/metrics-server/cmd/metrics-server",),
)
"""Tells the HorizontalPodAutoscaler of `make bench-product` what its pods use; nothing else builds it."""

SDK_GENERATOR: Final = Program(name="sdk-generator", version=PULUMI_VERSION, module="sdk-generator", packages=(".",))
"""Writes the components' SDKs for other languages by the code of Pulumi's own release; built when first wanted."""

SEAWEEDFS: Final = Program(
    name="seaweedfs",
    version=SEAWEEDFS_VERSION,
    module="seaweedfs",
    packages=("github.com/seaweedfs/seaweedfs/weed",),
)
"""An object store that speaks S3, for `make test-long`, in ten CPU-minutes; nothing else builds it."""

DEPLOYER: Final = (PULUMI, PULUMI_PYTHON, PULUMI_KUBERNETES)
"""What `pulumi up` needs; they must lie in one folder, where the engine finds them without a warning."""
