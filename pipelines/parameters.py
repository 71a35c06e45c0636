"""Parameters of the core that are sections of the configuration too: declared once, here.

The bounds in their annotations are read by who loads a configuration. A dataclass itself does not
look at them, so kernels can be tried beyond what is sensible to configure; it refuses, if at all,
what it cannot work with.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

Count = Annotated[int, Ge(0)]
NotNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]
ShareOrAll = Annotated[float, Ge(0), Le(1)]


class Parameters:
    """Base of dataclasses that are sections: unknown keys are errors, numbers are finite."""

    __pydantic_config__: ClassVar[dict[str, object]] = {
        "extra": "forbid",
        "frozen": True,
        "allow_inf_nan": False,
        "coerce_numbers_to_str": True,
    }
