"""Ray Serve's own autoscaling policy behind JSON lines. Runs in Ray's environment; no Ray cluster is started.

In:  {"reset": {AutoscalingConfig fields}} or {"t": 12.0, "running": 3, "target": 3, "total": 7.5}
Out: {"desired": 4} for each line of the second kind.
"""

import json
import sys
import types

import ray.serve.autoscaling_policy as policies
from ray.serve._private.common import DeploymentID
from ray.serve.config import AutoscalingConfig, AutoscalingContext


class Clock:
    """Virtual time, read by the policy in place of `time`."""

    now = 0.0


def main() -> None:
    """Serves until the input ends."""
    policies.time = types.SimpleNamespace(time=lambda: Clock.now, monotonic=lambda: Clock.now)
    policy = policies._apply_autoscaling_config(policies.replica_queue_length_autoscaling_policy)
    config = AutoscalingConfig()
    state: dict[str, object] = {}
    for line in sys.stdin:
        message = json.loads(line)
        if "reset" in message:
            config, state = AutoscalingConfig(**message["reset"]), {}
            continue
        Clock.now = 1_000_000.0 + message["t"]
        context = AutoscalingContext(
            deployment_id=DeploymentID(name="d", app_name="a"),
            deployment_name="d",
            app_name="a",
            current_num_replicas=message["running"],
            target_num_replicas=message["target"],
            running_replicas=[],
            total_num_requests=message["total"],
            total_queued_requests=0,
            aggregated_metrics=None,
            raw_metrics=None,
            capacity_adjusted_min_replicas=config.min_replicas,
            capacity_adjusted_max_replicas=config.max_replicas,
            policy_state=dict(state),
            last_scale_up_time=None,
            last_scale_down_time=None,
            current_time=Clock.now,
            config=config,
        )
        wanted, state = policy(context)
        desired = max(config.min_replicas, min(config.max_replicas, int(wanted)))
        print(json.dumps({"desired": desired}), flush=True)


if __name__ == "__main__":
    main()
