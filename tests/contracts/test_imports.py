"""Imports point one way: jobs -> pipelines -> schemas, and kernels know no Spark."""

import ast
from pathlib import Path

import pytest

from jobs import FLOW

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "schemas": {"schemas"},
    "pipelines": {"pipelines", "schemas"},
    "jobs": {"jobs", "pipelines", "schemas"},
}
ROOMS = ("commands", "reporting", "planning", "landing", "storage", "setup")
"""The rooms of `jobs`, from the door inwards: each imports itself and what stands after it."""
WORDS = {"jobs/__init__.py", "jobs/step.py"}
"""What every room speaks of: the flow, and what a job is given and gives back."""
ENTRY = ("jobs/commands/job.py", "jobs.__main__.main")
"""The one arrow upwards: a job file, run as a script, is the command line with its own name."""
MAX_LINES = 250
OURS = {"jobs", "pipelines", "schemas", "tests", "conf"}


def modules(package):
    return sorted(path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))


def imported(path, *, top_level=False):
    """Dotted names a file imports; those under TYPE_CHECKING count as well."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    nodes = tree.body if top_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def uses(path, package, **how):
    return [name for name in imported(path, **how) if name.split(".")[0] == package]


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package):
    wrong = [
        f"{path} imports {name}"
        for path in modules(package)
        for name in imported(path)
        if name.split(".")[0] in OURS - ALLOWED[package]
    ]
    assert not wrong


def room_of(path):
    """The room of a file below jobs/; '' for the jobs themselves."""
    return path.parts[1] if len(path.parts) > 2 else ""


def level(room):
    return 1 + ROOMS.index(room) if room else 0


def imported_at_run_time(path):
    """As `imported`, without what only types need."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_named(name):
    """The room that a dotted name of `jobs` is in; None for the words that every room speaks."""
    parts = name.split(".")
    if parts[1] in ROOMS:
        return parts[1]
    is_word = parts[1] == "step" or not (ROOT / "jobs" / f"{parts[1]}.py").exists()
    return None if is_word else ""


def test_every_file_of_jobs_stands_in_a_room():
    rooms = {room_of(path) for path in modules("jobs")} - {"", "dags"}
    assert rooms == set(ROOMS)
    jobs = {f"jobs/{job.name}.py" for job in FLOW}
    assert {str(path) for path in modules("jobs") if not room_of(path)} == {
        *jobs,
        *WORDS,
        "jobs/__main__.py",
    }


def test_files_of_jobs_hold_one_concept():
    """A file that grows beyond what one sitting takes in has a second concept to be found."""
    sizes = {
        str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines())
        for path in modules("jobs")
    }
    assert sizes
    assert {path: lines for path, lines in sizes.items() if lines > MAX_LINES} == {}


def test_rooms_import_downwards():
    wrong = [
        f"{path} imports {name}"
        for path in modules("jobs")
        for name in imported_at_run_time(path)
        if name.split(".")[0] == "jobs" and (str(path), name) != ENTRY
        for there in [room_named(name)]
        if there is not None and (str(path) in WORDS or level(there) < level(room_of(path)))
    ]
    assert not wrong


def test_jobs_do_not_import_each_other():
    names = {job.name for job in FLOW}
    wrong = [
        f"{path} imports {name}"
        for path in modules("jobs")
        for name in imported(path)
        if name.startswith("jobs.") and name.split(".")[1] in names
    ]
    assert not wrong


def test_schemas_import_only_spark_types():
    wrong = [
        f"{path} imports {name}"
        for path in modules("schemas")
        for name in uses(path, "pyspark")
        if name not in ("pyspark.sql.types",)
    ]
    assert not wrong


def says_spark(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    return path.stem.endswith("_spark") or "Spark side" in (
        ast.get_docstring(ast.parse(text)) or ""
    )


def test_only_files_that_say_so_import_spark():
    wrong = [
        f"{path} imports {name}"
        for path in modules("pipelines")
        if not says_spark(path)
        for name in uses(path, "pyspark")
    ]
    assert not wrong


def test_kernels_know_no_spark():
    wrong = [
        f"{path} imports {name}"
        for path in modules("pipelines")
        if any(n.split(".")[0] == "numba" or n == "pipelines.kernel.kernel" for n in imported(path))
        for name in uses(path, "pyspark")
    ]
    assert not wrong


def test_the_core_has_no_clock_and_no_random_state():
    wrong = []
    for path in modules("pipelines"):
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                if name in ("datetime.now", "date.today", "time.time", "F.rand", "F.current_date"):
                    wrong.append(f"{path} calls {name}")
    assert not wrong


def test_the_flow_imports_nothing_heavy():
    names = {name.split(".")[0] for name in imported(Path("jobs/__init__.py"))}
    assert names <= {"__future__", "dataclasses", "typing", "collections"}


def test_dags_import_only_the_flow():
    wrong = [
        f"{path} imports {name}"
        for path in modules("jobs/dags")
        for name in imported(path)
        if name.split(".")[0] in {"pyspark", "pipelines", "schemas"}
        or (name.startswith("jobs.") and name.split(".")[1] in ROOMS)
    ]
    assert not wrong


def test_packages_of_the_core_are_empty():
    filled = [
        str(path)
        for package in ("pipelines", "schemas")
        for path in modules(package)
        if path.name == "__init__.py" and (ROOT / path).stat().st_size
    ]
    assert not filled
