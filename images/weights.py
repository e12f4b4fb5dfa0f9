"""A model's weights that are no layer: their list in the image, and the links that stand for them.

A store tells no SHA-256 of what it holds (S3's ETag of an object of several parts is none, MLflow has none), so the
builder reads the weights once, keeps their checksums and no byte of them. Where that breaks off, what was read of whole
files counts the next time.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from headrace.contract import names
from headrace.contract.codec import decode, encode
from headrace.contract.errors import PermanentError
from headrace.contract.weights import MANIFEST_PATH, WEIGHTS_HOME, WeightsFile, WeightsManifest, hashed
from headrace.images.store import Store, key_of
from headrace.images.tarball import Entry
from headrace.images.tracking import ArtifactStore

_RECIPE: Final = 1
_READERS: Final = 4
"""Files at a time, as for downloads."""


def read_once(
    store: Store, artifacts: ArtifactStore, files: Sequence[tuple[str, int]], *, model: str, source: str
) -> WeightsManifest:
    """The list of these files (path, size in bytes) of the model with the identity `model` at `source`.

    Raises PermanentError for one that is not as long as it was listed, TrackingError and OSError as `artifacts` does.
    """

    def one(listed: tuple[str, int]) -> WeightsFile:
        path, size = listed

        def make(_: object) -> str:
            with store.streaming() as count:
                found = hashed(path, count(artifacts.read(path)))
            if found.size != size:
                raise PermanentError(
                    f"The model at {source} changed while it was read ({path} has {found.size} bytes, was listed with "
                    f"{size}); run pulumi up again, and do not overwrite artifacts of a logged model"
                )
            return json.dumps(encode(found))

        text, _ = store.document(key_of("weights", _RECIPE, model, path, size), make)
        return decode(WeightsFile, json.loads(text))

    with ThreadPoolExecutor(_READERS) as pool:
        return WeightsManifest(files=tuple(pool.map(one, sorted(files))))


def entries(manifest: WeightsManifest) -> Iterator[Entry]:
    """What the model's layer has of its weights."""
    text = json.dumps(manifest.to_json(), sort_keys=True, separators=(",", ":"))
    yield Entry(path=MANIFEST_PATH.lstrip("/"), data=text.encode())
    yield Entry(path=WEIGHTS_HOME.lstrip("/"), mode=0o755)  # runtimes mount over what is there
    for file in manifest.files:
        path = f"{names.MODEL_HOME.lstrip('/')}/{file.path}"
        yield Entry(path=path, mode=0o777, link=f"{WEIGHTS_HOME}/{file.digest}")
