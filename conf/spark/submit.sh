#!/usr/bin/env bash
# Submit a command of promoted-ctr to a cluster, with what lies beside this file:
#   ./submit.sh --master spark://host:7077 -- run --date 2026-02-06 --env prod --root DIR --landing DIR
# Before -- stand options of spark-submit, which win over cluster.conf; after it the command. The
# driver runs here, in the environment that is unpacked once, or with --deploy-mode cluster there.
# Where every node has the packages, PYSPARK_PYTHON and PYSPARK_DRIVER_PYTHON name their Python.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
options=()
while [[ $# -gt 0 && $1 != -- ]]; do options+=("$1"); shift; done
[[ $# -gt 1 ]] || { echo "usage: $0 [options of spark-submit] -- command" >&2; exit 2; }
shift
submit=${SPARK_HOME:+$SPARK_HOME/bin/}spark-submit
command -v "$submit" > /dev/null || { echo "no $submit: set SPARK_HOME to a Spark 4.2" >&2; exit 2; }

export PYSPARK_PYTHON=${PYSPARK_PYTHON:-./environment/bin/python}
if [[ " ${options[*]} " == *"deploy-mode"?"cluster "* ]]; then
    export PYSPARK_DRIVER_PYTHON=$PYSPARK_PYTHON
elif [[ -z ${PYSPARK_DRIVER_PYTHON:-} ]]; then
    export PYSPARK_DRIVER_PYTHON=$here/environment/bin/python
    if [[ ! -d $here/environment ]]; then
        # Whole or not at all, where two runs start at once.
        unpacked=$(mktemp -d "$here/.environment.XXXXXX")
        tar -xzf "$here/environment.tar.gz" -C "$unpacked"
        chmod 755 "$unpacked"
        mv -T "$unpacked" "$here/environment" 2> /dev/null || rm -rf "$unpacked"
    fi
fi
archives=()
[[ $PYSPARK_PYTHON != ./* ]] || archives=(--archives "$here/environment.tar.gz#environment")
jars=$(printf ',%s' "$here"/jars/*.jar)
exec "$submit" --properties-file "$here/cluster.conf" --load-spark-defaults --jars "${jars:1}" \
    --py-files "$here/promoted-ctr.zip" "${archives[@]}" "${options[@]}" "$here/promoted_ctr.py" "$@"
