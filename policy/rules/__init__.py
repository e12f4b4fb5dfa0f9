"""What must hold: a folder for each subject, a module for each rule. Plain functions: they run without Pulumi."""

from rules import aws, endpoints, gpu, network, platform, pods, rights

RULES = (*pods.RULES, *network.RULES, *rights.RULES, *endpoints.RULES, *platform.RULES, *gpu.RULES, *aws.RULES)
