"""State of FTRL-Proximal: coordinates, and their stored form."""

from dataclasses import asdict, dataclass, field
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from pipelines.features.hashing import HASH_SEED
from pipelines.kernel import readonly
from pipelines.models import ftrl_kernels as kernels
from pipelines.models.ftrl_parameters import FtrlParameters

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]


class DivergenceError(ValueError):
    """Learning left the finite numbers; the state may not be used any more."""


class Coordinates(NamedTuple):
    """Learnt coordinates, ascending by slot; dense column j has the slot -1 - j."""

    slot: Ints
    weight: Floats
    z: Floats
    n: Floats


@dataclass(kw_only=True, eq=False)
class FtrlState:
    """What one learner knows after the rows learnt so far.

    Attributes
    ----------
    parameters : FtrlParameters
    table : numpy.ndarray of float64, shape (2**bits, 2)
        (z, sqrt(n)) of each hashed slot, in one cache line.
    dense : numpy.ndarray of float64, shape (2, d)
        (z, sqrt(n)) of each column of the dense inputs; d may be 0. All z lie together, so that
        a row is learnt by vector instructions.
    rows, clicks : int
        Rows learnt, and how many of them were clicked.
    watermark : (int, int) or None
        (day, key) of the last row learnt; later rows must be greater.
    diverged : bool
        Learning has failed; the state refuses further use.
    """

    parameters: FtrlParameters
    table: Floats = field(repr=False)
    dense: Floats = field(repr=False)
    rows: int = 0
    clicks: int = 0
    watermark: tuple[int, int] | None = None
    diverged: bool = False

    @classmethod
    def new(cls, parameters: FtrlParameters, *, dense: int = 0) -> Self:
        """Make a state that has learnt nothing, for ``dense`` columns of dense inputs."""
        return cls(
            parameters=parameters,
            table=np.zeros((1 << parameters.bits, 2)),
            dense=np.zeros((2, dense)),
        )

    @classmethod
    def from_rows(
        cls,
        parameters: FtrlParameters,
        slot: Ints,
        z: Floats,
        n: Floats,
        *,
        trained_with: FtrlParameters,
        hash_seed: int = HASH_SEED,
        dense: int = 0,
        rows: int = 0,
        clicks: int = 0,
        watermark: tuple[int, int] | None = None,
        allow_changes: bool = False,
    ) -> Self:
        """Rebuild a state from stored coordinates, in any order, bit for bit.

        Parameters
        ----------
        parameters : FtrlParameters
            To go on with.
        slot, z, n : numpy.ndarray, shape (m,)
            As of `touched`.
        trained_with : FtrlParameters
            Stored with the coordinates.
        hash_seed : int
            Of the feature hash that gave the slots, stored with them.
        dense, rows, clicks, watermark
            As of the stored state.
        allow_changes : bool
            Accept another alpha, beta, l1 or l2 than the stored ones. Other bits or another
            seed are never accepted: the slots would mean other features.

        Raises
        ------
        ValueError
            The parameters differ, a slot is out of range or occurs twice, or z or n is not
            finite or n is negative.
        """
        if hash_seed != HASH_SEED:
            raise ValueError(f"the stored slots have the hash seed {hash_seed}, not {HASH_SEED}")
        _check_same_parameters(parameters, trained_with, allow_changes)
        state = cls.new(parameters, dense=dense)
        state.rows, state.clicks, state.watermark = rows, clicks, watermark
        if not len(slot) == len(z) == len(n):
            raise ValueError(f"{len(slot)} slots for {len(z)} z and {len(n)} n")
        if len(np.unique(slot)) != len(slot):
            raise ValueError("a slot occurs twice among the stored coordinates")
        if len(slot) and not -dense <= slot.min() <= slot.max() < len(state.table):
            raise ValueError(f"stored slots outside {-dense}..{len(state.table) - 1}")
        if not (np.isfinite(z).all() and np.isfinite(n).all() and (n >= 0).all()):
            raise ValueError("stored z and n must be finite, and n not negative")
        hashed = slot >= 0
        coordinates = np.stack([z, np.sqrt(n)])
        state.table[slot[hashed]] = coordinates[:, hashed].T
        state.dense[:, -1 - slot[~hashed]] = coordinates[:, ~hashed]
        return state

    def touched(self) -> Coordinates:
        """Give every coordinate that has learnt something, ascending by slot.

        Raises
        ------
        DivergenceError
            A coordinate is not finite.
        """
        used = np.flatnonzero((self.table != 0).any(axis=1))
        columns = np.flatnonzero((self.dense != 0).any(axis=0))[::-1]
        z, root = np.concatenate([self.dense[:, columns], self.table[used].T], axis=1)
        if self.diverged or not (np.isfinite(z).all() and np.isfinite(root).all()):
            raise DivergenceError("FTRL state is not finite; lower alpha or bound the inputs")
        return Coordinates(
            slot=np.concatenate([-1 - columns, used]).astype(np.int32),
            weight=np.concatenate([self.dense_weights()[columns], self.weights()[used]]),
            z=z.copy(),
            n=root * root,
        )

    @property
    def shrinkage(self) -> kernels.Shrinkage:
        """The hyper-parameters as kernels take them."""
        return kernels.Shrinkage(self.parameters.alpha, self.parameters.l1, self.parameters.base)

    def weights(self) -> Floats:
        """Give the weights of the hashed slots, shape (2**bits,)."""
        return self._weights(self.table)

    def dense_weights(self) -> Floats:
        """Give the weights of the dense columns, shape (d,)."""
        return self._weights(self.dense.T)

    def _weights(self, coordinates: Floats) -> Floats:
        weights = np.empty(len(coordinates))
        kernels.fill_weights(readonly(coordinates, np.float64), self.shrinkage, weights)
        return weights


def _check_same_parameters(new: FtrlParameters, old: FtrlParameters, allow_changes: bool) -> None:
    before = asdict(old)
    changed = {name: value for name, value in asdict(new).items() if value != before[name]}
    if "bits" in changed or (changed and not allow_changes):
        listing = ", ".join(f"{name} {before[name]} -> {changed[name]}" for name in changed)
        raise ValueError(f"the stored state was learnt with other parameters: {listing}")
