"""Image documents: configuration, manifest and index as in the OCI image specification, and archives of them."""

import io
import json
import tarfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from headrace.contract import names
from headrace.images.request import ARCHITECTURE, OPERATING_SYSTEM
from headrace.images.store import Blob, Store

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_PLATFORM: Final = {"architecture": ARCHITECTURE, "os": OPERATING_SYSTEM}
CREATED: Final = "1980-01-01T00:00:00Z"
"""Part of the digest, so always the same; the build log says when an image was really made."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A finished image in the store."""

    digest: str
    """Of the manifest: what a reference is pinned by."""
    manifest_size: int
    config_digest: str
    layers: tuple[Blob, ...]

    @property
    def blobs(self) -> tuple[str, ...]:
        """Digests of everything the image consists of."""
        return (*(layer.digest for layer in self.layers), self.config_digest, self.digest)


def write_image(
    store: Store,
    layers: Sequence[Blob],
    *,
    entrypoint: Sequence[str],
    environment: Mapping[str, str],
    labels: Mapping[str, str],
) -> Image:
    """Stores configuration and manifest; the same arguments give the same digest."""
    config = {
        "created": CREATED,
        **_PLATFORM,
        "config": {
            "User": f"{names.RUN_AS_USER}:{names.RUN_AS_USER}",
            "Entrypoint": list(entrypoint),
            "Env": [f"{key}={value}" for key, value in sorted(environment.items())],
            "WorkingDir": "/",
            "Labels": dict(sorted(labels.items())),
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    config_bytes = _document(config)
    config_digest = store.put_bytes(config_bytes)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": config_digest, "size": len(config_bytes)},
        "layers": [{"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size} for layer in layers],
    }
    manifest_bytes = _document(manifest)
    digest, size = store.put_bytes(manifest_bytes), len(manifest_bytes)
    return Image(digest=digest, manifest_size=size, config_digest=config_digest, layers=tuple(layers))


def index(image: Image, references: Sequence[str]) -> bytes:
    """The index.json of a layout that holds the image under each of the references."""
    manifests: list[dict[str, Any]] = [
        {
            "mediaType": MANIFEST,
            "digest": image.digest,
            "size": image.manifest_size,
            "platform": _PLATFORM,
            # containerd names what it imports by the first, skopeo finds it by the second
            "annotations": {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference},
        }
        for reference in references
    ]
    return _document({"schemaVersion": 2, "manifests": manifests})


def write_archive(store: Store, image: Image, references: Sequence[str], target: Path) -> None:
    """Writes the whole image as one tar archive."""
    with target.open("wb") as file:
        stream_archive(store, image, references, file)


def stream_archive(
    store: Store, image: Image, references: Sequence[str], out: IO[bytes], *, without: Collection[str] = ()
) -> None:
    """Writes the image as a tar archive to a pipe, leaving out blobs that the receiver holds."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as tar:

        def add(name: str, data: bytes) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

        add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for digest in dict.fromkeys(image.blobs):
            if digest not in without:
                tar.add(store.path(digest), f"blobs/sha256/{digest.removeprefix('sha256:')}")
        add("index.json", index(image, references))


def write_layout(store: Store, image: Image, target: Path, *, reference: str) -> None:
    """Writes an OCI layout whose blobs are links to the store's, for programs that read directories."""
    blobs = target / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for digest in dict.fromkeys(image.blobs):
        (blobs / digest.removeprefix("sha256:")).hardlink_to(store.path(digest))
    (target / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    (target / "index.json").write_bytes(index(image, [reference]))


def _document(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
