"""Why a model raised is in the pod's log, whatever the model has done to logging and to its standard streams."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from patience import eventually

MEDDLING = {
    "handlers of its own": """
import logging.config
logging.config.dictConfig({"version": 1, "handlers": {"h": {"class": "logging.NullHandler"}},
                           "root": {"level": "CRITICAL", "handlers": ["h"]}})
""",
    "a file instead": "import logging; logging.basicConfig(filename='/dev/null', level=100, force=True)",
    "nothing at all": "import logging; logging.disable(logging.CRITICAL); logging.raiseExceptions = False",
    "records of its own": "import logging; logging.setLogRecordFactory(lambda *a, **k: 1 / 0)",
    "no logger": "import logging; logging.Logger._log = logging.Logger.handle = lambda *a, **k: None",
    "another stderr": "import io, sys; sys.stderr = sys.__stderr__ = io.StringIO()",
    "a closed stderr": "import sys; sys.stderr.close()",
    "no stderr": "import sys; sys.stderr = None",
    "another descriptor": "import os; os.dup2(os.open('/dev/null', os.O_WRONLY), 2)",
    "a shut descriptor": "import os; os.close(2)",
    "a daemon's habit": "import os; os.closerange(3, 4096)",
    "an excepthook": "import sys; sys.excepthook = lambda *a: None",
}
PROGRAM = """
from headrace.runtimes.worker import faults
from headrace.runtimes.worker.diagnostics import log
log.keep()
def predict():
    raise {error}
exec({meddling!r})
try:
    predict()
except Exception as error:
    faults.from_exception(error)
"""


def told(meddling: str, error: str = "ValueError('the reason is 4111')") -> str:
    """What is in the pod's log of a model that meddles and then raises."""
    program = PROGRAM.format(meddling=meddling, error=error)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).stderr.decode()


@pytest.mark.parametrize("meddling", MEDDLING.values(), ids=MEDDLING)
def test_the_trace_of_a_failing_model_is_in_the_log(meddling: str) -> None:
    log = told(meddling)

    assert "ERROR headrace.worker: the model raised ValueError\n" in log
    assert "in predict\n" in log
    assert log.endswith("ValueError: the reason is 4111\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("ValueError('a lone \\\\ud800 in 4111')", "ValueError: a lone \\ud800 in 4111\n"),
        ("type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})()", "Mute: <exception str() failed>\n"),
        ("ValueError('x' * 300_000 + ' 4111')", "x 4111\n"),
    ],
    ids=["no Unicode", "no text", "long"],
)
def test_a_trace_of_any_text_is_written(error: str, said: str) -> None:
    assert told("", error).endswith(said)


@pytest.mark.slow
def test_a_pods_log_has_the_trace_although_the_model_took_the_log_away(
    start_front: Callable[..., Any], python_model: Callable[..., Path]
) -> None:
    meddling = "\n".join(MEDDLING[name] for name in ("handlers of its own", "nothing at all", "another descriptor"))
    model = python_model(
        "class Model(PythonModel):\n    def load_context(self, context):\n        exec(MEDDLING)\n"
        "    def predict(self, context, model_input):\n        raise ValueError('the reason is 4111')\n"
        f"MEDDLING = {meddling!r}\n"
    )
    with start_front(model) as front:
        assert front.post('{"inputs": [1]}').status_code == 400
        eventually(lambda: "ValueError: the reason is 4111" in front.log.read_text())
