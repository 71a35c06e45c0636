"""The ensemble's solver against pyspark.ml."""

import numpy as np
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession

from pipelines.models.elementary import probabilities
from pipelines.models.logistic import fit_logistic


def test_the_solver_agrees_with_pyspark_ml(spark: SparkSession) -> None:
    rng = np.random.default_rng(8)
    terms = rng.normal(-1.0, 1.0, (1500, 4)) * [1.0, 0.5, 2.0, 10.0]
    clicked = rng.random(1500) < probabilities(terms @ [0.5, 1.0, -0.3, 0.05])
    rows = [(float(y), Vectors.dense(x)) for x, y in zip(terms, clicked, strict=True)]
    frame = spark.createDataFrame(rows, ["label", "features"]).coalesce(1)
    model = LogisticRegression(regParam=2.0 / 1500, tol=1e-14, maxIter=500).fit(frame)
    found = fit_logistic(terms, clicked, l2=2.0)
    np.testing.assert_allclose(found.weights, model.coefficients.toArray(), atol=1e-6)
    np.testing.assert_allclose(found.intercept, model.intercept, atol=1e-6)
