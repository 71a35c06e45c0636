"""Out-of-time predictions of the joint model, in the parts that a server adds up."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.id_rows import unpacked
from pipelines.models.joint import JointModel


class JointPredictor:
    """Predicts promoted traffic of a day by the state of the day before.

    Parameters
    ----------
    model : JointModel
        With the day's entities.
    listings : iterable of pyarrow.RecordBatch
        Rows of `joint_entities` of the day, some at a time: id and `reference_ids`, which
        listings have.
    listing_column : int
        Which column of a row holds the listing.
    """

    def __init__(
        self, model: JointModel, listings: Iterable[pa.RecordBatch], listing_column: int
    ) -> None:
        self._model = model
        self._column = listing_column
        scale = model.state.chosen
        self._scale, self._mean, self._variance = scale, model.means(scale), model.variances(scale)
        ids, logits = [np.empty(0, np.int64)], [np.empty(0)]
        for some in listings:
            own = some.filter(pc.is_valid(some.column("reference_ids")))
            at_reference = unpacked(own.column("reference_ids"), len(model.spec.rows))
            ids.append(own.column("id").to_numpy())
            logits.append(model.sums(model.index(at_reference), self._mean))
        self._listing_ids, first = np.unique(np.concatenate(ids), return_index=True)
        self._logits = np.concatenate(logits)[first]

    def predict(self, rows: pa.RecordBatch) -> pa.Table:
        """Predict rows of `joint_rows` with all columns of the model.

        Returns
        -------
        pyarrow.Table
            Columns of `joint_predictions`.
        """
        ids = unpacked(rows.column("ids"), len(self._model.spec.rows))
        located = self._model.located(ids)
        logit = self._model.sums(located[1], self._mean)
        variance = np.zeros(len(ids))
        # Column by column: the bits of numpy's own sums over rows depend on the machine.
        for column in self._model.row_variances(*located, self._variance, self._scale).T:
            variance += column
        listing = ids[:, self._column]
        place = np.searchsorted(self._listing_ids, listing)
        place = np.minimum(place, max(len(self._listing_ids) - 1, 0))
        if len(self._listing_ids):
            known = self._listing_ids[place] == listing
            at_reference = np.where(known, self._logits[place], 0.0)
        else:
            at_reference = np.zeros(len(listing))
        return pa.table(
            {
                "order_key": rows.column("order_key"),
                "listing": at_reference,
                "context": logit - at_reference,
                "variance": variance,
                "ds": rows.column("ds"),
            }
        )
