# SPDX-License-Identifier: MIT
"""The sums that ./test ends with."""

import sys

from conftest import TOP

sys.path.insert(0, str(TOP / "tests"))

import run_tests  # noqa: E402


def results_of(tap, status=0):
    results = run_tests.Results()
    program = f"print({tap!r}); raise SystemExit({status})"
    run_tests.run_program("example", [sys.executable, "-c", program], {}, results, [])
    return results.passed, results.failed, results.skipped


def test_results_of_a_program():
    assert results_of("1..2\nok 1 - a\nok 2 - b\n") == (2, 0, 0)
    assert results_of("1..2\nok 1 - a\nnot ok 2 - b\n", 1) == (1, 1, 0)
    # Both ways to say that a test was skipped are in use.
    assert results_of("1..3\nok 1 - a\nok 2 # SKIP b\nnot ok 3 # SKIP c\n") == (1, 0, 2)


def test_a_program_that_tells_no_results_failed():
    assert results_of("1..2\n") == (0, 1, 0)
    assert results_of("1..2\nok 1 - a\n", 3) == (1, 1, 0)
