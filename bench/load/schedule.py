"""When the requests of an open loop leave."""

from collections.abc import Iterator, Sequence


def times(rates: Sequence[float]) -> Iterator[float]:
    """Seconds from the start, of rates one a second: after each whole request of the integrated rate."""
    owed = 0.0
    for second, rate in enumerate(rates):
        if rate <= 0:
            continue
        first = (1.0 - owed) / rate
        count = int(owed + rate + 1e-9)
        for index in range(count):
            yield second + first + index / rate
        owed = max(0.0, owed + rate - count)
