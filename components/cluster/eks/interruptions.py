"""Interruptions: the queue in which AWS says that it takes a node back, and the rules that fill it.

Karpenter reads it and moves the pods in the two minutes that a spot instance has left.
"""

import json
from typing import Any, Final

from pulumi_aws import cloudwatch, sqs

from headrace.components.cluster.eks.owner import Owner
from headrace.components.cluster.eks.roles import document

_KEPT_SECONDS: Final = 300
"""A notice that is older has come true."""
_EVENTS: Final = {
    "health": ("aws.health", "AWS Health Event"),
    "spot": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state": ("aws.ec2", "EC2 Instance State-change Notification"),
    "capacity-block": ("aws.ec2", "EC2 Capacity Block Reservation Expiration Warning"),
}
"""As Karpenter's getting-started template has them, and the notice before the end of a capacity block."""


def interruption_queue(owner: Owner) -> sqs.Queue:
    """The queue with its rules."""
    queue = sqs.Queue(
        f"{owner.name}-interruptions",
        name=owner.name,
        message_retention_seconds=_KEPT_SECONDS,
        sqs_managed_sse_enabled=True,
        tags=owner.tagged("interruptions"),
        opts=owner.options(),
    )
    rules = [_rule(owner, queue, suffix, *event) for suffix, event in _EVENTS.items()]
    sqs.QueuePolicy(
        f"{owner.name}-interruptions",
        queue_url=queue.url,
        policy=document(
            [
                {
                    "Sid": "RulesWrite",
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue.arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": [rule.arn for rule in rules]}},
                },
                {
                    "Sid": "NothingInTheClear",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"],
                    "Resource": queue.arn,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ]
        ),
        opts=owner.options(),
    )
    return queue


def _rule(owner: Owner, queue: sqs.Queue, suffix: str, source: str, kind: str) -> Any:
    rule = cloudwatch.EventRule(
        f"{owner.name}-{suffix}",
        description=f"To Karpenter of {owner.name}: {kind}",
        event_pattern=json.dumps({"source": [source], "detail-type": [kind]}),
        tags=owner.tagged(suffix),
        opts=owner.options(),
    )
    cloudwatch.EventTarget(f"{owner.name}-{suffix}", rule=rule.name, arn=queue.arn, opts=owner.options())
    return rule
