"""The account of memory that request bodies take in the serving process."""

from headrace.runtimes.protocols.request_body import BODY_LIMIT

LEAST_BYTES = 4 * BODY_LIMIT
SHARE = 0.125
"""Request bodies, waiting ones included, may take this share of the pod's memory, and always LEAST_BYTES."""
UNLIMITED_BYTES = 32 * BODY_LIMIT
"""The same where the pod's memory has no limit."""


class MemoryAccount:
    """Bytes of request bodies, from before they are read until their request is answered.

    A queue that is bounded in requests alone could hold 16 MiB for each.
    """

    def __init__(self, memory_bytes: int | None) -> None:
        """`memory_bytes`: the pod's limit; None where it has none."""
        self.held_bytes = 0
        self.most_bytes = UNLIMITED_BYTES if memory_bytes is None else max(LEAST_BYTES, int(memory_bytes * SHARE))

    def takes(self, size: int) -> bool:
        """Counts so many bytes more, if there is room for them."""
        if self.held_bytes + size > self.most_bytes:
            return False
        self.held_bytes += size
        return True

    def change(self, before: int, now: int) -> None:
        """A body that was counted as `before` bytes takes `now` bytes; it has been admitted, so there is no refusal."""
        self.held_bytes += now - before
