"""The model's own layer: its directory as it was logged."""

import os
from pathlib import Path

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.image import ModelInput, directory_listing, local_directory, model_identity
from headrace.runtimes.images.store import Blob, Store, key_of
from headrace.runtimes.images.tarball import tree, write_layer

_RECIPE = 1


def model_layer(store: Store, model: ModelInput, *, log: Path) -> tuple[Blob, bool]:
    """The model at names.MODEL_HOME.

    Raises TemporaryError when it cannot be downloaded, PermanentError when it is not what was resolved.
    """

    def make(scratch: Path) -> Blob:
        directory = local_directory(model.source)
        hashed = directory is not None
        if directory is None:
            directory = _download(model, scratch, log=log)
        elif not directory.is_dir():
            raise PermanentError(
                f"The model's directory {directory} does not exist on this machine; log the model again"
            )
        blob = write_layer(store, tree(directory, names.MODEL_HOME.lstrip("/")))
        found = model_identity(directory_listing(directory, hashed=hashed))
        if found != model.identity:
            raise PermanentError(
                f"The model at {model.source} changed while it was read (identity {found[:12]}, expected "
                f"{model.identity[:12]}); run pulumi up again, and do not overwrite artifacts of a logged model"
            )
        return blob

    return store.layer(key_of("model", _RECIPE, model.identity), make)


def _download(model: ModelInput, scratch: Path, *, log: Path) -> Path:
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow.artifacts  # noqa: PLC0415 — 0.7 s that only a download needs
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    target = scratch / "model"
    target.mkdir()
    with log.open("a") as file:
        file.write(f"download {model.source} from tracking server {model.tracking_uri or '(none)'}\n")
    try:
        downloaded = mlflow.artifacts.download_artifacts(
            artifact_uri=model.source, dst_path=str(target), tracking_uri=model.tracking_uri or None
        )
    except (MlflowException, OSError, ImportError) as error:
        lines = str(error).strip().splitlines()
        raise TemporaryError(
            f"The model's artifacts at {model.source} cannot be downloaded: "
            f"{lines[0] if lines else type(error).__name__}; "
            "see that this machine reaches the artifact store and has its client library and credentials"
        ) from error
    return Path(downloaded)
