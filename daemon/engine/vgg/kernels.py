"""Reading the VGG-19 weights into tensors.

Every set ends in one form: kernels for RGB pictures in 0..1. The first layer takes over what
each set expects of its input (channel order, range, mean), which is exact because the first
convolution pads by replication and not with zeros.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from daemon.engine.errors import WeightsError
from daemon.engine.vgg.layers import CONVOLUTIONS
from daemon.engine.vgg.weights import TORCHVISION_FILE, checked_sha256, locate

CLASSIC_MEAN_BGR = (103.939, 116.779, 123.68)
TORCHVISION_MEAN = (0.485, 0.456, 0.406)
TORCHVISION_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Kernels:
    """VGG-19's convolutions, for RGB in 0..1.

    kernels: conv name -> (out, in, 3, 3) float32; biases: conv name -> (out,) float32.
    sha256: of the file they were read from.
    """

    name: str
    sha256: str
    kernels: dict[str, Tensor]
    biases: dict[str, Tensor]


def load_kernels(name: str, folder: Path) -> Kernels:
    """The weights called `name` (`classic` or `torchvision`), checked and ready.

    folder: where fetched weights lie.  Raises WeightsError if they are missing or damaged.
    """
    path = locate(name, folder)
    digest = checked_sha256(name, path)
    kernels, biases = read_classic(path) if name == "classic" else read_torchvision(path)
    return Kernels(name, digest, kernels, biases)


def read_classic(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Kernels and biases of the classic weights: 8 bits each, with a table of 256 per layer.

    They expect BGR in 0..255 less the mean.
    """
    stored = torch.load(path, map_location="cpu", weights_only=True)
    kernels, biases = {}, {}
    for name in CONVOLUTIONS:
        key = name.replace("conv", "block").replace("_", "_conv")
        indices = stored[f"{key}_W_q"].int()
        kernels[name] = stored[f"{key}_W_table"][indices]  # (out, in, 3, 3)
        biases[name] = stored[f"{key}_b"]
    mean = torch.tensor(CLASSIC_MEAN_BGR).view(1, 3, 1, 1)
    fold_input(kernels, biases, mean)
    kernels["conv1_1"] = kernels["conv1_1"].flip(1) * 255.0
    return kernels, biases


def read_torchvision(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Kernels and biases of torchvision's weights, which expect RGB in 0..1, standardised."""
    try:
        stored = load_file(path)
        kernels = {name: stored[f"{name}.weight"] for name in CONVOLUTIONS}
        biases = {name: stored[f"{name}.bias"] for name in CONVOLUTIONS}
    except (SafetensorError, KeyError) as error:
        raise WeightsError(
            f"the weights {path} are damaged ({error}); run: atelierd weights fetch torchvision"
        ) from error
    kernels["conv1_1"] = kernels["conv1_1"] / torch.tensor(TORCHVISION_STD).view(1, 3, 1, 1)
    fold_input(kernels, biases, torch.tensor(TORCHVISION_MEAN).view(1, 3, 1, 1))
    return kernels, biases


def fold_input(kernels: dict[str, Tensor], biases: dict[str, Tensor], mean: Tensor) -> None:
    """Takes the subtraction of the mean, (1, 3, 1, 1), into the first layer's bias."""
    biases["conv1_1"] = biases["conv1_1"] - (kernels["conv1_1"] * mean).sum(dim=(1, 2, 3))


def download_torchvision() -> dict[str, Tensor]:
    """Torchvision's own state of VGG-19; torchvision checks the download's hash."""
    from torchvision.models import VGG19_Weights

    state: dict[str, Tensor] = VGG19_Weights.IMAGENET1K_V1.get_state_dict(
        progress=True, check_hash=True, weights_only=True
    )
    return state


def fetch_torchvision(
    folder: Path, download: Callable[[], dict[str, Tensor]] = download_torchvision
) -> Path:
    """Gets torchvision's weights and keeps the convolutions as safetensors in `folder`.

    Raises WeightsError if they cannot be had.
    """
    try:
        state = download()
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"torchvision's weights could not be downloaded ({error}); this needs internet "
            "access. The classic weights need none"
        ) from error
    four_dimensional = [key for key in state if key.endswith(".weight") and state[key].ndim == 4]
    tensors = {}
    for name, key in zip(CONVOLUTIONS, four_dimensional, strict=True):
        tensors[f"{name}.weight"] = state[key].contiguous()
        tensors[f"{name}.bias"] = state[key.replace(".weight", ".bias")].contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / TORCHVISION_FILE
    partial = target.with_suffix(".tmp")
    save_file(tensors, partial)
    partial.replace(target)
    return target
