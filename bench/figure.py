"""The figures of docs/benchmarks.md, from what `bench/equal_loss.py` left in its folder.

Run as `python bench/figure.py [FOLDER]`: loss against seconds for each size, and the pictures side
by side: content, the peer and ours at the same loss, both at their ends.
"""

import json
import sys
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont
from surroundings import ROOT
from table import print_row

matplotlib.use("Agg")
from matplotlib import pyplot, ticker

IMAGES = ROOT / "docs" / "images"
GAP_PX = 8
LABEL_PX = 26


def draw_curves(folder: Path, sizes: list[int], target: Path) -> None:
    """One panel a size; both axes logarithmic, since losses and times span decades."""
    figure, axes = pyplot.subplots(1, len(sizes), figsize=(4.2 * len(sizes), 3.4), squeeze=False)
    for size, axis in zip(sizes, axes[0], strict=True):
        found = json.loads((folder / f"equal-loss-{size}.json").read_text())
        for who, points, style in (
            ("pastiche 1.6.0", [row["peer"] for row in found["rows"]], "o--"),
            ("atelierd", found["curve"], ".-"),
        ):
            seconds, losses = [p["seconds"] for p in points], [p["loss"] for p in points]
            axis.loglog(seconds, losses, style, label=who)
        axis.set_title(f"{found['size'][0]}x{found['size'][1]} px")
        axis.set_xlabel("seconds")
        axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_formatter(ticker.NullFormatter())
        axis.grid(alpha=0.3, which="both")
    axes[0][0].set_ylabel("loss (peer's objective)")
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(target, dpi=110)


def draw_pictures(folder: Path, size: int, target: Path) -> None:
    """Two rows at 100 %: at the same loss, and at the end."""
    found = json.loads((folder / f"equal-loss-{size}.json").read_text())
    by_step = {row["peer"]["step"]: row for row in found["rows"]}
    steps = [step for step, row in by_step.items() if row["ours"]]
    early, late = steps[0], max(by_step)
    cells = [
        [
            ("content", f"content-{size}"),
            (
                f"peer, {early} steps: loss {by_step[early]['peer']['loss']:.0f}",
                f"peer-{size}-{early}",
            ),
            (
                f"ours, the same loss, {by_step[early]['ratio']:.1f} x faster",
                f"ours-{size}-{early}",
            ),
        ],
        [
            ("style", ""),
            (
                f"peer, {late} steps: loss {by_step[late]['peer']['loss']:.0f}",
                f"peer-{size}-{late}",
            ),
            (f"ours, at its end: loss {found['curve'][-1]['loss']:.0f}", f"ours-{size}-end"),
        ],
    ]
    width, height = Image.open(folder / f"content-{size}.png").size
    across, down = width + GAP_PX, height + LABEL_PX + GAP_PX
    sheet = Image.new("RGB", (3 * across - GAP_PX, 2 * down - GAP_PX), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for y, row in enumerate(cells):
        for x, (label, name) in enumerate(row):
            path = folder / f"{name}.png" if name else ROOT / "presets" / "starry.jpg"
            image = Image.open(path).convert("RGB")
            image.thumbnail((width, height))
            sheet.paste(image, (x * across, y * down + LABEL_PX))
            pen.text((x * across + 2, y * down + 4), label, fill="black", font=font)
    sheet.save(target, quality=90)


def main() -> None:
    """Draws both."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "state" / "bench"
    names = [path.stem for path in folder.glob("equal-loss-*.json")]
    sizes = sorted(int(name.rpartition("-")[2]) for name in names)
    draw_curves(folder, sizes, IMAGES / "loss-against-seconds.png")
    draw_pictures(folder, 512, IMAGES / "side-by-side.jpg")
    print_row("figures drawn anew", "loss-against-seconds.png, side-by-side.jpg")


if __name__ == "__main__":
    main()
