"""XMP packets: the photographer's is kept byte for byte, but for what describes pixels.

A packet is edited as text, at the places where a parser says that a property begins and ends, so
that prefixes, spaces and what nobody here knows come out as they went in.

Source: XMP specification parts 1 to 3 (ISO 16684-1), the gain map and container namespaces of
Adobe and Google.
"""

import re
import xml.parsers.expat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
TIFF = "http://ns.adobe.com/tiff/1.0/"
EXIF = "http://ns.adobe.com/exif/1.0/"
XMP = "http://ns.adobe.com/xap/1.0/"
XMP_MM = "http://ns.adobe.com/xap/1.0/mm/"
XMP_NOTE = "http://ns.adobe.com/xmp/note/"
EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
XMP_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
DC = "http://purl.org/dc/elements/1.1/"
OWN = "urn:atelierd:1"
OWN_SCOPE = {"rdf": RDF, "stEvt": EVENT}

HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
TAIL = '<?xpacket end="w"?>'
MOST_DEPTH = 200
TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")
ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")

OF_SPLIT_FILES = frozenset(
    {
        "http://ns.adobe.com/hdr-gain-map/1.0/",
        "http://ns.apple.com/HDRGainMap/1.0/",
        "http://ns.google.com/photos/1.0/container/",
        "http://ns.google.com/photos/1.0/camera/",
        "http://ns.google.com/photos/1.0/image/",
        "http://ns.google.com/photos/1.0/depthmap/",
        OWN,
    }
)
"""They tell of gain maps, films and depths behind the old picture, which the result has not; and
our own note of an earlier painting."""
STORAGE = frozenset(
    {
        *((TIFF, "BitsPerSample"), (TIFF, "Compression"), (TIFF, "PhotometricInterpretation")),
        *((TIFF, "SamplesPerPixel"), (TIFF, "PlanarConfiguration"), (TIFF, "YCbCrSubSampling")),
        *((TIFF, "YCbCrPositioning"), (TIFF, "YCbCrCoefficients"), (TIFF, "WhitePoint")),
        *((TIFF, "PrimaryChromaticities"), (TIFF, "TransferFunction"), (TIFF, "NativeDigest")),
        *((TIFF, "ReferenceBlackWhite"), (EXIF, "NativeDigest"), (EXIF, "CompressedBitsPerPixel")),
        *((EXIF, "ComponentsConfiguration"), (XMP, "Thumbnails"), (XMP_NOTE, "HasExtendedXMP")),
    }
)
"""How the old file kept its pixels, and digests of fields that are changed."""
PLACES = frozenset({(DC, "coverage"), (PHOTOSHOP, "LegacyIPTCDigest")})
PLACE_NAME = re.compile(
    r"gps|latitude|longitude|altitude|location|subloc|geotag|landmark"
    r"|^(city|state|province\w*|country\w*|region)$",
    re.IGNORECASE,
)
"""What a property is called, in any namespace, that tells where a picture was taken."""


class XmpError(ValueError):
    """A packet is no XMP: its XML is damaged, it declares entities, or it holds no RDF."""


@dataclass(frozen=True)
class Property:
    """A property of a packet and where it lies: an element, or an attribute with its space before.

    value: where its plain value lies; None if it has none (a list, a structure).  scope: the
    prefixes that are known there.
    """

    namespace: str
    name: str
    start: int
    end: int
    value: tuple[int, int] | None
    scope: Mapping[str, str]
    is_element: bool


@dataclass
class Packet:
    """A packet's bytes, and where its properties, nodes and ends are.

    nodes: where each description begins, and where it ends.  rdf_scope: the prefixes known to all.
    """

    content: bytes
    properties: list[Property] = field(default_factory=list)
    about: bytes = b'""'
    nodes: list[tuple[int, int]] = field(default_factory=list)
    rdf_scope: Mapping[str, str] = field(default_factory=dict)
    rdf_end: int = -1
    history_end: int = -1
    history_scope: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Open:
    """An element that has begun: where, how far its start tag goes, and what it holds so far."""

    namespace: str
    name: str
    start: int
    head_end: int
    scope: dict[str, str]
    has_children: bool = False


def parse(content: bytes) -> Packet:
    """Finds the properties of a packet; raises XmpError."""
    packet = Packet(utf8(content))
    reader = Reader(packet)
    parser = xml.parsers.expat.ParserCreate("utf-8")
    parser.StartElementHandler = lambda name, attributes: reader.begin(
        parser.CurrentByteIndex, name, attributes
    )
    parser.EndElementHandler = lambda name: reader.finish(parser.CurrentByteIndex)
    parser.StartDoctypeDeclHandler = reader.refuse
    try:
        parser.Parse(packet.content, True)
    except xml.parsers.expat.ExpatError as error:
        raise XmpError(f"its XML is damaged: {error}") from error
    if packet.rdf_end < 0:
        raise XmpError("it holds no RDF")
    return packet


def utf8(content: bytes) -> bytes:
    """A packet in UTF-8, without what fills it up at its end; raises XmpError."""
    encoding = "utf-8"
    for head, name in ((b"\xfe\xff", "utf-16"), (b"\xff\xfe", "utf-16"), (b"<\0", "utf-16-le")):
        encoding = name if content.startswith(head) else encoding
    if content.startswith(b"\0<"):
        encoding = "utf-16-be"
    try:
        return content.decode(encoding).strip("\ufeff\0 \t\r\n").encode()
    except UnicodeError as error:
        raise XmpError("its letters are damaged") from error


class Reader:
    """What is told of a packet's elements, one after another, becomes its properties."""

    def __init__(self, packet: Packet) -> None:
        self._packet = packet
        self._open: list[Open] = []

    def refuse(self, *_: object) -> None:
        """Entities could make a small packet a huge one."""
        raise XmpError("it declares a document type")

    def begin(self, start: int, qname: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        if len(self._open) >= MOST_DEPTH:
            raise XmpError("it is nested too deeply")
        scope = self._open[-1].scope if self._open else {}
        declared = {
            key.partition(":")[2]: value
            for key, value in attributes.items()
            if key.partition(":")[0] == "xmlns"
        }
        scope = {**scope, **declared} if declared else scope
        found = TAG.match(self._packet.content, start)
        head_end = found.end() if found else start
        if self._open:
            self._open[-1].has_children = True
        element = Open(*resolved(qname, scope, True), start, head_end, scope)
        self._open.append(element)
        if self._is_node(len(self._open) - 1):
            self._attributes(element)

    def _is_node(self, index: int) -> bool:
        """Whether an open element is a node of the RDF, whose children are properties."""
        return index > 0 and (self._open[index - 1].namespace, self._open[index - 1].name) == (
            RDF,
            "RDF",
        )

    def _attributes(self, node: Open) -> None:
        head = self._packet.content[node.start : node.head_end]
        for found in ATTRIBUTE.finditer(head):
            qname = found[1].decode()
            namespace, name = resolved(qname, node.scope, False)
            if (namespace, name) == (RDF, "about"):
                self._packet.about = found[2]
            if namespace in ("", RDF) or qname.partition(":")[0] == "xmlns":
                continue
            start, end = node.start + found.start(), node.start + found.end()
            value = (node.start + found.start(2) + 1, end - 1)
            self._packet.properties.append(
                Property(namespace, name, start, end, value, node.scope, False)
            )

    def finish(self, at: int) -> None:
        """An element ends; `at` is where its end tag begins."""
        element = self._open.pop()
        content = self._packet.content
        is_empty = content[element.head_end - 2 : element.head_end] == b"/>"
        end = element.head_end if is_empty else content.index(b">", at) + 1
        depth = len(self._open)
        if (element.namespace, element.name) == (RDF, "RDF") and not is_empty:
            self._packet.rdf_end = at
            self._packet.rdf_scope = element.scope
        if self._is_node(depth):
            self._packet.nodes.append((element.start, end))
        if depth and self._is_node(depth - 1):
            plain = None if is_empty or element.has_children else (element.head_end, at)
            self._packet.properties.append(
                Property(
                    *(element.namespace, element.name, element.start, end),
                    *(plain, element.scope, True),
                )
            )
        if element.name == "Seq" and depth and not is_empty:
            above = self._open[-1]
            if (above.namespace, above.name) == (XMP_MM, "History") and self._is_node(depth - 2):
                self._packet.history_end = at
                self._packet.history_scope = element.scope


def resolved(qname: str, scope: Mapping[str, str], is_element: bool) -> tuple[str, str]:
    """Namespace and local name of a name with a prefix."""
    prefix, colon, name = qname.rpartition(":")
    if not colon and not is_element:
        return "", name
    return scope.get(prefix, ""), name


@dataclass(frozen=True)
class Revision:
    """What becomes of a packet.

    values: what known properties say from now on, where the packet has them.  software: who made
    the result.  note: ours, as JSON.  no_location: places are taken out.  added: elements of
    properties that go in where the packet has none of them.
    """

    values: Mapping[tuple[str, str], str]
    software: str
    note: str
    no_location: bool = False
    added: Mapping[tuple[str, str], str] = field(default_factory=dict)


def revised(content: bytes, revision: Revision) -> bytes:
    """The photographer's packet with what describes pixels set anew, and our note in it.

    Raises XmpError if it cannot be read. An empty one gives a new packet.
    """
    if not content.strip(b"\0 \t\r\n"):
        return fresh(revision)
    packet = parse(content)
    edits = [edit for item in packet.properties for edit in edits_of(item, revision)]
    kept_history = packet.history_end >= 0
    if kept_history:
        entry = event(revision.software, packet.history_scope)
        edits.append((packet.history_end, packet.history_end, entry))
    known = {(item.namespace, item.name) for item in packet.properties}
    own = description(packet.about, revision, known, has_history=kept_history)
    edits.append((packet.rdf_end, packet.rdf_end, own))
    result = edited(packet.content, edits)
    wrapped = result if b"<?xpacket" in result else HEAD.encode() + result + TAIL.encode()
    parse(wrapped)  # what was edited must be XMP still
    return wrapped


def edits_of(item: Property, revision: Revision) -> Iterable[tuple[int, int, bytes]]:
    """What is to be replaced for one property: nothing, its value, or all of it."""
    key = (item.namespace, item.name)
    stale = key in STORAGE or item.namespace in OF_SPLIT_FILES
    placed = revision.no_location and (key in PLACES or PLACE_NAME.search(item.name))
    if stale or placed:
        return [(item.start, item.end, b"")]
    if key not in revision.values:
        return []
    if item.value is None:  # it should be plain, and is not
        return [(item.start, item.end, b"")]
    value = escape(revision.values[key], {'"': "&quot;", "'": "&apos;"})
    return [(*item.value, value.encode())]


def edited(content: bytes, edits: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Content with its stretches replaced; none overlap."""
    parts, end = [], 0
    for start, stop, replacement in sorted(edits, key=lambda edit: edit[:2]):
        parts += [content[end:start], replacement]
        end = stop
    return b"".join([*parts, content[end:]])


def event(software: str, scope: Mapping[str, str]) -> bytes:
    """An entry of a history, without the time: equal pictures have equal bytes.

    scope: the prefixes that are known there; ImageMagick stumbles over those declared in an item.
    """
    prefixes = {namespace: prefix for prefix, namespace in scope.items()}
    rdf, stevt = prefixes.get(RDF, "rdf"), prefixes.get(EVENT, "stEvt")
    declared = "" if EVENT in prefixes else f' xmlns:{stevt}="{EVENT}"'
    return (
        f'<{rdf}:li{declared} {stevt}:action="produced" '
        f'{stevt}:softwareAgent={quoteattr(software)} {stevt}:parameters="painted"/>'
    ).encode()


def description(
    about: bytes, revision: Revision, known: Collection[tuple[str, str]], *, has_history: bool
) -> bytes:
    """Our part of a packet: the note, and what the photographer's has no place for yet.

    known: the properties that are there.
    """
    tool = f'<xmp:CreatorTool xmlns:xmp="{XMP}">{escape(revision.software)}</xmp:CreatorTool>'
    history = (
        f'<xmpMM:History xmlns:xmpMM="{XMP_MM}"><rdf:Seq>'
        f"{event(revision.software, OWN_SCOPE).decode()}"
        "</rdf:Seq></xmpMM:History>"
    )
    parts = [
        f'<rdf:Description xmlns:rdf="{RDF}" xmlns:stEvt="{EVENT}" rdf:about={about.decode()} '
        f'xmlns:a="{OWN}">',
        f"<a:note>{escape(revision.note)}</a:note>",
        "" if (XMP, "CreatorTool") in known else tool,
        "" if has_history else history,
        *(element for key, element in revision.added.items() if key not in known),
        "</rdf:Description>",
    ]
    return "".join(parts).encode()


def fresh(revision: Revision) -> bytes:
    """A packet of our own."""
    own = description(b'""', revision, (), has_history=False).decode()
    return (
        f'{HEAD}<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">{own}'
        f"</rdf:RDF></x:xmpmeta>{TAIL}"
    ).encode()
