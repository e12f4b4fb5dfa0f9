"""Preparation: every program that is built on the way to a demo or a test, built beforehand.

Tests have a bound of time and run side by side; a build of minutes on a machine that they share would use it up.
"""

from typing import TextIO

from headrace.images import collector
from headrace.images.architecture import of_this_machine
from headrace.images.store import Store
from headrace.images.store import cache_directory as images_directory
from headrace.local import target_cluster
from headrace.local.paths import cache_directory
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder


def build(stream: TextIO | None = None) -> None:
    """Builds what the cache lacks: Pulumi with its plugins, Kubernetes where the embedded cluster is used, and the
    Collector. Says on the stream, standard error by default, what takes how long.

    Raises TemporaryError when a build fails, PermanentError when Go cannot be had.
    """
    with_cluster = target_cluster.embedded_wanted()
    progress = Progress("build", steps=len(builder.missing(with_cluster=with_cluster)) + 1, stream=stream)
    builder.deployer(progress)
    if with_cluster:
        builder.kubernetes(progress)
    with progress.step("build the Collector from its Go modules"):
        log = cache_directory() / "collector.log"
        collector.collector_layer(Store(images_directory()), of_this_machine(), log=log)
