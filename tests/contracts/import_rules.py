"""What the files of a source tree import, and which imports break a rule of the house.

A rule takes the tree's root, so that it can be shown a file that breaks it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from jobs import FLOW

ALLOWED = {
    "schemas": {"schemas"},
    "pipelines": {"pipelines", "schemas"},
    "jobs": {"jobs", "pipelines", "schemas"},
}
OURS = {"jobs", "pipelines", "schemas", "tests", "conf"}
ROOMS = ("commands", "reporting", "planning", "landing", "storage", "setup")
"""The rooms of `jobs`, from the door inwards: each imports itself and what stands after it."""
WORDS = {"jobs/__init__.py", "jobs/step.py"}
"""What every room speaks of: the flow, and what a job is given and gives back."""
ENTRY = ("jobs/commands/job.py", "jobs.__main__.main")
"""The one arrow upwards: a job file, run as a script, is the command line with its own name."""
PLAIN = {"__future__", "dataclasses", "typing", "collections"}
OWN_OF_SCORER = "pipelines.scorer."
STATEFUL = {"random", "secrets", "time", "uuid"}
CLOCKS = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")
OF_SPARK = ("rand", "randn", "uuid", "current_date", "current_timestamp", "now",
            "monotonically_increasing_id")  # fmt: skip
SEEDED = ("np.random.Generator", "np.random.Philox")
"""What draws the same whenever it is given the same key."""

Rule = Callable[[Path], list[str]]


def modules(root: Path, package: str) -> list[Path]:
    """The Python files of a package, relative to the root."""
    return sorted(path.relative_to(root) for path in (root / package).rglob("*.py"))


def parsed(root: Path, path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse((root / path).read_text(encoding="utf-8"))


def imported(root: Path, path: Path, *, for_types: bool = True) -> Iterator[str]:
    """Dotted names that a file imports, or without what only types need."""
    tree = parsed(root, path)
    left_out = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not for_types and id(node) in left_out:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def breaking(
    root: Path, package: str, is_wrong: Callable[[Path, str], bool], *, for_types: bool = True
) -> list[str]:
    """The imports of a package that a rule does not allow."""
    return [
        f"{path} imports {name}"
        for path in modules(root, package)
        for name in imported(root, path, for_types=for_types)
        if is_wrong(path, name)
    ]


def package_of(name: str) -> str:
    """The outermost package of a dotted name."""
    return name.split(".")[0]


def below_jobs(root: Path, name: str) -> str:
    """The module of `jobs` that a dotted name is in; '' for what `jobs` itself declares."""
    parts = name.split(".")
    if parts[0] != "jobs" or len(parts) == 1:
        return ""
    is_module = (root / "jobs" / f"{parts[1]}.py").exists() or parts[1] in ROOMS
    return parts[1] if is_module else ""


def room_of(path: Path) -> str:
    """The room of a file below jobs/; '' for the jobs themselves."""
    return path.parts[1] if len(path.parts) > 2 else ""


def arrows_between_packages(root: Path) -> list[str]:
    """Imports go from jobs to pipelines to schemas."""
    return [
        told
        for package, allowed in ALLOWED.items()
        for told in breaking(
            root, package, lambda _, name, bad=OURS - allowed: package_of(name) in bad
        )
    ]


def arrows_between_rooms(root: Path) -> list[str]:
    """Rooms import inwards; the words that every room speaks import nothing of jobs."""

    def level(room: str) -> int:
        return 1 + ROOMS.index(room) if room in ROOMS else 0

    def is_wrong(path: Path, name: str) -> bool:
        there = below_jobs(root, name)
        if there in ("", "step") or (str(path), name) == ENTRY or room_of(path) == "dags":
            return False
        return str(path) in WORDS or level(there) < level(room_of(path))

    return breaking(root, "jobs", is_wrong, for_types=False)


def arrows_between_jobs(root: Path) -> list[str]:
    """A job imports no other."""
    names = {job.name for job in FLOW}
    return breaking(root, "jobs", lambda _, name: below_jobs(root, name) in names)


def spark_in_schemas(root: Path) -> list[str]:
    """Declarations know the types of Spark, and no more of it."""
    return breaking(
        root,
        "schemas",
        lambda _, name: package_of(name) == "pyspark" and name != "pyspark.sql.types",
    )


def spark_where_it_is_not_told(root: Path) -> list[str]:
    """A file of the core that imports Spark says so in its name or its first lines."""

    def says_spark(path: Path) -> bool:
        told = ast.get_docstring(parsed(root, path)) or ""
        return path.stem.endswith("_spark") or "Spark side" in told

    return breaking(
        root, "pipelines", lambda path, name: package_of(name) == "pyspark" and not says_spark(path)
    )


def spark_in_kernels(root: Path) -> list[str]:
    """What is compiled knows no Spark."""
    kernels = {
        path
        for path in modules(root, "pipelines")
        for name in imported(root, path)
        if package_of(name) == "numba" or name == "pipelines.kernel.kernel"
    }
    return breaking(
        root, "pipelines", lambda path, name: package_of(name) == "pyspark" and path in kernels
    )


def weight_of_the_scorer(root: Path) -> list[str]:
    """A server takes the scorer with numpy and mmh3, and nothing else of the project."""
    allowed = {"numpy", "mmh3", *sys.stdlib_module_names}
    return breaking(
        root,
        "pipelines/scorer",
        lambda _, name: package_of(name) not in allowed and not name.startswith(OWN_OF_SCORER),
    )


def clocks_and_chance_in_the_core(root: Path) -> list[str]:
    """The core has no clock and no random state."""
    wrong = breaking(root, "pipelines", lambda _, name: package_of(name) in STATEFUL)
    for path in modules(root, "pipelines"):
        for node in ast.walk(parsed(root, path)):
            if not isinstance(node, ast.Attribute):
                continue
            name = ast.unparse(node)
            is_chance = name.startswith(("np.random.", "numpy.random.")) and name not in SEEDED
            is_of_spark = name.removeprefix("F.") in OF_SPARK and name.startswith("F.")
            if name.endswith(CLOCKS) or is_chance or is_of_spark:
                wrong.append(f"{path} uses {name}")
    return wrong


def weight_of_the_flow(root: Path) -> list[str]:
    """Schedulers read the flow without starting anything."""
    names = imported(root, Path("jobs/__init__.py"))
    return [f"the flow imports {name}" for name in names if package_of(name) not in PLAIN]


def imports_of_dags(root: Path) -> list[str]:
    """DAGs know the flow and nothing else of ours: a scheduler has no Spark."""
    foreign = {"pyspark", *OURS} - {"jobs"}
    return breaking(
        root,
        "jobs/dags",
        lambda _, name: package_of(name) in foreign or below_jobs(root, name) != "",
    )


def filled_packages(root: Path) -> list[str]:
    """Packages of the core are empty: to import one module is not to import others."""
    return [
        f"{path} is not empty"
        for package in ("pipelines", "schemas")
        for path in modules(root, package)
        if path.name == "__init__.py" and (root / path).stat().st_size
    ]
