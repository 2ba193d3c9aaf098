"""The structure of EXIF, read and laid out again: nothing moves that must not, nothing hangs."""

import random
import struct

import pytest

from daemon.pictures.ifd import (
    ASCII,
    LONG,
    MAKER_NOTE,
    SHORT,
    UNDEFINED,
    ExifError,
    Field,
    Tags,
    lay_out,
    parse,
    text,
)

MAKE, NOTE_BYTES = 0x010F, b"Nikon\0\2\x10\0\0MM\0*\0\0\0\x08maker's own"


def tags(order: str) -> Tags:
    """A camera's fields, in every directory."""
    made = Tags("<" if order == "<" else ">")
    return Tags(
        made.order,
        {MAKE: text("A camera of many letters"), 0x0112: made.short(6), 0x0132: text("2026")},
        {0x9000: Field(UNDEFINED, 4, b"0232"), MAKER_NOTE: Field(UNDEFINED, 29, NOTE_BYTES)},
        {0: Field(1, 4, b"\2\3\0\0"), 2: Field(5, 3, bytes(24))},
        {1: text("R98")},
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_fields_of_every_directory_come_back_with_type_count_and_bytes(order: str) -> None:
    whole = tags(order)
    found = parse(lay_out(whole))
    assert (found.order, found.main, found.exif) == (whole.order, whole.main, whole.exif)
    assert (found.gps, found.interop) == (whole.gps, whole.interop)


@pytest.mark.parametrize("order", ["<", ">"])
def test_laying_out_again_changes_no_byte(order: str) -> None:
    blob = lay_out(parse(lay_out(tags(order))))
    assert lay_out(parse(blob)) == blob


def test_maker_note_stays_where_it_lay_when_other_fields_grow_shrink_and_go() -> None:
    first = lay_out(tags(">"))
    place = first.index(NOTE_BYTES)
    found = parse(first)
    for main in ({}, {**found.main, MAKE: text("x" * 500), 0x0131: text("y" * 300)}):
        changed = Tags(found.order, main, found.exif, {}, {}, found.pinned)
        blob = lay_out(changed)
        assert blob.index(NOTE_BYTES) == place
        assert parse(blob).exif == found.exif and parse(blob).main == main


def test_what_a_maker_note_points_to_outside_itself_stays_too() -> None:
    blob = lay_out(tags("<")) + bytes(2) + b"a preview that only the maker knows of"
    again = lay_out(parse(blob))
    assert again.index(b"a preview") == blob.index(b"a preview")


def test_without_a_maker_note_nothing_unknown_is_carried() -> None:
    found = Tags("<", {MAKE: text("A camera")})
    assert b"stray" not in lay_out(parse(lay_out(found) + b"stray bytes"))


def test_thumbnail_goes_with_its_bytes() -> None:
    order = "<"
    thumbnail = b"\xff\xd8 a small old picture \xff\xd9"
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, LONG, 1, 38, 0x0202, LONG, 1, len(thumbnail), 0)
    main = struct.pack("<H", 0) + struct.pack("<I", 14)
    blob = b"II*\0" + struct.pack("<I", 8) + main + second
    blob = blob.ljust(38, b"\0") + thumbnail
    assert parse(blob).order == order
    assert b"small old" not in lay_out(parse(blob))


def test_short_values_lie_in_their_field_and_longer_ones_at_even_offsets() -> None:
    blob = lay_out(Tags("<", {0x0112: Field(SHORT, 1, b"\1\0"), MAKE: Field(ASCII, 5, b"Leica")}))
    (count,) = struct.unpack_from("<H", blob, 8)
    assert count == 2
    assert struct.unpack_from("<HHIHH", blob, 22) == (0x0112, SHORT, 1, 1, 0)
    tag, kind, number, at = struct.unpack_from("<HHII", blob, 10)
    assert (tag, kind, number, at % 2) == (MAKE, ASCII, 5, 0)
    assert blob[at : at + 5] == b"Leica"


@pytest.mark.parametrize(
    "blob", [b"", b"II", b"Exif\0\0II*\0", b"rubbish of some length", b"MM\0*"]
)
def test_what_is_no_exif_is_said_to_be_none(blob: bytes) -> None:
    with pytest.raises(ExifError):
        parse(blob)


@pytest.mark.parametrize("pointer", [0x8769, 0x8825])
def test_directory_that_holds_itself_ends(pointer: int) -> None:
    blob = b"II*\0" + struct.pack("<IHHHIII", 8, 1, pointer, LONG, 1, 8, 8)
    found = parse(blob)
    assert not found.exif and not found.gps


def test_field_that_reaches_beyond_the_block_is_left_out_and_the_others_stay() -> None:
    row = struct.pack("<HHII", MAKE, ASCII, 900, 8)
    good = struct.pack("<HHIHH", 0x0112, SHORT, 1, 3, 0)
    blob = b"II*\0" + struct.pack("<IH", 8, 2) + row + good + bytes(4)
    assert parse(blob).main == {0x0112: Field(SHORT, 1, b"\3\0")}


def test_damaged_blocks_are_read_or_refused_and_never_come_out_swollen() -> None:
    whole = lay_out(tags(">"))
    chance = random.Random(0)
    for _ in range(3000):
        damaged = bytearray(whole[: chance.randrange(8, len(whole) + 1)])
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(4, len(damaged))] = chance.randrange(256)
        blob = lay_out(parse(bytes(damaged)))
        assert len(blob) < 3 * len(whole) + 64
        assert parse(blob).main == parse(bytes(damaged)).main
