"""What a photographer said of a picture is in its result, where each format keeps it."""

import io
import itertools
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.pictures import xmp
from daemon.pictures.ifd import MAKER_NOTE, UNDEFINED, Field, Tags, lay_out, parse, text
from daemon.pictures.iptc import APPLICATION, datasets, without_places
from daemon.pictures.note import read_note
from daemon.pictures.picture import Metadata
from tests.support.written import NOTE, exiftool, needs_exiftool, picture_like, read, tags_of, write

PAINTED = np.full((32, 48, 3), 120, np.uint8)
FORMATS = ["photo.jpg", "photo.png", "photo.webp", "photo.tif"]
PACKET = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{xmp.RDF}"><rdf:Description '
    f'rdf:about="" xmlns:dc="{xmp.DC}" xmlns:tiff="{xmp.TIFF}" tiff:Orientation="6"><dc:rights>'
    '<rdf:Alt><rdf:li xml:lang="x-default">(c) Ada</rdf:li></rdf:Alt></dc:rights>'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def dataset(number: int, value: bytes, record: int = APPLICATION) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


IPTC = dataset(90, b"\x1b%G", 1) + b"".join(
    [
        dataset(80, "Ada Söhne".encode()),
        dataset(90, b"Wien"),
        dataset(116, b"(c) Ada"),
        dataset(25, b"one"),
        dataset(25, b"two"),
    ]
)
CAMERA = Tags(
    "<",
    {0x010F: text("A camera"), 0x8298: text("(c) Ada"), 0x0112: Tags().short(6)},
    {0x9003: text("2026:01:02 03:04:05")},
    {0: Field(1, 4, b"\2\3\0\0"), 29: text("2026:01:02")},
)
WORDS = Metadata(
    lay_out(CAMERA),
    PACKET.encode(),
    IPTC,
    {"Author": "Ada", "Comment": "夜", "Software": "x"},
    (300.0, 300.0),
)


def segments(path: Path, marker: int) -> list[bytes]:
    """The contents of a JPEG's segments of one kind, before the picture."""
    content = path.read_bytes()
    found, at = [], 2
    while content[at + 1] not in (0xDA, 0xDB):
        size = int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at + 1] == marker:
            found.append(content[at + 4 : at + 2 + size])
        at += 2 + size
    return found


def exif_of(path: Path) -> Tags:
    """A result's EXIF, as its format keeps it."""
    return parse(read(path).metadata.exif)


@pytest.mark.parametrize("name", FORMATS)
def test_exif_xmp_and_rights_go_along(tmp_path: Path, name: str) -> None:
    found = read(write(tmp_path / name, PAINTED, picture_like(metadata=WORDS))).metadata
    tags = parse(found.exif)
    assert tags.main[0x8298] == text("(c) Ada") and tags.main[0x010F] == text("A camera")
    assert tags.exif[0x9003] == CAMERA.exif[0x9003] and tags.gps == CAMERA.gps
    assert b"(c) Ada</rdf:li>" in found.xmp and b'tiff:Orientation="1"' in found.xmp


@pytest.mark.parametrize("name", ["photo.jpg", "photo.tif"])
def test_iptc_goes_along_to_the_byte(tmp_path: Path, name: str) -> None:
    found = read(write(tmp_path / name, PAINTED, picture_like(metadata=WORDS))).metadata
    assert found.iptc.rstrip(b"\0") == IPTC


@pytest.mark.parametrize("name", FORMATS)
def test_result_is_told_as_it_is_and_not_as_the_picture_was(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, PAINTED, picture_like(metadata=WORDS))
    tags = exif_of(path)
    with Image.open(path) as opened:
        assert opened.getexif()[0x0112] == 1
    assert tags.main[0x0131].data.startswith(b"atelierd ")
    if name != "photo.tif":
        assert tags.exif[0xA002].data == struct.pack("<I", 48)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(48, 32), (96, 64), (33, 22)])
def test_print_size_stays_whatever_the_pixels(
    tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    like = picture_like((96, 64), metadata=Metadata(density_ppi=(300.0, 150.0)))
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    found = read(write(tmp_path / name, pixels, like)).metadata.density_ppi
    assert found is not None
    # PNG counts whole pixels a metre, JFIF whole pixels an inch.
    for pixels_an_inch, side, inches in zip(found, size, (96 / 300, 64 / 150), strict=True):
        assert pixels_an_inch == pytest.approx(side / inches, abs=0.5 if "jpg" in name else 0.02)


def test_tiff_says_72_and_others_nothing_where_nobody_knows(tmp_path: Path) -> None:
    found = {name: read(write(tmp_path / name, PAINTED)).metadata.density_ppi for name in FORMATS}
    assert found == {**dict.fromkeys(FORMATS), "photo.tif": (72.0, 72.0)}


def test_resolution_that_png_rounds_is_meant_as_it_was_written_first(tmp_path: Path) -> None:
    like = picture_like((96, 64), metadata=Metadata(density_ppi=(11811 * 0.0254, 300.2)))
    tags = exif_of(write(tmp_path / "a.webp", np.zeros((128, 192, 3), np.uint8), like))
    across, down = (struct.unpack("<2I", tags.main[tag].data) for tag in (0x011A, 0x011B))
    assert across == (600, 1) and down[0] / down[1] == pytest.approx(600.4)


def test_png_keeps_texts_in_any_letters_and_its_software_is_ours(tmp_path: Path) -> None:
    with Image.open(write(tmp_path / "a.png", PAINTED, picture_like(metadata=WORDS))) as found:
        texts = {key: found.info[key] for key in ("Author", "Comment", "Software")}
    assert texts["Author"] == "Ada" and texts["Comment"] == "夜"
    assert texts["Software"].startswith("atelierd ")


def test_texts_of_other_programs_that_describe_the_old_file_are_left_out(tmp_path: Path) -> None:
    stale = {"exif:ExifImageWidth": "6000", "Thumb::URI": "file:///home", "Raw profile type x": "1"}
    like = picture_like(metadata=Metadata(text={**stale, "Title": "A\0 day\ud800", "夜": "x"}))
    with Image.open(write(tmp_path / "a.png", PAINTED, like)) as found:
        assert found.info["Title"] == "A day?" and not stale.keys() & found.info.keys()


def test_rights_in_texts_and_iptc_are_in_xmp_where_a_format_has_no_place_for_them(
    tmp_path: Path,
) -> None:
    rights = Metadata(iptc=IPTC, text={"Author": "Grace", "Copyright": "<(c)> Grace"})
    packet = read(write(tmp_path / "a.webp", PAINTED, picture_like(metadata=rights))).metadata.xmp
    assert packet.count(b"<rdf:li>one</rdf:li><rdf:li>two</rdf:li>") == 1
    assert "Ada Söhne".encode() in packet  # IPTC's, where both say who
    assert b">(c) Ada</rdf:li>" in packet
    packet = read(write(tmp_path / "a.jpg", PAINTED, picture_like(metadata=rights))).metadata.xmp
    assert b"Grace</rdf:li>" in packet and b">&lt;(c)&gt; Grace</rdf:li>" in packet
    xmp.parse(packet)


def test_what_the_photographers_packet_says_is_not_said_twice(tmp_path: Path) -> None:
    like = picture_like(metadata=Metadata(xmp=PACKET.encode(), text={"Copyright": "other"}))
    packet = read(write(tmp_path / "a.jpg", PAINTED, like)).metadata.xmp
    assert packet.count(b"rights>") == 2 and b"other" not in packet


@pytest.mark.parametrize("name", FORMATS)
def test_without_location_no_byte_of_it_is_in_the_file(tmp_path: Path, name: str) -> None:
    packet = PACKET.replace(
        "<dc:rights>",
        "<exif:GPSLatitude xmlns:exif='http://ns.adobe.com/exif"
        "/1.0/'>48,12.5N</exif:GPSLatitude><dc:rights>",
    )
    note = Field(UNDEFINED, 8, b"48 12 30")
    camera = Tags("<", CAMERA.main, {MAKER_NOTE: note}, CAMERA.gps)
    like = picture_like(metadata=Metadata(lay_out(camera), packet.encode(), IPTC))
    kept = write(tmp_path / f"kept-{name}", PAINTED, like).read_bytes()
    found = write(tmp_path / name, PAINTED, like, metadata="no-location").read_bytes()
    for place in (b"48,12", b"2026:01:02\0", b"48 12 30", b"Wien"):
        assert place in kept or (place == b"Wien" and name == "photo.png")  # it is packed there
        assert place not in found
    assert b"(c) Ada" in found


@pytest.mark.parametrize("name", FORMATS)
def test_without_metadata_only_profile_resolution_and_our_note_are_left(
    tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / name, PAINTED, picture_like(metadata=WORDS), metadata="none")
    found = read(path).metadata
    assert b"Ada" not in path.read_bytes() and b"camera" not in path.read_bytes()
    assert found.density_ppi == pytest.approx((150.0, 150.0), abs=0.02)
    assert read_note(path) == NOTE
    with Image.open(path) as opened:
        assert opened.info["icc_profile"]


@pytest.mark.parametrize("name", ["photo.bmp", "photo.gif"])
def test_format_without_room_for_words_says_that_they_were_left_out(
    tmp_path: Path, name: str
) -> None:
    warned: list[str] = []
    write(tmp_path / name, PAINTED, picture_like(metadata=WORDS), warned=warned)
    assert len(warned) == 1 and "were left out" in warned[0]
    write(tmp_path / name, PAINTED, picture_like(metadata=Metadata(density_ppi=(300.0, 300.0))))


def test_damaged_exif_and_xmp_are_left_out_with_a_warning_and_the_result_is_written(
    tmp_path: Path,
) -> None:
    warned: list[str] = []
    like = picture_like(metadata=Metadata(b"rubbish", b"<rubbish", IPTC))
    path = write(tmp_path / "a.jpg", PAINTED, like, warned=warned)
    assert ["EXIF is damaged" in warned[0], "XMP is damaged" in warned[1]] == [True, True]
    assert read(path).metadata.iptc == IPTC and read_note(path) == NOTE


@pytest.mark.parametrize("name", ["photo.jpg", "photo.tif"])
def test_maker_note_stays_at_its_offset(tmp_path: Path, name: str) -> None:
    note = b"MAKER" + bytes(range(200))
    blob = lay_out(Tags("<", CAMERA.main, {MAKER_NOTE: Field(UNDEFINED, 205, note)}))
    path = write(tmp_path / name, PAINTED, picture_like(metadata=Metadata(blob)))
    content = path.read_bytes()
    head = content.index(b"Exif\0\0") + 6 if name == "photo.jpg" else 0
    assert content.index(note) - head == blob.index(note)


def test_what_is_too_large_for_a_segment_is_split_and_comes_together_again(tmp_path: Path) -> None:
    long = "<dc:description>" + "x" * 200_000 + "</dc:description>"
    records = IPTC + b"".join(dataset(202, bytes([65 + n]) * 30_000) for n in range(5))
    packet = PACKET.replace("<dc:rights>", long + "<dc:rights>").encode()
    words = Metadata(xmp=packet, iptc=records, text={"Comment": "c" * 100_000})
    path = write(tmp_path / "a.jpg", PAINTED, picture_like(metadata=words))
    parts = [
        part for part in segments(path, 0xE1) if part.startswith(b"http://ns.adobe.com/xmp/ex")
    ]
    assert len(parts) == 4
    digests, sizes, offsets, extended = zip(*map(extended_part, parts), strict=True)
    assert {*digests} == {digests[0]} and {*sizes} == {len(b"".join(extended))}
    assert list(offsets) == [0, *itertools.accumulate(map(len, extended))][:-1]
    assert long.encode() in b"".join(extended)
    standard = next(
        part for part in segments(path, 0xE1) if part.startswith(b"http://ns.adobe.com/xap")
    )
    assert b'HasExtendedXMP="' + digests[0] in standard and read_note(path) == NOTE
    framed = segments(path, 0xED)
    assert len(framed) == 3 and all(part.startswith(b"Photoshop 3.0\0") for part in framed)
    assert records in b"".join(part[14:] for part in framed)
    assert b"".join(segments(path, 0xFE)) == b"c" * 100_000


def extended_part(part: bytes) -> tuple[bytes, int, int, bytes]:
    """Digest, whole size, offset and content of a segment of extended XMP."""
    digest, size, offset = struct.unpack_from(">32sII", part, 35)
    return digest, size, offset, part[75:]


def test_exif_too_large_for_jpeg_loses_the_maker_note_with_a_warning_and_keeps_the_rest(
    tmp_path: Path,
) -> None:
    note = Field(UNDEFINED, 80_000, bytes(80_000))
    blob = lay_out(Tags("<", CAMERA.main, {MAKER_NOTE: note, **CAMERA.exif}, CAMERA.gps))
    warned: list[str] = []
    path = write(tmp_path / "a.jpg", PAINTED, picture_like(metadata=Metadata(blob)), warned=warned)
    assert len(warned) == 1 and "the maker note was left out" in warned[0]
    assert exif_of(path).main[0x8298] == text("(c) Ada") and exif_of(path).gps == CAMERA.gps
    kept = write(tmp_path / "a.png", PAINTED, picture_like(metadata=Metadata(blob)))
    assert len(exif_of(kept).exif[MAKER_NOTE].data) == 80_000


def test_profile_of_many_segments_is_numbered_in_order(tmp_path: Path) -> None:
    from daemon.pictures.jpeg_file import profile_parts

    profile = bytes(range(256)) * 600
    parts = list(profile_parts(profile))
    assert [part[12:14] for part in parts] == [b"\1\3", b"\2\3", b"\3\3"]
    assert b"".join(part[14:] for part in parts) == profile


def test_iptc_without_places_keeps_the_others_to_the_byte() -> None:
    assert without_places(IPTC) == IPTC.replace(dataset(90, b"Wien"), b"")
    long = b"\x1c\x02\x78\x80\x04" + struct.pack(">I", 40_000) + b"y" * 40_000
    assert without_places(long + dataset(92, b"Prater") + IPTC[:8]) == long + IPTC[:8]
    assert [value for _, _, value in datasets(long)] == [b"y" * 40_000]


@pytest.mark.parametrize("name", [*FORMATS, "photo.gif", "photo.bmp"])
def test_equal_results_have_equal_bytes(tmp_path: Path, name: str) -> None:
    like = picture_like(metadata=Metadata(WORDS.exif, density_ppi=WORDS.density_ppi))
    floats = np.random.default_rng(0).random((32, 48, 3), np.float32)
    one, two = (write(tmp_path / f"{n}-{name}", floats, like, warned=[]).read_bytes() for n in "ab")
    assert one == two


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_words_never_cost_the_result(tmp_path: Path, name: str) -> None:
    chance = random.Random(0)
    whole = [WORDS.exif, WORDS.xmp, WORDS.iptc]
    for _ in range(60):
        exif, packet, records = (
            bytes(
                chance.randrange(256) if chance.random() < 0.02 else byte
                for byte in block[: chance.randrange(len(block) + 1)]
            )
            for block in whole
        )
        texts = {"".join(chr(chance.randrange(1, 400)) for _ in range(9)): "\0\x01\ud800 x"}
        words = Metadata(exif, packet, records, {**texts, "Author": "\x02<Ada>", "Comment": "\x03"})
        like = picture_like(metadata=words)
        kept = chance.choice(["keep", "no-location"])
        path = write(tmp_path / name, PAINTED, like, metadata=kept, warned=[])
        assert read(path).size == (48, 32) and read_note(path) == NOTE


STANDARD = (
    *("-EXIF:Make=Canon", "-EXIF:Artist=Ada", "-EXIF:Copyright=(c) Ada", "-EXIF:ISO=100"),
    *("-EXIF:DateTimeOriginal=2026:01:02 03:04:05", "-EXIF:UserComment=Grüße", "-EXIF:FNumber=2.8"),
    *("-EXIF:ExposureTime=1/60", "-EXIF:LensModel=EF50", "-EXIF:ImageDescription=A day"),
    *("-GPS:GPSLatitude=48.2", "-GPS:GPSLatitudeRef=N", "-GPS:GPSProcessingMethod=GPS"),
    *("-XMP-dc:Rights=(c) Ada", "-XMP-dc:Creator=Ada", "-XMP-dc:Subject=a", "-XMP-dc:Subject=b"),
    *("-XMP-xmpRights:UsageTerms=ask", "-XMP-xmp:Rating=5", "-XMP-photoshop:Credit=Ada"),
    *("-XMP-iptcCore:CreatorWorkEmail=a@b", "-XMP-iptcExt:PersonInImage=Grace"),
    "-XMP-plus:LicensorName=Ada",
)
RARE = (
    *("-IFD0:DocumentName=a day", "-IFD0:PageName=one", "-IFD0:CameraSerialNumber=7"),
    *("-IFD0:ImageHistory=none", "-IFD0:ReelName=two", "-IFD0:XPKeywords=k"),
)
"""Fields that exiftool warns of, since few know them."""
OF_IPTC = ("-IPTC:CopyrightNotice=(c) Ada", "-IPTC:By-line=Ada", "-IPTC:Keywords=a")
CHANGED = {
    *("IFD0:Orientation", "IFD0:XResolution", "IFD0:YResolution", "IFD0:ResolutionUnit"),
    *("ExifIFD:ColorSpace", "ExifIFD:ExifImageWidth", "ExifIFD:ExifImageHeight"),
    *("XMP-xmp:CreatorTool", "XMP-xmpMM:History", "XMP-a:Note", "IFD0:Software"),
}


def standard_picture(path: Path, *more: str) -> Path:
    """A photograph with every kind of word in it, by exiftool; WebP by Pillow from a JPEG's."""
    maker = path.with_suffix(".jpg") if path.suffix == ".webp" else path
    Image.fromarray(PAINTED).resize((96, 64)).save(maker, dpi=(300, 300))
    extra = OF_IPTC if path.suffix in (".jpg", ".tif") else ()
    exiftool("-m", "-overwrite_original", *STANDARD, *more, *extra, maker)
    if path.suffix == ".webp":
        with Image.open(maker) as opened:
            opened.save(path, exif=opened.info["exif"], xmp=opened.info["xmp"])
    return path


def fields(path: Path) -> Iterator[tuple[str, object]]:
    for key, value in tags_of(path, "EXIF:all", "XMP:all", "IPTC:all", "PNG:Copyright").items():
        if key not in CHANGED:
            yield key, value


@needs_exiftool
@pytest.mark.parametrize("name", FORMATS)
def test_every_standard_field_is_the_same_by_exiftool(tmp_path: Path, name: str) -> None:
    source = standard_picture(tmp_path / f"in-{name}", *RARE)
    result = write(tmp_path / name, PAINTED, read(source))
    wanted, found = dict(fields(source)), dict(fields(result))
    pixels = {key for key in wanted if key.startswith("IFD0:") and key not in found}
    assert pixels <= {"IFD0:JPEGTables"}
    same = {key: value for key, value in wanted.items() if not is_pixels(key)}
    assert len(same) > 20
    assert {key: found.get(key) for key in same} == same


def is_pixels(key: str) -> bool:
    """Whether a field of a TIFF says where and how its pixels lie."""
    names = ("ImageWidth", "ImageHeight", "BitsPer", "Compression", "Photometric", "Strip", "Rows")
    names += ("SamplesPer", "Planar", "Predictor", "SampleFormat", "SubfileType", "YCbCr")
    return any(name in key for name in (*names, "ComponentsConfiguration"))


@needs_exiftool
@pytest.mark.parametrize("name", FORMATS)
def test_results_are_valid_by_exiftool(tmp_path: Path, name: str) -> None:
    picture = read(standard_picture(tmp_path / f"in-{name}"))
    results = [
        write(tmp_path / f"{kept}-{name}", PAINTED, picture, metadata=kept)
        for kept in ("keep", "no-location", "none")
    ]
    said = exiftool("-validate", "-warning", "-error", "-a", "-s3", *results)
    verdicts = [line for line in said.splitlines() if not line.startswith(("=", " "))]
    assert verdicts == ["OK"] * 3


@needs_exiftool
@pytest.mark.parametrize("name", FORMATS)
def test_resolution_is_exact_by_exiftool(tmp_path: Path, name: str) -> None:
    like = picture_like((96, 64), metadata=Metadata(density_ppi=(300.0, 300.0)))
    result = write(tmp_path / name, np.zeros((128, 192, 3), np.uint8), like)
    found = tags_of(result, "XResolution", "JFIF:XResolution", "PixelsPerUnitX")
    wanted = round(600 / 0.0254) if name == "photo.png" else 600
    assert found and set(found.values()) == {wanted}


@pytest.mark.skipif(shutil.which("identify") is None, reason="ImageMagick is not installed")
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "words", [WORDS, Metadata(density_ppi=(300.0, 300.0))], ids=["all", "none"]
)
def test_resolution_is_exact_by_imagemagick(tmp_path: Path, name: str, words: Metadata) -> None:
    result = write(tmp_path / name, np.zeros((128, 192, 3), np.uint8), picture_like(metadata=words))
    found = subprocess.run(
        ["identify", "-units", "PixelsPerInch", "-format", "%x", result],
        check=True,
        capture_output=True,
        text=True,
    )
    assert float(found.stdout.split()[0]) == pytest.approx(600, abs=0.02)


@needs_exiftool
def test_split_xmp_and_iptc_are_whole_by_exiftool(tmp_path: Path) -> None:
    long = "<dc:description>" + "x" * 200_000 + "</dc:description>"
    records = IPTC + dataset(25, b"z" * 30_000) * 5
    words = Metadata(xmp=PACKET.replace("<dc:rights>", long + "<dc:rights>").encode(), iptc=records)
    path = write(tmp_path / "a.jpg", PAINTED, picture_like(metadata=words))
    found = tags_of(path, "XMP-dc:all", "IPTC:all")
    assert len(str(found["XMP-dc:Description"])) == 200_000 and found["XMP-dc:Rights"] == "(c) Ada"
    assert found["IPTC:City"] == "Wien" and len(found["IPTC:Keywords"]) == 7


def test_note_of_earlier_versions_is_read(tmp_path: Path) -> None:
    old = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
        'syntax-ns#"><rdf:Description rdf:about="" xmlns:a="urn:atelierd:1"><a:note>{"id": "&lt;'
        '4f2a"}</a:note></rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    Image.fromarray(PAINTED).save(tmp_path / "a.jpg", xmp=old.encode())
    assert read_note(tmp_path / "a.jpg") == {"id": "<4f2a"}
    buffer = io.BytesIO()
    Image.fromarray(PAINTED).save(buffer, "JPEG")
    (tmp_path / "b.jpg").write_bytes(buffer.getvalue())
    assert read_note(tmp_path / "b.jpg") is None
