"""The Spark session: one for all steps of a run."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.setup.config import Config
from jobs.setup.environment import check_java, check_user, conf_directory
from jobs.setup.exits import UsageError
from jobs.setup.jars import ensure_delta_jars, ensure_jars
from jobs.setup.s3_jars import s3_jars
from jobs.setup.stores import is_s3, spark_options

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What every session needs to give the right result, wherever it runs.
SPARK = "4.2."
"""The versions that Delta's jars are made for; `setup.cfg` pins one."""
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
ALWAYS = DELTA | {
    "spark.sql.session.timeZone": "UTC",
    # mapInArrow maps columns by position, silently, unless told to look at the names.
    "spark.sql.execution.arrow.pyspark.validateSchema.enabled": "true",
    # Parquet of nanoseconds, which pandas writes, is refused otherwise.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    # Filters that follow from filters: of no use where days are always named, and where a SELECT's
    # expressions stand in the conditions on a row, minutes of planning.
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def is_submitted() -> bool:
    """Whether spark-submit started this process."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def read_properties(path: Path) -> dict[str, str]:
    """A spark-defaults style file: ``key value`` lines and # comments."""
    pairs = (
        line.split(None, 1)
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    )
    return {key: value.strip() for key, value in pairs}


def uses_s3(config: Config) -> bool:
    """Whether Spark has to read S3."""
    return any(map(is_s3, (config.storage.root, config.storage.landing)))


def session_settings(
    config: Config, *, submitted: bool, reads_tables: bool = True, is_short: bool = False
) -> dict[str, str]:
    """Every setting of the session.

    Parameters
    ----------
    submitted : bool
        Whether spark-submit started this process: then master, jars and Java options are its.
    reads_tables : bool
        Without, nothing of Delta is loaded, which takes a second or two.
    is_short : bool
        For a few small jobs: code is compiled once and quickly, which saves a quarter of them.
    """
    settings = {key: value for key, value in ALWAYS.items() if reads_tables or key not in DELTA}
    if not submitted:
        settings |= read_properties(conf_directory() / "spark" / "local.conf")
        settings["spark.master"] = config.spark.master
        jars = ensure_delta_jars() if reads_tables else []
        if uses_s3(config):
            jars += ensure_jars(s3_jars())
        own = config.spark.settings.get("spark.jars", "")
        if listed := [*map(str, jars), *filter(None, [own])]:
            settings["spark.jars"] = ",".join(listed)
        logging_file = conf_directory() / "log4j2.properties"
        key = "spark.driver.extraJavaOptions"
        if is_short:
            settings[key] = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
        settings[key] = f"{settings.get(key, '')} -Dlog4j2.configurationFile={logging_file}".strip()
    if uses_s3(config):
        settings |= spark_options(config.storage.options)
    given = dict(config.spark.settings)
    if not submitted:
        # A user's own archives have joined the others.
        given.pop("spark.jars", None)
    if submitted:
        # Its JVM runs already: spark-submit's --driver-memory has said how large it is.
        given.pop("spark.driver.memory", None)
    return settings | given


def check_spark(config: Config) -> None:
    """Refuse a Spark that Delta's jars are not made for, and one without a JVM at hand.

    Raises
    ------
    UsageError
    """
    import pyspark

    if not pyspark.__version__.startswith(SPARK):
        raise UsageError(
            f"this is Spark {pyspark.__version__}, and Delta's jars are made for {SPARK}x: submit "
            "with a Spark of that version, or with the environment that `make package` makes"
        )
    remote = os.environ.get("SPARK_REMOTE") or config.spark.settings.get("spark.remote")
    if remote or os.environ.get("SPARK_CONNECT_MODE_ENABLED"):
        raise UsageError(
            "Spark Connect has no JVM at hand, in which broadcasts and the lock of the warehouse "
            "are: unset SPARK_REMOTE, spark.remote and SPARK_CONNECT_MODE_ENABLED, and run on a "
            "master, by spark-submit or spark.master"
        )


def start_session(
    config: Config, name: str, *, reads_tables: bool = True, is_short: bool = False
) -> SparkSession:
    """Start (or find) the session; `reads_tables` and `is_short` as of `session_settings`.

    Raises
    ------
    UsageError
        When there is no fit Java or Spark, no JVM at hand, or a Delta jar cannot be had.
    """
    check_spark(config)
    submitted = is_submitted()
    if not submitted:
        check_java()
        check_user()
        # Java takes the letters of file names, and how it writes numbers and letters, from the
        # locale: it shall not matter who calls.
        os.environ["LC_ALL"] = "C.UTF-8"
        # Workers would take the system's python otherwise.
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark.logger import PySparkLogger
    from pyspark.sql import SparkSession

    settings = session_settings(
        config, submitted=submitted, reads_tables=reads_tables, is_short=is_short
    )
    if not submitted:
        _start_java(settings)
    builder = SparkSession.builder.appName(name)
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    if not hasattr(spark, "_jsparkSession"):
        raise UsageError(
            "this Spark session has no JVM at hand (a shared or serverless cluster, or Spark "
            "Connect): run on a cluster of your own, by spark-submit"
        )
    spark.sparkContext.setLogLevel("ERROR")
    # What these tell, with traces, is told again by the error itself.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        PySparkLogger.getLogger(name).setLevel(logging.CRITICAL)
    return spark


def _start_java(settings: Mapping[str, str]) -> None:
    """Start the JVM, where there is none yet, without the note that Java writes of a module of it.

    Spark asks for that module, and Java has no setting against the note.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    if SparkContext._gateway is not None:
        return
    ours, of_java = os.pipe()

    def pass_on() -> None:
        with os.fdopen(ours, errors="replace") as lines:
            for line in lines:
                if "Using incubator modules" not in line:
                    sys.stderr.write(line)

    threading.Thread(target=pass_on, name="java-stderr", daemon=True).start()
    conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
    SparkContext._gateway = launch_gateway(conf, {"stderr": of_java})
    SparkContext._jvm = SparkContext._gateway.jvm
    os.close(of_java)
