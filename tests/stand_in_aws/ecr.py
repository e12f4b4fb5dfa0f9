"""Repositories of images."""

from typing import Any, Final

from stand_in_aws.clients import client
from stand_in_aws.kind import Kind, Props, found, pascal, tag_list, words


def _ecr() -> Any:
    return client("ecr")


def _encryption(props: Props) -> dict[str, Any]:
    given = props.get("encryptionConfigurations")
    return {"encryptionConfiguration": given[0]} if given else {}


def _create(props: Props) -> tuple[str, Props]:
    made = _ecr().create_repository(
        repositoryName=props["name"],
        imageTagMutability=props["imageTagMutability"],
        imageScanningConfiguration=props["imageScanningConfiguration"],
        tags=tag_list(props),
        **_encryption(props),
    )["repository"]
    return props["name"], {
        "arn": made["repositoryArn"],
        "repositoryUrl": made["repositoryUri"],
        "registryId": made["registryId"],
    }


def _update(made: str, _: Props, new: Props) -> None:
    _ecr().put_image_tag_mutability(repositoryName=made, imageTagMutability=new["imageTagMutability"])
    _ecr().put_image_scanning_configuration(
        repositoryName=made, imageScanningConfiguration=new["imageScanningConfiguration"]
    )


def _read(made: str, _: Props) -> Props | None:
    return None if found(lambda: _ecr().describe_repositories(repositoryNames=[made])) is None else {}


REPOSITORY: Final = Kind(
    token="aws:ecr/repository:Repository",
    takes=words("name imageTagMutability imageScanningConfiguration encryptionConfigurations forceDelete tags"),
    replaces=words("name encryptionConfigurations"),
    named="name",
    create=_create,
    read=_read,
    update=_update,
    delete=lambda made, state: _ecr().delete_repository(
        repositoryName=made, force=bool(state.get("forceDelete", False))
    ),
)


def _put_lifecycle(props: Props) -> tuple[str, Props]:
    _ecr().put_lifecycle_policy(repositoryName=props["repository"], lifecyclePolicyText=props["policy"])
    return props["repository"], {}


LIFECYCLE_POLICY: Final = Kind(
    token="aws:ecr/lifecyclePolicy:LifecyclePolicy",
    takes=words("repository policy"),
    required=words("repository policy"),
    create=_put_lifecycle,
    read=lambda made, _: None if found(lambda: _ecr().get_lifecycle_policy(repositoryName=made)) is None else {},
    delete=lambda made, _: _ecr().delete_lifecycle_policy(repositoryName=made),
)


def _template(props: Props) -> dict[str, Any]:
    spelled = {"prefix": "prefix", "description": "description", "appliedFors": "appliedFor"}
    spelled |= {"imageTagMutability": "imageTagMutability", "lifecyclePolicy": "lifecyclePolicy"}
    tags = [pascal({"key": key, "value": value}) for key, value in (props.get("resourceTags") or {}).items()]
    return {
        **{to: props[name] for name, to in spelled.items() if name in props},
        **_encryption(props),
        **({"resourceTags": tags} if tags else {}),
    }


def _create_template(props: Props) -> tuple[str, Props]:
    _ecr().create_repository_creation_template(**_template(props))
    return props["prefix"], {}


def _read_template(made: str, _: Props) -> Props | None:
    seen = _ecr().describe_repository_creation_templates(prefixes=[made])["repositoryCreationTemplates"]
    return {} if seen else None


CREATION_TEMPLATE: Final = Kind(
    token="aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate",
    takes=words(
        "prefix description appliedFors imageTagMutability encryptionConfigurations lifecyclePolicy resourceTags"
    ),
    required=words("prefix appliedFors"),
    replaces=words("prefix"),
    create=_create_template,
    read=_read_template,
    update=lambda _, __, new: _ecr().update_repository_creation_template(**_template(new)) and None,
    delete=lambda made, _: _ecr().delete_repository_creation_template(prefix=made),
)

KINDS: Final = (REPOSITORY, LIFECYCLE_POLICY, CREATION_TEMPLATE)
