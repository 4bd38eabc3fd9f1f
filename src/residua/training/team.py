"""The processes that train one network together; most fits have one."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class Team:
    """One process that trains alone; subclasses are one of several that average their gradients.

    Attributes
    ----------
    rank : int
        This process among them, from 0. That of rank 0 speaks for all.
    size : int
        How many there are.
    """

    rank: int = 0
    size: int = 1

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of ``values`` (any shape) over all processes, the same in each.

        Every process calls it at the same point.
        """
        return values

    def trainer_options(self) -> dict[str, Any]:
        """Return the parameters of Lightning's trainer that make it one of the team."""
        return {"devices": 1}


ALONE = Team()
