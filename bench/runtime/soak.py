"""`make soak`: a million requests to one front, and whether its memory grows; writes bench/results/soak.json."""

import sys
import tempfile
from pathlib import Path

from bench import report
from bench.load import generator
from bench.runtime import environments, systems
from bench.runtime.__main__ import columns_of, make_models
from bench.runtime.systems import SETTINGS, Model

REQUESTS = 1_000_000
CONNECTIONS = 64
ROUND_SECONDS = 20.0
GROWTH_MIB = 32.0
"""What the allocators of three processes may come to hold; a leak of 100 bytes a request would be 95 MiB."""


def main() -> None:
    """Sends rounds until a million requests are answered; memory is read between them."""
    directory = environments.cache() / "models"
    make_models(directory)
    model = Model(directory=directory, name="logistic", columns=columns_of(directory, "logistic"))
    row = [1.0] * len(model.columns)
    with tempfile.TemporaryDirectory() as temporary:
        served = systems.start("headrace", model, Path(temporary))
        job = served.job(served.body([row]), connections=CONNECTIONS, seconds=ROUND_SECONDS)
        try:
            # The second worker starts when the first is ready, under this load; memory counts once both have served.
            generator.run(job)
            memory = [served.resident_mebibytes()]
            answered = other = 0
            while answered < REQUESTS:
                result = generator.run(job)
                good = int(result["statuses"].get("200", 0))
                answered += good
                other += sum(result["statuses"].values()) - good + result["broken"]
                memory.append(served.resident_mebibytes())
                print(f"{answered} requests, {memory[-1]:.1f} MiB", file=sys.stderr, flush=True)
                if not good:
                    raise RuntimeError("no request is answered")
        finally:
            served.stop()
    cells = [
        report.single("soak", "requests", float(answered), "requests"),
        report.single("soak", "memory at first", memory[0], "MiB"),
        report.single("soak", "memory at most", max(memory), "MiB"),
    ]
    bars = [
        report.at_least("requests answered", float(answered), REQUESTS, "requests"),
        report.at_most("requests refused or broken", float(other), 0, "requests"),
        report.at_most("memory of all processes, most over first", max(memory) - memory[0], GROWTH_MIB, "MiB"),
    ]
    settings = {"model": "logistic regression", "connections": str(CONNECTIONS), "settings": SETTINGS["headrace"]}
    report.write("soak", versions=settings, cells=cells, bars=bars)


if __name__ == "__main__":
    main()
