"""The soft proof of a run: picture, styles and result in the colours that can be printed."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.messages import RunOrder
from daemon.pictures.form import ResultForm
from daemon.pictures.softproof import as_printed


@dataclass(frozen=True, eq=False)
class ProofProfile:
    """A press's profile, and the name that the preset has for its file."""

    name: str
    content: bytes

    @cached_property
    def sha256(self) -> str:
        """The hash of the profile."""
        return hashlib.sha256(self.content).hexdigest()

    def applied(
        self, pixels: NDArray[Any], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """See `as_printed`."""
        return as_printed(pixels, self.content, self.name, out)


def read_proof_profile(order: RunOrder, form: ResultForm) -> ProofProfile | None:
    """The profile that a recipe's soft proof goes through, None for none. Raises OSError."""
    if not form.proof_profile:
        return None
    content = order.profiles[form.proof_profile].read_bytes()
    return ProofProfile(form.proof_profile, content)
