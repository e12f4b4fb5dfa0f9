"""Putting a finished image where pods find it: a node's containerd, a registry, or the nodes of a kind cluster."""

import os
import re
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import IO, Final, cast

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images.architecture import of_this_machine
from headrace.images.commands import execute, require
from headrace.images.oci import Image, ImageIndex, stream_archive, write_archive, write_layout
from headrace.images.request import Delivery, DeliveryKind
from headrace.images.store import Store

LOCAL_REPOSITORY: Final = "headrace.local"
"""First part of the names of images that live in a node's containerd only; no registry answers to it, so that a node
that lacks an image fails at once instead of asking a stranger for it."""

NAMESPACE: Final = "k8s.io"
"""containerd's namespace of the images that the kubelet sees."""

_NO_LOG: Final = Path(os.devnull)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def deliver(store: Store, image: Image | ImageIndex, *, name: str, delivery: Delivery, log: Path) -> str:
    """Delivers what the destination lacks of the image; returns the image's reference, pinned by digest."""
    if delivery.kind is DeliveryKind.REGISTRY:
        return _push(store, image, name=name, delivery=delivery, log=log)
    reference = f"{LOCAL_REPOSITORY}/{name}@{image.digest}"
    if delivery.kind is DeliveryKind.KIND:
        _load_into_kind(store, image, reference, delivery=delivery, log=log)
    else:
        _import(store, image, reference, delivery=delivery, log=log)
    return reference


def in_registry(reference: str, delivery: Delivery) -> bool | None:
    """Whether the registry still has the image; None when it does not say."""
    skopeo = require("skopeo", why="registries are asked with it", remedy="install the package skopeo")
    verify = "false" if delivery.plain_http else "true"
    command = [skopeo, "inspect", "--raw", f"--tls-verify={verify}", f"docker://{reference}"]
    status, output = execute(command, log=_NO_LOG, timeout_seconds=60)
    if status == 0:
        return True
    return False if "manifest unknown" in output or "name unknown" in output else None


def on_nodes(delivery: Delivery) -> frozenset[str] | None:
    """References of all images on the node, or on the first node of a kind cluster; None when it does not say."""
    if delivery.kind is DeliveryKind.KIND:
        docker = require("docker", why="the nodes of a kind cluster are containers of it", remedy="install docker")
        command = [docker, "exec", f"{delivery.cluster}-control-plane", "ctr", f"--namespace={NAMESPACE}"]
    else:
        command = _ctr(delivery)
    status, output = execute([*command, "images", "ls", "--quiet"], log=_NO_LOG, timeout_seconds=60)
    return frozenset(output.split()) if status == 0 else None


def _import(store: Store, image: Image | ImageIndex, reference: str, *, delivery: Delivery, log: Path) -> None:
    ctr = _ctr(delivery)
    status, output = execute([*ctr, "content", "ls", "--quiet"], log=log, timeout_seconds=60)
    if status != 0:
        raise TemporaryError(
            f"The containerd at {delivery.address} does not answer, ctr says: {_last(output)}; start the cluster first"
        )
    # of an index, a node keeps what it runs, as it does of one that it pulls
    runs = [one for one in image.images if one.architecture is of_this_machine()] or image.images
    needed = frozenset((image.digest, *(digest for one in runs for digest in one.blobs)))
    held = frozenset(output.split()) & needed
    status, output = execute([*ctr, "images", "ls", "--quiet", f"name=={reference}"], log=log, timeout_seconds=60)
    if reference in output.split() and held == needed:
        return
    # Manifest and configuration always travel: they are small, and an import needs something to read.
    others = frozenset(image.blobs) - needed
    skipped = (held - frozenset(image.documents)) | others
    failure = _import_without(store, image, reference, ctr=ctr, skipped=skipped, log=log)
    if failure and skipped != others:  # a blob may have been collected between the listing and the import
        failure = _import_without(store, image, reference, ctr=ctr, skipped=others, log=log)
    if failure:
        raise TemporaryError(f"The image {reference} could not be imported, ctr says: {failure}; see {log}")


def _import_without(
    store: Store,
    image: Image | ImageIndex,
    reference: str,
    *,
    ctr: list[str],
    skipped: Collection[str],
    log: Path,
) -> str:
    """Streams the archive into `ctr images import`; returns what went wrong, or nothing."""
    command = [*ctr, "images", "import", "-"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        stream_archive(store, image, [reference], cast("IO[bytes]", process.stdin), without=skipped)
    except BrokenPipeError:
        pass  # it gave up early; its output says why
    except BaseException:
        process.kill()
        process.wait()
        raise
    output, _ = process.communicate()
    text = output.decode(errors="replace")
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n{text}\n[exit status {process.returncode}]\n")
    return "" if process.returncode == 0 else _last(text)


def _push(store: Store, image: Image | ImageIndex, *, name: str, delivery: Delivery, log: Path) -> str:
    skopeo = require("skopeo", why="images are pushed with it", remedy="install the package skopeo")
    repository = f"{delivery.repository}/{name}"
    tag = image.digest.removeprefix("sha256:")[:16]
    verify = "false" if delivery.plain_http else "true"
    # The tag names our own digest, so whoever pushed it, on whatever machine, pushed this image.
    target = f"docker://{repository}:{tag}"
    inspect = [skopeo, "inspect", "--no-tags", "--format={{.Digest}}", f"--tls-verify={verify}", target]
    status, output = execute(inspect, log=log, timeout_seconds=60)
    if status == 0 and (found := _DIGEST.search(output)):
        return f"{repository}@{found[0]}"
    with store.scratch() as scratch:
        layout, digest_file = scratch / "layout", scratch / "digest"
        write_layout(store, image, layout, reference=tag)
        copy = [skopeo, "--insecure-policy", "copy"]  # the image is our own, made a moment ago
        copy += ["--all"] if isinstance(image, ImageIndex) else []
        copy += [f"--digestfile={digest_file}", f"--dest-tls-verify={verify}", f"oci:{layout}:{tag}", target]
        status, output = execute(copy, log=log)
        if status != 0:
            raise _refusal(repository, _last(output), log)
        # the registry's own: skopeo compresses layers on the way, which changes the manifest
        return f"{repository}@{digest_file.read_text().strip()}"


def _refusal(repository: str, said: str, log: Path) -> PermanentError | TemporaryError:
    host = repository.partition("/")[0]
    if re.search(r"unauthorized|authentication required|denied|forbidden", said, re.IGNORECASE):
        return PermanentError(
            f"The registry refused the image {repository}, skopeo says: {said}; log in with `skopeo login {host}` as "
            f"somebody who may push there (log: {log})"
        )
    return TemporaryError(
        f"The image could not be pushed to {repository}, skopeo says: {said}; "
        f"see that the registry answers (log: {log})"
    )


def _load_into_kind(store: Store, image: Image | ImageIndex, reference: str, *, delivery: Delivery, log: Path) -> None:
    kind = require("kind", why="the image goes to a kind cluster", remedy="install kind")
    with store.scratch() as scratch:
        archive = scratch / "image.tar"
        write_archive(store, image, [reference], archive)
        status, output = execute([kind, "load", "image-archive", str(archive), f"--name={delivery.cluster}"], log=log)
    if status != 0:
        raise TemporaryError(
            f"The image could not be loaded into the kind cluster {delivery.cluster!r}, "
            f"kind says: {_last(output)}; see {log}"
        )


def _ctr(delivery: Delivery) -> list[str]:
    program = delivery.ctr or require(
        "ctr", why="images are imported with it", remedy="install containerd, or name the program in delivery.ctr"
    )
    if not Path(program).exists():
        raise PermanentError(f"delivery.ctr = {program!r} does not exist; name the ctr program, or leave it out")
    return [program, f"--address={delivery.address}", f"--namespace={NAMESPACE}"]


def _last(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"
