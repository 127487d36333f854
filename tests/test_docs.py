# SPDX-License-Identifier: MIT
"""The man pages and the --help texts name the same options."""

import re

import pytest

from conftest import TOP, run


def options_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--help", "--version"}


@pytest.mark.parametrize("command", ["plugin", "list", "send"])
def test_man_page_and_help_agree(command):
    page = (TOP / "docs" / "man" / f"powermeasure-{command}.1.scd").read_text()
    assert options_in(page) == options_in(run(command, "--help").stdout)
