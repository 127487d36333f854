# SPDX-License-Identifier: MIT
"""The sums that ./test ends with."""

import re
import sys

from conftest import TOP

sys.path.insert(0, str(TOP / "tests"))

import run_tests  # noqa: E402


def results_of(said, status=0, timeout=60):
    results = run_tests.Results()
    program = f"print({said!r}, flush=True); raise SystemExit({status})"
    run_tests.run_test({"name": "example", "cmd": [sys.executable, "-c", program], "env": {},
                        "timeout": timeout}, results, [])
    return results.passed, results.failed, results.skipped


def test_results_of_a_program():
    assert results_of("1..2\nok 1 - a\nok 2 - b\n") == (2, 0, 0)
    assert results_of("1..2\nok 1 - a\nnot ok 2 - b\n", 1) == (1, 1, 0)
    # Both ways to say that a test was skipped are in use.
    assert results_of("1..3\nok 1 - a\nok 2 # SKIP b\nnot ok 3 # SKIP c\n") == (1, 0, 2)


def test_results_of_the_python_tests():
    assert results_of("...s\n3 passed, 0 failed, 1 skipped\nended\n") == (3, 0, 1)
    assert results_of(".F\n1 passed, 1 failed, 0 skipped\n", 1) == (1, 1, 0)
    # Whoever asks for some of them by name may ask for none of a group.
    assert results_of("0 passed, 0 failed, 0 skipped\n") == (0, 0, 0)


def test_a_program_that_tells_no_results_failed():
    assert results_of("1..2\n") == (0, 1, 0)
    assert results_of("1..2\nok 1 - a\n", 3) == (1, 1, 0)


def test_what_the_machine_lacks_is_skipped(capsys):
    assert results_of("there is no x here", run_tests.SKIPPED_STATUS) == (0, 0, 1)
    assert "  skipped: example: there is no x here\n" in capsys.readouterr().out


def test_a_program_that_does_not_end_failed(capsys):
    results = run_tests.Results()
    run_tests.run_test({"name": "example", "cmd": ["sleep", "1000"], "env": {}, "timeout": 0.1},
                       results, [])
    assert (results.passed, results.failed, results.skipped) == (0, 1, 0)
    assert re.search(r"^ended after \d+\.\d s$", capsys.readouterr().out, re.M)
