"""EndpointVolume: files that a model reads beside its own, as inputs, rules and parts of pods. All are read-only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, NotRequired, TypedDict

from headrace.components.kubernetes.checks import DNS_SUBDOMAIN, ArgsError
from headrace.components.kubernetes.manifests import Manifest
from headrace.contract.codec import read
from headrace.contract.declaration import NotEmpty, Text
from headrace.contract.names import DNS_LABEL

_SYSTEM: Final = frozenset(
    (
        *("bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32"),
        *("opt", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "var"),
    )
)
"""Directories at the top that the image or the pod needs."""
_IMAGE: Final = r"[a-z0-9][a-z0-9.-]*(?::[0-9]+)?(?:/[a-z0-9._-]+)+(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?"
_LONGEST_NAME: Final = 63 - len("volume-")
_BUCKETS_OF_GOOGLE: Final = "gcsfuse.csi.storage.gke.io"


class EndpointVolume(TypedDict):
    """Files that the pods may read, by one of `claim`, `driver` and `image`."""

    mount_path: str
    """Directory in the pod, for example /mnt/features."""
    claim: NotRequired[str]
    """PersistentVolumeClaim in the endpoint's namespace."""
    driver: NotRequired[str]
    """CSI driver that mounts it for each pod, for example gcsfuse.csi.storage.gke.io."""
    image: NotRequired[str]
    """OCI image whose files are mounted, best pinned by digest, for example registry.example.com/data/terms@sha256:…;
    the platform's nodes must mount images (`image_volumes`)."""
    attributes: NotRequired[dict[str, str]]
    """What the driver takes, for example bucketName. Absent: nothing."""


@dataclass(frozen=True, kw_only=True)
class VolumeSource:
    """EndpointVolume, checked."""

    mount_path: NotEmpty
    claim: Annotated[str, Text(pattern=DNS_SUBDOMAIN.pattern, meaning="the name of a claim")] | None = None
    driver: Annotated[str, Text(pattern=DNS_SUBDOMAIN.pattern, meaning="the name of a driver")] | None = None
    image: Annotated[str, Text(pattern=_IMAGE, meaning="an image's reference with its registry")] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


def volume_faults(given: object) -> Iterator[str]:
    """What is wrong with EndpointVolumes by name, beyond the types of their fields."""
    if not isinstance(given, Mapping):
        return
    paths: dict[str, PurePosixPath] = {}
    for name, entry in given.items():
        place = f"volumes[{name!r}]"
        if not isinstance(name, str) or not DNS_LABEL.fullmatch(name) or len(name) > _LONGEST_NAME:
            yield f"volumes has the name {name!r}, must be a DNS label of at most {_LONGEST_NAME} characters"
        source = read(VolumeSource, entry)[0]
        if source is None:
            continue
        yield from (f"{place}{fault}" for fault in _faults_of_source(source))
        path = PurePosixPath(source.mount_path)
        for other, taken in paths.items():
            if path == taken or path in taken.parents or taken in path.parents:
                yield f"{place}.mount_path = {source.mount_path!r} lies in or around that of {other}; choose another"
        paths[place] = path


def pod_volumes(sources: Mapping[str, VolumeSource]) -> list[Manifest]:
    """The pod's `volumes`."""
    return [{"name": f"volume-{name}", **_manifest(source)} for name, source in sorted(sources.items())]


def mounts(sources: Mapping[str, VolumeSource]) -> list[Manifest]:
    """The container's `volumeMounts`."""
    return [
        {"name": f"volume-{name}", "mountPath": source.mount_path, "readOnly": True}
        for name, source in sorted(sources.items())
    ]


def on_platform(endpoint: str, sources: Mapping[str, VolumeSource], platform: Mapping[str, Any]) -> Mapping[str, Any]:
    """The platform itself; raises ArgsError where its nodes cannot mount what is asked for: the kubelet of one that
    cannot would start the container without the files, or never."""
    images = sorted(name for name, source in sources.items() if source.image is not None)
    if images and not platform.get("image_volumes"):
        raise ArgsError(
            f"ModelEndpoint '{endpoint}'",
            [
                f"volumes[{name!r}].image needs nodes that mount images (Kubernetes 1.35 with containerd 2.1 or CRI-O "
                "1.31), and the platform says of its nodes that they do not; set asks_nodes of the cluster or "
                "image_volumes of the platform, or give a claim"
                for name in images
            ],
        )
    return platform


def pod_annotations(sources: Mapping[str, VolumeSource]) -> dict[str, str]:
    """What pods must carry, so that a driver's webhook looks at them."""
    drivers = {source.driver for source in sources.values()}
    return {"gke-gcsfuse/volumes": "true"} if _BUCKETS_OF_GOOGLE in drivers else {}


def _faults_of_source(source: VolumeSource) -> Iterator[str]:
    given = [kind for kind in ("claim", "driver", "image") if getattr(source, kind) is not None]
    if len(given) != 1:
        yield f" has {' and '.join(given) or 'none of claim, driver and image'}, must have one of claim, driver, image"
    if source.attributes and source.driver is None:
        yield ".attributes is for driver only; remove it"
    for key, value in source.attributes.items():
        if not isinstance(value, str):
            yield f".attributes[{key!r}] = {value!r}, must be a text; put it in quotes"
    path = PurePosixPath(source.mount_path)
    if str(path) != source.mount_path or path.root != "/" or ".." in path.parts or ":" in source.mount_path:
        rule = "must be an absolute path without '..', ':' and a '/' at its end"
        yield f".mount_path = {source.mount_path!r}, {rule}, for example /mnt/features"
    elif len(path.parts) < 2 or path.parts[1] in _SYSTEM:
        yield f".mount_path = {source.mount_path!r} would hide what the pod needs; choose for example /mnt/features"


def _manifest(source: VolumeSource) -> Manifest:
    if source.claim is not None:
        return {"persistentVolumeClaim": {"claimName": source.claim, "readOnly": True}}
    if source.image is not None:
        return {"image": {"reference": source.image, "pullPolicy": "IfNotPresent"}}
    return {"csi": {"driver": source.driver, "readOnly": True, "volumeAttributes": dict(source.attributes)}}
