"""The form of a result: its format, quality, depth, colours and notes, as a preset may say."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from daemon.engine.recipe import Recipe

OWN_PROFILES = ("srgb", "keep")
"""What `profile` says that is no file."""

ResultFormat = Literal["same", "jpeg", "png", "webp", "tiff"]


class ResultForm(BaseModel):
    """How a result is written. Immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: ResultFormat = Field(
        default="same", description="the result's format; same: the picture's, where it can hold it"
    )
    quality: Annotated[int, Field(ge=1, le=100)] = Field(
        default=95, description="of JPEG and lossy WebP"
    )
    depth: Literal[8, 16, "same"] = Field(
        default="same", description="bits of a channel, where the format has 16: PNG and TIFF"
    )
    profile: str = Field(
        default="keep",
        description="the result's colours: srgb; keep, the picture's own profile; or a file of the "
        "presets folder, such as a press's",
    )
    metadata: Literal["keep", "no-location", "none"] = Field(
        default="keep", description="what of the picture's notes goes along: EXIF, XMP, IPTC"
    )
    proof_profile: str = Field(
        default="",
        description="soft proof: a profile's file in the presets folder; only colours that it can "
        "print are painted",
    )
    timelapse: bool = Field(
        default=False,
        description="an animated WebP of the painting coming about, beside the record",
    )


class JobRecipe(Recipe, ResultForm):
    """Everything a preset, a sidecar or `--set` may say of a job: how to paint, how to write."""

    mask: str = Field(
        default="",
        description="a file of the presets folder that says where which style goes, stretched over "
        "every picture; a mask beside the picture comes first",
    )
    gate: bool = Field(
        default=True,
        description="on: a painting that is plainly no good fails instead of being published; off, "
        "for experiments",
    )
