"""The programs are pinned where Go reads the pins."""

import pytest

from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import (
    DEPLOYER,
    KUBERNETES,
    KWOK,
    METRICS_SERVER,
    SDK_GENERATOR,
    SEAWEEDFS,
    Program,
)


@pytest.mark.parametrize(
    "program", [KUBERNETES, *DEPLOYER, KWOK, METRICS_SERVER, SDK_GENERATOR, SEAWEEDFS], ids=lambda program: program.name
)
def test_a_module_pins_the_version_that_its_program_says(program: Program) -> None:
    folder = builder.MODULES / program.module

    assert program.version in (folder / "go.mod").read_text()
    assert (folder / "go.sum").exists()
