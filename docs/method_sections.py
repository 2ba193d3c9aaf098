"""What docs/method.md says: the sections, their settings, and a sentence on each picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One painting of a section.

    recipe: what is not the default.  passes_px: longest sides of the passes, where those are not
    the recipe's own.
    """

    label: str
    sentence: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    passes_px: tuple[int, ...] = ()


@dataclass(frozen=True)
class Section:
    """A row of paintings that differ in one setting.

    name: of its picture file.  portrait: whether scikit-image's astronaut is painted.
    """

    name: str
    title: str
    text: str
    cells: tuple[Cell, ...]
    portrait: bool = False


def layers(*weights: float) -> dict[str, float]:
    """Weights of relu1_1, relu2_1 and so on."""
    return {f"relu{block}_1": float(weight) for block, weight in enumerate(weights, start=1)}


def from_content(layer: str) -> dict[str, Any]:
    """A recipe that rebuilds the photograph from one layer's feature maps."""
    return {"init": "noise", "beta": 0.0, "content_layers": {layer: 1.0}}


def texture(blocks: int) -> dict[str, Any]:
    """A recipe that makes a texture of the style from the layers of so many blocks."""
    return {
        "init": "noise",
        "alpha": 0.0,
        "style_layers": layers(*[1.0] * blocks),
        "statistics": "gram",
    }


SECTIONS = (
    Section(
        "content",
        "Content: feature maps of one layer",
        "What a layer knows of the photograph, seen by painting from noise until its feature "
        "maps agree, with no style (`beta: 0`). Shallow layers hold every pixel, deep ones what "
        "is where; `relu4_2`, the default, still has the drawing but leaves colour and texture "
        "free.",
        (
            Cell("relu1_2", "the photograph itself.", from_content("relu1_2")),
            Cell("relu3_2", "all forms, fine texture is uncertain.", from_content("relu3_2")),
            Cell("relu4_2", "forms in their places, colours drift.", from_content("relu4_2")),
            Cell("relu5_2", "a rumour of the forms.", from_content("relu5_2")),
        ),
    ),
    Section(
        "texture",
        "Gram matrices: a style without a picture",
        "The style alone (`alpha: 0`), from noise: what the statistics of the first blocks hold. "
        "They say which features occur together and not where, so that the painting's texture "
        "comes back and its composition does not. Each further block adds larger forms.",
        (
            Cell("relu1_1", "the palette, as grain.", texture(1)),
            Cell("to relu2_1", "the finest strokes.", texture(2)),
            Cell("to relu3_1", "strokes with a direction.", texture(3)),
            Cell("to relu4_1", "whole swirls and stars.", texture(4)),
            Cell("to relu5_1", "pieces of the composition.", texture(5)),
        ),
    ),
    Section(
        "balance",
        "alpha : beta",
        "How much of each: `beta` against `alpha: 1`. Both losses are relative to their targets, "
        "so that a number means the same for every style and size.",
        (
            Cell("beta: 2", "the photograph, tinted.", {"beta": 2.0}),
            Cell("beta: 30", "both.", {"beta": 30.0}),
            Cell("beta: 200", "the style wins; fine things are lost.", {"beta": 200.0}),
        ),
    ),
    Section(
        "layers",
        "Weights of the style layers",
        "Deep layers see large parts of the style at once: they bring its large forms, and with "
        "them whole things it shows. Weights that fall with depth keep strokes and colours and "
        "leave the things out.",
        (
            Cell("1:1:1:1:1", "the largest forms.", {"style_layers": layers(1, 1, 1, 1, 1)}),
            Cell(
                "16:8:4:2:0.1",
                "the default: swirls, no things.",
                {"style_layers": layers(16, 8, 4, 2, 0.1)},
            ),
            Cell(
                "256:64:16:4:1",
                "strokes and colours only.",
                {"style_layers": layers(256, 64, 16, 4, 1)},
            ),
        ),
    ),
    Section(
        "scale",
        "style_scale",
        "The size of the style image against the picture: the size of its strokes.",
        (
            Cell("0.5", "fine work.", {"style_scale": 0.5}),
            Cell("1", "as the style was painted.", {"style_scale": 1.0}),
            Cell("2", "a broad brush.", {"style_scale": 2.0}),
            Cell("0.5 and 2", "both at once.", {"style_scale": [0.5, 2.0]}),
        ),
    ),
    Section(
        "statistics",
        "statistics",
        "What of the style's features is compared: `gram` the mean products of channels; "
        "`gaussian` their mean and covariance, by the distance of Wasserstein.",
        (
            Cell("gram", "as in Gatys' paper.", {"statistics": "gram"}),
            Cell("gaussian", "crisper strokes, truer colours.", {"statistics": "gaussian"}),
            Cell(
                "gaussian, beta: 5",
                "nearer to the photograph.",
                {"statistics": "gaussian", "beta": 5.0},
            ),
        ),
    ),
    Section(
        "match",
        "match",
        "Draws each place to the style feature nearest to what the photograph has there, so that "
        "the style goes where it belongs: sky as the style paints skies.",
        (
            Cell("0", "statistics alone: the style is anywhere.", {"match": 0.0}),
            Cell("0.5", "mixed.", {"match": 0.5}),
            Cell("1, beta: 0", "every place painted after its like.", {"match": 1.0, "beta": 0.0}),
        ),
    ),
    Section(
        "passes",
        "Passes: coarse to fine",
        "Pictures are painted small first. The network sees the same number of pixels at every "
        "size, so that at 128 px a swirl can go across the whole sky.",
        (
            Cell(
                "256",
                "straight at the end's size: arcs, but no star finds its place.",
                passes_px=(256,),
            ),
            Cell("128, 256", "as by default.", passes_px=(128, 256)),
            Cell("64, 128, 256", "the largest forms: one great star.", passes_px=(64, 128, 256)),
        ),
    ),
    Section(
        "pooling",
        "pooling",
        "How the network halves its maps, which decides how clean the surfaces are.",
        (
            Cell("max", "as the network was trained.", {"pooling": "max"}),
            Cell("average", "softer, larger forms.", {"pooling": "average"}),
            Cell("blurred", "cleaner surfaces, lines instead of checks.", {"pooling": "blurred"}),
        ),
    ),
    Section(
        "edges",
        "edges",
        "Keeps the photograph's lines, by the Laplacian at two scales: for faces, buildings, "
        "products.",
        (
            Cell("0", "strokes go over everything.", {"edges": 0.0}),
            Cell("0.5", "strokes give way to lines.", {"edges": 0.5}),
            Cell("5", "hardly a stroke is left, and colours make up for it.", {"edges": 5.0}),
        ),
    ),
    Section(
        "faces",
        "faces",
        "Faces keep more of the photograph, in a soft oval; what is around them is painted as "
        "without.",
        (
            Cell("0", "eyes and mouth dissolve in strokes.", {"faces": 0.0}),
            Cell("0.5", "a likeness, painted.", {"faces": 0.5}),
            Cell("1", "who it is can be told at a glance.", {"faces": 1.0}),
        ),
        portrait=True,
    ),
    Section(
        "colors",
        "colors",
        "Whose colours the result has; in OkLab, where lightness and chroma are apart.",
        (
            Cell("style", "the style's, wherever they fit.", {"colors": "style"}),
            Cell(
                "match",
                "the style recoloured to the photograph: its strokes in the photograph's mixture.",
                {"colors": "match"},
            ),
            Cell(
                "content",
                "the photograph's chroma under the painting's light and dark.",
                {"colors": "content"},
            ),
            Cell(
                "luminance",
                "only lightness is painted; colours are the photograph's, place by place.",
                {"colors": "luminance"},
            ),
        ),
    ),
)
