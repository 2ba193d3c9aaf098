"""XMP that is longer than a segment of JPEG: what does not fit is in an extended packet.

Source: XMP specification part 3 (ISO 16684-1), section 1.1.3.1.
"""

import hashlib
import re
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

from daemon.pictures.xmp import OWN, RDF, TAG, XMP_NOTE, Packet, Property, XmpError, edited, parse

NAME_END = re.compile(rb"(?<=[^\s<])(?=[\s/>])")
PADDING = re.compile(rb"\s+(?=<\?xpacket end)")


def digest_of(extended: bytes) -> str:
    """The name by which the standard packet knows its extended one."""
    return hashlib.md5(extended, usedforsecurity=False).hexdigest().upper()


def split_packet(content: bytes, most_bytes: int) -> tuple[bytes, bytes]:
    """The standard packet, in no more bytes than a segment has, and the extended one, or none.

    The longest properties move first, our note last.
    """
    if len(content) > most_bytes:
        content = PADDING.sub(b"", content)
    if len(content) <= most_bytes:
        return content, b""
    packet = parse(content)
    link_bytes = len(link(packet, b""))
    moved: list[Property] = []
    left_bytes = len(packet.content) + link_bytes
    for item in sorted(packet.properties, key=lambda item: (item.namespace == OWN, -size_of(item))):
        if left_bytes <= most_bytes:
            break
        moved.append(item)
        left_bytes -= size_of(item)
    moved.sort(key=lambda item: item.start)
    extended = extended_packet(packet, moved)
    edits = [(item.start, item.end, b"") for item in moved]
    edits.append((packet.rdf_end, packet.rdf_end, link(packet, extended)))
    return edited(packet.content, edits), extended


def size_of(item: Property) -> int:
    """The bytes a property takes."""
    return item.end - item.start


def link(packet: Packet, extended: bytes) -> bytes:
    """What a standard packet says of its extended one."""
    return (
        f'<rdf:Description xmlns:rdf="{RDF}" rdf:about={packet.about.decode()} '
        f'xmlns:xmpNote="{XMP_NOTE}" xmpNote:HasExtendedXMP="{digest_of(extended)}"/>'
    ).encode()


def extended_packet(packet: Packet, moved: list[Property]) -> bytes:
    """A packet of the moved properties, each with the prefixes that were known where it lay."""
    parts = [f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'.encode()]
    for item in moved:
        scope = {**item.scope, "rdf": RDF}
        names = "".join(
            f" xmlns{':' if prefix else ''}{prefix}={quoteattr(namespace)}"
            for prefix, namespace in scope.items()
        )
        head = f"<rdf:Description{names} rdf:about={packet.about.decode()}>".encode()
        parts += [head, as_element(packet.content, item), b"</rdf:Description>"]
    return b"".join([*parts, b"</rdf:RDF></x:xmpmeta>"])


def as_element(content: bytes, item: Property) -> bytes:
    """A property as an element, whichever it was."""
    whole = content[item.start : item.end]
    if item.is_element or item.value is None:
        return whole
    name = whole.split(b"=", 1)[0].strip()
    return b"<" + name + b">" + content[slice(*item.value)] + b"</" + name + b">"


def joined(standard: bytes, extended: bytes) -> bytes:
    """The packet that was split; the standard one alone if the extended cannot be read."""
    try:
        first, second = parse(standard), parse(extended)
    except XmpError:
        return standard
    links = [item for item in first.properties if item.namespace == XMP_NOTE]
    nodes = b"".join(
        with_prefixes(second.content[slice(*node)], second.rdf_scope) for node in second.nodes
    )
    edits = [(item.start, item.end, b"") for item in links]
    return edited(first.content, [*edits, (first.rdf_end, first.rdf_end, nodes)])


def with_prefixes(node: bytes, scope: Mapping[str, str]) -> bytes:
    """A description that says itself which prefixes were known where it lay."""
    head = TAG.match(node)
    end = NAME_END.search(node)
    if head is None or end is None:
        return node
    names = "".join(
        f" xmlns{':' if prefix else ''}{prefix}={quoteattr(namespace)}"
        for prefix, namespace in scope.items()
        if not re.search(rf"\sxmlns:?{re.escape(prefix)}\s*=", head[0].decode())
    )
    return node[: end.start()] + names.encode() + node[end.start() :]
