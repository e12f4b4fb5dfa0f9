"""The policy pack. PolicyPack serves until the engine is done and never returns, so nothing else is in this file."""

from enforcement import policy
from pulumi_policy import PolicyPack
from rules import RULES

PolicyPack("headrace", [policy(rule) for rule in RULES])
