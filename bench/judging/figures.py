"""The figures of one picture, from the picture, its content and its style image."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from daemon.engine import noise
from daemon.engine.pixels import Pixels, size_of
from daemon.engine.tensors import to_tensor
from daemon.engine.vgg.network import Network

from . import contours, distribution, leak
from .distribution import FeatureGaussian
from .pairs import at_longest

BETTER = {"E": -1, "C": 1, "noise": -1, "colour_noise": -1, "leak": -1, "change": 1}
"""Whether a figure is better when it is larger (1) or smaller (-1)."""


@dataclass(frozen=True)
class Figures:
    """What the judge says of a picture.

    E: distance of the feature distributions from the style's, 0 if equal.  C: what is kept of the
    content, 0..1.  noise, colour_noise: near the Nyquist frequency, 1 is the style's own.
    leak: pieces of the style image where they do not belong, 0 if none.  change: root mean square
    difference from the content, 0..1; near 0 nothing was painted.
    """

    E: float
    C: float
    noise: float
    colour_noise: float
    leak: float
    change: float


@dataclass(frozen=True, eq=False)
class View:
    """What the judge sees of a picture.

    picture: (1, 3, H, W) in 0..1.  gaussians: by layer.  deep: features for C, (C, h, w).
    pieces: features for the leak, at that one's own size, (C, h, w).
    """

    picture: Tensor
    gaussians: Mapping[str, FeatureGaussian]
    deep: Tensor
    pieces: Tensor


class Judge:
    """Judges pictures by VGG-19's features in float32, on the network's device."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def view(self, pixels: Pixels) -> View:
        """Looks at a picture once, for any number of judgements."""
        picture = to_tensor(pixels, self._network.device)
        maps = self._features(picture, (*distribution.LAYERS, contours.CONTENT_LAYER))
        gaussians = {layer: distribution.gaussian_of(maps[layer]) for layer in distribution.LAYERS}
        if max(size_of(pixels)) > leak.LONGEST_PX:
            smaller = to_tensor(at_longest(pixels, leak.LONGEST_PX), self._network.device)
            pieces = self._features(smaller, (leak.LAYER,))[leak.LAYER]
        else:
            pieces = maps[leak.LAYER]
        return View(picture, gaussians, maps[contours.CONTENT_LAYER], pieces)

    def judge(self, result: View, content: View, style: View) -> Figures:
        """The figures of a result; content of its size, the style at the scale it is painted at."""
        return Figures(
            E=distribution.distance(result.gaussians, style.gaussians),
            C=contours.kept(result.picture, content.picture, result.deep, content.deep),
            noise=noise.noise_of(result.picture, style.picture),
            colour_noise=noise.colour_noise_of(result.picture, style.picture),
            leak=leak.leak_of(result.pieces, content.pieces, style.pieces),
            change=noise.change_of(result.picture, content.picture),
        )

    def _features(self, picture: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            maps = self._network.features(picture, layers, "max")
            return {name: features[0].clone() for name, features in maps}
