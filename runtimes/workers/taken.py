"""How far a worker has come with what it was sent: a number in memory that both share.

A worker writes there which call it takes up, before it begins. When it ends, the front knows which calls no model has
seen, and gives them to another worker. No message could say so of a worker that was stopped in the middle.
"""

import mmap
import os
from typing import Final

BYTES: Final = 8


class Taken:
    """The number of the last call that one worker process has taken up; calls are taken in the order of numbers."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("headrace-taken")
        """For the worker to inherit; to be closed once it runs."""
        os.ftruncate(self.descriptor, BYTES)
        self._memory = memoryview(mmap.mmap(self.descriptor, BYTES)).cast("Q")

    def close(self) -> None:
        """The worker has the descriptor now; the memory stays."""
        os.close(self.descriptor)

    def holds(self, number: int) -> bool:
        """Whether the call of that number was taken up."""
        return number <= self._memory[0]
