"""Match: every place is drawn to the style features nearest to what the content has there."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from daemon.engine.fit.tiles import cut
from daemon.engine.losses import coherence, match, nearest
from daemon.engine.losses import content as content_loss
from daemon.engine.losses.nearest import Origins, find_origins
from daemon.engine.losses.term import StyleImage
from daemon.engine.losses.terms import kept_layers, layers_of
from daemon.engine.recipe import Recipe
from daemon.engine.tensors import to_pixels
from daemon.engine.vgg.network import Network

CPU = torch.device("cpu")
RECIPE = Recipe(match=1.0, content_layers=dict(match.LAYERS))


def image_of(picture: Tensor, weight: float = 1.0) -> StyleImage:
    """A style image at its own size."""
    return StyleImage(to_pixels(picture), picture.shape[3], picture.shape[2], weight)


def origins_of(network: Network, content: Tensor, *images: StyleImage, seed: int = 0) -> Origins:
    return find_origins(network, content, images, "max", seed)


def own_places(origins: Origins) -> tuple[Tensor, Tensor]:
    """Where each cell lies itself."""
    rows, columns = origins.down.shape
    side = origins.cell_px
    return (
        (torch.arange(rows) * side)[:, None].expand(rows, columns),
        (torch.arange(columns) * side)[None].expand(rows, columns),
    )


@pytest.mark.parametrize(("height", "width"), [(64, 48), (35, 50), (16, 16)])
def test_picture_that_is_its_own_style_is_its_own_target(
    thin: Network, pixels, make_materials, objective_between, height: int, width: int
) -> None:
    picture = pixels(height, width)
    materials = make_materials(thin, RECIPE, picture, picture)
    targets, own = match.matched_maps(materials), content_loss.feature_maps(materials)
    assert targets.keys() == own.keys() == set(match.LAYERS)
    for layer, target in targets.items():
        assert torch.equal(target, own[layer]), layer
    found = objective_between(thin, RECIPE, picture, picture).evaluate(picture)
    assert found.losses["match"] == 0


def test_black_picture_is_as_far_away_as_one(thin: Network, pixels, make_materials) -> None:
    materials = make_materials(thin, RECIPE, pixels(48, 48), pixels(48, 48, of="coffee"))
    term = match.make(materials)
    assert term is not None
    term.begin(materials.tiling)
    for layer, features in match.matched_maps(materials).items():
        term.read(materials.tiling.whole, layer, torch.zeros_like(features))
    # What differs is the order of float32 sums.
    assert term.value().item() == pytest.approx(1.0, rel=1e-5)


def test_moved_style_is_found_where_it_went(thin: Network, pixels) -> None:
    picture = pixels(96, 96)
    origins = origins_of(thin, picture, image_of(picture.roll((16, 32), dims=(2, 3))))
    down, across = own_places(origins)
    # Inside, where neither the picture's border nor the seam of the roll is seen from.
    inner = (slice(8, 12), slice(8, 12))
    assert torch.equal(origins.down[inner], down[inner] + 16)
    assert torch.equal(origins.across[inner], across[inner] + 32)


def test_larger_picture_is_sought_smaller_and_cells_keep_their_pixels(
    thin: Network, pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = pixels(96, 128)
    image = image_of(picture)
    every = origins_of(thin, picture, image)
    monkeypatch.setattr(nearest, "MOST_CELLS", 6 * 8)
    few = origins_of(thin, picture, image)
    assert (every.cell_px, few.cell_px) == (4, 16)
    assert few.down.shape == (6, 8)
    for origins in (every, few):
        down, across = own_places(origins)
        assert torch.equal(origins.down, down) and torch.equal(origins.across, across)
    for scale in (1, 2, 4, 8):
        shape = (96 // scale, 128 // scale)
        found = [list(match.source_positions(one, shape, scale, shape)) for one in (every, few)]
        for (_, *one), (_, *other) in zip(*found, strict=True):
            assert all(torch.equal(left, right) for left, right in zip(one, other, strict=True))


def test_search_in_blocks_finds_what_the_search_at_once_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = torch.manual_seed(0)
    sought, known = (
        torch.randn(count, 20, generator=generator, dtype=torch.float64) for count in (57, 31)
    )
    expected = (sought @ known.T).argmax(dim=1)
    for at_once in (1, 31 * 10, 1 << 24):
        monkeypatch.setattr(nearest, "PRODUCTS_AT_ONCE", at_once)
        assert torch.equal(nearest.nearest(sought, known), expected)


def test_search_holds_no_more_products_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "PRODUCTS_AT_ONCE", 300)
    sizes: list[int] = []
    real = torch.split

    def counted(tensor: Tensor, size: int) -> tuple[Tensor, ...]:
        sizes.append(size)
        return real(tensor, size)

    monkeypatch.setattr(torch, "split", counted)
    nearest.nearest(torch.rand(50, 3), torch.rand(100, 3))
    assert sizes == [3]


def test_cell_gives_up_a_little_likeness_to_go_on_from_its_neighbours() -> None:
    """Three cells come from 0, 5 and 2 of a row of six; what fits both neighbours is 1."""
    cells = torch.tensor([[0, 5, 2]])

    def made_coherent(of_middle: float) -> list[int]:
        likeness = torch.tensor([[0.9, 0, 0, 0, 0, 0], [0] * 6, [0, 0, 0.9, 0, 0, 0]])
        likeness[1, 1], likeness[1, 5] = of_middle, 0.7

        def of(suggested: torch.Tensor) -> torch.Tensor:
            found = likeness.gather(1, suggested.clamp(min=0).view(3, 1)).view(1, 3)
            return torch.where(suggested < 0, -torch.inf, found)

        return coherence.make_coherent(cells, (1, 6), of).flatten().tolist()

    # Both neighbours fit: worth twice the bond.
    assert made_coherent(0.7 - 1.9 * coherence.BOND) == [0, 1, 2]
    assert made_coherent(0.7 - 2.1 * coherence.BOND) == [0, 5, 2]


def test_what_would_go_on_beyond_the_style_images_border_is_none() -> None:
    cells = torch.tensor([[5, 0]])  # of 2 rows and 3 columns: the last, and the first
    down, up, right, left = coherence.continuations(cells, (2, 3)).tolist()
    assert down == up == [[-1, -1]]  # there is no row above or below in the picture
    assert right == [[-1, -1]] and left == [[-1, -1]]
    middle = torch.tensor([[1, 4]])
    _, _, right, left = coherence.continuations(middle, (2, 3)).tolist()
    assert right == [[-1, 2]] and left == [[3, -1]]


def test_neighbours_come_from_neighbours_more_often_than_the_nearest_do(
    thin: Network, pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept_together(rounds: int) -> float:
        monkeypatch.setattr(coherence, "ROUNDS", rounds)
        found = origins_of(thin, pixels(96, 96), image_of(pixels(96, 96, of="coffee")))
        return (found.across.diff(dim=1) == found.cell_px).float().mean().item()

    assert kept_together(coherence.ROUNDS) > 2 * kept_together(0)


def test_of_a_large_style_image_a_bounded_number_of_cells_is_known(
    thin: Network, pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    style = pixels(64, 64, of="coffee")
    tiling = cut(64, 64, 32, nearest.SEARCHED, "max")

    def known(most: int, seed: int) -> tuple[Tensor, Tensor]:
        return nearest.columns(thin, tiling, lambda tile: tile.crop(style), "max", (most, seed))

    numbers, features = known(40, 7)
    assert len(numbers) == len(features) == 40 and len(numbers.unique()) == 40
    assert torch.equal(known(40, 7)[0], numbers)
    assert not torch.equal(known(40, 8)[0], numbers)
    every, all_features = known(1000, 7)
    assert sorted(every.tolist()) == list(range(16 * 16))
    # By tiles or at once: the same cells, the same features but for the order of sums.
    whole = cut(64, 64, None, nearest.SEARCHED, "max")
    _, at_once = nearest.columns(thin, whole, lambda tile: style, "max")
    torch.testing.assert_close(all_features, at_once[every], rtol=1e-3, atol=1e-5)


def test_features_are_taken_from_the_place_found_at_each_layers_own_scale() -> None:
    """A style image of 2 x 2 cells; the picture's two cells come from its last and its first."""
    zero = torch.zeros(1, 2, dtype=torch.int64)
    origins = Origins(4, zero, torch.tensor([[4, 0]]), torch.tensor([[4, 0]]))
    tile = cut(8, 8, None, ["relu1_1"], "max").whole
    for layer, scale in (("relu1_1", 1), ("relu2_1", 2), ("relu3_1", 4)):
        side = 8 // scale
        style = torch.arange(float(side * side)).view(1, 1, side, side)
        target = torch.full((1, 1, side // 2, side), -1.0)
        match.fill(target, style, tile, layer, (side, side), 0, origins)
        half = side // 2
        expected = torch.cat([style[..., half:, half:], style[..., :half, :half]], dim=3)
        assert torch.equal(target, expected), layer


def test_what_lies_beyond_the_style_image_is_its_border() -> None:
    zero = torch.zeros(1, 1, dtype=torch.int64)
    ((_, down, across, _),) = match.source_positions(
        Origins(4, zero, zero + 4, zero), (6, 6), 1, (7, 5)
    )
    assert down[:, 0].tolist() == [4, 5, 6, 6, 6, 6]
    assert across[0].tolist() == [0, 1, 2, 3, 4, 4]


def test_each_place_is_painted_after_the_style_image_that_has_its_like(
    thin: Network, pixels
) -> None:
    one, other = pixels(64, 64), pixels(64, 64, of="coffee")
    both = torch.cat([one, other], dim=3)
    origins = origins_of(thin, both, image_of(one), image_of(other))
    assert origins.image[:, 4:12].float().mean() < 0.1
    assert origins.image[:, 20:28].float().mean() > 0.9


@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 1.0), (1.0, 4.0, 5.0)])
def test_style_images_share_the_places_by_weight(weights: tuple[float, ...]) -> None:
    likeness = torch.rand(len(weights), 4000, generator=torch.manual_seed(0))
    likeness[0] += 0.3  # the first is nearer everywhere
    chosen = nearest.share(likeness, weights)
    for number, weight in enumerate(weights):
        part = (chosen == number).float().mean().item()
        assert part == pytest.approx(weight / sum(weights), abs=0.02)


def test_style_image_keeps_the_places_it_is_most_like() -> None:
    likeness = torch.tensor([[0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.5, 0.6]])
    assert nearest.share(likeness, [1.0, 1.0]).tolist() == [0, 0, 1, 1]


def test_only_style_image_has_every_place() -> None:
    assert not nearest.share(torch.rand(1, 9), [0.3]).any()


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("flat", ["content", "style", "both"])
def test_flat_pictures_give_finite_losses(
    thin: Network, pixels, objective_between: Callable, grey: float, flat: str
) -> None:
    level = torch.full((1, 3, 32, 32), grey)
    content = pixels(32, 32) if flat == "style" else level
    style = pixels(32, 32) if flat == "content" else level
    found = objective_between(thin, RECIPE, content, style).evaluate(content)
    assert found.total.isfinite() and found.gradient.isfinite().all()


def test_style_image_as_narrow_as_can_be_is_searched_however_small(
    thin: Network, pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "MOST_CELLS", 16)
    origins = origins_of(thin, pixels(128, 128), image_of(pixels(16, 128)))
    assert origins.cell_px == 32
    ((_, down, across, _),) = match.source_positions(origins, (128, 128), 1, (16, 128))
    assert 0 <= down.min() and down.max() <= 15 and 0 <= across.min() and across.max() <= 127


def test_recipe_without_match_has_neither_term_nor_layers(
    thin: Network, pixels, make_materials
) -> None:
    recipe = Recipe(style_layers={"relu1_1": 1.0}, content_layers={"relu1_2": 1.0})
    assert match.make(make_materials(thin, recipe, pixels(32, 32), pixels(32, 32))) is None
    assert layers_of(recipe) == {"relu1_1", "relu1_2"}
    assert list(kept_layers(recipe)) == ["relu1_2"]


def test_match_without_style_images_is_refused(thin: Network, pixels) -> None:
    with pytest.raises(ValueError, match="style images"):
        origins_of(thin, pixels(32, 32))
