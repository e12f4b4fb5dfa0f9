"""What is said of the host in the Open Inference Protocol."""

from headrace.contract import names
from headrace.routing.management import host_protocols
from headrace.runtimes.protocols import messages


def test_the_messages_are_what_pods_would_make() -> None:
    made = {
        "ServerLive": messages.made("ServerLiveResponse", live=True),
        "ServerReady": messages.made("ServerReadyResponse", ready=True),
        "ServerMetadata": messages.made("ServerMetadataResponse", name="headrace", extensions=["binary_tensor_data"]),
    }

    expected = {f"/{names.GRPC_SERVICE}/{method}": message.SerializeToString() for method, message in made.items()}
    assert expected == host_protocols.MESSAGES


def test_the_host_lists_the_callers_models_and_knows_no_other_path() -> None:
    assert host_protocols.rest("/v2/models", ["a", "b"]) == {"models": ["a", "b"]}
    assert host_protocols.rest("/v2/health/ready", []) == {"ready": True}
    assert host_protocols.rest("/v2/elsewhere", []) is None
