"""What is said while a build goes on."""

import threading
from pathlib import Path

from headrace.images.steps import Step, reported
from headrace.images.store import HashingWriter, Store


def test_a_step_that_goes_on_is_told_again_with_what_it_has_written(store: Store, log: Path) -> None:
    """The layer is finished only when its first bytes were told of: nothing here waits for a time."""
    steps: list[Step] = []
    told = threading.Event()

    def tell(step: Step) -> None:
        steps.append(step)
        if step.unfinished_bytes == 3 << 20:
            told.set()

    def layer(out: HashingWriter) -> None:
        with store.scratch() as scratch:
            (scratch / "download").write_bytes(bytes(2 << 20))
            (scratch / "link").symlink_to("download")
            out.write(bytes(1 << 20))
            assert told.wait(30), steps

    with reported(log, 2, tell, store.unfinished, again_seconds=0.01) as report:
        report("environment")
        store.put_stream(layer)
        report("model")

    first_time = list(dict.fromkeys((step.number, step.of, step.what) for step in steps))
    assert first_time == [(1, 2, "environment"), (2, 2, "model")]
    assert {step.what for step in steps if step.unfinished_bytes} == {"environment"}
    assert log.read_text().splitlines() == ["step 1 of 2, environment (0 s)", "step 2 of 2, model (0 s)"]
    assert store.unfinished() == 0


def test_a_step_is_a_line_for_people() -> None:
    step = Step(number=2, of=6, what="environment", elapsed_seconds=75.3, unfinished_bytes=1_234_567_890)

    assert str(step) == "step 2 of 6, environment (75 s, 1,235 MB so far)"
