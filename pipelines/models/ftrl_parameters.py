"""Hyper-parameters of FTRL-Proximal: sections `training.<model>` of the configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from pipelines.parameters import NotNegative, Parameters, Positive


@dataclass(frozen=True, kw_only=True)
class FtrlParameters(Parameters):
    """Hyper-parameters of a model.

    Attributes
    ----------
    alpha, beta : float
        Learning rate of a coordinate: alpha / (beta + sqrt(n)).
    l1, l2 : float
        Regularization strengths (lambda 1 and lambda 2).
    bits : int
        The table has 2**bits slots.

    Raises
    ------
    ValueError
        alpha is not positive, another one is negative, beta and l2 are both 0 (the first step
        of a coordinate would divide by zero), or bits is outside 1..30.
    """

    alpha: Positive
    beta: NotNegative
    l1: NotNegative
    l2: NotNegative
    bits: Annotated[int, Ge(8), Le(28)]

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.alpha, self.beta, self.l1, self.l2))):
            raise ValueError(f"FTRL parameters must be finite: {self}")
        if self.alpha <= 0 or min(self.beta, self.l1, self.l2) < 0 or self.beta + self.l2 <= 0:
            raise ValueError(
                f"FTRL needs alpha > 0, beta, l1, l2 >= 0 and beta + l2 > 0, got {self}"
            )
        if not 1 <= self.bits <= 30:
            raise ValueError(f"FTRL table bits must be within 1..30, got {self.bits}")

    @property
    def base(self) -> float:
        """Beta + alpha l2, which `shrink` adds to sqrt(n) of a coordinate."""
        return self.beta + self.alpha * self.l2
