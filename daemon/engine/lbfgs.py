"""Limited-memory BFGS with a Fourier preconditioner, made for pictures.

Nothing here waits for the device: every decision is a tensor, so that on a GPU the steps queue
up without a single read-back.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

FIRST_STEP_RMS = 0.02
"""Heuristic: root mean square change of the first step, where no curvature is known yet."""

LONGEST_STEP_RMS = 0.25
"""Heuristic: no step may change the picture more; a healthy one changes it far less."""

LOWEST_FREQUENCY = 1.0 / 64.0
"""Cycles per pixel below which the preconditioner treats all frequencies alike."""

LEAST_CURVATURE = 1e-12

LAST = ("last_move", "last_gradient", "last_smooth")


class FourierPreconditioner:
    """Weights a gradient's frequencies by 1/(f + f0): coarse structure moves as fast as fine.

    The same as optimising x = F^-1 s F z over z with s^2 = 1/(f + f0), without leaving pixels.
    Source: Olah, Mordvintsev & Schubert 2017, "Feature Visualization", preconditioning.
    """

    def __init__(self, height: int, width: int, device: torch.device) -> None:
        down = torch.fft.fftfreq(height, device=device)[:, None]
        across = torch.fft.rfftfreq(width, device=device)[None, :]
        gain = 1.0 / ((down**2 + across**2).sqrt() + LOWEST_FREQUENCY)  # (H, W//2+1)
        self._gain = gain / gain.min()
        self._shape = (height, width)

    def apply(self, vector: Tensor) -> Tensor:
        """vector: (3*H*W,) float32.  Returns the same shape."""
        image = vector.view(3, *self._shape)
        spectrum = torch.fft.rfft2(image).mul_(self._gain)  # (3, H, W//2+1)
        filtered: Tensor = torch.fft.irfft2(spectrum, s=self._shape)
        return filtered.reshape(-1)


class Lbfgs:
    """L-BFGS without line search, its history allocated once.

    Without a line search every evaluation is a step, which pays since steps of length 1 are
    nearly always good here; the loop catches the others.
    Source: Byrd, Nocedal & Schnabel 1994, eq. 3.1 (the compact form of the inverse Hessian),
    with H0 = gamma * P: moves S, and P times the gradients' changes Z, as rows; R and D from
    S·Y, and Y·Z, as small matrices.
    """

    def __init__(self, shape: torch.Size, device: torch.device, history: int) -> None:
        size = math.prod(shape)
        self._preconditioner = FourierPreconditioner(shape[-2], shape[-1], device)
        self._moves = torch.zeros(history, size, device=device)  # S
        self._bends = torch.zeros(history, size, device=device)  # Z = P Y
        small = torch.zeros(history, history, dtype=torch.float64, device=device)
        self._move_turn = small.clone()  # s_i · y_j
        self._turn_bend = small.clone()  # y_i · P y_j
        self._gamma = small.new_ones(())
        self._pairs = 0
        self._last: tuple[Tensor, Tensor, Tensor] | None = None
        # The steps do not depend on the loss's scale, but float32 does: raw losses overflow it.
        self._scale: Tensor | None = None
        self._step_factor = 1.0

    def advance(self, picture: Tensor, gradient: Tensor) -> None:
        """One step from `picture`, whose gradient is given; both (1, 3, H, W)."""
        if self._scale is None:
            self._scale = 1.0 / gradient.abs().max().clamp(min=1e-30)
        flat = gradient.reshape(-1) * self._scale
        smooth = self._preconditioner.apply(flat)
        if self._last is not None:
            self._learn(*self._last, flat, smooth)
        direction = self._direction(flat, smooth)
        rms = direction.square().mean().sqrt().clamp(min=1e-30)
        length = FIRST_STEP_RMS / rms
        if self._pairs:
            length = (LONGEST_STEP_RMS / rms).clamp(max=1.0)
        move = direction.mul_(length.mul_(-self._step_factor))
        self._last = (move, flat, smooth)
        picture.view(-1).add_(move)

    def restart(self, shrink: float) -> None:
        """Forgets what it has learnt; the steps become `shrink` times as long."""
        self._pairs = 0
        self._last = None
        self._moves.zero_()  # a number that is not one would spoil the products with new pairs
        self._bends.zero_()
        self._step_factor *= shrink

    def state(self) -> dict[str, Tensor]:
        """Everything the next step depends on."""
        count = min(self._pairs, len(self._moves))
        found = {
            "moves": self._moves[:count],
            "bends": self._bends[:count],
            "move_turn": self._move_turn,
            "turn_bend": self._turn_bend,
            "gamma": self._gamma,
            "counts": torch.tensor([self._pairs, self._step_factor], dtype=torch.float64),
        }
        if self._scale is not None:
            found["scale"] = self._scale
        if self._last is not None:
            found |= dict(zip(LAST, self._last, strict=True))
        return found

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from a `state`, of pictures of the same size and the same history."""
        device = self._moves.device
        count = len(state["moves"])
        self._moves[:count].copy_(state["moves"])  # no second copy on the device
        self._bends[:count].copy_(state["bends"])
        self._move_turn.copy_(state["move_turn"])
        self._turn_bend.copy_(state["turn_bend"])
        self._gamma = state["gamma"].to(device)
        pairs, self._step_factor = state["counts"].tolist()
        self._pairs = int(pairs)
        self._scale = state["scale"].to(device) if "scale" in state else None
        self._last = None
        if LAST[0] in state:
            # Copies of our own: what was read may lie in the file, and not where MKL wants it.
            move, flat, smooth = (state[name].to(device, copy=True) for name in LAST)
            self._last = (move, flat, smooth)

    def _learn(
        self, move: Tensor, flat: Tensor, smooth: Tensor, now_flat: Tensor, now_smooth: Tensor
    ) -> None:
        """Takes in the latest pair; one whose curvature is not positive counts for nothing."""
        slot = self._pairs % len(self._moves)
        turn = now_flat - flat
        bend = torch.sub(now_smooth, smooth, out=self._bends[slot])
        inner, curvature = move.dot(turn).double(), turn.dot(bend).double()
        good = inner > LEAST_CURVATURE * turn.dot(turn)
        bend.mul_(good)
        torch.mul(move, good, out=self._moves[slot])
        self._move_turn[:, slot] = (self._moves @ turn).double() * good
        self._move_turn[slot, slot] = torch.where(good, inner, 1.0)
        self._turn_bend[:, slot] = (self._bends @ turn).double() * good
        self._turn_bend[slot] = self._turn_bend[:, slot]
        self._gamma = torch.where(good, inner / curvature, self._gamma)
        self._pairs += 1

    def _direction(self, flat: Tensor, smooth: Tensor) -> Tensor:
        """Inverse Hessian times gradient."""
        history = len(self._moves)
        count = min(self._pairs, history)
        if count == 0:
            return smooth.clone()
        moves, bends = self._moves[:count], self._bends[:count]
        oldest = self._pairs % history if count == history else 0
        upper = in_order(self._move_turn[:count, :count], oldest).triu()  # R
        square = in_order(self._turn_bend[:count, :count], oldest)
        along = (moves @ flat).double().roll(-oldest)[:, None]
        across = (bends @ flat).double().roll(-oldest)[:, None]
        solved = torch.linalg.solve_triangular(upper, along, upper=True)
        middle = upper.diagonal()[:, None] * solved + self._gamma * (square @ solved - across)
        first = torch.linalg.solve_triangular(upper.T, middle, upper=False)
        direction: Tensor = smooth * self._gamma.to(smooth.dtype)
        direction.addmv_(moves.T, first[:, 0].roll(oldest).to(smooth.dtype))
        second = (-self._gamma * solved[:, 0]).roll(oldest)
        direction.addmv_(bends.T, second.to(smooth.dtype))
        return direction


def in_order(matrix: Tensor, oldest: int) -> Tensor:
    """Rows and columns of the ring from the oldest pair to the newest."""
    return matrix.roll((-oldest, -oldest), dims=(0, 1))
