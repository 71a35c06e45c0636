"""What the golden record says when it does not agree."""

from __future__ import annotations

from tests.golden.digests import Entry, complaint, read_stored


def changed(job: str, **parts: object) -> dict[str, Entry]:
    """The stored record with another entry of one job."""
    stored = read_stored()
    return stored | {job: stored[job] | parts}


def test_a_record_that_agrees_has_nothing_to_say() -> None:
    assert complaint(read_stored(), read_stored()) is None


def test_whether_a_promise_broke_is_asked_before_the_record_is_rebuilt() -> None:
    told = complaint(
        changed("sample_training", writes={"training_samples": "other"}), read_stored()
    )
    assert told is not None
    assert "sample_training writes other training_samples, sampling_rates from the same" in told
    order = [told.index(words) for words in ("promise", "mend", "output_version", "rebuild")]
    assert order == sorted(order)


def test_what_a_job_is_made_from_is_told_apart_from_what_it_writes() -> None:
    told = complaint(changed("fit_ensemble", settings="other"), read_stored())
    assert told is not None
    assert "fit_ensemble is made from other settings" in told
    assert "fit_ensemble writes" not in told
