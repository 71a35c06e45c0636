#!/usr/bin/env bash
# Airflow on one machine, with the DAGs of this checkout and Spark in its own environment:
#   conf/airflow/laptop.sh standalone          everything, on loopback (`make airflow`)
#   conf/airflow/laptop.sh dags test ctr_daily --conf '{"date": "2026-02-06"}'
# Whatever is set already stays as it is.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
home=$root/.airflow
: "${AIRFLOW_HOME:=$home}" "${AIRFLOW_VAR_PROMOTED_CTR:=$(cat << JSON
{"package": "$home/package", "root": "$root/data/warehouse", "landing": "$root/data/landing",
 "arguments": ["--set", "storage.reports=$root/data/reports"], "quiet_minutes": 0,
 "python": "$root/.venv/bin/python", "spark_binary": "$root/.venv/bin/spark-submit",
 "spark": {"spark.driver.memory": "1300m", "spark.ui.enabled": "false",
           "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
           "spark.databricks.delta.snapshotPartitions": "2"}}
JSON
)}"
: "${AIRFLOW_CONN_PROMOTED_CTR_SPARK:={\"conn_type\": \"spark\", \"host\": \"local[2]\"}}"
export AIRFLOW_HOME AIRFLOW_VAR_PROMOTED_CTR AIRFLOW_CONN_PROMOTED_CTR_SPARK
export PYTHONPATH=$root AIRFLOW__CORE__DAGS_FOLDER=$root/jobs/dags
export AIRFLOW__CORE__LOAD_EXAMPLES=false AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=true
export AIRFLOW__API__HOST=127.0.0.1 AIRFLOW__API__PORT=${AIRFLOW__API__PORT:-8080}
export PATH=$home/venv/bin:$PATH
unset SPARK_HOME PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON
exec airflow "$@"
