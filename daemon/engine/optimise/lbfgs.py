"""Limited-memory BFGS with a Fourier preconditioner, made for pictures.

Nothing here waits for the device: every decision is a tensor, so that on a GPU the steps queue
up without a single read-back.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from daemon.engine.fit.scratch import Scratch

FIRST_STEP_RMS = 0.02
"""Heuristic: root mean square change of the first step, where no curvature is known yet."""

LONGEST_STEP_RMS = 0.25
"""Heuristic: no step may change the picture more; a healthy one changes it far less."""

LOWEST_FREQUENCY = 1.0 / 64.0
"""Cycles per pixel below which the preconditioner treats all frequencies alike."""

LEAST_CURVATURE = 1e-12


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
        filtered = torch.empty_like(vector)
        # One channel after the other: the spectra of all would take as much as three pictures.
        for channel, target in zip(
            vector.view(3, *self._shape), filtered.view(3, *self._shape), strict=True
        ):
            spectrum = torch.fft.rfft2(channel).mul_(self._gain)  # (H, W//2+1)
            target.copy_(torch.fft.irfft2(spectrum, s=self._shape))
        return filtered


class Lbfgs:
    """L-BFGS without line search, its history allocated once.

    Without a line search every evaluation is a step, which pays since steps of length 1 are
    nearly always good here; the loop catches the others.
    Source: Byrd, Nocedal & Schnabel 1994, eq. 3.1 (the compact form of the inverse Hessian),
    with H0 = gamma * P: moves S, and P times the gradients' changes Z, as rows; R and D from
    S·Y, and Y·Z, as small matrices.
    """

    def __init__(self, shape: torch.Size, scratch: Scratch, history: int) -> None:
        self._size = math.prod(shape)
        self._scratch = scratch
        self._preconditioner = FourierPreconditioner(shape[-2], shape[-1], scratch.device)
        self._moves = scratch.empty(history, self._size)  # S
        self._bends = scratch.empty(history, self._size)  # Z = P Y
        # Between two steps the slot of the coming pair holds the latest move, and P g.
        self._gradient = scratch.empty(self._size)
        small = torch.zeros(history, history, dtype=torch.float64, device=scratch.device)
        self._move_turn = small.clone()  # s_i · y_j
        self._turn_bend = small.clone()  # y_i · P y_j
        self._good = torch.zeros(history, dtype=torch.bool, device=scratch.device)
        self._gamma = small.new_ones(())
        self._pairs = 0
        self._moved = False
        # The steps do not depend on the loss's scale, but float32 does: raw losses overflow it.
        self._scale: Tensor | None = None
        self._step_factor = 1.0

    def advance(self, picture: Tensor, gradient: Tensor) -> None:
        """One step from `picture`, whose gradient is given and used up; both (1, 3, H, W)."""
        if self._scale is None:
            self._scale = 1.0 / gradient.abs().max().clamp(min=1e-30)
        flat = gradient.reshape(-1).mul_(self._scale)
        smooth = self._preconditioner.apply(flat)
        if self._moved:
            first, second = self._coefficients(*self._learn(flat, smooth))
        else:
            first = second = self._gamma.new_zeros(0)
        direction, rms = self._direction(flat, smooth, first, second)
        length = FIRST_STEP_RMS / rms
        if self._pairs:
            length = (LONGEST_STEP_RMS / rms).clamp(max=1.0)
        length = length.mul_(-self._step_factor).to(direction.dtype)
        slot, pixels = self._slot, picture.view(-1)
        for band in self._scratch.bands(self._size):
            move = direction[band].mul_(length)
            self._moves[slot, band].copy_(move)
            pixels[band].add_(move)
        self._moved = True

    def restart(self, shrink: float) -> None:
        """Forgets what it has learnt; the steps become `shrink` times as long."""
        self._pairs = 0
        self._moved = False
        self._step_factor *= shrink

    def state(self) -> dict[str, Tensor]:
        """Everything the next step depends on."""
        found = {
            "move_turn": self._move_turn,
            "turn_bend": self._turn_bend,
            "good": self._good.double(),
            "gamma": self._gamma,
            "counts": torch.tensor(
                [self._pairs, self._moved, self._step_factor], dtype=torch.float64
            ),
        }
        if self._scale is not None:
            found["scale"] = self._scale
        if self._moved:
            found["gradient"] = self._gradient
            for number in range(self._used):
                found[f"move.{number}"] = self._moves[number]
                found[f"bend.{number}"] = self._bends[number]
        return found

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from a `state`, of pictures of the same size and the same history."""
        self._move_turn.copy_(state["move_turn"])
        self._turn_bend.copy_(state["turn_bend"])
        self._good.copy_(state["good"])
        self._gamma.copy_(state["gamma"])
        pairs, moved, self._step_factor = state["counts"].tolist()
        self._pairs, self._moved = int(pairs), bool(moved)
        self._scale = state["scale"].to(self._gamma.device) if "scale" in state else None
        if self._moved:
            # One by one: each is as large as the picture, and may be read only now.
            self._gradient.copy_(state["gradient"])
            for number in range(self._used):
                self._moves[number].copy_(state[f"move.{number}"])
                self._bends[number].copy_(state[f"bend.{number}"])
                self._scratch.release()

    @property
    def _slot(self) -> int:
        """Where the coming pair goes."""
        return self._pairs % len(self._moves)

    @property
    def _used(self) -> int:
        """Slots in use, the coming pair's among them."""
        return min(self._pairs + 1, len(self._moves))

    def _learn(self, flat: Tensor, smooth: Tensor) -> tuple[Tensor, Tensor]:
        """Takes in the latest pair; one whose curvature is not positive counts for nothing.

        Returns the history's products with the gradient, S·g and Z·g, each (pairs,).
        """
        slot, used = self._slot, self._used
        products = self._gamma.new_zeros(2, 2, used)  # moves, bends by turn, gradient
        turn_turn = self._gamma.new_zeros(())
        for band in self._scratch.bands(self._size):
            turn = flat[band] - self._scratch.here(self._gradient[band])
            bend = self._bends[slot, band]
            bend.copy_(smooth[band] - self._scratch.here(bend))
            turn_turn += turn.dot(turn)
            for row, history in enumerate((self._moves, self._bends)):
                vectors = self._scratch.here(history[:used, band])
                products[row, 0] += vectors @ turn
                products[row, 1] += vectors @ flat[band]
        (move_turn, move_now), (bend_turn, bend_now) = products
        inner, curvature = move_turn[slot], bend_turn[slot]
        good = inner > LEAST_CURVATURE * turn_turn
        self._good[slot] = good
        trusted = self._good[:used] & good
        self._move_turn[:used, slot] = move_turn * trusted
        self._move_turn[slot, slot] = torch.where(good, inner, 1.0)
        self._turn_bend[:used, slot] = bend_turn * trusted
        self._turn_bend[slot, :used] = bend_turn * trusted
        self._gamma = torch.where(good, inner / curvature, self._gamma)
        self._pairs += 1
        return move_now * self._good[:used], bend_now * self._good[:used]

    def _coefficients(self, along: Tensor, across: Tensor) -> tuple[Tensor, Tensor]:
        """What of each move and each bend the direction takes, (pairs,), given S·g and Z·g."""
        count = len(along)
        oldest = self._slot if count == len(self._moves) else 0
        upper = in_order(self._move_turn[:count, :count], oldest).triu()  # R
        square = in_order(self._turn_bend[:count, :count], oldest)
        solved = torch.linalg.solve_triangular(upper, along.roll(-oldest)[:, None], upper=True)
        pulled = square @ solved - across.roll(-oldest)[:, None]
        middle = upper.diagonal()[:, None] * solved + self._gamma * pulled
        first = torch.linalg.solve_triangular(upper.T, middle, upper=False)
        second = -self._gamma * solved
        return first[:, 0].roll(oldest), second[:, 0].roll(oldest)

    def _direction(
        self, flat: Tensor, smooth: Tensor, first: Tensor, second: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Inverse Hessian times gradient, in the place of `smooth`, and its root mean square.

        Keeps the gradient and P g for the next step's pair.
        """
        slot, count = self._slot, len(first)
        gamma = self._gamma.to(smooth.dtype) if count else 1.0
        squares = self._gamma.new_zeros(())
        for band in self._scratch.bands(self._size):
            direction = smooth[band] * gamma
            if count:
                moves, bends = (
                    self._scratch.here(self._moves[:count, band]),
                    self._bends[:count, band],
                )
                direction.addmv_(moves.T, first.to(smooth.dtype))
                direction.addmv_(self._scratch.here(bends).T, second.to(smooth.dtype))
            self._bends[slot, band].copy_(smooth[band])
            self._gradient[band].copy_(flat[band])
            smooth[band].copy_(direction)
            squares += direction.dot(direction)
        return smooth, (squares / self._size).sqrt().clamp(min=1e-30)


def in_order(matrix: Tensor, oldest: int) -> Tensor:
    """Rows and columns of the ring from the oldest pair to the newest."""
    return matrix.roll((-oldest, -oldest), dims=(0, 1))
