"""What the checks find of twelve faults, and say on clean days, over several marketplaces.

``python -m tests.benchmarks.fault_campaign [--seeds 1,2,3,4,5] [--clean 30] [--short]
[--keep DIR]``. A marketplace of 24,000 impressions a day is made by the real jobs, in this process;
30 of its days are clean, and each fault is done to the day after them, on a copy. Two minutes a
seed on an idle core. Exit code 1 where a fault is not found as it should be, or a clean month is
not silent.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipelines.quality.findings import Finding
from tests.support.campaign import Campaign
from tests.support.faults import FAULTS, Fault

# A comparison with history needs a week, and the first two days have nothing to judge.
BEFORE = 9


def said(found: Sequence[Finding]) -> str:
    """What was found, in a cell of a table."""
    return "; ".join(f"{f.cause} ({f.severity}, {checks(f)})" for f in found) or "nothing"


def checks(finding: Finding) -> str:
    """The checks that found it."""
    return ", ".join(dict.fromkeys(f"`{r.table}.{r.check}`" for r in finding.results))


def is_named(fault: Fault, found: Sequence[Finding]) -> bool:
    """Whether there is one finding, and it is the fault."""
    return [finding.cause for finding in found] == [fault.cause]


def is_silent(found: Sequence[Finding]) -> bool:
    """Whether a clean month stopped nothing, paged nobody and warned once at most."""
    return len(found) <= 1 and all(finding.severity == "warn" for finding in found)


def main() -> int:
    """Run the campaign; print two tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--seeds", default="1,2,3,4,5", metavar="SEEDS")
    parser.add_argument("--clean", type=int, default=30, metavar="DAYS")
    parser.add_argument(
        "--short", action="store_true", help="make a fault's day up to the job after which it shows"
    )
    parser.add_argument("--keep", type=Path, help="work here, keep it, go on from what is there")
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        keep = given.keep or Path(temporary)
        clean: dict[int, list[Finding]] = {}
        of_fault: dict[tuple[str, int], list[Finding]] = {}
        for seed in seeds:
            campaign = Campaign.make(keep / f"seed-{seed}", seed, BEFORE + given.clean)
            clean[seed] = campaign.clean_findings(BEFORE + 1)
            print(f"seed {seed}: clean days: {said(clean[seed])}", file=sys.stderr, flush=True)
            for fault in FAULTS:
                until = fault.found_by if given.short else "publish_scores"
                found = of_fault[fault.name, seed] = campaign.findings_of(fault, until)
                right = "found" if is_named(fault, found) else "NOT AS IT SHOULD BE"
                print(
                    f"seed {seed}: {fault.name}: {right}: {said(found)}",
                    file=sys.stderr,
                    flush=True,
                )
    print("| fault | found on its day | named by | severity | checks |\n|---|---|---|---|---|")
    for fault in FAULTS:
        of_seeds = [of_fault[fault.name, seed] for seed in seeds]
        named = [found[0] for found in of_seeds if is_named(fault, found)]
        severities = ", ".join(sorted({finding.severity for finding in named}))
        by = ", ".join(sorted({name for finding in named for name in checks(finding).split(", ")}))
        print(
            f"| {fault.name} | {len(named)} of {len(seeds)} | {fault.cause} | {severities} | {by} |"
        )
    print(f"\n| clean days | {' | '.join(f'seed {seed}' for seed in seeds)} |")
    print(f"|---|{'---|' * len(seeds)}")
    for severity in ("block", "warn"):
        counts = [sum(f.severity == severity for f in clean[seed]) for seed in seeds]
        print(f"| {severity} | {' | '.join(str(count) for count in counts)} |")
    right = all(is_named(f, of_fault[f.name, seed]) for f in FAULTS for seed in seeds)
    return 0 if right and all(is_silent(found) for found in clean.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
