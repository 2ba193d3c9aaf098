"""XMP packets: kept to the byte but for what describes pixels, and never a way in for a bomb."""

import random
import re
from xml.etree import ElementTree

import pytest

from daemon.pictures import xmp
from daemon.pictures.xmp import Revision, XmpError, parse, revised
from daemon.pictures.xmp_extended import digest_of, split_packet

REVISION = Revision(
    {
        (xmp.TIFF, "Orientation"): "1",
        (xmp.TIFF, "ImageWidth"): "1200",
        (xmp.EXIF, "PixelXDimension"): "1200",
        (xmp.PHOTOSHOP, "ICCProfile"): 'A "wide" <profile>',
        (xmp.XMP, "CreatorTool"): "atelierd 1",
    },
    "atelierd 1",
    '{"text": "<&>\\"]]> 夜"}',
)
RIGHTS = (
    '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">(c) Ada &amp; Söhne</rdf:li></rdf:Alt>'
    "</dc:rights>"
)
PACKET = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="uuid:7"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
    xmlns:exif="http://ns.adobe.com/exif/1.0/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    xmlns:xmp='http://ns.adobe.com/xap/1.0/'
   tiff:Orientation="6" photoshop:ICCProfile="Adobe RGB (1998)" xmp:Rating='5'
   xmp:CreatorTool="A &quot;raw&quot; converter">
   {RIGHTS}
   <tiff:ImageWidth>6000</tiff:ImageWidth>
   <exif:PixelXDimension>6000</exif:PixelXDimension>
   <tiff:BitsPerSample><rdf:Seq><rdf:li>16</rdf:li></rdf:Seq></tiff:BitsPerSample>
   <!-- a remark <with> "quotes" -->
   <photoshop:City>Wien</photoshop:City><exif:GPSLatitude>48,12.5N</exif:GPSLatitude>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
HISTORY = PACKET.replace(
    "</rdf:Description>",
    '<xmpMM:History xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"><rdf:Seq>'
    '<rdf:li rdf:parseType="Resource"><a:x xmlns:a="urn:a"/></rdf:li>'
    "</rdf:Seq></xmpMM:History></rdf:Description>",
)


def change(packet: str, revision: Revision = REVISION) -> str:
    return revised(packet.encode(), revision).decode()


def test_all_but_what_describes_pixels_stays_to_the_byte() -> None:
    found = change(PACKET)
    wanted = (
        PACKET.replace('tiff:Orientation="6"', 'tiff:Orientation="1"')
        .replace("Adobe RGB (1998)", "A &quot;wide&quot; &lt;profile&gt;")
        .replace("A &quot;raw&quot; converter", "atelierd 1")
        .replace(">6000<", ">1200<")
        .replace(re.findall("<tiff:Bits.*SampleX?>|<tiff:BitsPerSample>.*Sample>", PACKET)[0], "")
    )
    head, own, tail = re.split(
        "(<rdf:Description xmlns:rdf.*</rdf:Description>)(?=</rdf:RDF>)", found
    )
    assert head + tail == wanted
    assert 'rdf:about="uuid:7"' in own  # all descriptions of a packet are about one thing


def test_note_comes_back_from_the_packet_as_it_was() -> None:
    root = ElementTree.fromstring(change(PACKET).split("?>", 1)[1])
    assert [item.text for item in root.iter("{urn:atelierd:1}note")] == [REVISION.note]


@pytest.mark.parametrize("packet", [PACKET, HISTORY, ""])
def test_history_gains_one_entry_each_time_and_the_note_stays_the_only_one(packet: str) -> None:
    twice = change(change(packet))
    assert twice.count('stEvt:softwareAgent="atelierd 1"') == 2
    assert twice.count("<a:note>") == 1
    assert parse(twice.encode()).history_end > 0
    assert twice.count(RIGHTS) == packet.count(RIGHTS)


def test_without_location_places_are_gone_in_any_namespace() -> None:
    packet = PACKET.replace(
        "</rdf:Description>",
        '<d:GpsLatitude xmlns:d="http://drone/">48.2</d:GpsLatitude>'
        '<e:LocationShown xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"><rdf:Bag><rdf:li '
        'rdf:parseType="Resource"><e:City>Wien</e:City></rdf:li></rdf:Bag></e:LocationShown>'
        "</rdf:Description>",
    )
    found = change(packet, Revision({}, "a", "{}", no_location=True))
    for word in ("Wien", "48", "Location"):
        assert word in packet and word not in found
    assert RIGHTS in found


def test_what_tells_of_a_gain_map_or_a_film_behind_the_picture_goes() -> None:
    packet = PACKET.replace(
        "tiff:Orientation",
        'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" '
        'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1" '
        "tiff:Orientation",
    )
    found = change(packet)
    assert "hdrgm:Version" not in found and "GCamera:MotionPhoto" not in found


def test_property_that_should_be_plain_and_is_a_list_goes() -> None:
    found = change(PACKET.replace(">6000</tiff", "><rdf:Seq><rdf:li>6</rdf:li></rdf:Seq></tiff"))
    assert "tiff:ImageWidth" not in found and RIGHTS in found


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_packet_in_another_encoding_becomes_utf_8(encoding: str) -> None:
    assert change(PACKET) == revised(PACKET.encode(encoding), REVISION).decode()


def test_packet_without_its_wrapper_gets_one_and_padding_does_no_harm() -> None:
    inner = PACKET[PACKET.index("<x:") : PACKET.index("<?xpacket end")]
    found = change(inner + "\n" * 50 + "\0" * 7)
    assert found.startswith('<?xpacket begin="\ufeff"') and found.endswith('<?xpacket end="w"?>')


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + PACKET.split("?>", 1)[1]


@pytest.mark.parametrize(
    "packet",
    [
        BOMB,
        "<x/>",
        "rubbish",
        PACKET[:-300],
        PACKET.replace("Ada", "\ufffe"),
        "<a>" * 5000 + "</a>" * 5000,
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
    ],
    ids=["entities", "no RDF", "rubbish", "cut", "no character", "deep", "empty RDF"],
)
def test_packet_that_is_none_is_refused_with_a_reason(packet: str) -> None:
    with pytest.raises(XmpError, match=r"its XML is damaged|document type|no RDF|deep"):
        change(packet)


def test_packet_of_damaged_letters_is_refused() -> None:
    with pytest.raises(XmpError, match="letters"):
        revised(b"<x>\xff\xfe\xff</x>", REVISION)


def test_damaged_packets_are_read_or_refused() -> None:
    chance = random.Random(0)
    whole = HISTORY.encode()
    outcomes = set()
    for _ in range(1500):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(32, 127)
        try:
            assert REVISION.note[:8] in revised(bytes(damaged), REVISION).decode()
            outcomes.add("read")
        except XmpError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_packet_that_fits_a_segment_is_not_split() -> None:
    assert split_packet(PACKET.encode(), 65_000) == (PACKET.encode(), b"")


def test_padding_goes_before_anything_is_split() -> None:
    padded = PACKET.replace("\n<?xpacket end", "\n" + " " * 70_000 + "\n<?xpacket end").encode()
    standard, extended = split_packet(padded, 65_000)
    assert extended == b"" and len(standard) < 3000 and RIGHTS in standard.decode()


def test_longest_properties_move_into_the_extended_packet_and_none_is_lost() -> None:
    long = "<dc:description>" + "x" * 90_000 + "</dc:description>"
    attribute = ' xmp:Nickname="' + "y" * 80_000 + '" xmp:Rating'
    packet = change(
        PACKET.replace(RIGHTS, RIGHTS + long).replace(" xmp:Rating", attribute)
    ).encode()
    standard, extended = split_packet(packet, 65_000)
    assert len(standard) <= 65_000
    assert f'xmpNote:HasExtendedXMP="{digest_of(extended)}"'.encode() in standard
    assert RIGHTS.encode() in standard and b"<a:note>" in standard
    moved = {(item.namespace, item.name) for item in parse(extended).properties}
    assert moved == {(xmp.DC, "description"), (xmp.XMP, "Nickname")}
    kept = {(item.namespace, item.name) for item in parse(standard).properties}
    whole = {(item.namespace, item.name) for item in parse(packet).properties}
    assert kept | moved == whole | {(xmp.XMP_NOTE, "HasExtendedXMP")}
    assert long.encode() in extended
