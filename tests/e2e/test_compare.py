# SPDX-License-Identifier: MIT
"""Several commands in turn, exports, budgets, and powermeasure compare."""

import copy
import csv
import io
import json
import os
import re
import subprocess
import time

import pytest

from conftest import AS_NOBODY, BUILD, GIVE_UP_S, POWERMEASURE, TOP, run, sim_script
from test_run import KINDS, check_sums

SIM = ("--sensors", "sim")
BURN = BUILD / "tests" / "fake" / "burn"
FLAT = {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]], "unit": [1, 1], "update_ms": 1,
        "stamped": True}


def schema(name):
    return json.loads((TOP / "docs" / f"{name}.schema.json").read_text())


def validate(document, name):
    pytest.importorskip("jsonschema").validate(document, schema(name))


def burn(ms, *more):
    return "exec " + " ".join(map(str, [BURN, ms, *more]))


# ---- several commands ------------------------------------------------------------------------------


def test_runs_go_in_turn(tmp_path):
    log = tmp_path / "log"
    done = run("run", *SIM, "-r", "2", "-w", "1", "--pre", f"printf p >>{log}", "--post",
               f"printf q >>{log}", "-n", "one", f"cat; printf a >>{log}", "-n", "two",
               f"cat; printf b >>{log}", input="given")
    assert done.returncode == 0 and log.read_text() == "paqpbq" * 3
    assert done.stdout == "given"  # the first run has the input, as one command has


def test_the_document_of_several_commands(tmp_path):
    done = run("run", *SIM, "-r", "3", "-I", "10", "--units-regex", "([0-9]+) images", "--json", "-n",
               "one", "echo 2 images; " + burn(30), "-n", "two", burn(60), "echo 5 images",
               "-o", tmp_path / "report", "--export-json", tmp_path / "export")
    assert done.returncode == 0 and done.stdout == "2 images\n5 images\n" * 3
    assert (tmp_path / "report").read_text() == (tmp_path / "export").read_text()
    report = json.loads((tmp_path / "report").read_text())
    validate(report, "run")
    assert [c["name"] for c in report["commands"]] == ["one", "two", "echo 5 images"]
    assert report["commands"][1]["command"] == ["/bin/sh", "-c", burn(60)]
    for command in report["commands"]:
        assert len(command["runs"]) == 3
        for figures in (command, *command["runs"]):
            check_sums(figures)
        for kind in ("cpu", "dram"):
            assert command["command_energy_j"][kind] == pytest.approx(
                sum(r["command_energy_j"][kind] for r in command["runs"]), abs=1e-9)
    assert report["commands"][0]["units"]["count"] == 6
    assert report["commands"][1]["units"] is None
    # Each against the best, by its mean run: CPU and memory, not the GPU, of which nobody knows.
    energy = {c["name"]: c["command_energy_j"]["cpu"] + c["command_energy_j"]["dram"]
              for c in report["commands"]}
    assert [c["name"] for c in report["comparison"]] == ["one", "two"]
    for line in report["comparison"]:
        assert line["base"] == "echo 5 images" and line["kinds"] == ["cpu", "dram"]
        assert line["ratio"] == pytest.approx(energy[line["name"]] / energy[line["base"]], rel=1e-5)
        assert line["low"] <= line["ratio"] and line["scatter_known"]
    assert any("GPU is left out" in x for x in report["warnings"])


def test_a_single_commands_document_is_what_it_was(tmp_path):
    """Whoever reads one by its schema of before can read it now."""
    done = run("run", *SIM, "--json", "--export-json", tmp_path / "export", "--", "true")
    assert json.loads(done.stderr) == json.loads((tmp_path / "export").read_text())
    assert list(json.loads(done.stderr)) == [
        "schema_version", "version", "command", "exit_status", "verdict", "attribution", "elapsed_s",
        "domains",
        "machine_energy_j", "command_energy_j", "command_energy_range_j", "command_cpu_s",
        "idle_energy_j", "other_energy_j", "power_w", "tool", "sensors", "scale_error", "statistics",
        "units", "phases", "phase_markers", "runs", "warnings"]
    validate(json.loads(done.stderr), "run")


def test_one_command_with_a_name():
    done = run("run", *SIM, "--json", "-n", "it", "exit 3")
    report = json.loads(done.stderr)
    validate(report, "run")
    assert done.returncode == report["exit_status"] == 3 and report["comparison"] == []
    assert report["commands"][0]["name"] == "it" and report["commands"][0]["exit_status"] == 3
    assert re.search(r"^it: true$", run("run", *SIM, "-n", "it", "true").stderr, re.M)


def test_the_text_report(tmp_path):
    sensors = sim_script(tmp_path / "flat.json", FLAT)
    done = run("run", "--sensors", sensors, "-r", "5", "-n", "more", burn(100), "-n", "less", burn(50))
    found = re.search(r"^less uses ([0-9.]+) \+- ([0-9.]+) times less energy than more "
                      r"\(([0-9.]+) to ([0-9.]+)\)$", done.stderr, re.M)
    assert found, done.stderr
    ratio, half, low, high = map(float, found.groups())
    assert low < 2 < high and ratio - low <= half * 1.02 and half < 0.5
    assert len(re.findall(r"^5 runs, together", done.stderr, re.M)) == 2
    # What is to be said of both is said once.
    assert done.stderr.count("is simulated") == 1
    done = run("run", "--sensors", sensors, "-n", "a", burn(50, 5), "-n", "b", burn(50, 5))
    assert re.search(r"^[ab] and [ab] cannot be told apart: ", done.stderr, re.M), done.stderr
    assert "how far runs differ is not known" in done.stderr


def test_an_estimate_is_called_so(tmp_path):
    done = run("run", "--sensors", "estimate", "-r", "3", "-n", "a", burn(100), "-n", "b", burn(50),
               "--export-markdown", tmp_path / "md", "--export-csv", tmp_path / "csv", "--json")
    report = json.loads(done.stderr)
    validate(report, "run")
    assert any("ratio is one of the model's figures" in x for x in report["warnings"])
    # Half or twice of all: it is the same for both.
    assert report["scale_error"]["cpu"]["low"] == 0.5
    line, = report["comparison"]
    assert 1 < line["low"] < 2 < line["high"] < 4, line
    assert "ESTIMATED" in (tmp_path / "md").read_text()
    assert "estimated" in (tmp_path / "csv").read_text()


@pytest.mark.parametrize("arguments, said", [
    (["-n", "a"], "no command follows the name 'a'"),
    (["-n", "a", "-n", "b", "MARK"], "-n: no command follows the name 'a'"),
    (["-n", "a", "MARK", "-n", "a", "MARK"], "two commands have the name \"a\""),
    (["-n", "MARK", "MARK", "MARK"], "two commands have the name"),
    (["-n", "", "MARK"], "-n: empty, or not all of it can be shown: ''"),
    (["-n", "a\nb", "MARK"], "-n: empty, or not all of it can be shown"),
    (["-n", "a", ""], "a command is empty"),
    (["-n", "a", "MARK", "--nonsense"], "--nonsense"),
    (["-n", "a", "MARK", "-r"], "-r needs a value"),
    (["--max-joules", "0", "MARK"], "--max-joules: not a number of joules from 0.000001 to 1000000000: '0'"),
    (["--max-joules", "x", "MARK"], "--max-joules: not a number of joules from 0.000001 to 1000000000: 'x'"),
    (["--export-json", "/no/such/place", "MARK"], "--export-json /no/such/place: No such file"),
    (["--export-csv", "/no/such/place", "MARK"], "--export-csv /no/such/place: No such file"),
    (["--export-markdown", "/no/such/place", "MARK"], "--export-markdown /no/such/place: No such"),
    (["--export-csv", "TWICE", "--export-json", "TWICE", "MARK"], "two reports would go into"),
    (["--export-csv", "TWICE", "-o", "TWICE", "MARK"], "two reports would go into"),
    (["--export-csv", "-", "-o", "-", "MARK"], "two reports would go into '-'"),
])
def test_what_was_not_run(arguments, said, tmp_path):
    mark = tmp_path / "ran"
    mark.write_text(f"#!/bin/sh\ntouch {mark}.done\n")
    mark.chmod(0o755)
    names = {"MARK": str(mark), "TWICE": str(tmp_path / "twice")}
    done = run("run", *SIM, *[names.get(x, x) for x in arguments])
    assert done.returncode == 125 and said in done.stderr, done.stderr
    assert not (tmp_path / "ran.done").exists()


def test_names_and_operands(tmp_path):
    """Options may stand between commands; behind -- all are commands."""
    done = run("run", *SIM, "-n", "a", "true", "-r", "2", "--json", "--", "echo x", "--", "-n")
    said, _, report = done.stderr.partition("{")
    assert [c["name"] for c in json.loads("{" + report)["commands"]] == ["a", "echo x", "--", "-n"]
    assert done.returncode != 0 and "/bin/sh" in said  # which does not know "--" as a command
    done = run("run", *SIM, "true", "-n", "b")  # before any -n it is an argument
    assert done.returncode == 0 and "true -n b" in done.stderr


def test_a_run_that_fails_ends_all(tmp_path):
    log = tmp_path / "log"
    script = f"printf b >>{log}; [ $(wc -c <{log}) -ne 4 ] || exit 7"
    command = ["-r", "3", "-n", "a", f"printf a >>{log}", "-n", "b", script, "--json"]
    done = run("run", *SIM, *command)
    report = json.loads(done.stderr)
    assert done.returncode == 7 and log.read_text() == "abab"
    validate(report, "run")
    assert [len(c["runs"]) for c in report["commands"]] == [2, 2]
    assert [c["exit_status"] for c in report["commands"]] == [0, 7]
    log.unlink()
    done = run("run", *SIM, "-i", *command)
    assert done.returncode == 7 and log.read_text() == "ababab"
    assert any("a run failed" in x for x in json.loads(done.stderr)["warnings"])
    done = run("run", *SIM, "--json", "-n", "a", "sleep 0.1; exit 5", "-n", "b", "true")
    report = json.loads(done.stderr)
    validate(report, "run")
    assert done.returncode == 5 and report["commands"][1]["runs"] == []
    line, = report["comparison"]
    assert line["ratio"] is None and not line["scatter_known"]


# ---- exports ---------------------------------------------------------------------------------------


def test_csv(tmp_path):
    awkward = 'true; : "quoted, twice" \'and\n on two lines\''
    done = run("run", *SIM, "-r", "2", "--units", "4", "-n", 'a "name", so', awkward, "-n", "b",
               burn(20), "--export-csv", tmp_path / "x.csv", "--export-json", tmp_path / "x.json")
    assert done.returncode == 0, done.stderr
    raw = (tmp_path / "x.csv").read_bytes()
    report = json.loads((tmp_path / "x.json").read_text())
    assert raw.endswith(b"\r\n") and raw.count(b"\r\n") == 5
    rows = list(csv.DictReader(io.StringIO(raw.decode(), newline=""), strict=True))
    assert [(r["name"], r["run"]) for r in rows] == [
        ('a "name", so', "1"), ('a "name", so', "2"), ("b", "1"), ("b", "2")]
    assert rows[0]["command"] == awkward and rows[2]["command"] == burn(20)
    runs = [r for c in report["commands"] for r in c["runs"]]
    for row, one in zip(rows, runs):
        assert None not in row and None not in row.values()  # as many fields as the head has
        assert row["units"] == "4" and row["exit_status"] == "0"
        assert float(row["elapsed_s"]) == one["elapsed_s"]
        assert float(row["machine_j"]) == one["machine_energy_j"]["energy_j"]
        for kind in KINDS:
            for column, value in [
                    ("command_j", one["command_energy_j"][kind]),
                    ("idle_j", one["idle_energy_j"][kind]), ("other_j", one["other_energy_j"][kind]),
                    ("tool_j", one["tool"]["energy_j"][kind]),
                    ("command_low_j", (one["command_energy_range_j"][kind] or {}).get("low_j"))]:
                shown = row[f"{kind}_{column}"]
                # What is not known is empty, and never 0.
                assert (shown == "") if value is None else float(shown) == value, (kind, column)
    assert rows[0]["gpu_command_j"] == ""


def test_exports_of_a_single_command(tmp_path):
    done = run("run", *SIM, "--export-csv", tmp_path / "x.csv", "--export-markdown", tmp_path / "x.md",
               "--", "sh", "-c", "exit 3")
    assert done.returncode == 3
    row, = csv.DictReader((tmp_path / "x.csv").open(newline=""), strict=True)
    assert row["name"] == row["units"] == "" and row["command"] == "sh -c exit 3"
    assert row["exit_status"] == "3"
    head, rule, line = (tmp_path / "x.md").read_text().splitlines()
    assert "Relative" not in head and line.startswith("| `sh -c exit 3` | 1 |")
    assert head.count("|") == rule.count("|") == line.count("|")


def test_markdown(tmp_path):
    done = run("run", *SIM, "-r", "2", "-n", "more", burn(60), "-n", "a | b", burn(20), "-n", "`c`",
               burn(60), "--export-markdown", tmp_path / "x.md", "--export-json", tmp_path / "x.json")
    assert done.returncode == 0
    lines = (tmp_path / "x.md").read_text().splitlines()
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert cells[0] == ["Command", "Runs", "CPU + DRAM [J]", "Min [J]", "Max [J]", "Time [s]", "Relative"]
    assert [c[0] for c in cells[2:]] == ["`more`", "`a \\| b`", "`` `c` ``"]
    assert all(len(c) == 7 for c in cells) and cells[3][6] == "1.00"
    ratio = json.loads((tmp_path / "x.json").read_text())["comparison"][0]["ratio"]
    assert float(cells[2][6].split()[0]) == pytest.approx(ratio, rel=0.02)
    assert re.fullmatch(r"[0-9.e-]+ ± [0-9.e-]+", cells[2][2])


def test_what_is_in_a_file_stays_until_there_is_a_report(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("x" * 1000000)
    done = run("run", *SIM, "--export-json", old, "--export-csv", new, "/no/such/command")
    assert done.returncode == 127
    assert old.read_text() == "x" * 1000000 and not new.exists()
    done = run("run", *SIM, "--export-json", old, "--export-csv", new, "true")
    assert done.returncode == 0 and json.loads(old.read_text()) and new.exists()


def test_an_export_that_fails_in_the_end():
    done = run("run", *SIM, "--export-csv", "/dev/full", "--", "true")
    assert done.returncode == 125 and "/dev/full cannot be written: No space left" in done.stderr
    done = run("run", *SIM, "--export-csv", "/dev/full", "--", "sh", "-c", "exit 4")
    assert done.returncode == 4 and "/dev/full cannot be written" in done.stderr
    done = run("run", *SIM, "--export-json", "/dev/stdout", "-o", "/dev/null", "--", "true")
    assert json.loads(done.stdout)["exit_status"] == 0


# ---- statuses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command, status", [
    (["--max-joules", "1000", "--", "true"], 0),
    (["--max-joules", "0.000001", "--", str(BURN), "30"], 3),
    (["--max-joules", "0.000001", "--", "sh", "-c", "exit 9"], 9),
    (["--max-joules", "0.000001", "--", "sh", "-c", "kill -KILL $$"], 137),
    (["--max-joules", "0.000001", "--", "/no/such/command"], 127),
    (["--max-joules", "0.000001", "--", "/etc/passwd"], 126),
    (["--max-joules", "nonsense", "--", "true"], 125),
    (["--max-joules", "1000", "-n", "a", burn(5), "-n", "b", burn(5)], 0),
    (["--max-joules", "0.0001", "-n", "a", burn(30), "-n", "b", "true"], 3),
    (["--max-joules", "0.000001", "-n", "a", burn(30), "-n", "b", "exit 6"], 6),
    (["-n", "a", "no-such-command-anywhere"], 127),
    (["-n", "a", "/etc/passwd"], 126),
])
def test_status(command, status, tmp_path):
    done = run("run", *SIM, "-o", tmp_path / "report", *command)
    assert done.returncode == status, done.stderr
    if status == 3:
        assert "over budget: the mean run used" in (tmp_path / "report").read_text()


def test_the_budget_is_the_mean_runs(tmp_path):
    sensors = sim_script(tmp_path / "flat.json", FLAT)
    options = ["--sensors", sensors, "-r", "4", "--json", "--", BURN, "50"]
    mean = json.loads(run("run", *options).stderr)["command_energy_j"]["cpu"] / 4
    assert run("run", "--max-joules", f"{mean * 1.5:.6f}", *options).returncode == 0
    done = run("run", "--max-joules", f"{mean * 0.5:.6f}", *options)
    assert done.returncode == 3
    assert any("over budget" in x for x in json.loads(done.stderr)["warnings"])


def test_a_budget_that_nothing_is_known_of(tmp_path):
    sensors = sim_script(tmp_path / "gpu.json", dict(FLAT, name="gpu-0", kind="gpu"))
    done = run("run", "--sensors", sensors, "--max-joules", "1", "--", "true")
    assert done.returncode == 4 and "no energy of the command is known" in done.stderr


# ---- documents -------------------------------------------------------------------------------------


def by_kind(value=None):
    return {kind: value if kind == "cpu" else None for kind in KINDS}


def document(commands, quality="measured", sensor="rapl-perf", scale=(0, 0), model=None, part=0.01):
    """As run -n writes it, without what compare does not read. commands: {name: joules of its runs}."""
    return {
        "schema_version": 1, "exit_status": 0,
        "sensors": [{"name": sensor, "kind": "cpu", "scope": "package", "quality": quality}],
        "scale_error": by_kind({"low": scale[0], "high": scale[1], "model": model}),
        "commands": [{"name": name, "runs": [
            {"command_energy_range_j": by_kind(
                {"energy_j": j, "low_j": j * (1 - part) * (1 - scale[0]),
                 "high_j": j * (1 + part) * (1 + scale[1])}), "other_energy_j": by_kind(1.0)}
            for j in joules]} for name, joules in commands.items()]}


def single(joules):
    """As run without -n writes it."""
    doc = document({"x": joules})
    return {"schema_version": 1, "command": ["./infer", "model.bin"], "exit_status": 0,
            "sensors": doc["sensors"], "scale_error": doc["scale_error"],
            "runs": doc["commands"][0]["runs"]}


def compare(tmp_path, old, new, *options):
    for name, doc in (("old", old), ("new", new)):
        (tmp_path / f"{name}.json").write_text(doc if isinstance(doc, str) else json.dumps(doc))
    return run("compare", tmp_path / "old.json", tmp_path / "new.json", *options)


TEN = [10.0, 10.1, 9.9, 10.05, 9.95, 10.0, 10.1, 9.9, 10.02, 9.98]


def times(factor):
    return [j * factor for j in TEN]


@pytest.mark.parametrize("factor, options, verdict, status", [
    (1.2, [], "worse", 0), (1.2, ["--fail-above", "5%"], "worse", 3),
    (1.2, ["--fail-above", "5"], "worse", 3), (1.2, ["--fail-above", "19.9%"], "worse", 3),
    (1.2, ["--fail-above", "20.1%"], "worse", 0), (1.2, ["--fail-above", "0%"], "worse", 3),
    (0.8, ["--fail-above", "5%"], "better", 0), (1.002, ["--fail-above", "0%"], "same", 0),
    (1, ["--fail-above", "5%"], "same", 0),
])
def test_verdict(tmp_path, factor, options, verdict, status):
    done = compare(tmp_path, document({"a": TEN}), document({"a": times(factor)}), *options)
    assert done.returncode == status, done
    shown = {"same": "same within noise"}.get(verdict, verdict)
    assert done.stdout.startswith(f"a: {shown}: ") and done.stderr == ""
    done = compare(tmp_path, document({"a": TEN}), document({"a": times(factor)}), *options, "--json")
    assert done.returncode == status
    told = json.loads(done.stdout)
    validate(told, "compare")
    line, = told["commands"]
    assert line["verdict"] == verdict and line["exceeds"] == (status == 3)
    assert line["low"] < factor < line["high"] and line["ratio"] == pytest.approx(factor)
    assert line["old_energy_j"] == pytest.approx(sum(TEN) / 10) and line["new_runs"] == 10


def test_noise_is_not_worse(tmp_path):
    """A tenth more, of runs that differ by a third."""
    noisy = [6.0, 14.0, 9.0, 11.0, 7.0, 13.0]
    done = compare(tmp_path, document({"a": noisy}), document({"a": [j * 1.1 for j in noisy]}),
                   "--fail-above", "5%")
    assert done.returncode == 0 and done.stdout.startswith("a: same within noise")


def test_commands_are_matched(tmp_path):
    old = document({"a": TEN, "b": TEN, "gone": TEN})
    new = document({"b": times(2), "a": TEN, "more": TEN})
    done = compare(tmp_path, old, new, "--json", "--fail-above", "5%")
    told = json.loads(done.stdout)
    validate(told, "compare")
    assert done.returncode == 3
    assert [(x["name"], x["verdict"]) for x in told["commands"]] == [("b", "worse"), ("a", "same")]
    assert told["only_old"] == ["gone"] and told["only_new"] == ["more"]
    assert sum("only" in x for x in told["warnings"]) == 2
    # One here and one there, whatever they are called.
    done = compare(tmp_path, document({"a": TEN}), document({"b": times(2)}))
    assert done.returncode == 0 and done.stdout.startswith("b: worse")
    done = compare(tmp_path, document({"a": TEN}), document({"b": TEN, "c": TEN}))
    assert done.returncode == 1 and "no command of the same name" in done.stderr


def test_a_single_commands_document(tmp_path):
    done = compare(tmp_path, single(TEN), single(times(1.5)), "--fail-above", "5%", "--json")
    told = json.loads(done.stdout)
    validate(told, "compare")
    line, = told["commands"]
    assert done.returncode == 3 and line["name"] == "./infer model.bin"
    assert line["low"] < 1.5 < line["high"] < line["low"] + 0.05
    assert compare(tmp_path, single(TEN), document({"a": TEN})).returncode == 0


def test_a_document_without_its_scale(tmp_path):
    """All of its doubt counts then, and that is said."""
    old, new = single(TEN), single(times(1.5))
    del old["scale_error"], new["scale_error"]
    done = compare(tmp_path, old, new, "--json")
    told = json.loads(done.stdout)
    assert told["commands"][0]["high"] - told["commands"][0]["low"] > 0.05
    assert any("does not tell which of its doubt" in x for x in told["warnings"])


def test_one_run_tells_no_scatter(tmp_path):
    done = compare(tmp_path, document({"a": [10.0]}), document({"a": [12.0]}), "--json")
    told = json.loads(done.stdout)
    line, = told["commands"]
    assert not line["scatter_known"] and any("one run" in x for x in told["warnings"])
    assert line["low"] == pytest.approx(1.2 * 0.99 / 1.01, rel=1e-6)
    assert line["high"] == pytest.approx(1.2 * 1.01 / 0.99, rel=1e-6)


ESTIMATE = {"quality": "estimated", "sensor": "estimate", "scale": (0.5, 1), "model": "a model"}


def test_estimates(tmp_path):
    """Of one model the scale cancels; a measurement beside it, or another model, is warned of."""
    done = compare(tmp_path, document({"a": TEN}, **ESTIMATE), document({"a": times(1.2)}, **ESTIMATE),
                   "--fail-above", "5%")
    assert done.returncode == 3 and "CPU is an estimate" in done.stdout
    for other in ({}, {**ESTIMATE, "model": "another"}):
        done = compare(tmp_path, document({"a": TEN}, **ESTIMATE), document({"a": times(1.2)}, **other),
                       "--fail-above", "5%", "--json")
        told = json.loads(done.stdout)
        assert done.returncode == 0 and told["commands"][0]["verdict"] == "same"
        assert any("the sensors differ" in x and "a model" in x for x in told["warnings"])


def test_a_kind_that_one_does_not_know_is_left_out(tmp_path):
    old, new = document({"a": TEN}), document({"a": TEN})
    for one in new["commands"][0]["runs"]:
        one["command_energy_range_j"]["dram"] = {"energy_j": 50, "low_j": 49, "high_j": 51}
    done = compare(tmp_path, old, new, "--json")
    told = json.loads(done.stdout)
    assert told["commands"][0]["kinds"] == ["cpu"]
    assert told["commands"][0]["ratio"] == pytest.approx(1)
    assert any("DRAM is left out" in x for x in told["warnings"])
    for one in new["commands"][0]["runs"]:
        one["command_energy_range_j"]["cpu"] = None
    done = compare(tmp_path, old, new, "--json", "--fail-above", "5%")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    validate(told, "compare")
    assert told["commands"][0]["verdict"] == "unknown"
    assert any("no energy is known of both" in x for x in told["warnings"])


def test_a_failed_run_is_warned_of(tmp_path):
    failed = dict(document({"a": TEN}), exit_status=4)
    assert "a run failed with status 4" in compare(tmp_path, document({"a": TEN}), failed).stdout


def without(doc, *path):
    doc = copy.deepcopy(doc)
    at = doc
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return doc


def changed(doc, value, *path):
    doc = copy.deepcopy(doc)
    at = doc
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return doc


GOOD = document({"a": TEN, "b": TEN})
RANGE = ("commands", 1, "runs", 2, "command_energy_range_j")


@pytest.mark.parametrize("bad, said", [
    ("", "new.json: line 1, column 0: "),
    ('{\n "schema_version": 1,\n "runs": [,]\n}', "new.json: line 3, column 11: "),
    ("[]", "new.json: is no document of"),
    ("{}", "new.json: is no document of"),
    ({"schema_version": 1, "targets": []}, "new.json: is no document of"),
    (changed(GOOD, 2, "schema_version"), "schema_version 2 is not known"),
    (changed(GOOD, "1", "schema_version"), "new.json: is no document of"),
    (changed(GOOD, [], "commands"), "new.json: commands: there is no command in it"),
    (changed(GOOD, [3], "commands"), "new.json: commands[0]: is no command"),
    (changed(GOOD, "a", "commands", 1, "name"), "commands[1]: there is \"a\" twice"),
    (without(GOOD, "commands", 1, "name"), "commands[1].command: is no list of words"),
    (changed(GOOD, [], "commands", 0, "runs"), "commands[0].runs: no run was measured"),
    (without(GOOD, "commands", 0, "runs"), "commands[0].runs: is no list of runs"),
    (without(GOOD, *RANGE), "commands[1].runs[2].command_energy_range_j: is missing"),
    (without(GOOD, *RANGE, "dram"), "commands[1].runs[2].command_energy_range_j.dram: is missing"),
    (changed(GOOD, 4, *RANGE, "cpu"), "command_energy_range_j.cpu: is neither null nor"),
    (changed(GOOD, "4", *RANGE, "cpu", "low_j"), "cpu.low_j: is no number"),
    (changed(GOOD, -4, *RANGE, "cpu", "low_j"), "cpu.low_j: is below 0"),
    (changed(GOOD, 1e300, *RANGE, "cpu", "energy_j"), "cpu.energy_j: is too large"),
    (without(GOOD, "sensors"), "sensors: is no list of sensors"),
    (changed(GOOD, [{}], "sensors"), "sensors[0]: is no sensor"),
    (changed(GOOD, {"low": 1, "high": 0}, "scale_error", "cpu"), "scale_error.cpu: low: is not below"),
    (changed(GOOD, {"low": 0.1}, "scale_error", "cpu"), "scale_error.cpu.high: is no number"),
])
def test_a_document_that_is_none(tmp_path, bad, said):
    for old, new in ((GOOD, bad), (bad, GOOD)):
        done = compare(tmp_path, old, new)
        assert done.returncode == 1 and done.stdout == "", done
        if old is bad:
            said = said.replace("new.json", "old.json")
        assert said in done.stderr and "json: " in done.stderr, done.stderr


@pytest.mark.parametrize("arguments, status, said", [
    ([], 2, "two documents are needed"), (["GOOD"], 2, "two documents are needed"),
    (["GOOD", "GOOD", "GOOD"], 2, "unexpected argument: "),
    (["--nonsense", "GOOD", "GOOD"], 2, "--nonsense"),
    (["GOOD", "GOOD", "--fail-above"], 2, "--fail-above needs a value"),
    (["GOOD", "GOOD", "--fail-above", "x"], 2, "--fail-above: not a percentage from 0 to 100000: 'x'"),
    (["GOOD", "GOOD", "--fail-above", "-3%"], 2, "--fail-above: not a percentage from 0 to 100000: '-3%'"),
    (["GOOD", "GOOD", "--fail-above", "%"], 2, "--fail-above: not a percentage from 0 to 100000: '%'"),
    (["GOOD", "/no/such/file"], 1, "/no/such/file: No such file"),
    (["/", "GOOD"], 1, "/: "),
    (["GOOD", "GOOD"], 0, ""),
])
def test_command_line(tmp_path, arguments, status, said):
    (tmp_path / "good").write_text(json.dumps(GOOD))
    done = run("compare", *[tmp_path / "good" if x == "GOOD" else x for x in arguments])
    assert done.returncode == status and said in done.stderr, done


# ---- how often it is right -------------------------------------------------------------------------


@pytest.mark.alone
def test_the_interval_holds_the_truth(tmp_path):
    """Two programs that use 40 and 70 ms of CPU time on the average, evenly spread by 20 %, under a
    power that goes up and down meanwhile: the ratio of their energies is 7/4. PM_COMPARE=100 makes
    as many tries; else as many as fit into some seconds."""
    wanted = int(os.environ.get("PM_COMPARE", "0"))
    wave = dict(FLAT, curve=[[0.0137, 25.0], [0.0137, 55.0]], stamped=False)
    sensors = sim_script(tmp_path / "wave.json", wave)
    until = time.monotonic() + 15
    tries, inside, told_apart = [], 0, 0
    compared = 0
    while len(tries) < (wanted or 10) or (not wanted and time.monotonic() < until):
        done = run("run", "--sensors", sensors, "-r", "5", "--json", "-n", "less", burn(40, 20), "-n",
                   "more", burn(70, 20), timeout=120)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stderr)
        line, = report["comparison"]
        low, high = line["low"], line["high"] or float("inf")
        if line["name"] == "less":
            low, high = 1 / high, 1 / low
        inside += low <= 1.75 <= high
        told_apart += low > 1
        # The same of two documents.
        halves = [dict(report, commands=[c for c in report["commands"] if c["name"] == name])
                  for name in ("less", "more")]
        told, = json.loads(compare(tmp_path, *halves, "--json").stdout)["commands"]
        compared += told["low"] <= 1.75 <= (told["high"] or float("inf"))
        tries.append((round(low, 3), round(high, 3), round(told["low"], 3), told["high"]))
    print(f"{len(tries)} tries: {inside} held by run, {compared} by compare, {told_apart} told apart")
    # 95 of 100 are aimed at and 90 needed; of few tries three may miss.
    may_miss = max(3, len(tries) // 10)
    assert len(tries) - inside <= may_miss, tries
    assert len(tries) - compared <= may_miss, tries
    assert told_apart >= 0.8 * len(tries), tries


# ---- continuous integration ------------------------------------------------------------------------


def test_the_recipe_for_ci(tmp_path, request):
    """The document's own steps: a first build, one without a change, one that is worse."""
    text = (TOP / "docs" / "ci.md").read_text()
    steps, = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    sensors = sim_script(tmp_path / "flat.json", FLAT)
    program = tmp_path / "bin" / "powermeasure"
    program.parent.mkdir()
    program.write_text(f"""#!/bin/sh
command=$1; shift
if [ "$command" = run ]; then set -- --sensors {sensors} "$@"; fi
exec {BUILD / "src" / "powermeasure"} "$command" "$@"
""")
    program.chmod(0o755)
    infer = tmp_path / "infer"

    def build(ms):
        infer.write_text(f"#!/bin/sh\n[ \"$1\" = model.bin ] && {burn(ms)}\n")
        infer.chmod(0o755)
        return subprocess.run(["/bin/sh", "-c", steps], cwd=tmp_path, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=GIVE_UP_S,
                              env=dict(os.environ, PATH=f"{program.parent}:/usr/bin:/bin"))

    done = build(40)
    assert done.returncode == 0, done
    baseline = (tmp_path / "baseline.json").read_text()
    assert "| `infer` | 10 |" in (tmp_path / "energy.md").read_text()
    done = build(40)
    assert done.returncode == 0 and "infer: same within noise" in done.stdout, done
    done = build(80)
    assert done.returncode == 3 and "infer: worse" in done.stdout, done
    assert (tmp_path / "baseline.json").read_text() == baseline
    infer.write_text("#!/bin/sh\nexit 9\n")
    done = subprocess.run(["/bin/sh", "-c", steps], cwd=tmp_path, stderr=subprocess.PIPE,
                          timeout=GIVE_UP_S,
                          env=dict(os.environ, PATH=f"{program.parent}:/usr/bin:/bin"))
    assert done.returncode == 9


def test_what_a_budget_leaves_out_is_said():
    done = run("run", *SIM, "--max-joules", "1000", "--", "true")
    assert done.returncode == 0 and "--max-joules: GPU is left out" in done.stderr


def test_a_document_without_a_run_replaces_none(tmp_path):
    kept = tmp_path / "base.json"
    kept.write_text("precious")
    done = run("run", *SIM, "-r", "2", "-w", "1", "-n", "infer", "exit 7", "--export-json", kept)
    assert done.returncode == 7 and kept.read_text() == "precious"
    done = run("run", "--sensors", "nosuch", "-o", kept, "--", "true")
    assert done.returncode == 125 and kept.read_text() == "precious"


def test_output_that_is_redirected_stays(tmp_path):
    path = tmp_path / "all"
    with open(path, "w") as file:
        for text in "before", "after":
            file.write(text + "\n")
            file.flush()
            subprocess.run([str(POWERMEASURE), "run", *SIM, "--export-csv", "/dev/stdout", "-o",
                            "/dev/stdout", "--", "echo", "hello"], stdout=file, check=True)
            file.seek(0, os.SEEK_END)
    text = path.read_text()
    assert text.startswith("before\nhello\n") and text.count("hello\n") >= 2
    assert "\nafter\n" in text and text.count("name,command,run") == 2 and "\0" not in text


def test_a_report_that_cannot_be_written_is_a_failure():
    done = run("run", *SIM, "-o", "/dev/full", "--", "true")
    assert done.returncode == 125 and "cannot be written: No space left" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file capabilities")
def test_the_right_to_read_sensors_reads_no_documents(public):
    """With the capability that list advises: what a user may not read is not told him."""
    program = public / "powermeasure"
    if subprocess.run(["setcap", "cap_dac_read_search+ep", program],
                      stderr=subprocess.DEVNULL).returncode:
        pytest.skip("files cannot have capabilities here")
    secret = public / "secret"
    secret.write_text("topsecret stuff")
    secret.chmod(0o600)
    for command in (["compare", secret, secret], ["list", "--sensors", f"sim:{secret}"],
                    ["run", "--sensors", f"sim:{secret}", "--", "true"]):
        done = subprocess.run([*AS_NOBODY, program, *command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, cwd="/")
        if done.returncode == 126 or "Operation not permitted" in done.stdout:
            pytest.skip("a program with capabilities cannot be started here")
        assert "topsecret" not in done.stdout and done.returncode != 0, done
        assert command[0] == "run" or "Permission denied" in done.stdout, done
