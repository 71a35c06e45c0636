"""How well the weights of contents are known, on the diagonal as all of the joint model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.models.joint_content import Design, units
from pipelines.models.joint_state import JointSpec, JointState
from pipelines.models.numbering import Numbering

Floats = npt.NDArray[np.float64]


def content_variances(spec: JointSpec, state: JointState, scale: int, g: Floats) -> Floats:
    """Variance of every content's weight given the other contents, shape (c,).

    1 / (1/T + sum of x^2 G / (1 + G tau^2)) over the entities that hold it: the diagonal of the
    ridge by which the weights were solved.

    Parameters
    ----------
    scale : int
        Number of the scale of the priors.
    g : numpy.ndarray of float64, shape (d,)
        G of the state's coordinates at it.
    """
    posterior, numbers = state.posteriors[scale], Numbering(state.content_ids)
    precision = 1.0 / posterior.content_variance[state.content_kind]
    of_entity = np.array([kind.entity for kind in spec.kinds])[state.content_kind]
    is_dense = np.array([kind.is_dense for kind in spec.kinds])[state.content_kind]
    for name, held in state.contents.items():
        if not len(held.parts):
            continue
        number = spec.row_number(name)
        first, last = np.searchsorted(state.namespace, [number, number + 1])
        own = g[first + np.searchsorted(state.ids[first:last], held.ids)]
        weight = own / (1.0 + own * posterior.variance[number])
        columns = numbers.find(held.parts)
        unit = units(Design(held.offsets, columns, held.values), is_dense)
        told = np.repeat(weight, np.diff(held.offsets)) * held.values**2
        information = np.bincount(columns, told, minlength=len(precision))
        precision = np.where(of_entity == name, precision * unit**2 + information, precision)
    return np.asarray(1.0 / precision)
