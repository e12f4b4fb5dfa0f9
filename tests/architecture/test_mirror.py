"""Tests mirror the tree: `routing/ads/loop.py` is tested by `test_loop.py` below `tests/routing`."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("autoscaler", "cli", "components", "images", "kube", "local", "observability", "routing")
NO_TEST_OF_THEIR_NAME = {
    # Programs: tested by starting them.
    "autoscaler/__main__.py": "tests/e2e/test_autoscaling.py",
    "cli/__main__.py": "tests/cli/test_try_model.py",
    "components/endpoint/selection/__main__.py": "tests/components/endpoint/test_selection.py",
    "local/__main__.py": "tests/e2e/test_demo.py",
    "observability/console/__main__.py": "tests/e2e/test_console.py",
    "observability/drift/__main__.py": "tests/observability/drift/test_check.py",
    "observability/drift/results.py": "tests/observability/drift/test_check.py",
    "observability/drift/windows.py": "tests/observability/drift/test_check.py",
    "observability/tables/__main__.py": "tests/e2e/test_inference_table.py",
    "routing/activator/__main__.py": "tests/e2e/test_cold_start.py",
    "routing/ads/__main__.py": "tests/e2e/test_demo.py",
    "routing/management/__main__.py": "tests/e2e/test_access.py",
    "routing/rollout/__main__.py": "tests/e2e/test_rollout.py",
    "cli/agent/server.py": "tests/cli/test_mcp.py",
    "cli/agent/table_process.py": "tests/cli/agent/test_table_query.py",
    "cli/agent/tools.py": "tests/cli/test_mcp.py",
    "cli/cluster_reader.py": "tests/cli/test_endpoint_status.py",
    "cli/doctor.py": "tests/e2e/test_command_line.py",
    "cli/init.py": "tests/cli/test_new_project.py",
    "cli/options.py": "tests/cli/test_endpoint_status.py",
    "cli/promote.py": "tests/e2e/test_promotion.py",
    "cli/drift_picture.py": "tests/cli/test_drift_findings.py",
    "cli/scaling_history.py": "tests/cli/test_plot.py",
    "cli/scaling_picture.py": "tests/cli/test_plot.py",
    "cli/query.py": "tests/e2e/test_command_line.py",
    "cli/rollback.py": "tests/e2e/test_promotion.py",
    # Declarations without logic: tested where they are read.
    "autoscaler/engine/memory/profile.py": "tests/autoscaler/test_status.py",
    "autoscaler/engine/observation.py": "tests/autoscaler/test_counter_aggregation.py",
    "autoscaler/engine/reasons.py": "tests/autoscaler/engine/test_decide.py",
    "autoscaler/engine/windows.py": "tests/autoscaler/engine/test_decide.py",
    "observability/tables/writer_metrics.py": "tests/observability/test_reception.py",
    "images/tracking.py": "tests/images/test_tracking_server.py",
    "kube/fake_leases.py": "tests/kube/test_lease.py",
    "local/cluster_layout.py": "tests/e2e/test_cluster.py",
    "routing/activator/hold_metrics.py": "tests/routing/test_hold.py",
    "routing/ads/telemetry.py": "tests/routing/test_loop.py",
    "routing/rollout/engine/rollout_memory.py": "tests/routing/rollout/test_decide.py",
    "routing/rollout/engine/observation.py": "tests/routing/rollout/test_decide.py",
    "routing/rollout/engine/reasons.py": "tests/routing/rollout/test_decide.py",
    "routing/rollout/rollout_loop.py": "tests/routing/rollout/test_reconcile.py",
    "routing/rollout/rollout_status.py": "tests/routing/rollout/test_reconcile.py",
    "routing/rollout/telemetry.py": "tests/routing/rollout/test_reconcile.py",
    "routing/snapshot/options.py": "tests/routing/test_documentation.py",
    # Manifests and configuration for programs that alone can judge them: tested by what these programs do.
    "components/endpoint/model_pod.py": "tests/components/kubernetes/test_pods.py",
    "components/endpoint/endpoint_plan.py": "tests/stacks/forecast/test_forecast.py",
    "components/kubernetes/manifests.py": "tests/components/test_components.py",
    "components/platform/control_plane.py": "tests/components/test_components.py",
    "components/platform/controller_pod.py": "tests/components/kubernetes/test_pods.py",
    "components/platform/load_balancer.py": "tests/components/test_components.py",
    "components/platform/platform_program.py": "tests/components/test_components.py",
    "local/addons.py": "tests/e2e/test_cluster.py",
    "local/containerd.py": "tests/e2e/test_cluster.py",
    "routing/ads/kubernetes_api.py": "tests/routing/test_loop.py",
    "routing/activator/service.py": "tests/routing/test_hold.py",
    "routing/ads/service.py": "tests/routing/test_control_plane_outage.py",
    "routing/ads/status_writer.py": "tests/routing/test_loop.py",
    "routing/snapshot/http_settings.py": "tests/routing/test_data_plane.py",
    "routing/snapshot/local_replies.py": "tests/routing/test_bad_requests.py",
    "components/cluster/cluster_ref.py": "tests/components/cluster/eks/test_eks_cluster.py",
    "components/cluster/gpu_shapes.py": "tests/components/cluster/test_gpu_node_pool.py",
    "components/cluster/gpu_node_class.py": "tests/components/cluster/test_gpu_node_pool.py",
    "components/cluster/adopted_gpu_node_pool.py": "tests/components/cluster/test_gpu_node_pool.py",
    # Resources of AWS: what a cluster has is tested with it, and by the real engine.
    "components/cluster/eks/addons.py": "tests/program/test_aws_program.py",
    "components/cluster/eks/control_plane.py": "tests/components/cluster/eks/test_eks_cluster.py",
    "components/cluster/eks/interruptions.py": "tests/program/test_aws_program.py",
    "components/cluster/eks/nodes.py": "tests/components/cluster/eks/test_eks_cluster.py",
    "components/cluster/eks/owner.py": "tests/components/cluster/eks/test_network.py",
    "components/cluster/eks/registry.py": "tests/components/cluster/eks/test_eks_cluster.py",
    "components/cluster/eks/roles.py": "tests/components/cluster/eks/test_karpenter_role.py",
    "components/cluster/eks/storage.py": "tests/components/cluster/eks/test_eks_cluster.py",
    # Talk to a real server: tested with one.
    "autoscaler/cluster.py": "tests/autoscaler/test_loop.py",
    "local/demo_identity.py": "tests/e2e/test_access.py",
    "local/demo_model.py": "tests/e2e/test_bad_input.py",
    "local/pending_operations.py": "tests/e2e/test_bad_input.py",
    # Tested through the module that they are a part of.
    "observability/console/response_headers.py": "tests/observability/test_pages.py",
    "observability/console/session.py": "tests/observability/test_pages.py",
    "autoscaler/engine/horizontal/axis.py": "tests/autoscaler/engine/test_decide.py",
    "autoscaler/engine/vertical/axis.py": "tests/autoscaler/engine/test_decide.py",
    "images/mlflow_rest.py": "tests/images/test_tracking_server.py",
    "routing/rollout/engine/gates.py": "tests/routing/rollout/test_decide.py",
    "routing/rollout/fake_cluster.py": "tests/routing/rollout/test_reconcile.py",
    "routing/rollout/journal.py": "tests/routing/rollout/test_reconcile.py",
    "autoscaler/fake_cluster.py": "tests/autoscaler/test_reconcile.py",
    "components/endpoint/endpoint_scale.py": "tests/components/endpoint/test_model_endpoint.py",
    "components/endpoint/selection/choice.py": "tests/components/endpoint/test_selection.py",
    "components/endpoint/selection/custom.py": "tests/runtimes/engines/test_custom.py",
    "components/endpoint/selection/select.py": "tests/components/endpoint/test_selection.py",
    "components/endpoint/selection/triton.py": "tests/runtimes/engines/test_triton.py",
    "components/endpoint/selection/triton_repository.py": "tests/runtimes/engines/test_triton.py",
    "components/endpoint/selection/vllm.py": "tests/runtimes/engines/test_vllm.py",
    "components/platform/platform_ref.py": "tests/components/platform/test_serving_platform.py",
    "images/mlflow_client.py": "tests/components/endpoint/test_registries.py",
    "images/request.py": "tests/images/test_build.py",
    "images/commands.py": "tests/images/test_base.py",
    "images/debian.py": "tests/images/test_base.py",
    "images/envoy.py": "tests/images/test_sbom.py",
    "images/prometheus.py": "tests/images/test_sbom.py",
    "images/resolver.py": "tests/images/test_environment.py",
    "images/site.py": "tests/images/test_environment.py",
}
"""Modules whose tests are in a file of another name. The list shrinks: a module with tests of its name is not in it."""


def _modules() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if path.stem != "__init__"
    }


def _has_tests_of_its_name(module: str) -> bool:
    folder, stem = ROOT / "tests" / module.partition("/")[0], Path(module).stem
    return any(folder.rglob(f"test_{stem}.py"))


def test_each_module_has_tests_of_its_name_or_a_line_that_says_where_they_are() -> None:
    untested = {module for module in _modules() if not _has_tests_of_its_name(module)}

    assert sorted(untested - NO_TEST_OF_THEIR_NAME.keys()) == []


def test_the_list_of_exceptions_holds_nothing_that_is_over() -> None:
    gone = [module for module in NO_TEST_OF_THEIR_NAME if not (ROOT / module).is_file()]
    named = [module for module in NO_TEST_OF_THEIR_NAME if _has_tests_of_its_name(module)]
    nowhere = [tests for tests in NO_TEST_OF_THEIR_NAME.values() if not (ROOT / tests).is_file()]

    assert (gone, named, nowhere) == ([], [], [])


def test_no_two_files_of_tests_below_one_folder_share_a_name() -> None:
    """Two files of one name below one folder would be two places to look for one module's tests."""
    for folder in FOLDERS:
        names = [path.name for path in (ROOT / "tests" / folder).rglob("test_*.py")]
        assert len(names) == len(set(names)), folder
