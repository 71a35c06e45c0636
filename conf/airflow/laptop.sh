#!/usr/bin/env bash
# Airflow on one machine, with the DAGs of this checkout and Spark in its own environment:
#   conf/airflow/laptop.sh start                start all of it, on loopback (`make airflow`)
#   conf/airflow/laptop.sh dags unpause ctr_daily
#   conf/airflow/laptop.sh dags test ctr_daily  one run in this terminal, without the scheduler
# Any command of `airflow` will do. What is set already, AIRFLOW_HOME or the variable, stays.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
home=$root/.airflow
variable='{
 "package": "HOME/package", "python": "ROOT/.venv/bin/python",
 "root": "HOME/warehouse", "landing": "HOME/landing", "quiet_minutes": 0,
 "arguments": ["--set", "storage.reports=HOME/reports"],
 "spark_binary": "ROOT/.venv/bin/spark-submit",
 "spark": {"spark.driver.memory": "1300m", "spark.ui.enabled": "false",
           "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
           "spark.databricks.delta.snapshotPartitions": "2"}}'
variable=${variable//HOME/$home}
connection='{"conn_type": "spark", "host": "local[2]"}'
export AIRFLOW_VAR_PROMOTED_CTR=${AIRFLOW_VAR_PROMOTED_CTR:-${variable//ROOT/$root}}
export AIRFLOW_CONN_PROMOTED_CTR_SPARK=${AIRFLOW_CONN_PROMOTED_CTR_SPARK:-$connection}
export AIRFLOW_HOME=${AIRFLOW_HOME:-$home} SPARK_LOCAL_IP=127.0.0.1
export PYTHONPATH=$root AIRFLOW__CORE__DAGS_FOLDER=$root/jobs/dags
export AIRFLOW__CORE__LOAD_EXAMPLES=false AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=true
export AIRFLOW__API__HOST=127.0.0.1 AIRFLOW__API__PORT=${AIRFLOW__API__PORT:-8080} AIRFLOW__API__WORKERS=1
export AIRFLOW__CORE__EXECUTION_API_SERVER_URL=http://127.0.0.1:$AIRFLOW__API__PORT/execution/
# Spark leaves the interface little of a small machine: the default of 5 seconds fails tasks.
export AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT=60
export PATH=$home/venv/bin:$PATH
unset SPARK_HOME PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON
[[ ${1:-} == start ]] || exec airflow "$@"

# What `airflow standalone` starts, but for the servers of logs, which would listen on every
# interface; on one machine the logs are read from their files.
airflow db migrate
# A second signal, such as a second Ctrl-C, finds nothing left to stop.
trap 'trap - INT TERM EXIT; kill $(jobs -p) 2> /dev/null; wait' INT TERM EXIT
airflow api-server &
airflow dag-processor &
airflow triggerer --skip-serve-logs &
airflow scheduler --skip-serve-logs &
echo "promoted-ctr: Airflow is at http://127.0.0.1:$AIRFLOW__API__PORT in a moment; Ctrl-C ends it"
wait -n
