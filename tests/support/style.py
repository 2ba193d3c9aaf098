"""Whether a picture was painted, judged apart from the engine: by Gram matrices of its own.

Only the weights are the engine's: the network here is the plain one of the books.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from daemon.engine.vgg.weights import locate
from tests.support.atelier import decoded, encoded

LAYERS = ("block1_conv1", "block1_conv2", "pool", "block2_conv1", "block2_conv2", "pool")
LAYERS += ("block3_conv1",)
STYLE_LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1")
MEAN_BGR = (103.939, 116.779, 123.68)
NEARER = 0.5
"""A painted picture is at most so far from its style as the photograph, in parts of that."""
CODEC_QUALITY = 75
BEYOND_THE_CODEC = 3.0
"""It differs from the photograph by so many times what this quality of JPEG makes of that."""


def why_not_painted(result: Image.Image, photograph: Image.Image, style: Image.Image) -> str:
    """What speaks against `result` being `photograph` painted after `style`; empty if nothing does.

    All RGB.
    """
    unpainted = photograph.resize(result.size, Image.Resampling.LANCZOS)
    before, after = style_distance(unpainted, style), style_distance(result, style)
    if after > NEARER * before:
        return f"its style is {after:.3g} away, that of the photograph {before:.3g}"
    codec = mean_difference(unpainted, decoded(encoded(unpainted, quality=CODEC_QUALITY)))
    changed = mean_difference(unpainted, result)
    if changed < BEYOND_THE_CODEC * codec:
        return f"it differs by {changed:.1f} levels, where JPEG alone makes {codec:.1f}"
    return ""


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures of a size, in levels of 0 to 255."""
    pixels = [np.asarray(image.convert("RGB"), dtype=np.float32) for image in (one, other)]
    return float(np.abs(pixels[0] - pixels[1]).mean())


def style_distance(picture: Image.Image, style: Image.Image) -> float:
    """The squared distance of two pictures' Gram matrices in parts of the style's, mean of all."""
    seen, wanted = grams(picture), grams(style)
    distances = [
        float((seen[name] - target).square().sum() / target.square().sum())
        for name, target in wanted.items()
    ]
    return sum(distances) / len(distances)


def grams(picture: Image.Image) -> dict[str, Tensor]:
    """The Gram matrix, (C, C), of each style layer, divided by its positions."""
    rgb = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32))
    features = rgb.flip(2).sub(torch.tensor(MEAN_BGR)).permute(2, 0, 1)[None]  # (1, 3, H, W)
    found = {}
    for name in LAYERS:
        if name == "pool":
            features = F.max_pool2d(features, 2)
            continue
        kernel, bias = weights()[name]
        padded = F.pad(features, (1, 1, 1, 1), mode="replicate")
        features = F.conv2d(padded, kernel, bias).relu()
        if name in STYLE_LAYERS:
            flat = features[0].flatten(1)  # (C, H*W)
            found[name] = flat @ flat.T / flat.shape[1]
    return found


@cache
def weights() -> dict[str, tuple[Tensor, Tensor]]:
    """Kernel and bias of each convolution, for BGR in 0..255 less the mean."""
    stored = torch.load(locate("classic", Path()), weights_only=True)
    return {
        name: (stored[f"{name}_W_table"][stored[f"{name}_W_q"].int()], stored[f"{name}_b"])
        for name in LAYERS
        if name != "pool"
    }
