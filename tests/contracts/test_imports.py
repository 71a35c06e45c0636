"""Imports point one way: jobs -> pipelines -> schemas, and kernels know no Spark."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "schemas": {"schemas"},
    "pipelines": {"pipelines", "schemas"},
    "jobs": {"jobs", "pipelines", "schemas"},
}
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
        or name.startswith("jobs.runtime")
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
