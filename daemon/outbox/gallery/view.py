"""What pages show, as plain frozen data: templates do no more than put it into words and places.

URLs come from whoever shows a page: relative ones in the gallery, by job in the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

SHAPES = (*range(4, 21), 22, 24, 26, 28, 30)
"""Width to height, in tenths, that the stylesheet has a class for."""


def shape_of(width_px: int, height_px: int) -> str:
    """The stylesheet's class for a picture of that size: its shape, a square where none is known.

    A class, since pages allow no inline styles.
    """
    ratio = 10 * width_px / height_px if width_px and height_px else 10
    return f"w{min(SHAPES, key=lambda shape: abs(shape - ratio))}"


@dataclass(frozen=True)
class NavLink:
    """A tab of the bar. count: shown beside it.  kind: a class of the stylesheet, such as `bad`.

    shelf: which of the gallery's it leads to, if to one.
    """

    title: str
    url: str
    current: bool = False
    count: int | None = None
    kind: str = ""
    shelf: str = ""


@dataclass(frozen=True)
class ShownPicture:
    """A picture file as a page shows it, with its size, so that nothing moves while it loads."""

    url: str
    width_px: int
    height_px: int

    @property
    def shape(self) -> str:
        return shape_of(self.width_px, self.height_px)


@dataclass(frozen=True)
class Card:
    """One picture among others. url: of its own page.  small: None where none can be shown.

    blank: said in its place then.  shape: the stylesheet's class.  badge: a word in its corner.
    reason: why there is no result.
    """

    url: str
    name: str
    sub: str
    state: str
    shape: str = "w10"
    small: ShownPicture | None = None
    blank: str = "no picture"
    badge: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Day:
    """The cards of a day. date: ISO 8601.  title: in words."""

    date: str
    title: str
    cards: Sequence[Card]


@dataclass(frozen=True)
class Fact:
    """One line of what is told of a picture."""

    name: str
    text: str


@dataclass(frozen=True)
class Line:
    """A rule or mark of a chart: an SVG path, and its text at x, y."""

    path: str
    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Curve:
    """One loss over the steps, as an SVG path. last: its last value."""

    name: str
    path: str
    last: str


@dataclass(frozen=True)
class Chart:
    """Curves of losses, in units of the SVG's own. summary: the same in words."""

    width: int
    height: int
    grid: Sequence[Line]
    passes: Sequence[Line]
    curves: Sequence[Curve]
    summary: str


@dataclass(frozen=True)
class PassRow:
    """One pass in words. losses: as many as `PictureView.loss_names`."""

    size: str
    steps: int
    seconds: str
    losses: Sequence[str]


@dataclass(frozen=True)
class PictureLinks:
    """URLs of what belongs to a picture; empty where there is none. previews are `ShownPicture`s.

    newer, older: pages of the pictures beside it.  sheet: of the sweep or of all presets.
    """

    preset: str = ""
    result: str = ""
    original: str = ""
    record: str = ""
    log: str = ""
    sheet: str = ""
    timelapse: str = ""
    newer: str = ""
    older: str = ""
    photograph: ShownPicture | None = None
    painting: ShownPicture | None = None


@dataclass(frozen=True)
class PictureView:
    """A picture's own page. recipe: sentences.  fields: every field of the recipe, in words.

    remedy: of what failed, what to do.  chart: None where no course of the losses is known.
    """

    job: str
    name: str
    preset: str
    label: str
    state: str
    finished_at: str
    finished: str
    links: PictureLinks
    recipe: Sequence[str] = ()
    fields: Sequence[Fact] = ()
    facts: Sequence[Fact] = ()
    passes: Sequence[PassRow] = ()
    loss_names: Sequence[str] = ()
    chart: Chart | None = None
    reason: str = ""
    remedy: str = ""
    warnings: Sequence[str] = field(default=())

    @property
    def title(self) -> str:
        """The picture and what makes it differ from others of its name."""
        return " · ".join(filter(None, (self.name, self.preset, self.label)))
