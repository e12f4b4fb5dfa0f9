"""Keys rotate by themselves, and a mistaken deletion can be taken back."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings

_FEWEST_DAYS = 14
"""A week's holiday and a week to notice; AWS allows 7 to 30."""


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.type != "aws:kms/key:Key":
        return
    is_symmetric = resource.props.get("customerMasterKeySpec") in (None, "SYMMETRIC_DEFAULT")
    if is_symmetric and resource.props.get("enableKeyRotation") is not True:
        yield "the key never changes; set enableKeyRotation to true"
    days = resource.props.get("deletionWindowInDays")
    if days is not None and days < _FEWEST_DAYS:
        yield f"deletionWindowInDays = {days:g}, must be at least {_FEWEST_DAYS}; a mistake is noticed in that time"


RULE = ObjectRule(
    name="aws-key-rotation",
    description="KMS keys rotate and are deleted after a wait.",
    package="aws",
    judge=_judge,
)
