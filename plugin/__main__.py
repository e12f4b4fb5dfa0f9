"""The components of Headrace for programs in TypeScript, Go, YAML and every other language of Pulumi."""

from importlib.util import find_spec

from pulumi.provider.experimental import component_provider_host

from headrace import components

HAS_AWS = find_spec("pulumi_aws") is not None
HOSTED = [getattr(components, name) for name in components.COMPONENTS if HAS_AWS or name not in components.NEED_AWS]

if __name__ == "__main__":
    component_provider_host(components=HOSTED, name="headrace")
