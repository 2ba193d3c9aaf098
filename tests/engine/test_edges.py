"""The edge loss against numbers worked out by hand, and what it is for."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from daemon.engine.fit.plan import Way, predict
from daemon.engine.losses import edges
from daemon.engine.losses.edges import EdgeLoss
from daemon.engine.losses.term import PICTURE, Materials
from daemon.engine.recipe import Recipe
from daemon.engine.vgg.network import Network


@pytest.fixture
def edge_loss(network: Network, pixels, make_materials) -> Callable[..., EdgeLoss]:
    """Makes the term of a content."""
    base = make_materials(network, Recipe(), pixels(32, 48), pixels(32, 48, of="coffee"))

    def make(content: Tensor, **settings: object) -> EdgeLoss:
        recipe = Recipe(**{"edges": 1.0, **settings})  # type: ignore[arg-type]
        materials: Materials = replace(base, recipe=recipe, content=content)
        term = edges.make(materials)
        assert term is not None
        return term

    return make


def value(term: EdgeLoss, picture: Tensor) -> float:
    """The loss of a picture."""
    whole: object = None
    term.read(whole, PICTURE, picture)  # type: ignore[arg-type]
    return term.value().item()


def test_laplacian_is_the_sum_of_differences_from_neighbours() -> None:
    values = torch.tensor([[0.0, 1.0, 0.0], [2.0, 5.0, 1.0]])
    # 5 against 1, 2, 1: 4 + 3 + 4. The middle 1 above has three neighbours, a corner two.
    assert edges.laplacian(values).tolist() == [[-3.0, -2.0, -2.0], [-1.0, 11.0, -3.0]]


def test_laplacian_is_its_own_adjoint() -> None:
    one, other = torch.rand(2, 5, 7, dtype=torch.float64, generator=torch.manual_seed(0))
    there, back = (edges.laplacian(one) * other).sum(), (edges.laplacian(other) * one).sum()
    torch.testing.assert_close(there, back)


def test_the_content_itself_costs_nothing_and_a_flat_picture_one(edge_loss, pixels) -> None:
    content = pixels(32, 48)
    assert value(edge_loss(content), content) == 0
    # The float32 means of some hundred squares.
    assert value(edge_loss(content), torch.full_like(content, 0.3)) == pytest.approx(1, rel=1e-5)


def test_lines_are_kept_and_their_colours_are_the_styles(edge_loss, pixels) -> None:
    content = pixels(32, 48)
    luminance = torch.tensor(edges.LUMINANCE).view(1, 3, 1, 1)
    grey = (content * luminance).sum(1, keepdim=True).expand_as(content)
    brighter, blurred = content + 0.2, torch.nn.functional.avg_pool2d(content, 5, 1, 2)
    term = edge_loss(content)
    assert value(term, grey) < 1e-9 and value(term, brighter) < 1e-9
    assert value(term, blurred) > 0.1


@pytest.mark.parametrize("shade", [0.0, 0.5, 1.0])
def test_a_flat_content_gives_finite_losses_and_allows_strokes(edge_loss, shade: float) -> None:
    flat = torch.full((1, 3, 32, 48), shade)
    strokes = flat + 0.01 * torch.rand(flat.shape, generator=torch.manual_seed(0))
    term = edge_loss(flat)
    gradient = torch.zeros_like(flat)
    assert 0 < value(term, strokes) < 1
    term.inject(None, PICTURE, strokes, gradient)  # type: ignore[arg-type]
    assert gradient.isfinite().all()


def test_raw_means_are_not_divided_by_the_contents_own(edge_loss, pixels) -> None:
    faint = 0.5 + 0.1 * (pixels(32, 48) - 0.5)
    flat = torch.full_like(faint, 0.5)
    expected = sum(
        edges.laplacian(edges.block_luminance(faint, side)).square().mean().item() / 2
        for side in edges.BLOCKS_PX
    )
    found = value(edge_loss(faint, normalise="raw"), flat)
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_recipe_may_do_without(thin: Network, pixels, make_materials) -> None:
    materials = make_materials(thin, Recipe(), pixels(32, 32), pixels(32, 32, of="coffee"))
    assert edges.make(materials) is None


def test_plan_counts_what_edges_take() -> None:
    way = Way(None, 5, aside=False)
    without, with_edges = (
        predict(512, 768, Recipe(edges=weight), way, value_bytes=4) for weight in (0.0, 1.0)
    )
    assert with_edges - without == 0.75 * 12 * 512 * 768
