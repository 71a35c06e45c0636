"""What an installation says to its DAGs: the Airflow variable `promoted_ctr`, a JSON object."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from airflow.sdk import Variable

VARIABLE = "promoted_ctr"
TASKS = ("planner", "steps")
MODES = ("client", "cluster")
SEE = "see docs/airflow.md"


@dataclass(frozen=True)
class Settings:
    """The variable's keys.

    Attributes
    ----------
    package : str
        The folder that ``make package`` made, on every worker.
    root, landing : str
        Where the tables are and where raw files land, as for every command.
    source : str
        Which source the logs are.
    sources : tuple of str
        Sources that `ctr_check_sources` checks; the source by default.
    arguments : tuple of str
        Further arguments of every command, such as ``--env prod``.
    python : str
        A Python that has the packages of the lock, on every node; where it is not named, the
        package's own environment is used.
    image : str
        Where the package lies in the image, on Kubernetes: ``local:///opt/promoted-ctr``.
    spark_binary : str
        The ``spark-submit`` that workers call.
    deploy_mode : {'client', 'cluster'}
        Where drivers run. Exit codes come back from the client's machine and from Kubernetes only.
    spark : dict
        Further settings of spark-submit, such as ``spark.executor.instances``.
    tasks : {'planner', 'steps'}
        One task that plans and makes all that is due, or one task a job of the flow.
    start : str
        First log day that is scheduled.
    landing_hours, run_hours : float
        How long logs are waited for, and how long one task may take.
    quiet_minutes : float
        How old the youngest file of a log must be for the log to have landed whole.
    """

    package: str
    root: str
    landing: str
    source: str = "canonical"
    sources: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    python: str = ""
    image: str = ""
    spark_binary: str = "spark-submit"
    deploy_mode: Literal["client", "cluster"] = "client"
    spark: dict[str, str] = field(default_factory=dict)
    tasks: Literal["planner", "steps"] = "planner"
    start: str = "2026-01-01"
    landing_hours: float = 12
    run_hours: float = 6
    quiet_minutes: float = 10

    @classmethod
    def load(cls) -> Settings:
        """Read the variable.

        Raises
        ------
        ValueError
            It is not there, or says something that is not understood; Airflow shows it as the
            import error of the DAG file.
        """
        values: Any = Variable.get(VARIABLE, default=None, deserialize_json=True)
        if not isinstance(values, dict):
            raise ValueError(f"set the Airflow variable {VARIABLE} to a JSON object: {SEE}")
        known = {key.name for key in fields(cls)}
        missing = sorted({"package", "root", "landing"} - set(values))
        if missing:
            raise ValueError(f"the Airflow variable {VARIABLE} lacks {', '.join(missing)}: {SEE}")
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(
                f"the Airflow variable {VARIABLE} has unknown {', '.join(unknown)}: {SEE}"
            )
        for key, choices in (("tasks", TASKS), ("deploy_mode", MODES)):
            if values.get(key, choices[0]) not in choices:
                raise ValueError(
                    f"the Airflow variable {VARIABLE}: {key} is {' or '.join(choices)}: {SEE}"
                )
        lists = {key: tuple(values[key]) for key in ("sources", "arguments") if key in values}
        return cls(**{**values, **lists})

    @property
    def common(self) -> list[str]:
        """Arguments of every command."""
        places = ["--root", self.root, "--landing", self.landing, "--source", self.source]
        return [*places, *self.arguments, "--log-format", "text"]

    def file(self, name: str) -> str:
        """A file of the package, on the worker."""
        return str(Path(self.package) / name)

    def submitted(self, name: str) -> str:
        """A file of the package, where drivers and executors find it."""
        return f"{self.image.rstrip('/')}/{name}" if self.image else self.file(name)

    @property
    def jars(self) -> list[str]:
        """Names of Delta's jars."""
        return sorted(path.name for path in Path(self.file("jars")).glob("*.jar"))

    @property
    def client_python(self) -> str:
        """The Python of drivers and of alerts, on the worker."""
        named = "" if self.image else self.python
        return named or self.file("environment/bin/python")
