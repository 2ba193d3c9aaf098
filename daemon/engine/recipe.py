"""The settings of one stylisation, frozen: what to optimise, how far, and from where.

Torch-free, so that the service can check and store recipes without loading it.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from daemon.engine.vgg.layers import LAYERS, Pooling


def check_layers(layers: dict[str, float]) -> dict[str, float]:
    """The same map; raises ValueError naming every layer VGG-19 does not have."""
    unknown = [name for name in layers if name not in LAYERS]
    if unknown:
        raise ValueError(
            f"VGG-19 has no layer {', '.join(unknown)}; use convB_I or reluB_I, "
            "from conv1_1 to relu5_4"
        )
    return layers


Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
LEAST_SCALE = 0.05
Scale = Annotated[float, Field(ge=LEAST_SCALE, le=20)]
LayerWeights = Annotated[
    dict[str, Positive], Field(min_length=1, max_length=32), AfterValidator(check_layers)
]


Preconditioner = Literal["fourier", "opponent"]
"""How L-BFGS weights the frequencies of a picture."""

Colors = Literal["style", "content", "luminance", "match"]
"""Whose colours the result has."""

Effort = Literal["draft", "good", "best"]
"""How far the optimisation goes."""

OF_LENGTH = frozenset({"effort", "steps"})
"""The fields that say how far: whichever is asked for last, the other does not count."""


class Recipe(BaseModel):
    """How a picture is to be painted. Immutable; equal recipes have equal JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    content_layers: LayerWeights = Field(
        default={"relu4_2": 1.0}, description="layers whose feature maps are kept, and weights"
    )
    style_layers: LayerWeights = Field(
        default={"relu1_1": 16.0, "relu2_1": 8.0, "relu3_1": 4.0, "relu4_1": 2.0, "relu5_1": 0.1},
        description="layers whose statistics are matched, and weights w",
    )
    statistics: Literal["gram", "gaussian"] = Field(
        default="gaussian",
        description="what of the style layers is matched: gram, the Gram matrices; gaussian, "
        "mean and covariance, which gives crisper strokes and truer colours",
    )
    pooling: Pooling = Field(
        default="max",
        description="how the network halves its maps; blurred and average paint smoother",
    )
    alpha: NotNegative = Field(default=1.0, description="weight of the content loss")
    beta: NotNegative = Field(default=30.0, description="weight of the style loss")
    normalise: Literal["relative", "raw"] = Field(
        default="relative",
        description="relative: alpha and beta mean the same for every style; raw: plain means",
    )
    match: NotNegative = Field(
        default=0.0,
        description="weight of the match loss: the style's features nearest to the content's",
    )
    tv: NotNegative | Literal["auto"] = Field(
        default=0.0,
        description="weight of the total variation loss; auto: only what varies more than style "
        "image and photograph do is smoothed",
    )
    edges: NotNegative = Field(
        default=0.0, description="weight of the edge loss: the photograph's lines are kept"
    )
    colors: Colors = Field(
        default="style",
        description="style: the style's colours; content: the photograph's under the painting's "
        "light and dark; luminance: only lightness is painted; match: the style recoloured to the "
        "photograph first",
    )
    faces: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="how much more of the photograph faces keep, 0 to 1"
    )
    size: Annotated[int, Field(ge=64, le=32768)] | Literal["original"] = Field(
        default=512, description="longest side of the result in px, or `original`"
    )
    style_scale: Scale | Annotated[list[Scale], Field(min_length=1, max_length=8)] = Field(
        default=1.0,
        description="size of the style image relative to the picture: larger strokes; several are "
        "mixed",
    )
    init: Literal["content", "noise", "style"] = Field(
        default="content", description="what the optimisation starts from"
    )
    optimizer: Literal["lbfgs", "adam"] = Field(
        default="lbfgs", description="lbfgs: fewer steps; adam: less memory"
    )
    preconditioner: Preconditioner = Field(
        default="opponent",
        description="how lbfgs weights a picture's frequencies; opponent leaves no coloured grain, "
        "and is not for init: noise, whose noise would stay",
    )
    effort: Effort = Field(
        default="good",
        description="draft: to see what comes; good: until more is not seen; best: until the "
        "loss hardly falls",
    )
    steps: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="steps at each size of the schedule, at most, in place of the effort's",
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        default=0, description="random numbers of init: noise"
    )

    @property
    def style_scales(self) -> tuple[float, ...]:
        """Every size that the style images are seen at, relative to the picture."""
        scale = self.style_scale
        return tuple(scale) if isinstance(scale, list) else (scale,)


def decided_by(given: Collection[str]) -> set[str]:
    """The fields that those which are given decide: either of how far decides the other, too."""
    return {*given} | (OF_LENGTH if OF_LENGTH & {*given} else set())


def overlaid(recipe: Recipe, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe with others in their place, which are not checked.

    Whoever asks for an effort asks for its steps: a number that the recipe had goes.
    """
    before = {"steps": None} if "effort" in changes else {}
    return {**recipe.model_dump(), **before, **changes}
