"""The process that writes the gallery: templates are loaded, and pictures decoded, in it alone.

Speaks JSON lines: a request, then empty answers while it gets further, then one with `ended`. What
hangs with the outbox, or eats memory with a picture, takes it along and nothing else.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from daemon.errors import AtelierError
from daemon.host.access import explain
from daemon.host.process import Message, claim_stdout, limit_memory, say

MEMORY_BYTES = 6 << 30


def answer(settings: Message, request: Message, on_piece: Callable[[], object]) -> Message:
    """Does what is asked; what it came to as plain data. Raises OSError and AtelierError."""
    from daemon.outbox.gallery.gallery import Gallery
    from daemon.outbox.gallery.small_files import shrink_result
    from daemon.settings.windows import find_zone

    outbox, handed = Path(settings["outbox"]), Path(settings["handed"])
    gallery = Gallery(outbox, handed, find_zone(settings["zone"]))
    match request["do"]:
        case "add":
            entry = gallery.add(request["record"])
            return {"unseen": entry is not None and entry.is_unseen}
        case "add_sheet":
            return {"shown": gallery.add_sheet(request["listing"])}
        case "reconcile":
            from daemon.outbox.gallery.reconcile import reconcile

            return vars(reconcile(gallery, on_piece, anew=request.get("anew", False)))
        case "shrink":
            return {"shown": shrink_result(gallery, request["record"])}
        case unknown:
            raise ValueError(f"no request is called {unknown}")


def main() -> None:
    """Answers requests until the input is closed; the settings are the one argument, as JSON."""
    messages, settings = claim_stdout(), json.loads(sys.argv[1])
    limit_memory(MEMORY_BYTES)
    os.nice(settings["niceness"])
    for line in sys.stdin:
        try:
            told = answer(settings, json.loads(line), lambda: say(messages, {}))
            say(messages, {"ended": True, **told})
        except (OSError, AtelierError) as error:
            say(messages, {"ended": True, "fault": explain(error)})


if __name__ == "__main__":
    main()
