"""Results pages: their surfaces, their types, and how many listings they show."""

from __future__ import annotations

import numpy as np

SURFACES = ("search", "promoted")
PAGE_TYPES = ("search", "category", "home")
PAGE_TYPE_CDF = np.array([[1.0, 1.0, 1.0], [0.75, 0.9, 1.0]])
LONGEST_PAGE = (48, 8)
MEAN_PAGE = (14.0, 6.0)
