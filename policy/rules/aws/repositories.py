"""Images in a repository are scanned, and a tag keeps its meaning."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.type != "aws:ecr/repository:Repository":
        return
    if not str(resource.props.get("imageTagMutability")).startswith("IMMUTABLE"):
        yield "a tag can come to mean another image; set imageTagMutability to IMMUTABLE"
    if (resource.props.get("imageScanningConfiguration") or {}).get("scanOnPush") is not True:
        yield "images are not scanned; set imageScanningConfiguration.scanOnPush to true"


RULE = ObjectRule(
    name="aws-repository-images",
    description="Image repositories are immutable and scanned.",
    package="aws",
    judge=_judge,
)
