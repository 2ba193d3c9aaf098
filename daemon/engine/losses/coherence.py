"""Coherent matches: neighbours in a picture that come from neighbours in the style image.

The nearest of each cell alone are strewn about the style image, and features strewn about are no
picture's: its strokes are broken up at every cell. Here a cell gives up a little likeness for each
neighbour that it fits.

Source: the energy is that of Pritch et al. 2009, "Shift-Map Image Editing"; it is lowered by
iterated conditional modes (Besag 1986) over the neighbours' own continuations, as the candidates of
Ashikhmin 2001, "Synthesizing Natural Textures".
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

BOND = 0.1
"""Likeness, a cosine, that fitting one neighbour is worth. Measured: neighbours that fit rise from
a tenth to nearly a half of all, likeness falls by a twentieth; twice as much hardly adds."""

ROUNDS = 4
"""Measured: further rounds change less than a cell in a hundred."""

STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1))
NONE = -1
"""In the place of a cell's number where there is no such cell."""


def make_coherent(
    cells: Tensor, size: tuple[int, int], likeness: Callable[[Tensor], Tensor]
) -> Tensor:
    """The cells of a style image, one for each cell of a picture, with more neighbours that fit.

    cells: (rows, columns) int64, row by row of the style image, whose rows and columns are `size`.
    likeness: gives each cell's to one suggested for it, (rows, columns), -inf for NONE.
    """
    rows, columns = (torch.arange(length, device=cells.device) for length in cells.shape)
    colour = (rows[:, None] + columns[None]) % 2
    for turn in range(2 * ROUNDS):  # like a chessboard's, so that no two neighbours move at once
        near = continuations(cells, size)  # (4, rows, columns)
        others = torch.where(near == cells, NONE, near)
        candidates = torch.cat([cells[None], others])
        scores = torch.stack(
            [likeness(one) + BOND * (near == one).sum(dim=0) for one in candidates]
        )
        chosen = candidates.gather(0, scores.argmax(dim=0, keepdim=True))[0]
        cells = torch.where(colour == turn % 2, chosen, cells)
    return cells


def continuations(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """For each cell what would go on from each of its four neighbours.

    cells, size: see `make_coherent`.  Returns (4, rows, columns) int64, with NONE beyond a border.
    """
    rows, columns = cells.shape
    padded = F.pad(cells, (1, 1, 1, 1), value=NONE)
    found = []
    for down, across in STEPS:
        neighbour = padded[1 - down :, 1 - across :][:rows, :columns]
        row, column = neighbour // size[1] + down, neighbour % size[1] + across
        inside = (row >= 0) & (row < size[0]) & (column >= 0) & (column < size[1])
        inside &= neighbour != NONE
        found.append(torch.where(inside, row * size[1] + column, NONE))
    return torch.stack(found)
