# SPDX-License-Identifier: MIT
"""What shells complete: the program's own rows, asked for as a shell asks."""

import os
import shlex
import shutil
import subprocess

import pytest

from conftest import POWERMEASURE, TOP

FOLDER = TOP / "completions"

BASH = """
. {folder}/powermeasure.bash
COMP_WORDS=({words}) COMP_CWORD={last}
_powermeasure
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

FISH = "source {folder}/powermeasure.fish; complete -C {line}"

# The functions that zsh's own are called in place of show what they would be given.
ZSH = """
_describe() {{ print -rl -- "${{(P@)4}}" }}
_arguments() {{ print -rl -- "$@" }}
words=({words}) CURRENT={count}
. {folder}/_powermeasure
"""


def answer(shell, script, *words):
    if not shutil.which(shell):
        pytest.skip(f"no {shell}")
    words = ["powermeasure", *words]
    quoted = " ".join(shlex.quote(word) for word in words)
    text = script.format(folder=shlex.quote(str(FOLDER)), words=quoted, last=len(words) - 1,
                         count=len(words), line=shlex.quote(" ".join(words)))
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    path = f"{POWERMEASURE.parent}:{os.environ['PATH']}"
    done = subprocess.run([shell, *quiet, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, cwd=str(TOP), env=dict(os.environ, PATH=path))
    assert done.stderr == "", done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("words, expected", [
    (["pl"], ["plugin"]),
    (["help", "c"], ["compare", "capture"]),
    (["run", "--exp"], ["--export-json", "--export-csv", "--export-markdown"]),
    (["plugin", "--log-format", ""], ["readme", "camera-traps"]),
    (["plugin", "--log-dir", "completio"], ["completions"]),
    (["send", "st"], ["start", "stop"]),
    (["list", "--hel"], ["--help"]),
    (["compare", "READ"], ["README.md"]),
])
def test_bash(words, expected):
    assert answer("bash", BASH, *words) == expected


@pytest.mark.parametrize("words, expected", [
    (["pl"], ["plugin"]),
    (["help", "c"], ["capture", "compare"]),
    (["run", "--exp"], ["--export-csv", "--export-json", "--export-markdown"]),
    (["plugin", "--log-format", ""], ["camera-traps", "readme"]),
    (["send", "st"], ["start", "stop"]),
])
def test_fish(words, expected):
    assert [line.split("\t")[0] for line in answer("fish", FISH, *words)] == expected


def test_zsh():
    assert "compare:compare two saved runs" in answer("zsh", ZSH, "")
    plugin = answer("zsh", ZSH, "plugin", "--log")
    assert "*--log-format[choose the logs' form]:readme|camera-traps:(readme camera-traps)" in plugin
    assert any(line.startswith("*--log-dir[") and line.endswith(":DIR:_files -/") for line in plugin)
    # What _arguments would take for the end of a description stands behind a backslash.
    assert any(r"like tcp\://engine\:6010" in line for line in plugin)
    run = answer("zsh", ZSH, "run", "--")
    assert "*-r[run it N times; from the second on its input is /dev/null]:N:" in run
    assert "*::command:_normal" in run
