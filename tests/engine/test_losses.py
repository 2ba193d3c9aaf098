"""The losses against numbers worked out by hand, and against autograd."""

import pytest
import torch
from torch import Tensor

from daemon.engine.fit.tiles import cut
from daemon.engine.losses import maps, statistics, variation, wide
from daemon.engine.losses.term import PICTURE, Moments
from daemon.engine.vgg.network import Network


def features(*channels: list[list[float]]) -> Tensor:
    """(1, C, H, W) float64 from nested lists, so that hand-worked numbers come out exactly."""
    return torch.tensor([channels], dtype=torch.float64)


def content_loss(layer: Tensor, target: Tensor) -> Tensor:
    """The mean of what the term sums up over tiles."""
    return maps.squared_difference(layer, target) / target.numel()


def test_gram_matrix_is_the_mean_product_of_channels() -> None:
    gram = statistics.gram_matrix(features([[1, 2]], [[3, 4]]))
    # (1*1 + 2*2)/2, (1*3 + 2*4)/2, (3*3 + 4*4)/2
    assert gram.tolist() == [[2.5, 5.5], [5.5, 12.5]]


def test_gram_matrix_does_not_grow_with_the_picture() -> None:
    small = torch.rand(1, 4, 6, 5, dtype=torch.float64)
    tiled = small.repeat(1, 1, 3, 2)
    torch.testing.assert_close(statistics.gram_matrix(tiled), statistics.gram_matrix(small))


def test_gram_matrix_is_float32_where_float16_would_overflow() -> None:
    loud = torch.full((1, 2, 8, 8), 300.0, dtype=torch.float16)  # 300^2 > 65504
    gram = statistics.gram_matrix(loud)
    assert gram.dtype == torch.float32
    assert gram.tolist() == [[90_000.0, 90_000.0], [90_000.0, 90_000.0]]


def test_gram_matrix_of_a_real_layer_is_unchanged_when_positions_are_shuffled(
    network: Network, pixels
) -> None:
    ((_, layer),) = network.features(pixels(64, 64), ["relu3_1"], "max")
    order = torch.randperm(layer.shape[2] * layer.shape[3], generator=torch.manual_seed(1))
    shuffled = layer.flatten(2)[:, :, order].view(layer.shape)
    assert not torch.equal(shuffled, layer)
    # The same products in another order: float32 sums of 256 terms agree to about 1e-6.
    torch.testing.assert_close(
        statistics.gram_matrix(shuffled), statistics.gram_matrix(layer), rtol=1e-5, atol=1e-2
    )
    assert content_loss(shuffled, layer) > 0.1 * wide.mean_square(layer)


def test_content_loss_is_the_mean_squared_difference() -> None:
    loss = content_loss(features([[1, 2], [3, 4]]), features([[0, 2], [5, 1]]))
    assert loss.item() == (1 + 0 + 4 + 9) / 4


def test_style_loss_is_the_mean_squared_difference_of_gram_matrices() -> None:
    found = Moments(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    target = Moments(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    value, _ = statistics.Gram(target).compare(found)
    assert value.item() == (0 + 4 + 4 + 16) / 4


def test_total_variation_is_the_mean_squared_step_down_and_across() -> None:
    picture = features([[0, 1], [3, 6]])
    # down: 3, 5; across: 1, 3
    assert variation.total_variation(picture).item() == (9 + 25 + 1 + 9) / 4


def test_automatic_variation_is_free_up_to_what_content_or_style_has() -> None:
    term = variation.Roughness(torch.tensor(11.0))
    (tile,) = cut(2, 2, None, ["relu1_1"], "max").tiles
    for picture, loss in (([[0, 1], [3, 6]], 0.0), ([[0, 2], [6, 12]], (44 / 11 - 1) ** 2)):
        term.read(tile, PICTURE, features(picture))
        assert term.value().item() == pytest.approx(loss)


def test_total_variation_of_a_flat_picture_is_nothing() -> None:
    flat = torch.full((1, 3, 5, 7), 0.3)
    assert variation.total_variation(flat) == 0
    gradient = torch.zeros_like(flat)
    variation.add_total_variation_gradient(flat, gradient, 3.0)
    assert not gradient.any()


@pytest.mark.parametrize("shape", [(1, 3, 5, 8), (2, 3, 2, 2), (1, 1, 1, 4)])
def test_total_variation_gradient_equals_autograd(shape: tuple[int, ...]) -> None:
    picture = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(variation.total_variation(picture), picture)
    # Both in float64: only the order of sums differs.
    running = torch.ones(shape, dtype=torch.float64)
    variation.add_total_variation_gradient(picture.detach(), running, 3.0)
    torch.testing.assert_close(running, 1.0 + 3.0 * expected, rtol=1e-12, atol=1e-15)


def test_mean_square_of_a_large_tensor_is_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = torch.rand(1, 5, 7, 9, dtype=torch.float64)
    expected = maps.square().mean()
    for at_once in (1, 100, 1 << 24):
        monkeypatch.setattr(wide, "VALUES_AT_ONCE", at_once)
        torch.testing.assert_close(wide.mean_square(maps), expected, rtol=1e-12, atol=0)


def test_gradients_are_added_to_what_is_there_already() -> None:
    layer, target = torch.rand(2, 1, 3, 4, 4, dtype=torch.float64)
    layer.requires_grad_()
    difference = statistics.gram_matrix(layer) - statistics.gram_matrix(target)
    loss = 2.0 * content_loss(layer, target) + 3.0 * wide.mean_square(difference)
    (expected,) = torch.autograd.grad(loss, layer)

    running = torch.ones_like(layer, memory_format=torch.channels_last)
    known = layer.detach().contiguous(memory_format=torch.channels_last)
    found, goal = (Moments(statistics.gram_matrix(one)) for one in (known, target))
    positions = known.shape[2] * known.shape[3]
    maps.add_map_gradient(known, running, target, 2.0, positions)
    _, pull = statistics.Gram(goal).compare(found)
    statistics.add_pull(known, running, pull, 3.0 * pull.constant / positions)
    torch.testing.assert_close(running, 1.0 + expected, rtol=1e-12, atol=1e-14)


def test_a_pulls_row_is_added_at_every_position_of_a_layer_and_of_a_part_of_it() -> None:
    features = torch.rand(1, 3, 4, 5, dtype=torch.float64).contiguous(
        memory_format=torch.channels_last
    )
    matrix, row = torch.rand(3, 3, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    pull = statistics.Pull(1.0, matrix, row)
    expected = torch.einsum("bchw,cd->bdhw", features, matrix) + row[None, :, None, None]
    whole = torch.zeros_like(features)
    statistics.add_pull(features, whole, pull, 2.0)
    torch.testing.assert_close(whole, 2.0 * expected)
    part = torch.zeros_like(features)
    statistics.add_pull(features[:, :, 1:, 2:], part[:, :, 1:, 2:], pull, 2.0)
    torch.testing.assert_close(part[:, :, 1:, 2:], 2.0 * expected[:, :, 1:, 2:])
    assert not part[:, :, 0].any() and not part[:, :, :, :2].any()


def test_sums_over_parts_are_the_moments_of_the_whole() -> None:
    features = torch.rand(1, 3, 6, 4, dtype=torch.float64)
    sums = statistics.Sums(channels=True)
    for part in (features[:, :, :2], features[:, :, 2:]):
        sums.add(part)
    found = sums.moments(24)
    torch.testing.assert_close(found.products, statistics.gram_matrix(features))
    assert found.channels is not None
    torch.testing.assert_close(found.channels, features.mean(dim=(0, 2, 3)))


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has no such products"
)
@pytest.mark.parametrize(("rows", "channels"), [(40_000, 64), (300_000, 64), (700, 512)])
def test_products_in_bfloat16_lose_no_more_than_a_few_millionths(rows: int, channels: int) -> None:
    generator = torch.Generator().manual_seed(3)
    mixing = torch.randn(channels, channels, generator=generator)
    layer = (torch.randn(rows, channels, generator=generator) @ mixing).relu().bfloat16()
    assert wide.has_fast_products(layer)
    sums = statistics.Sums(channels=True)
    sums.add(layer.T.reshape(1, channels, rows, 1).contiguous(memory_format=torch.channels_last))
    found, exact = sums.moments(rows), layer.double()
    assert found.channels is not None and found.products.dtype is torch.float32
    torch.testing.assert_close(found.products.double(), exact.T @ exact / rows, rtol=2e-5, atol=0.0)
    torch.testing.assert_close(found.channels.double(), exact.mean(0), rtol=1e-6, atol=0.0)


def test_few_rows_of_bfloat16_are_multiplied_in_float32() -> None:
    few = torch.rand(16, 64).bfloat16()
    assert not wide.has_fast_products(few)
    assert not wide.has_fast_products(torch.rand(40_000, 64))
    sums = statistics.Sums(channels=False)
    sums.add(few.T.reshape(1, 64, 16, 1))
    exact = few.double()
    torch.testing.assert_close(sums.moments(16).products.double(), exact.T @ exact / 16)
