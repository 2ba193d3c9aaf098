"""Kinds of things that people drop: what they do to the inbox, and what must come of it."""

import functools
import io
import os
import random
import struct
import time
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import yaml
from PIL import Image
from pillow_heif import register_heif_opener

from daemon.job import State
from tests.support.atelier import Studio, encoded, photograph

Act = Callable[[Studio], bool]
"""Something done to the inbox; False if it was not possible yet and changed nothing."""

STAGING = ".staging"
QUICK, SWIFT, STEADY = "quick", "swift", "steady"
EDITED, FICKLE, BROKEN, NONE = "edited", "fickle", "broken", ""
FAULTY_PRESET = "styles:\n  - image: quick.png\nstepz: 3\n"


@dataclass(frozen=True)
class Picture:
    """A picture on its way into the inbox, and what must come of it.

    path: below the inbox.  presets: one job each; the empty name where no preset is known.
    verdict: None if both are right.  perhaps: its own dropper may have overwritten it.
    """

    path: Path
    content: bytes = field(repr=False)
    presets: tuple[str, ...] = (QUICK,)
    verdict: State | None = State.DONE
    perhaps: bool = False


@dataclass(frozen=True)
class Drop:
    """One thing somebody does: acts, each with the seconds since the one before.

    stays: what must lie in the inbox for ever.  sidecars: what may lie beside originals.
    """

    steps: tuple[tuple[float, Act], ...]
    pictures: tuple[Picture, ...] = ()
    stays: tuple[Path, ...] = ()
    sidecars: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Hand:
    """Who drops: numbered, so that no two drop the same, and with a chance of their own."""

    number: int
    chance: random.Random

    def photo(self, size_px: tuple[int, int] = (96, 72)) -> Image.Image:
        """A photograph that no other hand has."""
        left, top = self.chance.randrange(200), self.chance.randrange(200)
        image = photograph((512, 512)).crop((left, top, left + 300, top + 300)).resize(size_px)
        number = self.number
        image.paste((number % 256, number // 256, 90), (4, 4, 20, 20))
        return image

    def jpeg(self) -> bytes:
        """The same as a file."""
        return encoded(self.photo())

    def named(self, ending: str, folder: str = QUICK) -> Path:
        """A path that no other hand has."""
        return Path(folder) / f"{self.number:03}{ending}"


Kind = Callable[[Hand], Drop]


# Acts


def put(path: Path, content: bytes) -> Act:
    """A whole file at once; waits while something of that name lies there."""

    def act(studio: Studio) -> bool:
        target, staged = studio.inbox / path, studio.inbox / STAGING
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(content)
        try:
            os.link(staged, target)  # refuses to overwrite
        except FileExistsError:
            return False
        finally:
            staged.unlink()
        return True

    return act


def together(*acts: Act, pause_s: float = 0.0) -> Act:
    """Acts that nothing comes between; only the first may have to wait."""

    def act(studio: Studio) -> bool:
        for number, part in enumerate(acts):
            if number:
                time.sleep(pause_s)
            if not part(studio):
                assert number == 0, "only the first may have to wait"
                return False
        return True

    return act


def overwrite(path: Path, content: bytes) -> Act:
    """A whole file over whatever lies there."""

    def act(studio: Studio) -> bool:
        staged = studio.inbox / STAGING
        staged.write_bytes(content)
        staged.replace(studio.inbox / path)
        return True

    return act


def fill(path: Path, content: bytes) -> Act:
    """The content of a file that lies there empty."""

    def act(studio: Studio) -> bool:
        with (studio.inbox / path).open("r+b") as file:
            file.write(content)
        return True

    return act


def slowly(path: Path, content: bytes, chunks: int) -> list[Act]:
    """A file written in place, chunk by chunk, through one open handle."""
    opened: list[BinaryIO] = []
    size = -(-len(content) // chunks)

    def write(studio: Studio, number: int) -> bool:
        if not opened:
            (studio.inbox / path).parent.mkdir(parents=True, exist_ok=True)
            opened.append((studio.inbox / path).open("xb", buffering=0))
        opened[0].write(content[number * size : (number + 1) * size])
        if number == chunks - 1:
            opened[0].close()
        return True

    return [functools.partial(write, number=number) for number in range(chunks)]


def rename(before: Path, after: Path) -> Act:
    """A file or folder under a new name."""

    def act(studio: Studio) -> bool:
        os.rename(studio.inbox / before, studio.inbox / after)
        return True

    return act


def edit_preset(name: str, text: str) -> Act:
    """A preset's YAML replaced as editors do it."""

    def act(studio: Studio) -> bool:
        staged = studio.presets / ".edited"
        staged.write_text(text)
        staged.replace(studio.presets / f"{name}.yaml")
        return True

    return act


def sound_preset(style: str, **fields: object) -> str:
    """The YAML of a preset that paints in a moment."""
    return yaml.safe_dump({"styles": [{"image": f"{style}.png"}], "size": 64, "steps": 2} | fields)


# Drops


def whole(path: Path, content: bytes, **expected: object) -> Drop:
    """A picture that comes whole."""
    picture = Picture(path, content, **expected)  # type: ignore[arg-type]
    return Drop(((0.0, put(path, content)),), (picture,))


def format_kind(ending: str, form: str, prepare: Callable[[Image.Image], Image.Image]) -> Kind:
    """A sound picture of one format and mode."""

    def make(hand: Hand) -> Drop:
        return whole(hand.named(ending), encoded(prepare(hand.photo()), form))

    return make


def name_kind(name: str) -> Kind:
    """A sound picture with an odd name; NNN stands for the number."""

    def make(hand: Hand) -> Drop:
        path = Path(QUICK) / name.replace("NNN", f"{hand.number:03}")
        return whole(path, hand.jpeg())

    return make


def bad_kind(ending: str, content: Callable[[Hand], bytes]) -> Kind:
    """A picture that must fail."""

    def make(hand: Hand) -> Drop:
        return whole(hand.named(ending), content(hand), verdict=State.FAILED)

    return make


def sixteen_bits(image: Image.Image) -> Image.Image:
    grey = image.convert("L")
    return Image.frombytes("I;16", grey.size, bytes(b for v in grey.tobytes() for b in (v, v)))


def half_clear(image: Image.Image) -> Image.Image:
    clear = image.convert("RGBA")
    clear.putalpha(image.convert("L"))
    return clear


def turned(hand: Hand) -> Drop:
    exif = Image.Exif()
    exif[0x0112] = 6
    return whole(hand.named(".jpg"), encoded(hand.photo(), exif=exif))


def heic(hand: Hand) -> Drop:
    register_heif_opener()
    target = io.BytesIO()
    hand.photo().save(target, format="HEIF")
    return whole(hand.named(".heic"), target.getvalue())


def cut(content: bytes) -> bytes:
    return content[: len(content) * 6 // 10]


def bomb(hand: Hand) -> bytes:
    """A PNG whose header promises far more than there is."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 20_000 + hand.number, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 16), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def dot(hand: Hand) -> bytes:
    return encoded(Image.new("RGB", (1, 1), (hand.number % 256, hand.number // 256, 7)), "PNG")


def first_empty(hand: Hand) -> Drop:
    path, content = hand.named("-empty.jpg"), hand.jpeg()
    pause_s = hand.chance.uniform(0.5, 3.0)
    return Drop(((0.0, put(path, b"")), (pause_s, fill(path, content))), (Picture(path, content),))


def in_place(hand: Hand) -> Drop:
    path, content = hand.named("-slow.jpg"), encoded(hand.photo((300, 225)), quality=95)
    acts = slowly(path, content, hand.chance.randint(3, 5))
    return Drop(
        tuple((hand.chance.uniform(0.05, 0.9), act) for act in acts), (Picture(path, content),)
    )


def by_part(hand: Hand) -> Drop:
    path, content = hand.named("-part.png"), encoded(hand.photo(), "PNG")
    part = path.with_name(path.name + ".part")
    acts = [*slowly(part, content, 2), rename(part, path)]
    return Drop(
        tuple((hand.chance.uniform(0.05, 0.5), act) for act in acts), (Picture(path, content),)
    )


def folder_moved_in(hand: Hand) -> Drop:
    staged, folder = Path(f".folder-{hand.number:03}"), hand.named("-folder")
    contents = {f"{name}/photo.jpg": hand.jpeg() for name in ("a", "b")}
    acts = [put(staged / name, content) for name, content in contents.items()]
    pictures = tuple(Picture(folder / name, content) for name, content in contents.items())
    return Drop(((0.0, together(*acts, rename(staged, folder))),), pictures)


def deep(hand: Hand) -> Drop:
    return whole(Path(QUICK) / "2026" / "a b" / "c" / f"{hand.number:03}.jpg", hand.jpeg())


def other_form(hand: Hand) -> Drop:
    """Composed and decomposed, which look the same and are two names."""
    names = [unicodedata.normalize(form, f"{hand.number:03} Ä.jpg") for form in ("NFC", "NFD")]
    pictures = tuple(Picture(Path(QUICK) / name, hand.jpeg()) for name in names)
    return Drop(tuple((0.0, put(seen.path, seen.content)) for seen in pictures), pictures)


def same_path(content: Callable[[Hand, bytes], bytes], longest_s: float) -> Kind:
    """Two pictures one after the other at the same path, the second once the first is taken."""

    def make(hand: Hand) -> Drop:
        path, first = hand.named("-twin.jpg"), hand.jpeg()
        second = content(hand, first)
        pause_s = hand.chance.uniform(0.0, longest_s)
        return Drop(
            ((0.0, put(path, first)), (pause_s, put(path, second))),
            (Picture(path, first), Picture(path, second)),
        )

    return make


def same_path_often(hand: Hand) -> Drop:
    """Four pictures at the same path, each as soon as the one before is taken."""
    path = hand.named("-often.jpg")
    pictures = tuple(Picture(path, hand.jpeg()) for _ in range(4))
    return Drop(tuple((0.0, put(seen.path, seen.content)) for seen in pictures), pictures)


def copies(*folders: str) -> Kind:
    """The same bytes at several places."""

    def make(hand: Hand) -> Drop:
        content = hand.jpeg()
        pictures = tuple(
            Picture(hand.named(f"-copy-{number}.jpg", folder), content, (folder,))
            for number, folder in enumerate(folders)
        )
        steps = tuple((hand.chance.uniform(0.0, 3.0), put(seen.path, content)) for seen in pictures)
        return Drop(steps, pictures)

    return make


def bad_copies(hand: Hand) -> Drop:
    path, content = hand.named("-cut.jpg"), cut(encoded(hand.photo((256, 256)), quality=95))
    picture = Picture(path, content, verdict=State.FAILED)
    return Drop(((0.0, put(path, content)), (0.5, put(path, content))), (picture, picture))


def overwritten(hand: Hand) -> Drop:
    path, first, second = hand.named("-over.jpg"), hand.jpeg(), hand.jpeg()
    pause_s = hand.chance.uniform(0.05, 0.6)
    return Drop(
        ((0.0, put(path, first)), (pause_s, overwrite(path, second))),
        (Picture(path, first, perhaps=True), Picture(path, second)),
    )


def with_sidecar(
    note: str,
    *,
    presets: tuple[str, ...],
    verdict: State = State.DONE,
    folder: str = "",
    late_s: float = 0.0,
) -> Kind:
    """A picture and what says how to paint it; with `late_s` it comes so long after it."""

    def make(hand: Hand) -> Drop:
        path, content = hand.named("-said.jpg", folder), hand.jpeg()
        text = f"# {hand.number}\n{note}\n".encode()
        acts = [put(path.with_name(path.name + ".yaml"), text), put(path, content)]
        act = together(*(reversed(acts) if late_s else acts), pause_s=late_s)
        return Drop(((0.0, act),), (Picture(path, content, presets, verdict),), sidecars=(text,))

    return make


def shared_sidecar(hand: Hand) -> Drop:
    """Two pictures of one stem and one sidecar for both, all there at the same moment."""
    staged, folder = Path(f".folder-{hand.number:03}"), Path(f"{hand.number:03}-shared")
    text = f"# {hand.number}\npreset: {SWIFT}\n".encode()
    contents = {"a.jpg": hand.jpeg(), "a.png": encoded(hand.photo(), "PNG")}
    acts = [put(staged / name, content) for name, content in {**contents, "a.yaml": text}.items()]
    pictures = tuple(Picture(folder / name, made, (SWIFT,)) for name, made in contents.items())
    step = together(*acts, rename(staged, folder))
    return Drop(((0.0, step),), pictures, sidecars=(text,))


def preset_edited(hand: Hand) -> Drop:
    """A preset that changes before and after its picture comes, soundly."""
    path, content = hand.named(".jpg", EDITED), hand.jpeg()
    steps = [
        (0.0, edit_preset(EDITED, sound_preset(hand.chance.choice((EDITED, QUICK)), steps=3))),
        (0.1, put(path, content)),
        (0.3, edit_preset(EDITED, sound_preset(hand.chance.choice((EDITED, QUICK)), beta=30))),
    ]
    return Drop(tuple(steps), (Picture(path, content, (EDITED,)),))


def preset_broken_for_a_while(hand: Hand) -> Drop:
    path, content = hand.named(".jpg", FICKLE), hand.jpeg()
    steps = [
        (0.0, edit_preset(FICKLE, FAULTY_PRESET)),
        (0.0, put(path, content)),
        (hand.chance.uniform(0.0, 2.0), edit_preset(FICKLE, sound_preset(FICKLE))),
    ]
    return Drop(tuple(steps), (Picture(path, content, (FICKLE,), None),))


def in_folder(folder: str, verdict: State, ending: str = ".jpg") -> Kind:
    """A sound picture in a folder; an empty name is the inbox itself."""

    def make(hand: Hand) -> Drop:
        content = hand.jpeg()
        return whole(hand.named(ending, folder), content, presets=(folder,), verdict=verdict)

    return make


def link(hand: Hand) -> Drop:
    path = hand.named("-link.jpg")

    def act(studio: Studio) -> bool:
        (studio.inbox / path).parent.mkdir(parents=True, exist_ok=True)
        (studio.inbox / path).symlink_to(studio.presets / "quick.png")
        return True

    return Drop(((0.0, act),), stays=(path,))


def pipe(hand: Hand) -> Drop:
    path = hand.named("-pipe.jpg")

    def act(studio: Studio) -> bool:
        (studio.inbox / path).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(studio.inbox / path)
        return True

    return Drop(((0.0, act),), stays=(path,))


def staying(ending: str, content: bytes) -> Kind:
    """A file that is never taken."""

    def make(hand: Hand) -> Drop:
        path = hand.named(ending)
        return Drop(((0.0, put(path, content)),), stays=(path,))

    return make


def ordinary(hand: Hand) -> Drop:
    """A small photograph, whole."""
    return whole(hand.named(".jpg"), hand.jpeg())


def grey(image: Image.Image) -> Image.Image:
    return image.convert("L")


def same(image: Image.Image) -> Image.Image:
    return image


KINDS: dict[str, Kind] = {
    "JPEG": ordinary,
    "PNG": format_kind(".png", "PNG", same),
    "WebP": format_kind(".webp", "WEBP", same),
    "TIFF": format_kind(".tiff", "TIFF", same),
    "BMP": format_kind(".bmp", "BMP", same),
    "GIF": format_kind(".gif", "GIF", lambda image: image.quantize(32)),
    "HEIC": heic,
    "grey": format_kind(".JPG", "JPEG", grey),
    "CMYK": format_kind(".jpeg", "JPEG", lambda image: image.convert("CMYK")),
    "16 bits": format_kind(".png", "PNG", sixteen_bits),
    "palette": format_kind(".png", "PNG", lambda image: image.quantize(16)),
    "alpha": format_kind(".png", "PNG", half_clear),
    "turned by EXIF": turned,
    "cut JPEG": bad_kind("-cut.jpg", lambda hand: cut(encoded(hand.photo((256, 256)), quality=95))),
    "cut PNG": bad_kind("-cut.png", lambda hand: cut(encoded(hand.photo(), "PNG"))),
    "text named .png": bad_kind("-page.png", lambda hand: f"<html>{hand.number}".encode()),
    "bomb": bad_kind("-bomb.png", bomb),
    "one pixel": bad_kind("-dot.png", dot),
    "first empty": first_empty,
    "written in place": in_place,
    "by .part": by_part,
    "folder moved in": folder_moved_in,
    "name NFC": name_kind(unicodedata.normalize("NFC", "NNN Müßiggang.jpg")),
    "name NFD": name_kind(unicodedata.normalize("NFD", "NNN Müßiggang.jpg")),
    "names NFC and NFD": other_form,
    "name of 255 bytes": name_kind("NNN" + "n" * 248 + ".jpg"),
    "name with newline": name_kind("NNN two\nlines.jpg"),
    "name not UTF-8": name_kind(os.fsdecode(b"NNN caf\xe9.jpg")),
    "name with spaces": name_kind(" NNN  a .jpg"),
    "name with dash": name_kind("-NNNrf.jpg"),
    "name with quotes": name_kind("NNN'\"`$(x)\\.jpg"),
    "sub-folders": deep,
    "same name, later": same_path(lambda hand, _: hand.jpeg(), 8.0),
    "same name, at once": same_path(lambda hand, _: hand.jpeg(), 0.0),
    "same name, four times": same_path_often,
    "same name and bytes": same_path(lambda _, first: first, 6.0),
    "same bytes": copies(QUICK, QUICK, QUICK),
    "same bytes, presets": copies(QUICK, SWIFT),
    "same bytes, cut": bad_copies,
    "overwritten": overwritten,
    "sidecar before": with_sidecar(f"preset: {SWIFT}", presets=(SWIFT,)),
    "sidecar after": with_sidecar(f"preset: {SWIFT}", presets=(SWIFT,), late_s=0.3),
    "sidecar, two presets": with_sidecar(
        f"presets: [{QUICK}, {SWIFT}]", presets=(QUICK, SWIFT), folder=STEADY
    ),
    "sidecar with settings": with_sidecar("steps: 1", presets=(QUICK,), folder=QUICK),
    "sidecar wrong": with_sidecar("stepz: 3", presets=(QUICK,), verdict=State.FAILED, folder=QUICK),
    "sidecar shared": shared_sidecar,
    "long painting": in_folder(STEADY, State.DONE),
    "preset edited": preset_edited,
    "preset broken a while": preset_broken_for_a_while,
    "preset broken": in_folder(BROKEN, State.FAILED),
    "in no preset's folder": in_folder(NONE, State.FAILED, "-lonely.jpg"),
    "link": link,
    "pipe": pipe,
    "text": staying("-notes.txt", b"not for painting"),
    "sidecar alone": staying("-alone.jpg.yaml", b"preset: quick\n"),
    "half for ever": staying("-half.jpg.part", b"the first half"),
}


def add_presets(studio: Studio) -> None:
    """The presets that the kinds use."""
    for name in (SWIFT, EDITED, FICKLE):
        studio.add_preset(name)
    # Raw losses fall for a long time, so that all steps are taken.
    studio.add_preset(STEADY, steps=40, normalise="raw")
    (studio.presets / f"{BROKEN}.yaml").write_text(FAULTY_PRESET)
