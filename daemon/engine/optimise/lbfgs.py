"""Limited-memory BFGS with a Fourier preconditioner, made for pictures.

Nothing here waits for the device: every decision is a tensor, so that on a GPU the steps queue
up without a single read-back.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from daemon.engine.fit.scratch import BAND, Scratch, Vector
from daemon.engine.recipe import Preconditioner

FIRST_STEP_RMS = 0.02
"""Heuristic: root mean square change of the first step, where no curvature is known yet."""

LONGEST_STEP_RMS = 0.25
"""Heuristic: no step may change the picture more; a healthy one changes it far less."""

LOWEST_FREQUENCY = 1.0 / 64.0
"""Cycles per pixel below which the preconditioner treats all frequencies alike."""

BRIGHTNESS_POWER = 1.5
COLOUR_POWER = 2.5
"""How fast the gains of `opponent` fall with the frequency: judged by eye."""

OPPONENT_COLOURS = ((1.0, 1.0, 1.0), (1.0, -1.0, 0.0), (1.0, 1.0, -2.0))
"""Brightness, red against green, both against blue: of R, G and B, and orthogonal."""

LEAST_CURVATURE = 1e-12


class FourierPreconditioner:
    """Weights a gradient's frequencies by 1/(f + f0): coarse structure moves as fast as fine.

    The same as optimising x = F^-1 s F z over z with s^2 = 1/(f + f0), without leaving pixels.
    Source: Olah, Mordvintsev & Schubert 2017, "Feature Visualization", preconditioning.

    `opponent` takes brightness and the two differences of colours apart, and lets fine detail move
    less, that of colours least of all: the losses hardly see it, so that what a run of some
    hundred steps moved there stays as coloured grain. Coarse ones move alike.
    """

    def __init__(
        self, height: int, width: int, device: torch.device, kind: Preconditioner = "fourier"
    ) -> None:
        down = torch.fft.fftfreq(height, device=device)[:, None]
        across = torch.fft.rfftfreq(width, device=device)[None, :]
        gain = 1.0 / ((down**2 + across**2).sqrt() + LOWEST_FREQUENCY)  # (H, W//2+1)
        self._shape = (height, width)
        self._opponents: Tensor | None = None
        self._gains = (gain / gain.min(),) * 3
        if kind == "opponent":
            colours = torch.tensor(OPPONENT_COLOURS, device=device)
            self._opponents = colours / colours.norm(dim=1, keepdim=True)  # orthonormal
            brightness = (gain / gain.min()) ** BRIGHTNESS_POWER
            colour = brightness * (gain * LOWEST_FREQUENCY) ** (COLOUR_POWER - BRIGHTNESS_POWER)
            self._gains = (brightness, colour, colour)

    def apply(self, vector: Tensor) -> Tensor:
        """Filters a vector, (3*H*W,) float32, in place, and returns it."""
        channels = vector.view(3, -1)
        self._mix(channels)
        # One channel after the other: the spectra of all would take as much as three pictures.
        for channel, gain in zip(channels.view(3, *self._shape), self._gains, strict=True):
            spectrum = torch.fft.rfft2(channel).mul_(gain)  # (H, W//2+1)
            channel.copy_(torch.fft.irfft2(spectrum, s=self._shape))
        self._mix(channels, back=True)
        return vector

    def _mix(self, channels: Tensor, *, back: bool = False) -> None:
        """Turns R, G and B, (3, H*W), into opponent colours in place, or back."""
        if self._opponents is None:
            return
        matrix = self._opponents.T if back else self._opponents
        for band in torch.split(channels, BAND, dim=1):
            band.copy_(matrix @ band)


class Lbfgs:
    """L-BFGS without line search, its history allocated once.

    Without a line search every evaluation is a step, which pays since steps of length 1 are
    nearly always good here; the loop catches the others.
    Source: Nocedal & Wright 2006, algorithm 7.5, with the inverse Hessian in its compact form
    (Byrd, Nocedal & Schnabel 1994, eq. 3.1) and the preconditioner in it, H0 = gamma P:

        H g = gamma P g + S p - gamma P Y q,  R q = S'g,  R'p = D q + gamma (Y'P Y q - Y'P g).

    S: the moves.  Y: the gradients' changes.  R: upper triangle of S'Y.  D: its diagonal.
    """

    def __init__(
        self,
        shape: torch.Size,
        scratch: Scratch,
        history: int,
        preconditioner: Preconditioner = "fourier",
    ) -> None:
        size = math.prod(shape)
        self._scratch = scratch
        self._preconditioner = FourierPreconditioner(
            shape[-2], shape[-1], scratch.device, preconditioner
        )
        self._S = scratch.vector(history, size)
        self._PY = scratch.vector(history, size)
        # Between two steps the slot of the coming pair holds the latest move, and P g.
        self._g = scratch.vector(size)
        # Where memory is short the gradient goes aside, and is filtered where it was.
        self._work = scratch.vector(size) if scratch.is_aside else None
        small = torch.zeros(history, history, dtype=torch.float64, device=scratch.device)
        self._SY = small.clone()  # s_i · y_j
        self._YPY = small.clone()  # y_i · P y_j
        self._good = torch.zeros(history, dtype=torch.bool, device=scratch.device)
        self._gamma = small.new_ones(())
        self._history = history
        self._pairs = 0
        self._moved = False
        # The steps do not depend on the loss's scale, but float32 does: raw losses overflow it.
        self._scale: Tensor | None = None
        self._step_factor = 1.0

    def advance(self, picture: Tensor, gradient: Tensor) -> None:
        """One step from `picture`, whose gradient is given and used up; both (1, 3, H, W)."""
        if self._scale is None:
            self._scale = 1.0 / gradient.abs().max().clamp(min=1e-30)
        scaled = gradient.reshape(-1).mul_(self._scale)
        given = Vector(scaled, self._scratch)
        g = given if self._work is None else self._work.copy(given)
        smooth = scaled.clone() if self._work is None else scaled
        Pg = Vector(self._preconditioner.apply(smooth), self._scratch)
        products = self._learn(g, Pg) if self._moved else None
        direction = self._direction(g, Pg, products)
        rms = (direction.dot(direction)[0] / picture.numel()).sqrt().clamp(min=1e-30)
        length = FIRST_STEP_RMS / rms
        if self._pairs:
            length = (LONGEST_STEP_RMS / rms).clamp(max=1.0)
        s = direction.scale(length.mul_(-self._step_factor))
        self._S[self._slot].copy(s)
        Vector(picture.view(-1), self._scratch).add(s)
        self._moved = True

    def restart(self, shrink: float) -> None:
        """Forgets what it has learnt; the steps become `shrink` times as long."""
        self._pairs = 0
        self._moved = False
        self._step_factor *= shrink

    def state(self) -> dict[str, Tensor]:
        """Everything the next step depends on."""
        counts = [self._pairs, self._moved, self._step_factor]
        state = {
            "move_turn": self._SY,
            "turn_bend": self._YPY,
            "good": self._good.double(),
            "gamma": self._gamma,
            "counts": torch.tensor(counts, dtype=torch.float64),
        }
        if self._scale is not None:
            state["scale"] = self._scale
        return state | {name: vector.values for name, vector in self._vectors().items()}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from a `state`, of pictures of the same size and the same history."""
        self._SY.copy_(state["move_turn"])
        self._YPY.copy_(state["turn_bend"])
        self._good.copy_(state["good"])
        self._gamma.copy_(state["gamma"])
        pairs, moved, self._step_factor = state["counts"].tolist()
        self._pairs, self._moved = int(pairs), bool(moved)
        self._scale = state["scale"].to(self._gamma.device) if "scale" in state else None
        for name, vector in self._vectors().items():
            # One by one: each is as large as the picture, and may be read only now.
            vector.copy(Vector(state[name], self._scratch))

    def _vectors(self) -> dict[str, Vector]:
        """The vectors in use, by their names in a state."""
        if not self._moved:
            return {}
        moves = {f"move.{number}": self._S[number] for number in range(self._used)}
        bends = {f"bend.{number}": self._PY[number] for number in range(self._used)}
        return {"gradient": self._g, **moves, **bends}

    @property
    def _slot(self) -> int:
        """Where the coming pair goes."""
        return self._pairs % self._history

    @property
    def _used(self) -> int:
        """Slots in use, the coming pair's among them."""
        return min(self._pairs + 1, self._history)

    def _learn(self, g: Vector, Pg: Vector) -> tuple[Tensor, Tensor]:
        """Takes in the latest pair; one whose curvature is not positive counts for nothing.

        Returns S'g and Y'P g, each (pairs,).
        """
        slot, used = self._slot, self._used
        y = self._g.subtract_from(g)
        self._PY[slot].subtract_from(Pg)
        Sy, Sg = self._S[:used].dot(y, g)
        PYy, PYg = self._PY[:used].dot(y, g)
        sy, yPy = Sy[slot], PYy[slot]
        good = sy > LEAST_CURVATURE * y.dot(y)[0]
        self._good[slot] = good
        trusted = self._good[:used] & good
        self._SY[:used, slot] = Sy * trusted
        self._SY[slot, slot] = torch.where(good, sy, 1.0)
        self._YPY[:used, slot] = PYy * trusted
        self._YPY[slot, :used] = PYy * trusted
        self._gamma = torch.where(good, sy / yPy, self._gamma)
        self._pairs += 1
        return Sg * self._good[:used], PYg * self._good[:used]

    def _direction(self, g: Vector, Pg: Vector, products: tuple[Tensor, Tensor] | None) -> Vector:
        """H g, in the place of g, which is kept with P g for the next step's pair.

        products: S'g and Y'P g, each (pairs,); None where there are no pairs.
        """
        self._g.copy(g)
        direction = g.copy(Pg)
        if products is not None:
            p, q = self._solve(*products)
            direction.scale(self._gamma)
            direction.add_rows(self._S[: len(p)], p)
            direction.add_rows(self._PY[: len(q)], -self._gamma * q)
        self._PY[self._slot].copy(Pg)
        return direction

    def _solve(self, Sg: Tensor, PYg: Tensor) -> tuple[Tensor, Tensor]:
        """The p and q of the direction, each (pairs,), given S'g and Y'P g."""
        count = len(Sg)
        oldest = self._slot if count == self._history else 0
        R = in_order(self._SY[:count, :count], oldest).triu()
        D = R.diagonal()[:, None]
        YPY = in_order(self._YPY[:count, :count], oldest)
        q = torch.linalg.solve_triangular(R, Sg.roll(-oldest)[:, None], upper=True)
        right = D * q + self._gamma * (YPY @ q - PYg.roll(-oldest)[:, None])
        p = torch.linalg.solve_triangular(R.T, right, upper=False)
        return p[:, 0].roll(oldest), q[:, 0].roll(oldest)


def in_order(matrix: Tensor, oldest: int) -> Tensor:
    """Rows and columns of the ring from the oldest pair to the newest."""
    return matrix.roll((-oldest, -oldest), dims=(0, 1))
