# SPDX-License-Identifier: MIT
"""What the documents say is so: options, environment variables, commands, files and the Python call."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from conftest import TOP, run

# What the program says of itself: the rows from which it reads its command line.
ROWS = [["" if field == "-" else field for field in line.split("\t")]
        for line in run("--print-options").stdout.splitlines()]
COMMANDS = [row[1] for row in ROWS if row[0] == "command"]
PAGES = sorted(TOP.glob("docs/man/*.scd"))
DOCUMENTS = sorted([TOP / "README.md", *TOP.glob("docs/*.md"), TOP / "python" / "README.md"])


def options_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--help", "--version"}


def blocks(text, language=r"\w*"):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def name_of(path):
    return str(path.relative_to(TOP))


# ---- man pages ------------------------------------------------------------------------------------


def heads_of_rows(command):
    """As a man page has them: ("-p", "--pid", "PID"), with "" for what there is not."""
    return [("-" + letter if letter else "", "--" + name, argument)
            for kind, of, letter, name, argument, *_ in (row for row in ROWS if row[0] == "option")
            if of == command]


def heads_in_page(command):
    page = (TOP / "docs" / "man" / f"powermeasure-{command}.1.scd").read_text()
    part = re.search(r"^# OPTIONS\n(.*?)^# ", page, re.M | re.S).group(1)
    heads = [head for line in part.splitlines() if line.startswith("*-")
             for head in re.findall(r"(?:\*(-\w)\*, )?\*(--[\w-]+)\*(?: ([^\s,]+))?", line)]
    return [(letter, name, re.sub(r"[*_]", "", argument)) for letter, name, argument in heads]


@pytest.mark.parametrize("command", [c for c in COMMANDS if heads_of_rows(c)])
def test_the_man_page_has_the_options_of_the_program(command):
    """Letters, names and arguments, in the same order."""
    assert heads_in_page(command) == heads_of_rows(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_each_option_in_80_columns(command):
    text = run(command, "--help").stdout
    assert max(map(len, text.splitlines())) <= 80
    for letter, name, argument in heads_of_rows(command):
        head = f"{letter + ',' if letter else '':>5} {name} {argument}".rstrip()
        assert re.search(rf"^{re.escape(head)}(  .*)?$", text, re.M), head


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_the_exit_statuses(command):
    last = run(command, "--help").stdout.rstrip().split("\n\n")[-1]
    assert re.match(r"Exit status: .*2", last, re.S)


def test_every_command_is_in_the_main_page_and_the_help():
    page = (TOP / "docs" / "man" / "powermeasure.1.scd").read_text()
    described = set(re.findall(r"^\*(\w+)\*\n\t", page, re.M))
    assert described == set(COMMANDS)
    helped = re.findall(r"^  (\w+) +\w", run("--help").stdout.split("Commands:")[1], re.M)
    assert helped == COMMANDS


# ---- command lines that readers copy --------------------------------------------------------------


def command_lines():
    for path in (*DOCUMENTS, *PAGES):
        text = path.read_text()
        lines = [line for block in blocks(text) for line in block.splitlines()]
        if path.suffix == ".scd":
            lines = [line.strip() for line in text.splitlines() if line.startswith("\tpower")]
        lines += re.findall(r"`((?:powermeasure|\./run) [^`]*)`", text)
        for line in lines:
            if re.match(r"(powermeasure|\./run) +[a-z]", line):
                yield pytest.param(line, id=f"{name_of(path)}: {line}")


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_in_the_documents_is_understood(line):
    """With --help behind its options a command reads all that stands before and does nothing."""
    words = shlex.split(line, comments=True)[1:]
    words = words[:words.index("--")] if "--" in words else words
    done = run(*words, "--help", timeout=10)
    assert done.returncode == 0 and done.stdout.startswith("usage: "), done.stderr


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_options_named_in_a_document_exist(path):
    known = set().union(*(options_in(run(command, "--help").stdout) for command in COMMANDS))
    named = set()
    for code in re.findall(r"`(--[a-z][^`]*)`", path.read_text()):
        named |= options_in(code)
    assert named <= known


# ---- tests by name --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_tests_named_in_a_document_exist(path):
    """`file::test`, a file without a folder lying in tests/e2e/, or `tests/.../file` alone."""
    for file, test in re.findall(r"`([\w./]*test_\w+\.(?:py|c))(?:::(\w+))?`", path.read_text()):
        text = (TOP / (file if "/" in file else f"tests/e2e/{file}")).read_text()
        assert not test or re.search(rf"^(?:def|static void) {test}\(", text, re.M), test


# ---- environment, links, Python -------------------------------------------------------------------


def test_the_environment_variables_are_those_of_the_program():
    read = {row[1] for row in ROWS if row[0] == "variable"}
    read |= {row[7] for row in ROWS if row[0] == "option" and row[7]}
    ours = re.compile(r"\b(?:POWER_MEASURING|POWERMEASURE|TRAPS)_[A-Z_]+\b")
    of_programs = {"POWERMEASURE_PHASES"}  # for those who are measured
    for path in ("README.md", "docs/man/powermeasure-plugin.1.scd"):
        assert set(ours.findall((TOP / path).read_text())) - of_programs == read


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_readmes_python_call_works_as_it_stands(plugin):
    p = plugin("--sensors", "sim")
    code, = [block for block in blocks((TOP / "README.md").read_text(), "python")
             if "connect(" in block]
    assert "tcp://127.0.0.1:6010" in code
    code = code.replace("tcp://127.0.0.1:6010", p.address)
    code = code.replace("send_power_measure_fb_event(socket,", "print(send_power_measure_fb_event(socket,")
    code = re.sub(r"monitor_duration\)$", "monitor_duration))", code, flags=re.M)
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                          timeout=30, env=dict(os.environ, PYTHONPATH=str(TOP / "python")))
    assert done.returncode == 0
    assert done.stdout == "event-engine: msg published\n"
