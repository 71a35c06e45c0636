"""Imports point one way: jobs -> pipelines -> schemas, and kernels know no Spark.

Every rule is also shown a file that breaks it: one that looks nowhere would hold for ever.
"""

from pathlib import Path

import pytest

from jobs import FLOW
from tests.contracts import import_rules
from tests.contracts.import_rules import ROOMS, WORDS, modules, room_of

ROOT = Path(__file__).parents[2]
MAX_LINES = 250


@pytest.mark.parametrize("package", ["jobs", "pipelines", "schemas"])
def test_there_are_files_to_look_at(package):
    assert modules(ROOT, package)


def test_imports_point_one_way():
    assert import_rules.arrows_between_packages(ROOT) == []


def test_every_file_of_jobs_stands_in_a_room():
    rooms = {room_of(path) for path in modules(ROOT, "jobs")} - {"", "dags"}
    assert rooms == set(ROOMS)
    jobs = {f"jobs/{job.name}.py" for job in FLOW}
    assert {str(path) for path in modules(ROOT, "jobs") if not room_of(path)} == {
        *jobs,
        *WORDS,
        "jobs/__main__.py",
    }


def test_files_of_jobs_hold_one_concept():
    """A file that grows beyond what one sitting takes in has a second concept to be found."""
    sizes = {
        str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines())
        for path in modules(ROOT, "jobs")
    }
    assert {path: lines for path, lines in sizes.items() if lines > MAX_LINES} == {}


def test_rooms_import_downwards():
    assert import_rules.arrows_between_rooms(ROOT) == []


def test_jobs_do_not_import_each_other():
    assert import_rules.arrows_between_jobs(ROOT) == []


def test_schemas_import_only_spark_types():
    assert import_rules.spark_in_schemas(ROOT) == []


def test_only_files_that_say_so_import_spark():
    assert import_rules.spark_where_it_is_not_told(ROOT) == []


def test_kernels_know_no_spark():
    assert import_rules.spark_in_kernels(ROOT) == []


def test_the_core_has_no_clock_and_no_random_state():
    assert import_rules.clocks_and_chance_in_the_core(ROOT) == []


def test_the_scorer_stands_alone():
    assert modules(ROOT, "pipelines/scorer")
    assert import_rules.weight_of_the_scorer(ROOT) == []


def test_the_flow_imports_nothing_heavy():
    assert import_rules.weight_of_the_flow(ROOT) == []


def test_dags_import_only_the_flow():
    if not modules(ROOT, "jobs/dags"):
        pytest.skip("there is no jobs/dags yet; the rule itself is tested below")
    assert import_rules.imports_of_dags(ROOT) == []


def test_packages_of_the_core_are_empty():
    assert import_rules.filled_packages(ROOT) == []


SAYS_SPARK = '"""Counts (Spark side)."""\nfrom pyspark.sql import functions as F\n'
BREACHES = [
    ("arrows_between_packages", "schemas/x.py", "import pipelines.kernel"),
    ("arrows_between_packages", "pipelines/x.py", "def f():\n    from jobs.step import Step"),
    ("arrows_between_packages", "jobs/x.py", "from tests.support import world"),
    ("arrows_between_rooms", "jobs/storage/x.py", "from jobs.planning.record import now"),
    ("arrows_between_rooms", "jobs/setup/x.py", "import jobs.storage.tables"),
    ("arrows_between_rooms", "jobs/planning/x.py", "from jobs import sample_training"),
    ("arrows_between_rooms", "jobs/step.py", "from jobs.setup.exits import ExitCode"),
    ("arrows_between_jobs", "jobs/x.py", "from jobs import sample_training"),
    ("arrows_between_jobs", "jobs/x.py", "from jobs.sample_training import run"),
    ("spark_in_schemas", "schemas/x.py", "from pyspark.sql import functions as F"),
    ("spark_where_it_is_not_told", "pipelines/x.py", "from pyspark.sql import functions as F"),
    ("spark_in_kernels", "pipelines/x.py", f"{SAYS_SPARK}from pipelines.kernel import kernel"),
    ("clocks_and_chance_in_the_core", "pipelines/x.py", "today = datetime.date.today()"),
    ("clocks_and_chance_in_the_core", "pipelines/x.py", "at = datetime.datetime.now(UTC)"),
    ("clocks_and_chance_in_the_core", "pipelines/x.py", "from time import perf_counter"),
    ("clocks_and_chance_in_the_core", "pipelines/x.py", "import random"),
    ("clocks_and_chance_in_the_core", "pipelines/x.py", "draw = np.random.default_rng()"),
    ("clocks_and_chance_in_the_core", "pipelines/x.py", "x = F.rand()"),
    ("clocks_and_chance_in_the_core", "pipelines/x.py", "x = F.monotonically_increasing_id()"),
    ("weight_of_the_scorer", "pipelines/scorer/x.py", "from pipelines.features.ids import NONE"),
    ("weight_of_the_scorer", "pipelines/scorer/x.py", "import pyarrow as pa"),
    ("weight_of_the_flow", "jobs/__init__.py", "import pyspark"),
    ("imports_of_dags", "jobs/dags/x.py", "from pyspark.sql import SparkSession"),
    ("imports_of_dags", "jobs/dags/x.py", "from jobs.setup.config import Config"),
    ("imports_of_dags", "jobs/dags/x.py", "from jobs import sample_training"),
    ("imports_of_dags", "jobs/dags/x.py", "from schemas.catalog import TABLES"),
    ("filled_packages", "pipelines/x/__init__.py", "import numpy"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BREACHES)
def test_a_file_that_breaks_a_rule_is_named(rule, path, text, tmp_path):
    for name, content in (("jobs/sample_training.py", ""), ("jobs/__init__.py", ""), (path, text)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (told,) = getattr(import_rules, rule)(tmp_path)
    assert told.startswith((path, "the flow"))


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        ("imports_of_dags", "jobs/dags/x.py", "from jobs import FLOW\nimport airflow"),
        ("spark_where_it_is_not_told", "pipelines/x.py", SAYS_SPARK),
        ("arrows_between_rooms", "jobs/planning/x.py", "from jobs.storage.tables import Tables"),
        ("arrows_between_rooms", "jobs/step.py",
         "if TYPE_CHECKING:\n    from jobs.storage.tables import Tables"),
    ],
)  # fmt: skip
def test_a_file_that_keeps_a_rule_is_not(rule, path, text, tmp_path):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    assert getattr(import_rules, rule)(tmp_path) == []
