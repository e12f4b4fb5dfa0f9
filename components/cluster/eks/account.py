"""The AWS account of a program, asked for before anything is made: what is wrong with the credentials is said once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import get_caller_identity, get_region, iam

_REMEDIES: Final[Mapping[str, str]] = {
    "ExpiredToken": "the credentials of AWS have expired; log in again, for example with `aws sso login`",
    "InvalidClientTokenId": "AWS does not know the credentials; see which `aws configure list` shows",
    "UnrecognizedClient": "AWS does not know the credentials; see which `aws configure list` shows",
    "No valid credential": "there are no credentials of AWS; log in, or set AWS_PROFILE",
    "failed to refresh cached credentials": "there are no credentials of AWS; log in, or set AWS_PROFILE",
    "AccessDenied": "the credentials of AWS may not ask who they are; they need sts:GetCallerIdentity",
}
"""By what AWS' answer, or its provider's, has in it."""


class AccountError(pulumi.RunError):
    """AWS was not to be asked; one sentence, without a stack trace."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who deploys, and where."""

    id: str
    principal: str
    """ARN of the role or user; of a session its role, which alone an access entry can name."""
    region: str


def account(subject: str, component: pulumi.Resource) -> Account:
    """The account that the component's provider has. Raises AccountError where AWS does not say."""
    asked = pulumi.InvokeOptions(parent=component)
    try:
        caller = get_caller_identity(opts=asked)
        session = iam.get_session_context(arn=caller.arn, opts=asked)
        region = get_region(opts=asked).region
    except Exception as error:  # Pulumi raises its plainest kind for whatever a provider answers
        raise AccountError(f"{subject}: {remedy(str(error))}") from error
    return Account(id=caller.account_id, principal=session.issuer_arn, region=region)


def remedy(answer: str) -> str:
    """What to do about a provider's answer."""
    for sign, sentence in _REMEDIES.items():
        if sign in answer:
            return sentence
    return f"AWS does not say who deploys: {answer.strip().splitlines()[-1]}"
