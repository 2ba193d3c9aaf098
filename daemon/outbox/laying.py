"""Laying a contact sheet in a process of its own, which decodes what people dropped.

A decoder that hangs or eats memory takes that process with it and nothing else.
"""

import base64
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from daemon.host.access import refusals
from daemon.host.process import Child, Message, claim_stdout, limit_memory, limited_to, say
from daemon.pictures.sheet import ContactSheet, SheetCell

MEMORY_BYTES = 6 << 30
PIECE_S = 120.0
"""What one picture may take to be decoded and made small."""

MOST_TRIES = 2
"""A process that something ended once was bad luck."""


class LayingError(Exception):
    """A sheet cannot be laid, and trying again will not help."""


def laid(sheet: ContactSheet, on_piece: Callable[[], object]) -> bytes:
    """A sheet as a JPEG.

    on_piece: called after each picture of it.  Raises LayingError, or SurroundingsError if no
    process can be started.
    """
    ending = ""
    for _ in range(MOST_TRIES):
        with refusals("the process that lays sheets cannot be started", "; see atelierd doctor"):
            child = Child(
                "daemon.outbox.laying", [], on_stderr=lambda _: None, environment=limited_to(1)
            )
        try:
            request: Message = {"sheet": asdict(sheet)}
            while True:
                child.send(request)
                answer = child.receive_within(PIECE_S)
                on_piece()
                if answer is None:
                    ending = child.ending()
                    break
                if "jpeg" in answer:
                    return base64.b64decode(answer["jpeg"])
                request = {}
        finally:
            child.close(grace_s=1.0)
    raise LayingError(f"the process that lays it {ending}")


def pieces(data: dict[str, Any]) -> Iterator[Message]:
    """In the child: an empty answer after each picture, and the sheet at last."""
    from daemon.pictures.contact_sheet import lay

    cells = [SheetCell(**cell) if cell else None for cell in data["cells"]]
    sheet = ContactSheet(**{**data, "cells": cells})
    for page in lay(sheet):
        if page is None:
            yield {}
        else:
            buffer = io.BytesIO()
            page.save(buffer, "JPEG", quality=90)
            yield {"jpeg": base64.b64encode(buffer.getvalue()).decode()}


def main() -> None:
    """Lays the sheet of the first request, a piece at each further one."""
    messages = claim_stdout()
    limit_memory(MEMORY_BYTES)
    answers: Iterator[Message] = iter(())
    for line in sys.stdin:
        request = json.loads(line)
        answers = pieces(request["sheet"]) if "sheet" in request else answers
        say(messages, next(answers))


if __name__ == "__main__":
    main()
