"""The two families of failure: one that time may cure and one that only a change of input will.

Every message is one sentence that names the input, its value, the rule it broke and the remedy.
"""

from collections.abc import Sequence


class HeadraceError(Exception):
    """A failure that Headrace explains; `str()` of it is fit to show to a user."""


class PermanentError(HeadraceError):
    """The same input will fail again: the caller must change something."""


class InputError(PermanentError):
    """One or more inputs broke a rule; all faults of one input set are reported at once."""

    def __init__(self, subject: str, faults: Sequence[str]) -> None:
        self.subject = subject
        self.faults = tuple(faults)
        super().__init__(f"{subject}: " + "; ".join(self.faults))


class TemporaryError(HeadraceError):
    """The same input may succeed later, at the earliest after `retry_after_seconds`."""

    def __init__(self, message: str, *, retry_after_seconds: float = 5.0) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)
