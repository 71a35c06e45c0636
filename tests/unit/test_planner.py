"""What is made again when a file, a setting, a record or a table changes, and what is not."""

import os
from dataclasses import replace
from datetime import date, timedelta

import pytest

from jobs import FLOW
from jobs import JOBS as DECLARED
from jobs.landing.sources import Source
from jobs.planning.landed_logs import LANDED
from jobs.planning.planner import Planner, refit_day
from jobs.planning.reasons import MADE_FROM, why
from jobs.planning.record import Record
from jobs.setup.config_layers import load_config
from tests.support import ingesting

FIRST = date(2026, 1, 5)  # a Monday; its ordinal is a multiple of 7 plus 1
JOBS = [job.name for job in FLOW]
# Small windows, so that few days show every rule.
SETTINGS = [
    "history.search_days=2", "history.promoted_days=3", "training.search_days=2",
    "training.promoted_days=3", "ensemble.days=2", "text_svd.refit_every_days=3",
]  # fmt: skip


def day(number):
    return FIRST + timedelta(days=number)


class World:
    """Landing files and what a runner would have recorded, without tables."""

    def __init__(self, days=6):
        self.landed = {
            (log, day(n)): [(f"{log}-{n}", 100, 1)] for n in range(days) for log in LANDED
        }
        self.config = load_config(settings=SETTINGS, environment={})
        self.heads = {}
        self.records = {}
        self.present = {}

    # What the planner asks a source.
    left_out = frozenset()

    def days(self, log):
        return sorted(at for name, at in self.landed if name == log)

    def files(self, log, at):
        return self.landed.get((log, at), [])

    def land(self, log, number, size=100):
        self.landed[log, day(number)] = [(f"{log}-{number}", size, size)]

    def configure(self, *settings):
        self.config = load_config(settings=[*SETTINGS, *settings], environment={})

    def planner(self):
        return Planner(self.config, self, self.records, self.present)

    def run(self, *targets):
        """Make the targets step by step, planning anew after each; give (job, days' numbers)."""
        made = {}
        while due := self.planner().due([(job, day(n)) for job, n in targets]):
            planner, step = self.planner(), due[0]
            for at in step.days:
                details = {}
                if step.job.name == "ingest_logs":
                    details = {
                        "landing": planner.landing_digests(at),
                        "head_digest": self.heads.get(at, "0:"),
                        "logs": {log: {"accepted": 1} for log in planner.landing_digests(at)},
                    }
                details[MADE_FROM] = step.made_from(at)
                self.records[step.job.name, at] = Record(step.fingerprints[at], 1, False, details)
                assert (step.job.name, (at - FIRST).days) not in made, "a day was made twice"
                made[step.job.name, (at - FIRST).days] = True
                for table in step.job.writes:
                    self.present.setdefault(table, set()).add(at)
        found = {}
        for job, number in made:
            found.setdefault(job, set()).add(number)
        return found


@pytest.fixture
def world():
    made = World()
    made.run(("publish_scores", 5))
    return made


def test_an_empty_warehouse_is_made_in_the_order_of_the_flow():
    world = World()
    due = world.planner().due([("publish_scores", day(5))])
    names = [step.job.name for step in due]
    assert names == sorted(names, key=JOBS.index)
    assert set(names) == set(JOBS)
    # Contiguous days come as one range.
    assert due[0].days == tuple(day(n) for n in range(6))


def test_what_is_made_is_not_made_again(world):
    assert world.run(("publish_scores", 5)) == {}


def test_a_later_day_changes_nothing_before(world):
    for log in LANDED:
        world.land(log, 6)
    made = world.run(("publish_scores", 6))
    # Labels of the day before wait for this day's first clicks; here there are some.
    before = {job: days for job, days in made.items() if days != {6}}
    assert before == {job: {5, 6} for job in before}
    assert "label_impressions" in before
    assert set(made) == set(JOBS)


def test_a_later_day_that_is_not_asked_for_is_taken_only_for_its_clicks(world):
    for log in LANDED:
        world.land(log, 6)
    made = world.run(("publish_scores", 5))
    assert made["ingest_logs"] == {6}
    assert all(days == {5} for job, days in made.items() if job != "ingest_logs")


def test_a_changed_landing_file_makes_again_what_depends_on_it(world):
    world.land("listings", 5, size=200)
    made = world.run(("publish_scores", 5))
    assert all(days == {5} for days in made.values())
    # Listings change no label, but the label reads the day that was ingested anew.
    assert "fit_ensemble" in made


def test_a_changed_old_file_makes_its_windows_again_and_no_day_before(world):
    world.land("impressions", 3, size=200)
    made = world.run(("publish_scores", 5))
    # Clicks are matched with the impressions of the day before too.
    assert made["ingest_logs"] == {3, 4}
    assert made["build_history"] == {3, 4, 5}
    assert all(min(days) >= 3 for job, days in made.items() if job != "label_impressions")


def test_more_clicks_of_the_next_day_leave_labels_alone_while_its_head_is_the_same(world):
    world.land("clicks", 6)
    world.heads[day(6)] = "3:77"
    assert world.run(("label_impressions", 5)) == {"ingest_logs": {6}, "label_impressions": {5}}
    world.land("clicks", 6, size=900)
    assert world.run(("label_impressions", 5)) == {"ingest_logs": {6}}
    world.land("clicks", 6, size=950)
    world.heads[day(6)] = "4:99"
    assert world.run(("label_impressions", 5)) == {"ingest_logs": {6}, "label_impressions": {5}}


@pytest.mark.parametrize(
    ("setting", "first_jobs", "never"),
    [
        ("features.namespaces=[]", {"build_features", "predict_traffic"}, "fit_text_svd"),
        ("sampling.ratio=2", {"sample_training"}, "build_history"),
        ("training.historical.alpha=0.5", {"train_models"}, "build_features"),
        ("publish.max_ratio=1.3", {"publish_scores"}, "score_listings"),
        ("scoring.reference.position=2", {"predict_traffic", "score_listings"}, "train_models"),
        ("text_svd.rank=8", {"fit_text_svd"}, "build_features"),
        ("spark.master=local[1]", set(), "publish_scores"),
        ("quality.history_days=9", set(), "publish_scores"),
    ],
)
def test_a_changed_setting_starts_at_the_first_job_that_reads_it(world, setting, first_jobs, never):
    world.configure(setting)
    made = set(world.run(("publish_scores", 5)))
    assert made >= first_jobs
    assert not made & {"ingest_logs", "label_impressions", "count_entities", never}
    assert bool(made) == bool(first_jobs)


@pytest.mark.parametrize("job", FLOW, ids=lambda job: job.name)
def test_a_raised_output_version_makes_a_job_again_and_what_reads_it(world, monkeypatch, job):
    raised = replace(job, output_version=job.output_version + 1)
    monkeypatch.setitem(DECLARED, job.name, raised)
    made = world.run(("publish_scores", 5))
    assert made[job.name] >= {5}
    assert "publish_scores" in made
    assert min(JOBS.index(name) for name in made) == JOBS.index(job.name)


def without(world, log, *numbers):
    for number in numbers:
        del world.landed[log, day(number)]


def days_before(world, number):
    (read,) = [r for r in DECLARED["train_joint"].reads if r.kind == "before"]
    return [(at - FIRST).days for at in world.planner().read_days(read, day(number))]


def test_the_day_before_is_the_last_that_has_traffic_however_long_ago():
    world = World(days=9)
    for log in LANDED:
        without(world, log, 3, 4, 5, 6)
    assert days_before(world, 8) == [7]
    assert days_before(world, 7) == [2]
    assert days_before(world, 0) == []
    assert world.run(("train_joint", 8))["train_joint"] == {0, 1, 2, 7, 8}


def test_a_day_that_cannot_be_learnt_is_passed_over():
    world = World()
    without(world, "listings", 3)
    assert days_before(world, 4) == [2]
    assert days_before(world, 5) == [4]


def test_what_is_learnt_day_by_day_is_learnt_again_from_a_changed_day_on(world):
    world.land("listings", 1, size=200)
    made = world.run(("train_joint", 5))
    assert made["build_joint_rows"] >= {1}
    assert made["train_joint"] == {1, 2, 3, 4, 5}


def test_a_day_that_lands_late_is_learnt_before_those_after_it():
    world = World()
    late = {key: world.landed.pop(key) for key in list(world.landed) if key[1] == day(2)}
    assert world.run(("train_joint", 5))["train_joint"] == {0, 1, 3, 4, 5}
    world.landed.update(late)
    # The labels of the day before it have waited for its clicks.
    assert world.run(("train_joint", 5))["train_joint"] == {1, 2, 3, 4, 5}


def test_what_a_job_can_do_without_is_in_its_fingerprint_where_it_is_there(world):
    # Scores do not depend on how the day was judged; whether they are published does.
    world.configure("evaluation.min_field_clicks=7")
    assert world.run(("publish_scores", 5)) == {"evaluate_models": {5}, "publish_scores": {5}}


def test_clicks_that_land_after_the_day_was_made_without_them_make_its_labels_again():
    world = World()
    clicks = world.landed.pop(("clicks", day(5)))
    world.run(("label_impressions", 5))
    world.landed["clicks", day(5)] = clicks
    assert world.run(("label_impressions", 5)) == {"ingest_logs": {5}, "label_impressions": {5}}


@pytest.mark.parametrize("log", LANDED)
def test_a_file_rewritten_in_the_same_size_is_another_file(tmp_path, config, log):
    at = ingesting.DAY
    paths = {name: ingesting.land(tmp_path, name, [ingesting.row(name)]) for name in LANDED}

    def fingerprint():
        source = Source.load("canonical", tmp_path)
        return Planner(config, source, {}, {}).fingerprint("ingest_logs", at)

    before = fingerprint()
    assert fingerprint() == before
    size, written = paths[log].stat().st_size, paths[log].stat().st_mtime_ns
    os.utime(paths[log], ns=(written, written + 1_000_000))
    assert paths[log].stat().st_size == size
    assert fingerprint() != before


def test_removed_landing_files_are_taken_as_they_were_recorded(world):
    world.landed = {key: files for key, files in world.landed.items() if key[1] >= day(3)}
    assert world.run(("publish_scores", 5)) == {}


def test_a_table_that_lost_a_day_is_made_again(world):
    world.present["features"].discard(day(4))
    assert world.run(("publish_scores", 5)) == {"build_features": {4}}


def test_a_missing_day_inside_a_window_is_left_out():
    world = World()
    for log in LANDED:
        del world.landed[log, day(2)]
    made = world.run(("train_models", 5))
    assert made["train_models"] == {5}
    assert made["build_features"] == {3, 4, 5}
    assert 2 not in made["ingest_logs"]


@pytest.mark.parametrize("log", ["impressions", "listings"])
def test_a_day_that_has_not_landed_is_told_by_its_logs(log):
    world = World()
    del world.landed[log, day(5)]
    planner = world.planner()
    assert planner.fingerprint("publish_scores", day(5)) is None
    assert planner.due([("publish_scores", day(5))]) == []
    assert planner.missing("publish_scores", day(5)) == [f"no {log} have landed for {day(5)}"]


def test_clicks_may_be_absent():
    world = World()
    del world.landed["clicks", day(5)]
    assert world.planner().missing("publish_scores", day(5)) == []


def test_the_first_day_cannot_be_scored_without_a_prediction_but_can_be_trained():
    planner = World().planner()
    assert planner.fingerprint("train_models", day(0)) is not None
    assert planner.fingerprint("predict_traffic", day(0)) is None


EVERY = {FIRST + timedelta(days=n) for n in range(30)}


@pytest.mark.parametrize("every", [1, 3, 7])
def test_refit_days_are_the_same_from_wherever_they_are_asked(every):
    found = [refit_day(at, every, EVERY) for at in sorted(EVERY)[every:]]
    assert all(at.toordinal() % every == 0 for at in found)
    assert all(
        0 <= (at - fit).days < every for at, fit in zip(sorted(EVERY)[every:], found, strict=True)
    )


def test_a_refit_day_without_listings_gives_way_to_the_next_that_has_some():
    refit = next(at for at in sorted(EVERY) if at.toordinal() % 7 == 0)
    without = EVERY - {refit}
    later = refit + timedelta(days=3)
    assert refit_day(later, 7, without) == refit + timedelta(days=1)
    assert refit_day(refit, 7, without) == refit
    assert refit_day(later, 7, set()) == later


def test_before_the_first_refit_day_the_first_listings_are_taken():
    later = {at for at in EVERY if at >= day(4)}
    assert refit_day(day(6), 30, later) >= day(4)


class TestWhy:
    """What is said of a step that is due."""

    def reasons(self, world, number=5):
        planner = world.planner()
        steps = planner.due([("publish_scores", day(number))])
        return {step.job.name: why(planner, step, steps) for step in steps}

    def test_of_an_empty_warehouse_nothing_is_made_yet(self):
        assert set(map(tuple, self.reasons(World()).values())) == {("not made yet",)}

    def test_a_setting_is_named_with_both_values_and_its_consequences_as_inputs(self):
        world = World()
        world.run(("publish_scores", 5))
        assert self.reasons(world) == {}
        world.configure("sampling.ratio=10")
        told = self.reasons(world)
        old = load_config(settings=SETTINGS, environment={}).sampling.ratio
        assert told["sample_training"] == [f"sampling.ratio: {old} is 10.0 now"]
        assert told["build_features"] == ["follows sample_training"]

    def test_a_log_that_landed_anew_is_named(self):
        world = World()
        world.run(("publish_scores", 5))
        world.land("listings", 5, size=7)
        assert self.reasons(world)["ingest_logs"] == ["files or SELECT of listings are others"]

    def test_code_is_named_by_its_output_version(self, monkeypatch):
        world = World()
        world.run(("publish_scores", 5))
        job = DECLARED["sample_training"]
        newer = replace(job, output_version=job.output_version + 1)
        monkeypatch.setitem(DECLARED, "sample_training", newer)
        monkeypatch.setattr(
            "jobs.planning.planner.FLOW",
            [newer if one is job else one for one in FLOW],
        )
        version = job.output_version
        told = self.reasons(world)["sample_training"]
        assert told == [f"code: output version {version} is {version + 1} now"]

    def test_rows_that_are_gone_and_attempts_that_were_refused_are_told(self):
        world = World()
        world.run(("publish_scores", 5))
        world.present["training_samples"].discard(day(4))
        record = world.records["build_history", day(5)]
        world.records["build_history", day(5)] = replace(record, fingerprint="")
        told = self.reasons(world)
        assert told["sample_training"] == ["its rows are gone"]
        assert "refused" in told["build_history"][0]


def test_files_of_made_days_further_back_than_is_restated_are_not_looked_at(world):
    world.configure("storage.restate_days=2")
    assert world.run(("publish_scores", 5)) == {}
    for log in LANDED:
        world.land(log, 2, size=200)
    assert world.run(("publish_scores", 5)) == {}
    world.landed.pop(("clicks", day(1)))
    assert world.run(("publish_scores", 5)) == {}
    world.land("clicks", 3, size=200)
    made = world.run(("publish_scores", 5))
    assert made["ingest_logs"] == {3}
    assert made["build_history"] == {3, 4, 5}
    # Asked for again, they count.
    world.configure()
    assert 2 in world.run(("publish_scores", 5))["ingest_logs"]


def test_a_log_that_lands_for_a_settled_day_changes_nothing_and_a_day_never_made_is_made():
    world = World()
    world.landed.pop(("clicks", day(2)))
    world.run(("publish_scores", 5))
    world.configure("storage.restate_days=1")
    world.land("clicks", 2)
    assert world.run(("publish_scores", 5)) == {}
    fresh = World()
    fresh.configure("storage.restate_days=1")
    assert fresh.run(("publish_scores", 5))["ingest_logs"] == {0, 1, 2, 3, 4, 5}


def test_scores_of_days_before_are_restated_only_where_they_are_asked_for(world):
    world.run(("publish_scores", 4))
    world.land("impressions", 3, size=200)
    made = world.run(("publish_scores", 5))
    assert (made["score_listings"], made["publish_scores"]) == ({5}, {5})
    assert world.run(("publish_scores", 4))["publish_scores"] == {4}
