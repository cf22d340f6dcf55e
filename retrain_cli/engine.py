"""The one place that imports Keras: quietly, late, and on the engine the user chose.

Keras takes over two seconds to import and its engines write to standard error as they like, so no
module of this package imports it at the top; whoever needs it calls `load_keras()`.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from retrain_cli import waiting
from retrain_cli.errors import ConfigError, DeviceError, RetrainError, reason_of, setting
from retrain_cli.files import parse_json
from retrain_cli.paths import absolute, home

_DEVICE = re.compile(r"auto|cpu|gpu(:[0-9]+)?")

_GPU_FILES = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/kfd", "/dev/dxg")
"""Where Linux shows the drivers of NVIDIA and AMD, and Windows its own inside WSL."""

_ROOM_FOR_OPENVINO = 480 << 20
_ROOM_FOR_TENSORFLOW = 1800 << 20
"""Bytes of address space; with less they abort or hang when they start their threads."""

_UNUSED_BY_COMMANDS = ("sklearn", "matplotlib")
"""What Keras imports for wrappers and galleries of its own, but does not need."""

_ITS_OWN = r"(keras|torch)\."
"""Modules whose warnings are for whoever programs with them."""

_verbose = False
_for_a_command = False


def serve_a_command() -> None:
    """This process is a command's: nobody but this package uses its Keras."""
    global _for_a_command  # noqa: PLW0603 - a process serves a command, or a notebook
    _for_a_command = True


def set_verbose(verbose: bool) -> None:
    """Let the engines' own messages through (`--verbose`) or keep them off the terminal."""
    global _verbose  # noqa: PLW0603 - a process has one standard error
    _verbose = verbose


def load_keras() -> ModuleType:
    """Import Keras without its engine's chatter; KERAS_BACKEND and keras.json keep their meaning.

    Raises:
        ConfigError: the engine that one of the two names is not installed or unknown, or
            keras.json holds what Keras cannot start with.
        DeviceError: too little address space is left for it.
    """
    if "keras" in sys.modules:
        return import_module("keras")
    if _engine_name() == "TensorFlow":
        need_address_space("TensorFlow", _ROOM_FOR_TENSORFLOW)
    with waiting.for_(f"loading {_engine_name()}"), quiet_engine(), _without_extras():
        try:
            keras = import_module("keras")
        except (ImportError, ValueError, TypeError, AttributeError, AssertionError) as error:
            raise ConfigError(_why_keras_fails(error)) from error
    if _for_a_command and not _verbose:
        warnings.filterwarnings("ignore", category=UserWarning, module=_ITS_OWN)
    return keras


@contextmanager
def _without_extras() -> Iterator[None]:
    """Let a command's Keras find neither scikit-learn nor matplotlib, a quarter of its start.

    In a notebook it finds them, for whoever uses its wrappers and galleries there.
    """
    hidden = [name for name in _UNUSED_BY_COMMANDS if _for_a_command and name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


_ENGINE_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def wanted_engine() -> str:
    """The engine that Keras runs on, or would if it were loaded: tensorflow unless told."""
    return os.environ.get("KERAS_BACKEND") or _backend_of_settings_file() or "tensorflow"


def _engine_name() -> str:
    """The engine that is about to be loaded, as people call it."""
    return _ENGINE_NAMES.get(wanted_engine(), "Keras")


def _backend_of_settings_file() -> str | None:
    file = keras_settings_file()
    try:
        return None if file is None else str(parse_json(file.read_bytes()).get("backend"))
    except (OSError, ValueError, AttributeError):
        return None  # Keras itself says what is wrong with it


def _why_keras_fails(error: Exception) -> str:
    """Which of the user's settings keeps Keras from starting, and what to do about it."""
    backend, file = os.environ.get("KERAS_BACKEND"), keras_settings_file()
    if backend is None and file is not None:
        return (
            f"Keras starts with the settings of {file}, and cannot with these "
            f"({reason_of(error)}): mend or remove that file, or set KERAS_BACKEND=tensorflow "
            "where only its engine is not installed"
        )
    return (
        f"Keras needs its engine to be installed; KERAS_BACKEND is {backend or 'tensorflow'!r} and "
        f"its import failed ({reason_of(error)}): install it, or unset KERAS_BACKEND for tensorflow"
    )


def keras_folder() -> Path:
    """Where Keras keeps settings and downloads, as `keras.src.backend.config` decides."""
    return absolute(os.environ.get("KERAS_HOME") or (home() or Path("/tmp")) / ".keras")


def keras_settings_file() -> Path | None:
    """Keras's own settings, which other programs write too; None where there is no such file."""
    file = keras_folder() / "keras.json"
    return file if file.is_file() else None


_float_lock = threading.Lock()
_float_users: list[str] = []
"""For each block of `float32_by_default` that is open, what Keras's default was before it."""


@contextmanager
def float32_by_default() -> Iterator[None]:
    """Let Keras make variables in float32, whatever keras.json says; may be used by many threads.

    Optimisers make some of theirs, such as the learning rate, without being asked for a type.
    """
    config = load_keras().config
    with _float_lock:
        _float_users.append(config.floatx())
        config.set_floatx("float32")
    try:
        yield
    finally:
        with _float_lock:
            before = _float_users.pop()
            if not _float_users:
                config.set_floatx(before)


def load_tensorflow() -> ModuleType:
    """Import TensorFlow quietly; only for what is its own (TF-Hub, SavedModel, summaries)."""
    if "tensorflow" in sys.modules:
        return import_module("tensorflow")
    need_address_space("TensorFlow", _ROOM_FOR_TENSORFLOW)
    with waiting.for_("loading TensorFlow"), quiet_engine():
        return import_module("tensorflow")


def has_openvino() -> bool:
    """Whether OpenVINO is installed; does not import it."""
    return find_spec("openvino") is not None


def load_openvino() -> ModuleType:
    """Import OpenVINO quietly, and without its telemetry.

    Its import and its conversion tell Google Analytics by default. Whoever trains on their own
    photos did not ask for that; without the telemetry package OpenVINO uses a stub.

    Raises:
        ConfigError: it is not installed, or does not run on this machine.
        DeviceError: too little address space is left for it.
    """
    if "openvino" not in sys.modules:
        need_address_space("OpenVINO", _ROOM_FOR_OPENVINO)
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        with waiting.for_("loading OpenVINO"), quiet_engine():
            return import_module("openvino")
    except ImportError as error:
        raise ConfigError(
            f"{setting('runtime', 'openvino')} needs OpenVINO, whose import failed ({error}): "
            f"pip install openvino, or go on with {setting('runtime', 'keras')}"
        ) from error


def need_address_space(name: str, needed: int) -> None:
    """Refuse to load an engine that would end the process, or wait for ever, for want of room.

    Args:
        name: the engine, as people call it.
        needed: bytes that a small network takes beside what the process has.

    Raises:
        DeviceError: the system leaves less to this process.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    held = Path("/proc/self/statm")
    if allowed == resource.RLIM_INFINITY or not held.exists():
        return
    left = allowed - int(held.read_text().split()[0]) * resource.getpagesize()
    if left < needed:
        raise DeviceError(
            f"{name} needs {needed >> 20} MiB of address space, and the system leaves it "
            f"{max(0, left) >> 20}: raise `ulimit -v`"
        )


def may_have_gpu() -> bool:
    """Whether asking the engine for a GPU can be worth its import; never wrongly False."""
    return sys.platform != "linux" or any(Path(path).exists() for path in _GPU_FILES)


def check_device(wanted: str) -> str:
    """Return `wanted`, one of `auto`, `cpu`, `gpu` and `gpu:N`; needs no engine.

    Raises:
        ConfigError: not one of these forms.
    """
    if not _DEVICE.fullmatch(wanted):
        raise ConfigError(f"{setting('device')} takes auto, cpu, gpu or gpu:N, not {wanted!r}")
    return wanted


def choose_device(wanted: str = "auto") -> str:
    """Resolve `auto`, `cpu`, `gpu` or `gpu:N` to a Keras device name such as `cpu:0` or `gpu:0`.

    Raises:
        ConfigError: not one of these forms.
        DeviceError: a GPU was asked for that the engine does not see.
    """
    kind, _, number = check_device(wanted).partition(":")
    if kind == "cpu":
        return "cpu:0"
    gpus = list_gpus()
    if kind == "auto":
        return "gpu:0" if gpus else "cpu:0"
    if int(number or 0) >= len(gpus):
        seen = f"{len(gpus)} GPU(s)" if gpus else "no GPU"
        raise DeviceError(
            f"{setting('device', wanted)} needs a GPU that the engine sees; it sees {seen}: "
            "`retrain doctor` says what is missing, `--device cpu` goes on without"
        )
    return f"gpu:{number or 0}"


def choose_devices(wanted: str = "auto") -> list[str]:
    """As `choose_device`, but all GPUs where none is named and the engine is JAX.

    The other engines of Keras cannot share a batch among devices without a strategy of their own.

    Raises:
        ConfigError, DeviceError: as `choose_device`.
    """
    first = choose_device(wanted)
    if wanted in ("auto", "gpu") and first.startswith("gpu"):
        gpus = list_gpus()
        return gpus if load_keras().backend.backend() == "jax" else gpus[:1]
    return [first]


def on_device(device: str) -> AbstractContextManager[Any]:
    """Let Keras compute and keep variables on a device such as "cpu:0" inside `with`.

    To PyTorch "cpu:0" is another place than "cpu", and what is copied there no longer learns.
    """
    keras = load_keras()
    is_torch = keras.backend.backend() == "torch"
    scope: AbstractContextManager[Any] = keras.device(
        "cpu" if is_torch and device.startswith("cpu") else device
    )
    return scope


def list_gpus() -> list[str]:
    """Names of the GPUs that Keras's engine sees."""
    keras = load_keras()
    with waiting.for_("looking for GPUs"), quiet_engine():
        if keras.backend.backend() == "torch":  # whose devices Keras does not list
            return [f"gpu:{number}" for number in range(import_module("torch").cuda.device_count())]
        try:
            return list(keras.distribution.list_devices("gpu"))
        except RuntimeError:  # JAX built for the processor alone knows no such platform
            return []


def gpu_capability(device: str) -> tuple[int, int]:
    """NVIDIA's compute capability of a Keras device such as "gpu:0"; (0, 0) where not known."""
    keras, number = load_keras(), int(device.partition(":")[2] or 0)
    backend = keras.backend.backend()
    with quiet_engine():
        if backend == "tensorflow":
            config = load_tensorflow().config
            gpu = config.list_physical_devices("GPU")[number]
            details = config.experimental.get_device_details(gpu)
            return tuple(details.get("compute_capability", (0, 0)))
        if backend == "jax":
            gpu = import_module("jax").devices("gpu")[number]
            major, _, minor = str(getattr(gpu, "compute_capability", "0.0")).partition(".")
            return (int(major), int(minor or 0)) if major.isdigit() else (0, 0)
        if backend == "torch" and import_module("torch").version.cuda:
            return tuple(import_module("torch").cuda.get_device_capability(number))
    return (0, 0)


@contextmanager
def quiet_engine() -> Iterator[None]:
    """Keep what C++ code writes to standard error off it; replay that if the block has a fault.

    Engines do so while they load, and libtiff for each fault of a photo. An error of ours says all
    that is needed, and Ctrl-C is no fault.

    Environment switches come first, for they also silence what is logged after the block.
    """
    if _verbose:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("ABSL_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.stderr.flush()
    terminal = os.dup(2)
    with _notebook_for_chatter() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except (RetrainError, KeyboardInterrupt):
            raise
        except BaseException:
            chatter.seek(0)
            os.write(terminal, chatter.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _notebook_for_chatter() -> IO[bytes]:
    """A file without a name; where there is no room for one, the chatter is lost."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "r+b")  # noqa: PTH123 - it has no path of its own


@cache
def openvino_core() -> Any:
    """The one `openvino.Core` of this process, which lives as long.

    On processors with AVX-512 each core gives the thread a stack for its signal handlers, and takes
    it away when it goes. Where two go in another order than they came the thread is left with a
    stack that is not there any more, and the next Ctrl-C ends the process by a segmentation fault
    (seen with OpenVINO 2026.4).

    Raises:
        ConfigError: as `load_openvino`.
        DeviceError: as `load_openvino`.
    """
    openvino = load_openvino()
    with quiet_engine():
        return openvino.Core()
