"""Features of a user's own whose input no row has are named."""

import pyarrow as pa
import pytest

from jobs.landing.feature_inputs import empty_inputs, own_inputs
from jobs.planning.inputs import assembler
from jobs.setup.config_layers import load_config
from jobs.setup.exits import UsageError


def config_with(tmp_path, *inputs):
    form = '[[features.more]]\nname = "own{0}"\nmodel = "both"\nscope = "context"\nowner = "me"\n'
    form += 'encoding = "identity"\ninputs = ["{1}"]\nwhy = "so"\n'
    text = "".join(form.format(place, name) for place, name in enumerate(inputs))
    (tmp_path / "own.toml").write_text(text)
    return load_config(files=[tmp_path / "own.toml"], environment={})


def batch(attributes, **columns):
    kind = pa.map_(pa.string(), pa.string())
    return pa.record_batch({"attributes": pa.array(attributes, kind), **columns})


@pytest.mark.parametrize(
    ("attributes", "empty"),
    [
        ([None, [("there", "1")]], ["attributes.nope"]),
        ([[("nope", "")], None], ["attributes.nope", "attributes.there"]),
        ([[("there", "1")], [("nope", "x")]], []),
    ],
)
def test_an_attribute_that_no_row_has_or_that_is_always_empty_is_found(tmp_path, attributes, empty):
    wanted = own_inputs(config_with(tmp_path, "attributes.nope", "attributes.there"))
    batches = [batch([one]) for one in attributes]
    assert [one.name for one in empty_inputs(wanted, batches)] == empty


def test_a_column_that_is_always_null_is_found(tmp_path):
    wanted = own_inputs(config_with(tmp_path, "device"))
    none = batch([None], device=pa.array([None], pa.string()))
    assert "feature own0 learns nothing" in empty_inputs(wanted, [none])[0].text
    assert not empty_inputs(wanted, [none, batch([None], device=pa.array(["phone"]))])


@pytest.mark.parametrize("name", ["nope", "attributes", "device.nope", "price"])
def test_an_input_that_is_no_column_of_the_scope_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=f"feature namespace own0: unknown input {name}"):
        assembler(config_with(tmp_path, name), {})
