"""Exponential, logistic and log loss in plain IEEE arithmetic.

A libm's exp and log1p differ in their last bits between systems, and so would everything learnt
with them; these use only +, -, * and /, which IEEE 754 rounds alike everywhere.
"""

import numpy as np
import numpy.typing as npt

from pipelines.kernel import kernel, readonly

Floats = npt.NDArray[np.float64]

_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
# ln 2 in two parts; the first has 32 trailing zero bits, so its product with k is exact.
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
# Adding and taking away 1.5 * 2**52 rounds to an integer without a library call.
_ROUNDER = 6755399441055744.0
_SQRT_2 = float.fromhex("0x1.6a09e667f3bcdp+0")
_LARGEST = 709.782712893384
_SMALLEST = -745.1332191019412
_POWERS_OF_TWO = np.array([2.0**k for k in range(-540, 541)])

# Taylor coefficients 1/k!: at abs(r) <= ln(2)/2 the first one left out is below 2**-57.
_E2, _E3, _E4, _E5, _E6, _E7 = 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040
_E8, _E9, _E10, _E11 = 1 / 40320, 1 / 362880, 1 / 3628800, 1 / 39916800
_E12, _E13 = 1 / 479001600, 1 / 6227020800


@kernel
def exp(x: float) -> float:
    """Exponential of x, within 1 unit in the last place (2 where it is subnormal).

    Cody and Waite's reduction x = k ln 2 + r, then the Taylor polynomial of r by Estrin's scheme.
    """
    if np.isnan(x):
        return x
    if x > _LARGEST:
        return np.inf
    if x < _SMALLEST:
        return 0.0
    k = (x * _LOG2_E + _ROUNDER) - _ROUNDER
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    error = (high - r) - low
    r2 = r * r
    r4 = r2 * r2
    tail = ((_E2 + r * _E3) + r2 * (_E4 + r * _E5)) + r4 * (
        ((_E6 + r * _E7) + r2 * (_E8 + r * _E9)) + r4 * ((_E10 + r * _E11) + r2 * (_E12 + r * _E13))
    )
    mantissa = 1.0 + (r + (r2 * tail + error))
    exponent = int(k)
    # Two factors: 2**k itself may lie outside the normal range while the result does not.
    half = exponent // 2
    return float(mantissa * _POWERS_OF_TWO[half + 540] * _POWERS_OF_TWO[exponent - half + 540])


@kernel
def log1p(x: float) -> float:
    """log(1 + x) for 0 <= x <= 1, within 2 units in the last place.

    2 atanh(f / (2 + f)) after halving 1 + x above sqrt 2; the bits of x lost in 1 + x are put
    back to first order.
    """
    y = 1.0 + x
    lost = (x - (y - 1.0)) / y
    k = 0.0
    f = x
    if y > _SQRT_2:
        k = 1.0
        f = 0.5 * y - 1.0
    elif lost != 0.0:
        f = y - 1.0
    s = f / (2.0 + f)
    s2 = s * s
    s4 = s2 * s2
    s8 = s4 * s4
    series = ((1 / 3 + s2 * (1 / 5)) + s4 * (1 / 7 + s2 * (1 / 9))) + s8 * (
        ((1 / 11 + s2 * (1 / 13)) + s4 * (1 / 15 + s2 * (1 / 17)))
        + s8 * ((1 / 19 + s2 * (1 / 21)) + s4 * (1 / 23))
    )
    # f - s f = 2 s without the rounding of s in the leading term.
    tail = 2.0 * s * s2 * series
    return k * _LN2_HIGH + (f - (s * f - (tail + (lost + k * _LN2_LOW))))


@kernel
def logistic(x: float) -> float:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + exp(-x))


@kernel
def softplus(x: float) -> float:
    """log(1 + exp(x))."""
    return max(x, 0.0) + log1p(exp(-abs(x)))


def probabilities(logits: Floats) -> Floats:
    """Logistic function of each logit, shape (n,), in [0, 1]."""
    result = np.empty(len(logits))
    _fill_probabilities(readonly(logits, np.float64), result)
    return result


def log_losses(logits: Floats, clicked: npt.NDArray[np.uint8]) -> Floats:
    """Log loss of each row in nats, shape (n,), from its logit and its click (0 or 1).

    Raises
    ------
    ValueError
        The arrays differ in length.
    """
    if len(logits) != len(clicked):
        raise ValueError(f"{len(logits)} logits for {len(clicked)} labels")
    result = np.empty(len(logits))
    _fill_log_losses(readonly(logits, np.float64), readonly(clicked, np.uint8), result)
    return result


@kernel
def _fill_probabilities(logits: Floats, result: Floats) -> None:
    for row in range(len(logits)):
        result[row] = logistic(logits[row])


@kernel
def _fill_log_losses(logits: Floats, clicked: npt.NDArray[np.uint8], result: Floats) -> None:
    for row in range(len(logits)):
        result[row] = softplus(-logits[row] if clicked[row] else logits[row])
