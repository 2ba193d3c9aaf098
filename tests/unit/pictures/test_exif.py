"""What a result's EXIF says: the photographer's words as they were, the pixels' own as they are."""

import struct

import pytest

from daemon.pictures.exif import ResultFacts, describe_result, fitted, without_location
from daemon.pictures.ifd import MAKER_NOTE, UNDEFINED, Field, Tags, lay_out, parse, text

JPEG = ResultFacts("JPEG", 1200, 800, (240.0, 240.0), "sRGB", "rgb", "atelierd 1")
WORDS = {0x010F: text("A camera"), 0x013B: text("Ada"), 0x8298: text("(c) Ada")}


def camera(order: str = "<", **more: object) -> Tags:
    """What a camera wrote of a picture in Adobe RGB that lay on its side."""
    made = Tags("<" if order == "<" else ">")
    main = {
        **WORDS,
        0x0112: made.short(6),
        0x011A: made.rational(300),
        0x0131: text("Firmware 1.0"),
        0x0213: made.short(2),
    }
    exif = {
        0x9003: text("2026:01:02 03:04:05"),
        0xA001: made.short(0xFFFF),
        0xA002: made.short(6000),
        0xA003: made.short(4000),
        0xA500: made.rational(2.2),
    }
    interop = {1: text("R03"), 2: Field(UNDEFINED, 4, b"0100")}
    gps = {0: Field(1, 4, b"\2\3\0\0"), 29: text("2026:01:02")}
    return Tags(made.order, main, {**exif, **more.pop("exif", {})}, gps, interop, **more)  # type: ignore


def number(tags: Tags, field: Field) -> int:
    return int.from_bytes(field.data, "little" if tags.order == "<" else "big")


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_describes_pixels_is_the_results_and_the_rest_the_photographers(order: str) -> None:
    found = describe_result(camera(order), JPEG)
    assert {tag: found.main[tag] for tag in WORDS} == WORDS
    assert found.exif[0x9003] == text("2026:01:02 03:04:05") and found.gps == camera(order).gps
    assert number(found, found.main[0x0112]) == 1
    assert (number(found, found.exif[0xA002]), number(found, found.exif[0xA003])) == (1200, 800)
    assert found.main[0x0131] == text("atelierd 1")
    assert found.main[0x0213] == camera(order).main[0x0213]


@pytest.mark.parametrize(
    ("color", "space", "index"),
    [("sRGB", 1, b"R98\0"), ("Adobe RGB", 0xFFFF, b"R03\0"), ("Display P3", 0xFFFF, None)],
)
def test_colour_space_and_interoperability_say_what_the_result_is_in(
    color: str, space: int, index: bytes | None
) -> None:
    facts = ResultFacts("JPEG", 1200, 800, None, color, "rgb", "atelierd 1")
    found = describe_result(camera(), facts)
    assert number(found, found.exif[0xA001]) == space
    assert (found.interop[1].data if found.interop else None) == index
    assert 0xA500 not in found.exif  # the old curve: the profile tells


def test_resolution_is_the_results_in_pixels_an_inch() -> None:
    found = describe_result(camera(">"), JPEG)
    assert found.main[0x011A].data == found.main[0x011B].data == struct.pack(">2I", 240, 1)
    assert found.main[0x0128].data == struct.pack(">H", 2)
    odd = ResultFacts("JPEG", 1, 1, (300 * 4096 / 3000, 72.009), "sRGB", "rgb", "a")
    found = describe_result(camera("<"), odd)
    assert found.main[0x011A].data == struct.pack("<2I", 2048, 5)
    across, down = struct.unpack("<2I", found.main[0x011B].data)
    assert abs(across / down - 72.009) < 1e-6


def test_how_the_old_file_kept_its_pixels_is_left_out() -> None:
    stale = {0x0100: text("x"), 0x0111: text("x"), 0x0144: text("x"), 0xC612: text("DNG")}
    stale |= {0x87AF: text("a place on earth for each pixel"), 0x935C: text("layers")}
    tags = camera()
    found = describe_result(Tags("<", {**tags.main, **stale}, tags.exif), JPEG)
    assert not stale.keys() & found.main.keys()


def test_jpeg_has_the_fields_that_exif_requires_and_tiff_none_that_it_forbids() -> None:
    found = describe_result(Tags("<", WORDS), JPEG)
    assert found.main.keys() >= {0x011A, 0x011B, 0x0128, 0x0213}
    assert found.exif.keys() >= {0x9000, 0x9101, 0xA000, 0xA001, 0xA002, 0xA003}
    facts = ResultFacts("TIFF", 1200, 800, None, "sRGB", "rgb", "atelierd 1")
    assert not {0x9101, 0xA002, 0xA003} & describe_result(camera(), facts).exif.keys()
    assert not describe_result(camera(), facts).interop


def test_without_location_no_byte_of_a_place_is_left() -> None:
    note = Field(UNDEFINED, 30, b"MAKER: 48 12 30 N, 16 22 23 E.")
    blob = lay_out(camera(exif={MAKER_NOTE: note})) + b"\0\0stray bytes of 48 12 30 N"
    whole = parse(blob)
    assert b"48 12 30" in lay_out(whole) and b"2026:01:02\0" in lay_out(whole)
    found = without_location(whole)
    assert b"48 12 30" not in lay_out(found) and b"2026:01:02\0" not in lay_out(found)
    assert found.main == whole.main


def test_block_that_fits_is_not_touched() -> None:
    assert fitted(camera(), 65_000) == (lay_out(camera()), ())


def test_too_large_a_block_loses_its_maker_note_first_and_says_so() -> None:
    note = Field(UNDEFINED, 70_000, bytes(range(250)) * 280)
    blob, warnings = fitted(parse(lay_out(camera(exif={MAKER_NOTE: note}))), 65_000)
    assert len(blob) <= 65_000
    assert parse(blob).main == camera().main and parse(blob).gps == camera().gps
    assert len(warnings) == 1 and "the maker note was left out" in warnings[0]


def test_maker_note_stays_where_only_what_it_points_to_is_too_large() -> None:
    note = Field(UNDEFINED, 300, bytes(range(250)) + bytes(50))
    whole = lay_out(camera(exif={MAKER_NOTE: note})) + b"preview" * 10_000
    blob, warnings = fitted(parse(whole), 65_000)
    assert blob.index(note.data) == whole.index(note.data)
    assert "what the maker note points to was left out" in warnings[0]


def test_longest_fields_go_where_there_is_no_maker_note_and_are_named() -> None:
    tags = Tags("<", {**WORDS, 0x010E: text("y" * 40_000)}, {0x9286: text("x" * 50_000)})
    blob, warnings = fitted(tags, 65_000)
    assert parse(blob).main.keys() == {*WORDS, 0x010E} and not parse(blob).exif
    assert "field 0x9286 was left out" in warnings[0]
