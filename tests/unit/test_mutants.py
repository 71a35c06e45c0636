"""The planted faults can be planted: what `python -m tests.mutants` needs of them."""

from pathlib import Path

import pytest

from tests.mutants.faults import read_faults

ROOT = Path(__file__).parents[2]
FAULTS = read_faults()
EVERY_FAULT = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


@EVERY_FAULT
def test_a_fault_changes_a_text_that_is_there_once(fault):
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.old) == 1
    assert fault.planted_in(text) not in (None, text)


@EVERY_FAULT
def test_a_fault_names_tests_that_are_there_and_what_it_breaks(fault):
    assert fault.tests
    assert all((ROOT / test.partition("::")[0]).exists() for test in fault.tests)
    assert fault.breaks


def test_no_fault_is_listed_twice():
    changes = [(fault.file, fault.old, fault.new) for fault in FAULTS]
    assert len(changes) == len(set(changes))
