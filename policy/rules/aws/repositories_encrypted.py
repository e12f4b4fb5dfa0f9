"""Images are encrypted with a key that their owner can revoke: a model is in its image."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings

_TYPES = frozenset(("aws:ecr/repository:Repository", "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"))
_BY_KEY = frozenset(("KMS", "KMS_DSSE"))


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.type not in _TYPES:
        return
    kinds = [each.get("encryptionType") for each in resource.props.get("encryptionConfigurations") or ()]
    if not _BY_KEY.intersection(kinds):
        yield "its images lie under a key of AWS; set encryptionConfigurations with encryptionType KMS and a kmsKey"


RULE = ObjectRule(
    name="aws-repository-encryption",
    description="Image repositories are encrypted with a KMS key.",
    package="aws",
    judge=_judge,
)
