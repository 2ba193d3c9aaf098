"""Painting every pair with every recipe, in processes side by side, each with a warm engine."""

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import torch

from daemon.engine.engine import Engine, Style
from daemon.engine.errors import EngineError
from daemon.engine.paint import Painted, finish
from daemon.engine.pixels import to_levels
from daemon.engine.vgg.arithmetic import choose_arithmetic

from .pairs import Album, Pair, Series, read_pixels, save_pixels, write_whole


@dataclass(frozen=True)
class Workshop:
    """Where and by how many processes is painted; engine_folder is what engines keep."""

    device: str
    jobs: int
    engine_folder: Path

    @property
    def threads(self) -> int:
        """What each process may take of the processor."""
        return max(1, (os.cpu_count() or 1) // self.jobs)


@dataclass(frozen=True)
class PaintJob:
    """One picture to be painted."""

    recipe: str
    pair: Pair


@dataclass(frozen=True)
class PaintReport:
    """What came of a job: seconds, and the error where nothing was painted."""

    job: PaintJob
    seconds: float
    error: str | None


class Painter:
    """An engine that stays warm, and the album it paints into."""

    def __init__(self, album: Album, series: Series, engine: Engine) -> None:
        self._album = album
        self._series = series
        self._engine = engine

    def paint(self, job: PaintJob) -> PaintReport:
        """Paints one picture and keeps it with its facts."""
        began_s = time.perf_counter()
        content = read_pixels(self._album.content(job.pair.content))
        style = Style(read_pixels(self._album.style(job.pair.style)))
        recipe = self._series.recipe(job.recipe)
        try:
            painted = finish(self._engine.paint(content, [style], recipe))
        except EngineError as error:
            return PaintReport(job, time.perf_counter() - began_s, str(error))
        seconds = time.perf_counter() - began_s
        target = self._album.painted(job.recipe, job.pair)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target.with_suffix(".json"), facts_line(job, painted, seconds).encode())
        save_pixels(target, to_levels(painted.pixels))
        return PaintReport(job, seconds, None)


def facts_line(job: PaintJob, painted: Painted, seconds: float) -> str:
    """What is kept of a painting beside its pixels, as one line of JSON."""
    passes = [
        {
            "size": [report.size.width_px, report.size.height_px],
            "steps": report.last.number,
            "seconds": round(report.seconds, 3),
            "total": report.last.total,
            "losses": dict(report.last.losses),
        }
        for report in painted.passes
    ]
    facts = {
        "recipe": job.recipe,
        "pair": str(job.pair),
        "seconds": round(seconds, 3),
        "warnings": list(painted.warnings),
        "passes": passes,
    }
    return json.dumps(facts) + "\n"


_painter: Painter | None = None
"""This process's own, since a pool hands its processes nothing but the jobs."""


def begin_process(album: Album, series: Series, workshop: Workshop) -> None:
    """Makes the engine of a process that paints."""
    global _painter
    torch.set_num_threads(workshop.threads)
    engine = Engine(workshop.device, "classic", workshop.engine_folder)
    _painter = Painter(album, series, engine)


def paint_one(job: PaintJob) -> PaintReport:
    """Paints a picture in a process that has begun."""
    assert _painter is not None
    return _painter.paint(job)


def open_jobs(album: Album, series: Series) -> list[PaintJob]:
    """What is not painted yet, pair by pair, so that recipes can be compared early."""
    jobs = [PaintJob(recipe, pair) for pair in series.pairs for recipe in series.recipes]
    return [job for job in jobs if not album.painted(job.recipe, job.pair).exists()]


def paint_all(album: Album, series: Series, workshop: Workshop) -> Iterator[PaintReport]:
    """Yields a report of each picture as it is painted; what is there is left as it is.

    Raises BrokenProcessPool if a process dies.
    """
    jobs = open_jobs(album, series)
    if not jobs:
        return
    if workshop.device == "cpu":
        torch.set_num_threads(workshop.threads)
        choose_arithmetic(torch.device("cpu"), "auto", workshop.engine_folder)  # alone: it is timed
    context = multiprocessing.get_context("spawn")  # CUDA cannot be used in what is forked
    begin = (album, series, workshop)
    with ProcessPoolExecutor(workshop.jobs, context, begin_process, begin) as pool:
        for future in as_completed([pool.submit(paint_one, job) for job in jobs]):
            yield future.result()
