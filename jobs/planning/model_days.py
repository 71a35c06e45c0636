"""Days of the joint model: rows and entities of a day as the day's model wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jobs.planning.joint_inputs import joint_spec
from jobs.setup.config import Config
from jobs.storage.day_reader import DayReader
from pipelines.features.feature_rows import even_batches
from pipelines.features.id_rows import packed
from pipelines.features.joint_columns import row_columns
from pipelines.features.joint_registry import JointRegistry
from pipelines.models.contents import Contents
from pipelines.models.joint_growth import places_of, spread, widened, with_kinds
from pipelines.models.joint_state import JointSpec
from pipelines.models.joint_tables import to_contents

ROWS = ("order_key", "surface", "clicked", "sampling_rate", "ids", "place_hash", "ds")
CONTENTS = ("entity", "id", "parts", "kinds", "values")
REFERENCES = ("id", "reference_ids")

# Rows with all columns, their coordinates and what is made of these take 1 KB each.
_AT_A_TIME = 2**14


@dataclass(frozen=True)
class ModelDay:
    """The model of a day, and where the columns and kinds of the day's own rows are in it.

    Attributes
    ----------
    spec : JointSpec
        Of the model: it has all attributes that came until the day.
    registry : JointRegistry
        Of the day's own rows.
    columns, kinds : numpy.ndarray of int64
        Place of each of the registry's columns and contents in the model.
    served : sequence of str
        Namespaces whose weights scoring needs.
    """

    spec: JointSpec
    registry: JointRegistry
    columns: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64]
    served: Sequence[str]

    @classmethod
    def of(cls, config: Config, own: JointRegistry, known: JointRegistry) -> ModelDay:
        """The day whose rows have a registry, of a model that has another, which holds it."""
        return cls(
            joint_spec(config, known),
            own,
            places_of([c.name for c in own.columns], [c.name for c in known.columns]),
            places_of([c.name for c in own.contents], [c.name for c in known.contents]),
            [column.name for column in known.columns if column.is_served],
        )

    def learnt_rows(self, rows: DayReader, day: date) -> Iterator[pa.RecordBatch]:
        """Rows of `ROWS` that are learnt, in order, with all columns: others are predicted only."""
        return self._rows(rows, day, lambda batch: pc.is_valid(batch.column("sampling_rate")))

    def predicted_rows(self, rows: DayReader, day: date) -> Iterator[pa.RecordBatch]:
        """Rows of `ROWS` that are predicted, in order, with all columns."""
        return self._rows(rows, day, lambda batch: pc.equal(batch.column("surface"), "promoted"))

    def _rows(
        self, rows: DayReader, day: date, keep: Callable[[pa.RecordBatch], pa.Array]
    ) -> Iterator[pa.RecordBatch]:
        # Each file is ordered, and they follow each other.
        for batch in even_batches(rows.batches(day)):
            for first in range(0, batch.num_rows, _AT_A_TIME):
                some = batch.slice(first, _AT_A_TIME)
                kept = some.filter(keep(some))
                own = row_columns(self.registry, kept.column("ids"))
                wide = packed(spread(own, self.columns, len(self.spec.rows)))
                yield kept.set_column(kept.schema.get_field_index("ids"), "ids", wide)

    def references(self, entities: DayReader, day: date) -> Iterator[pa.RecordBatch]:
        """Rows of `REFERENCES`: entities at the reference context, with the model's columns."""
        for batch in entities.batches(day):
            wide = widened(batch.column("reference_ids"), self.columns, len(self.spec.rows))
            yield batch.set_column(1, "reference_ids", wide)

    def contents(self, entities: DayReader, day: date) -> dict[str, Contents]:
        """What the day's entities are made of, by entity namespace, from rows of `CONTENTS`."""
        return {
            name: with_kinds(to_contents(entities.among("entity", [name])(day), name), self.kinds)
            for name in self.spec.entities
        }
