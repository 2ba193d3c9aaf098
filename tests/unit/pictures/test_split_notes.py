"""Notes that come in pieces are whole again; pieces that do not fit are left where they were."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from daemon.pictures import xmp
from daemon.pictures.picture import Metadata
from daemon.pictures.split_notes import extended_packet, joined_notes, raw_profile
from daemon.pictures.xmp_extended import digest_of, joined, split_packet
from tests.support.written import exiftool, needs_exiftool, picture_like, read, write
from tests.unit.pictures.test_writing_metadata import IPTC, PACKET, WORDS, dataset

PAINTED = np.full((32, 48, 3), 120, np.uint8)
LONG = "<dc:description>" + "x" * 200_000 + "</dc:description>"
PIECES = b"http://ns.adobe.com/xmp/extension/\0"


def properties(packet: bytes) -> set[tuple[str, str]]:
    return {(item.namespace, item.name) for item in xmp.parse(packet).properties}


def test_split_packet_comes_together_again_with_every_property() -> None:
    whole = PACKET.replace("<dc:rights>", LONG + "<dc:rights>").encode()
    standard, extended = split_packet(whole, 65_000)
    again = joined(standard, extended)
    assert properties(again) == properties(whole) and LONG.encode() in again
    assert b"HasExtendedXMP" not in again


def test_prefixes_declared_far_above_go_along_when_a_packet_is_joined() -> None:
    extended = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:far="urn:far"><rdf:RDF xmlns:rdf="{xmp.RDF}">'
        '<rdf:Description rdf:about="" far:name="one"/></rdf:RDF></x:xmpmeta>'
    )
    again = joined(PACKET.encode(), extended.encode())
    assert ("urn:far", "name") in properties(again)
    assert properties(PACKET.encode()) < properties(again)


@pytest.mark.parametrize("extended", [b"", b"rubbish", b"<!DOCTYPE x><x/>"])
def test_extended_packet_that_cannot_be_read_leaves_the_standard_one(extended: bytes) -> None:
    assert joined(PACKET.encode(), extended) == PACKET.encode()


def test_large_notes_go_round_unchanged(tmp_path: Path) -> None:
    records = IPTC + dataset(25, b"z" * 30_000) * 5
    packet = PACKET.replace("<dc:rights>", LONG + "<dc:rights>").encode()
    words = Metadata(WORDS.exif, packet, records, {"Comment": "c" * 100_000})
    found = read(write(tmp_path / "a.jpg", PAINTED, picture_like(metadata=words))).metadata
    assert LONG.encode() in found.xmp and found.iptc == records
    assert found.text == {"Comment": "c" * 100_000}
    again = read(write(tmp_path / "b.jpg", PAINTED, picture_like(metadata=found))).metadata
    assert LONG.encode() in again.xmp and again.iptc == records
    assert again.xmp.count(b"<a:note>") == 1


def part(packet: bytes, offset: int, size: int, digest: bytes) -> tuple[str, bytes]:
    head = digest + size.to_bytes(4, "big") + offset.to_bytes(4, "big")
    return "APP1", PIECES + head + packet


def test_pieces_of_a_packet_are_put_in_order_and_checked() -> None:
    packet = bytes(range(250)) * 10
    digest = digest_of(packet).encode()
    pieces = [part(packet[at : at + 500], at, 2500, digest) for at in range(0, 2500, 500)]
    assert extended_packet(pieces[::-1], digest) == packet
    assert extended_packet(pieces[1:], digest) == b""
    assert extended_packet(pieces, b"0" * 32) == b""
    assert extended_packet([part(packet, 0, 2**31, digest)], digest) == b""
    assert extended_packet([("APP1", PIECES + b"short")], digest) == b""


def test_what_is_in_one_piece_stays_as_it_was_found() -> None:
    assert joined_notes([("COM", b"one"), ("APP13", b"Photoshop 3.0\0" + bytes(9))]) == {}


def test_iptc_in_png_goes_round(tmp_path: Path) -> None:
    found = read(write(tmp_path / "a.png", PAINTED, picture_like(metadata=WORDS))).metadata
    assert found.iptc == IPTC


@pytest.mark.parametrize(
    "text", ["", "iptc", "\niptc\n 4\nffff\n", "\niptc\n 2\nfff\n", "\niptc\n x\nff"]
)
def test_damaged_text_of_a_profile_is_none(text: str) -> None:
    assert raw_profile({"Raw profile type iptc": text}, "iptc") == b""


def test_rights_that_imagemagick_and_exiftool_keep_in_png_are_read(tmp_path: Path) -> None:
    resource = b"8BIM\x04\x04\0\0" + len(IPTC).to_bytes(4, "big") + IPTC + bytes(len(IPTC) % 2)
    cases = (("8bim", "8bim", resource), ("iptc", "iptc", IPTC), ("iptc", "IPTC profile", resource))
    for kind, title, content in cases:
        text = PngImagePlugin.PngInfo()
        digits = f"\n{title}\n{len(content):8d}\n{content.hex()}\n"
        text.add_text(f"Raw profile type {kind}", digits, zip=True)
        Image.fromarray(PAINTED).save(tmp_path / "a.png", pnginfo=text)
        assert read(tmp_path / "a.png").metadata.iptc == IPTC


@needs_exiftool
def test_large_notes_of_exiftool_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(PAINTED).save(path)
    (tmp_path / "words").write_text("y" * 150_000)
    exiftool(
        "-overwrite_original",
        f"-XMP-dc:Description<={tmp_path / 'words'}",
        "-XMP-dc:Rights=(c) Ada",
        path,
    )
    result = write(tmp_path / "b.jpg", PAINTED, read(path))
    said = exiftool("-s3", "-XMP-dc:Description", "-XMP-dc:Rights", result).splitlines()
    assert said == ["y" * 150_000, "(c) Ada"]
