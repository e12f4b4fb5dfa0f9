"""The components of Headrace for programs in TypeScript, Go, YAML and every other language of Pulumi."""

from pulumi.provider.experimental import component_provider_host

from headrace import components

HOSTED = [getattr(components, name) for name in components.COMPONENTS]

if __name__ == "__main__":
    component_provider_host(components=HOSTED, name="headrace")
