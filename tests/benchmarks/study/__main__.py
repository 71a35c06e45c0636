"""Run a study of the product's choices on drawn markets: a table, a plot, the command.

``python -m tests.benchmarks.study NAME [--markets 1,2,5] [--scale small] [--keep DIR]``. Markets
are simulated and their joint rows made once (kept in DIR); then every variant learns from them.
Excess over the truth in 1e-5 nats, of promoted impressions of the last seven days.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from pipelines.simulation.draw_market import Scale
from tests.benchmarks.joint_market import JointMarket, joint_market
from tests.benchmarks.study.calibration import calibration, stack
from tests.benchmarks.study.coverage import coverage
from tests.benchmarks.study.priors import priors
from tests.benchmarks.study.tables import Finding, plot
from tests.benchmarks.study.variants import STUDIES as VARIANTS
from tests.benchmarks.study.variants import compared

STUDIES: Mapping[str, Callable[[Sequence[JointMarket]], Finding]] = {
    **{name: partial(compared, name) for name in VARIANTS},
    "priors": priors,
    "calibration": calibration,
    "coverage": coverage,
    "stack": stack,
}
WHAT = {
    "namespaces": "each namespace of the joint model left out",
    "ratio": "a sample of the non-clicks instead of all rows",
    "history": "fewer days of logs",
    "forgetting": "evidence that fades, weights that walk",
    "scales": "multiples of the registered variances",
    "coordinates": "a bound on what the model knows",
    "priors": "learnt deviations against planted ones",
    "calibration": "promised against true clicks, by day, by segment, by probability",
    "coverage": "how often intervals hold the truth",
    "stack": "what is published against each model alone",
}


def main() -> None:
    """Run one study; print, plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="studies:\n" + "\n".join(f"  {name:13}{what}" for name, what in WHAT.items()),
    )  # fmt: skip
    parser.add_argument("name", choices=STUDIES, metavar="NAME")
    parser.add_argument("--markets", default="1,2,5,9", metavar="SEEDS")
    parser.add_argument("--scale", choices=get_args(Scale), default="small")
    parser.add_argument("--keep", type=Path, help="work here, keep it, go on from what is there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the plot here, as SVG")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        keep = given.keep or Path(temporary)
        markets = [joint_market(int(s), given.scale, keep) for s in given.markets.split(",")]
        finding = STUDIES[given.name](markets)
    command = f"python -m tests.benchmarks.study {given.name}"
    print(f"`{command} --markets {given.markets} --scale {given.scale}`\n")
    print(finding.markdown)
    if given.plot:
        given.plot.parent.mkdir(parents=True, exist_ok=True)
        given.plot.write_text(plot(given.name, finding))


if __name__ == "__main__":
    main()
