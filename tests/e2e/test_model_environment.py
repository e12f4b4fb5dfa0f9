"""A model gets the environment that MLflow would restore: what it was built with, and packages among its own files,
of which one must be compiled."""

import os
import subprocess
import sys

from live_platform import Platform

from headrace.local import tracking_server

LOG_WITH_ITS_OWN_WHEEL = """
import pathlib, sys, tarfile, tempfile, zipfile
import mlflow
mlflow.set_experiment("headrace-tests")
requirements = mlflow.pyfunc.get_model_dependencies(sys.argv[1])  # an environment that is built already
like = pathlib.Path(requirements).read_text().splitlines()

with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    wheel = folder / "our_features-1.2-py3-none-any.whl"
    info = "our_features-1.2.dist-info"
    files = {
        "our_features.py": "def double(x):\\n    return 2 * x\\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: our-features\\nVersion: 1.2\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": "".join(f"{path},,\\n" for path in files)}.items():
            archive.writestr(path, text)
    source = folder / "fastzip-1.0"
    source.mkdir()
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\\nName: fastzip\\nVersion: 1.0\\n")
    (source / "setup.py").write_text(
        "from setuptools import Extension, setup\\n"
        "fastzip = Extension('fastzip', ['fastzip.c'], libraries=['z'])\\n"
        "setup(name='fastzip', version='1.0', ext_modules=[fastzip])\\n"
    )
    (source / "fastzip.c").write_text(
        "#include <Python.h>\\n#include <zlib.h>\\n"
        "static PyObject *crc(PyObject *self, PyObject *none) { return PyLong_FromUnsignedLong(crc32(0, 0, 0)); }\\n"
        "static PyMethodDef methods[] = {{\\"crc\\", crc, METH_NOARGS, 0}, {0}};\\n"
        "static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, \\"fastzip\\", 0, -1, methods};\\n"
        "PyMODINIT_FUNC PyInit_fastzip(void) { return PyModule_Create(&module); }\\n"
    )
    sources = folder / "fastzip-1.0.tar.gz"
    with tarfile.open(sources, "w:gz") as archive:
        archive.add(source, "fastzip-1.0")
    script = folder / "model.py"
    script.write_text(
        "import mlflow\\n"
        "class Model(mlflow.pyfunc.PythonModel):\\n"
        "    def predict(self, context, model_input, params=None):\\n"
        "        import fastzip, our_features, pkg_resources\\n"
        "        known = pkg_resources.get_distribution('our-features').version\\n"
        "        return [our_features.double(21), known, fastzip.crc()]\\n"
        "mlflow.models.set_model(Model())\\n"
    )
    with mlflow.start_run():
        made = mlflow.pyfunc.log_model(
            name="model", python_model=str(script), registered_model_name="own-wheel",
            code_paths=[str(wheel), str(sources)],
            pip_requirements=[*like, "code/our_features-1.2-py3-none-any.whl", "code/fastzip-1.0.tar.gz"],
        )
print("version", made.registered_model_version)  # last: MLflow prints where to look at the run when that ends
"""


def test_a_model_with_a_wheel_and_sources_in_c_among_its_files_and_a_need_of_pkg_resources_answers(
    platform: Platform,
) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_server.uri(), "GIT_PYTHON_REFRESH": "quiet"}
    logged = subprocess.run(
        [sys.executable, "-c", LOG_WITH_ITS_OWN_WHEEL, platform.model.model_uri],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    packages = {"build": ["zlib1g-dev"]}  # the library itself is the base's, for Python
    own = {"name": "own-wheel", "packages": packages, "model_uri": f"models:/own-wheel/{logged.stdout.split()[-1]}"}
    platform.stack.up(platform.settings([platform.endpoint, own]))

    answer = platform.ask({"inputs": [[1.0]]}, path="/serving-endpoints/own-wheel/invocations")

    assert answer.json == {"predictions": [42, "1.2", 0]}
