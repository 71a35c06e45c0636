"""A job file as a script: ``spark-submit jobs/<job>.py --date D``."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def job_main(name: str, argv: Sequence[str] | None = None) -> int:
    """Run one job with the arguments of ``promoted-ctr <job>``.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        Exit code, see `jobs.setup.exits`.
    """
    from jobs.__main__ import main

    return main([name, *(sys.argv[1:] if argv is None else argv)])
