"""How many steps each pass deserves: paints pairs with several lengths, judged in one table.

    python bench/effort.py OUT --size 512 --lengths 100/100/100 60/30/40 --pairs 'rocket+*'

Lengths are the steps, at most, of the first pass, of those between, and of the last. Those that
differ in the last pass alone are seen in one painting, as it comes by. Seconds are the processor's,
all threads together, so that what others compute beside does not count. OUT is an album of
bench/judge.py, whose `sheet` lays it out; what is painted already is left as it is, and the facts
beside a picture are those of the painting that it was seen in. The figures are compared with those
of the first lengths.
"""

import argparse
import sys
from pathlib import Path

from judge import ENGINE_FOLDER, make_judge
from judging import pairs, verdict
from judging.lengths import name_of, paint_all, worst_lines
from judging.pairs import Album, Series
from surroundings import as_worker

from daemon.engine import Engine


def laid_out(options: argparse.Namespace) -> tuple[Album, Series]:
    """The album with what is to be painted, and its series: a recipe for each of the lengths."""
    contents, styles = pairs.all_contents(None), pairs.all_styles(None)
    chosen = pairs.choose_pairs(options.pairs, list(contents), list(styles), ())
    # Where a pass ends before its last step, `best` decides.
    recipes = {name_of(lengths): {"effort": "best"} for lengths in options.lengths}
    album = Album(options.out)
    series = album.extend(Series(options.size, recipes, (), chosen))
    album.lay_out(
        options.size,
        {pair.content: contents[pair.content] for pair in chosen},
        {pair.style: styles[pair.style] for pair in chosen},
    )
    return album, series


def parser() -> argparse.ArgumentParser:
    """What may be typed."""
    root = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root.add_argument("out", type=Path)
    root.add_argument("--lengths", nargs="+", required=True, help="FIRST/BETWEEN/LAST steps")
    root.add_argument("--size", type=int, default=512, help="longest side in px")
    root.add_argument("--pairs", default="all", help="all, or patterns: rocket+*,*+wave")
    root.add_argument("--device", default="cpu")
    root.add_argument("--engine-folder", type=Path, default=ENGINE_FOLDER)
    return root


def main() -> None:
    """Paints, judges, and prints the table."""
    options = parser().parse_args()
    album, series = laid_out(options)
    paint_all(Engine(options.device, "classic", options.engine_folder), album, series)
    judged = list(verdict.judge_album(album, make_judge(options.device, options.engine_folder)))
    verdict.keep(album, judged)
    every = list(series.recipes)
    shared = verdict.comparable(judged, every)
    print("\n".join(verdict.mean_table(shared, every, every[0])))
    print("\n".join(worst_lines(shared, every, every[0])))


if __name__ == "__main__":
    as_worker()
    sys.exit(main())
