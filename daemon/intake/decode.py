"""Decoding where it can be stopped: a child process that only ever decodes.

A decoder that hangs or eats memory takes this child with it and nothing else. Decoding to the
end is the only proof that a picture is whole: `verify()` passes a JPEG cut to 60 %.
"""

import os
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.engine.errors import OutOfMemoryError, PictureError, UnfinishedPictureError
from daemon.errors import SurroundingsError
from daemon.host.access import refusals
from daemon.host.files import NotOrdinaryError, open_ordinary
from daemon.host.process import Child, Message, claim_stdout, limit_memory, limited_to, say
from daemon.intake.gaps import doubt_of
from daemon.pictures.read import read_picture

MEMORY_BYTES = 6 << 30
MOST_TRIES = 2
"""A decoder that something ended once was bad luck; a second time it was the picture."""


@dataclass(frozen=True)
class Verdict:
    """What decoding said: the upright size in px, or the fault.

    unfinished: the file may still be on its way, so that waiting may help.  doubt: why that may be
    so although it decodes, in words for its record.  format: as Pillow calls it.  bits: of a
    channel, 8 or 16.  alpha: whether it has transparent parts.  warnings: what was left out.
    """

    width_px: int = 0
    height_px: int = 0
    fault: str = ""
    unfinished: bool = False
    doubt: str = ""
    format: str = ""
    bits: int = 8
    alpha: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def doubtful(self) -> bool:
        """Whether the file may not be whole, so that its rest may still come."""
        return bool(self.unfinished or self.doubt)


class Decoder:
    """Decodes pictures in a child that is started when first needed, and again when it died."""

    def __init__(self, max_pixels: int, timeout_s: float) -> None:
        self._max_pixels = max_pixels
        self._timeout_s = timeout_s
        self._child: Child | None = None

    def decode(self, path: Path, name: str) -> Verdict:
        """Decodes the file to its end; `name` is what messages call it.

        Raises SurroundingsError if the decoder itself does not work.
        """
        for _ in range(MOST_TRIES):
            child = self._living_child()
            began_s = time.monotonic()
            child.send({"path": str(path), "name": name, "max_pixels": self._max_pixels})
            answer = child.receive_within(self._timeout_s)
            if answer is not None:
                return Verdict(**answer)
            ending = child.ending()
            if child.killer is None:
                raise SurroundingsError(f"the decoder of pictures {ending}; see atelierd doctor")
            if time.monotonic() - began_s >= self._timeout_s:
                break
        return Verdict(
            fault=f"{name} could not be decoded: it took more than {self._timeout_s:.0f} s "
            f"(limits: decode_s) or more than {MEMORY_BYTES >> 30} GiB; export the picture again"
        )

    def _living_child(self) -> Child:
        if self._child is None or not self._child.alive:
            self.close()
            one_core = limited_to(1)  # libraries would keep a thread ready for each
            with refusals("the decoder of pictures cannot be started", "; see atelierd doctor"):
                self._child = Child(
                    "daemon.intake.decode", [], on_stderr=lambda _: None, environment=one_core
                )
            self._child.send({})
            self._child.receive()  # it is up: the time it took is not the picture's
        return self._child

    def close(self) -> None:
        """Ends the child."""
        if self._child is not None:
            self._child.close(grace_s=1.0)
            self._child = None


def judge(path: str, name: str, max_pixels: int) -> Verdict:
    """Decodes one file here and now. Opens regular files only, and never waits for a pipe."""
    try:
        with open_ordinary(Path(path), os.O_NOFOLLOW) as file:
            picture = read_picture(file, name, max_pixels)
            verdict = Verdict(
                *picture.size,
                format=picture.format,
                bits=picture.bits,
                alpha=picture.alpha is not None,
                warnings=list(picture.warnings),
            )
            del picture  # its room is needed again
            return replace(verdict, doubt=doubt_of(file, name, verdict.format))
    except NotOrdinaryError:
        return Verdict(fault=f"{name} is not an ordinary file")
    except UnfinishedPictureError as error:
        return Verdict(fault=str(error), unfinished=True)
    except (PictureError, OutOfMemoryError) as error:
        return Verdict(fault=str(error))
    except MemoryError:
        return Verdict(fault=f"{name} needs more memory to look at than there is")
    except OSError as error:
        return Verdict(fault=f"{name} cannot be read: {error.strerror}", unfinished=True)


def answer(request: Message) -> Message:
    """The verdict on one request as a message; an empty request only asks for an answer."""
    if not request:
        return {}
    return vars(judge(request["path"], request["name"], request["max_pixels"]))


def main() -> None:
    """Answers requests until the input is closed."""
    import json

    messages = claim_stdout()
    limit_memory(MEMORY_BYTES)
    for line in sys.stdin:
        say(messages, answer(json.loads(line)))


if __name__ == "__main__":
    main()
