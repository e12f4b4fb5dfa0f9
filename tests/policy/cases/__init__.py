"""Resources that break each rule, and that keep it: a module for each folder of policy/rules."""

from cases import aws, endpoints, evidence, gpu, network, platform, pods, rights

CASES = (
    *pods.CASES,
    *network.CASES,
    *rights.CASES,
    *endpoints.CASES,
    *evidence.CASES,
    *platform.CASES,
    *gpu.CASES,
    *aws.CASES,
)
