"""What a user reads when Pulumi fails: Pulumi's own diagnostics, without our call stacks."""

from headrace.local import pulumi_stack

OUTPUT = """\
 +  pulumi-python:dynamic/headrace:ImageBuild fraud-image-build creating (0s)
Diagnostics:
  pulumi-python:dynamic/headrace:ImageBuild (fraud-image-build):
    error: Traceback (most recent call last):
      File "pulumi/dynamic/__main__.py", line 84, in wrapper
        return fn(self, request, context)
    headrace.contract.errors.PermanentError: models:/fraud/7 needs numpy==1.0, which does not exist; log it again
    Build log: model-fraud.log

Outputs:
    ca_certificate: "-----BEGIN CERTIFICATE-----"
"""


def test_diagnostics_are_the_sentence_and_not_the_call_stack_or_the_outputs() -> None:
    shown = pulumi_stack.diagnostics(OUTPUT)

    assert "error: models:/fraud/7 needs numpy==1.0, which does not exist; log it again\n" in shown
    assert "Build log: model-fraud.log" in shown
    for noise in ("Traceback", "File", "Outputs", "creating"):
        assert noise not in shown


def test_without_diagnostics_the_end_of_the_output_is_shown() -> None:
    assert pulumi_stack.diagnostics("error: no such file") == "error: no such file"
