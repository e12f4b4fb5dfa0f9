"""Image documents: configuration, manifest and index as in the OCI image specification, and archives of them.

An image for several architectures is an index of one image each, and is known by the index's digest.
"""

import io
import json
import tarfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from headrace.contract import names
from headrace.images.architecture import Architecture
from headrace.images.request import OPERATING_SYSTEM
from headrace.images.store import Blob, Store

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
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
    architecture: Architecture

    @property
    def images(self) -> "tuple[Image, ...]":
        """One for each architecture."""
        return (self,)

    @property
    def blobs(self) -> tuple[str, ...]:
        """Digests of everything the image consists of."""
        return (*(layer.digest for layer in self.layers), *self.documents)

    @property
    def documents(self) -> tuple[str, ...]:
        """Digests of what describes it: of `blobs` the small ones."""
        return (self.config_digest, self.digest)

    @property
    def descriptor(self) -> dict[str, Any]:
        """What names it in an index."""
        platform = {"architecture": self.architecture.value, "os": OPERATING_SYSTEM}
        return {"mediaType": MANIFEST, "digest": self.digest, "size": self.manifest_size, "platform": platform}


@dataclass(frozen=True, kw_only=True)
class ImageIndex:
    """Finished images in the store, one for each architecture, under one digest."""

    digest: str
    """Of the index: what a reference is pinned by."""
    size: int
    images: tuple[Image, ...]

    @property
    def blobs(self) -> tuple[str, ...]:
        """Digests of everything that all of the images consist of."""
        return tuple(dict.fromkeys((*(digest for image in self.images for digest in image.blobs), self.digest)))

    @property
    def documents(self) -> tuple[str, ...]:
        """Digests of what describes them: of `blobs` the small ones."""
        return (*(digest for image in self.images for digest in image.documents), self.digest)

    @property
    def descriptor(self) -> dict[str, Any]:
        """What names it in another index."""
        return {"mediaType": INDEX, "digest": self.digest, "size": self.size}


def write_image(
    store: Store,
    layers: Sequence[Blob],
    *,
    entrypoint: Sequence[str],
    environment: Mapping[str, str],
    labels: Mapping[str, str],
    architecture: Architecture = Architecture.AMD64,
) -> Image:
    """Stores configuration and manifest; the same arguments give the same digest."""
    config = {
        "created": CREATED,
        "architecture": architecture.value,
        "os": OPERATING_SYSTEM,
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
    return Image(
        digest=digest,
        manifest_size=size,
        config_digest=config_digest,
        layers=tuple(layers),
        architecture=architecture,
    )


def write_index(store: Store, images: Sequence[Image]) -> ImageIndex:
    """Stores the index of images for one architecture each; the same images give the same digest."""
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [image.descriptor for image in images]}
    written = _document(document)
    return ImageIndex(digest=store.put_bytes(written), size=len(written), images=tuple(images))


def index(image: Image | ImageIndex, references: Sequence[str]) -> bytes:
    """The index.json of a layout that holds the image under each of the references."""
    manifests: list[dict[str, Any]] = [
        {
            **image.descriptor,
            # containerd names what it imports by the first, skopeo finds it by the second
            "annotations": {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference},
        }
        for reference in references
    ]
    return _document({"schemaVersion": 2, "manifests": manifests})


def write_archive(store: Store, image: Image | ImageIndex, references: Sequence[str], target: Path) -> None:
    """Writes the whole image as one tar archive."""
    with target.open("wb") as file:
        stream_archive(store, image, references, file)


def stream_archive(
    store: Store,
    image: Image | ImageIndex,
    references: Sequence[str],
    out: IO[bytes],
    *,
    without: Collection[str] = (),
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


def write_layout(store: Store, image: Image | ImageIndex, target: Path, *, reference: str) -> None:
    """Writes an OCI layout whose blobs are links to the store's, for programs that read directories."""
    blobs = target / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for digest in dict.fromkeys(image.blobs):
        (blobs / digest.removeprefix("sha256:")).hardlink_to(store.path(digest))
    (target / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    (target / "index.json").write_bytes(index(image, [reference]))


def _document(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
