"""What the controller tells of pods' prices, which decide nothing."""

from reconciled_world import KEY, NAMESPACE, World

from headrace.autoscaler import telemetry


def told(metric: str) -> dict[str, float]:
    """What the controller tells of the version, by currency."""
    name = f"headrace_autoscaler_{metric}"
    samples = [sample for family in telemetry.registry.collect() for sample in family.samples if sample.name == name]
    own = [each for each in samples if (each.labels["namespace"], each.labels["version"]) == KEY]
    return {each.labels.get("currency", ""): each.value for each in own}


def test_pods_with_a_node_and_their_price_are_told_and_another_price_moves_no_pod() -> None:
    world = World(pod_cost_per_hour=0.5, currency="USD", price_source="contract", replicas=2)
    waiting = [world.cluster.pod(f"v1-{state}", state=state) for state in ("starting", "failing", "unschedulable")]
    world.cluster.version_pods[KEY] += waiting
    world.look(10)
    assert told("placed_pods") == {"": 4}
    assert told("pod_cost_per_hour") == {"USD": 0.5}
    before, orders = world.replicas, len(world.cluster.scalings)

    world.cluster.objects[KEY]["spec"]["budget"] = {"podCostPerHour": 0.75, "currency": "EUR"}
    world.look(10)
    assert told("pod_cost_per_hour") == {"EUR": 0.75}
    assert (world.replicas, len(world.cluster.scalings)) == (before, orders)

    del world.cluster.objects[KEY]["spec"]["budget"]
    world.look(10)
    assert told("pod_cost_per_hour") == {}


def test_of_a_version_that_another_scales_nothing_is_told_until_it_is_back() -> None:
    world = World(pod_cost_per_hour=0.5, currency="USD")
    world.look(10)
    rival = {
        "metadata": {"name": "by-hand", "namespace": NAMESPACE},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "v1"}},
    }
    world.cluster.namespace_rivals[NAMESPACE] = [rival]
    world.look(10)
    assert (told("replicas"), told("placed_pods"), told("pod_cost_per_hour")) == ({}, {}, {})

    world.cluster.namespace_rivals.clear()
    world.look(10)
    assert told("pod_cost_per_hour") == {"USD": 0.5}
    world.reconciler.release()
    assert told("pod_cost_per_hour") == {}
