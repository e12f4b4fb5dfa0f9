"""Owner: whose children the AWS resources of a module are, and how they are named and tagged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pulumi

_LONGEST_TAG_KEY = 128
_LONGEST_TAG_VALUE = 256
"""As AWS has it for most services."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A component, as the functions that make its children need it."""

    name: str
    """Its logical name, with which those of its children begin."""
    tags: Mapping[str, str]
    """What the user put on everything."""
    component: pulumi.Resource

    def options(self, *after: pulumi.Resource, protected: bool = False) -> pulumi.ResourceOptions:
        """Options of a child that is made after these resources; Pulumi itself refuses to delete a protected one."""
        return pulumi.ResourceOptions(parent=self.component, depends_on=list(after), protect=protected or None)

    def tagged(self, suffix: str, **more: str) -> dict[str, str]:
        """Tags of a child; AWS' consoles show `Name`. Keys of `more` have `/` and `.` and come by `**`."""
        return {"Name": f"{self.name}-{suffix}", **more, **self.tags}


def tag_faults(tags: object) -> Iterator[str]:
    """What AWS would refuse, and what its own tags would lose."""
    if not isinstance(tags, Mapping):
        yield f"tags = {tags!r}, must be a mapping"
        return
    for key, value in tags.items():
        if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_TAG_KEY or key.lower().startswith("aws:"):
            yield f"tags has the key {key!r}, must be 1 to {_LONGEST_TAG_KEY} characters that do not begin with 'aws:'"
        if not isinstance(value, str) or len(value) > _LONGEST_TAG_VALUE:
            yield f"tags[{key!r}] = {value!r}, must be a text of at most {_LONGEST_TAG_VALUE} characters"
