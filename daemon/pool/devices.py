"""Which devices there are, found out without loading torch into the service."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from daemon.errors import ConfigError, Fault
from daemon.host.process import FOLDER, python, python_environment

DRIVER_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What an NVIDIA, AMD or WSL driver leaves; without any of them asking torch is no use."""

PROBE_TIMEOUT_S = 120.0


def cuda_devices() -> list[str]:
    """The CUDA devices torch sees, asked in a process of its own."""
    if not any(Path(name).exists() for name in DRIVER_FILES):
        return []
    try:
        answer = subprocess.run(
            python("daemon.worker.probe"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
            cwd=FOLDER,
            env=python_environment(),
        )
        found: list[str] = json.loads(answer.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError):
        return []
    return found


def resolve_devices(
    wanted: str | Sequence[str], config_file: str, find: Callable[[], list[str]] = cuda_devices
) -> list[str]:
    """The devices to use, one child each; of `none` there are none.

    Raises ConfigError if one that was asked for is not there: only `auto` may fall back to the
    CPU.
    """
    if wanted == "none":
        return []
    if wanted == "cpu":
        return ["cpu"]
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if all(name == "cpu" for name in names):
        return names
    present = find()
    if wanted == "auto":
        return present or ["cpu"]
    expanded = present if names == ["cuda"] else ["cuda:0" if n == "cuda" else n for n in names]
    expanded = list(dict.fromkeys(expanded))  # `cuda` beside `cuda:0` is one device
    missing = [name for name in expanded if name != "cpu" and name not in present]
    if missing or not expanded:
        seen = ", ".join(present) or "none"
        message = (
            f"asks for {', '.join(missing) or 'cuda'}, but torch sees these CUDA devices: {seen}; "
            "check nvidia-smi, or set devices: auto"
        )
        raise ConfigError([Fault(config_file, 1, "devices", message)])
    return expanded
