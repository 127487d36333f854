# SPDX-License-Identifier: MIT
"""read_log(): what the plugin has written, as rows."""

import json
import sys
from datetime import datetime

import pytest

from conftest import TOP, start_event

sys.path.insert(0, str(TOP / "python"))

from powermeasure import LogRow, read_log  # noqa: E402


def test_keys_with_and_without_microseconds(tmp_path):
    path = tmp_path / "CPU.json"
    path.write_text('{"2023-08-25 05:50:59": [8.369286, "337263", "python"], '
                    '"2023-08-25 05:50:59.500000": [8.153751, "337264", "sh"]}\n')
    assert read_log(path) == [
        LogRow(datetime(2023, 8, 25, 5, 50, 59), 8.369286, 337263, "python"),
        LogRow(datetime(2023, 8, 25, 5, 50, 59, 500000), 8.153751, 337264, "sh")]
    assert read_log(str(path))[1].name == "sh"


def test_a_devices_log(tmp_path):
    path = tmp_path / "GPU.json"
    path.write_text('{"2023-08-25 05:50:57": 48.570000}\n')
    assert read_log(path) == [LogRow(datetime(2023, 8, 25, 5, 50, 57), 48.57, None, None)]


def test_camera_traps_logs(tmp_path):
    path = tmp_path / "cpu.json"
    path.write_text('[{"2023-08-25 05:50:57": [[1.5, "7"], [2.5, "8"]]},\n'
                    '{"2023-08-25 05:50:58": [[1.0, "7"]]}]\n')
    assert [(row.watts, row.pid) for row in read_log(path)] == [(1.5, 7), (2.5, 8), (1.0, 7)]


def test_an_empty_log(tmp_path):
    (tmp_path / "CPU.json").write_text("{}\n")
    assert read_log(tmp_path / "CPU.json") == []


@pytest.mark.parametrize("text", ["7", '{"a": 1}', '{"2023-08-25 05:50:57": {}}', "[1]",
                                  '{"2023-08-25 05:50:57": []}'])
def test_what_is_no_log(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match="not a log of powermeasure: .*x.json"):
        read_log(tmp_path / "x.json")


def test_a_frame(tmp_path):
    pandas = pytest.importorskip("pandas")
    (tmp_path / "CPU.json").write_text(
        '{"2023-08-25 05:50:59": [8.5, "7", "a"], "2023-08-25 05:50:59.500000": [9.5, "8", "b"]}\n')
    table = read_log(tmp_path / "CPU.json", frame=True)
    assert list(table.columns) == ["time", "watts", "pid", "name"]
    assert table["time"].is_monotonic_increasing and table.groupby("pid")["watts"].sum()[8] == 9.5
    (tmp_path / "GPU.json").write_text("{}")
    empty = read_log(tmp_path / "GPU.json", frame=True)
    assert isinstance(empty, pandas.DataFrame) and len(empty) == 0
    assert empty["watts"].dtype == "float64"


def test_what_a_plugin_wrote(plugin, load):
    p, one = plugin("--sensors", "sim", "--rate", "10"), load(0.2)
    p.send(start_event([one.pid], [0], 1))
    p.wait_said("time is up")
    rows = read_log(p.log_dir / "CPU.json")
    assert len(rows) == len(json.loads((p.log_dir / "CPU.json").read_text())) >= 5
    assert {row.pid for row in rows} == {one.pid}
    assert [row.time for row in rows] == sorted(row.time for row in rows)
    assert read_log(p.log_dir / "GPU.json")
