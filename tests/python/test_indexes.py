# SPDX-License-Identifier: MIT
"""Which figure has which index in Python: the driver's number."""

import sys

import pytest

from conftest import TOP

sys.path.insert(0, str(TOP / "python"))

from powermeasure._monitor import Domain, _indexes  # noqa: E402


def domain(name, kind="gpu", counted=True):
    return Domain(name, kind, "sensor", "", "measured", counted, None, None, None, None)


@pytest.mark.parametrize("names, indexes", [
    (["gpu-0", "gpu-1"], {0: 0, 1: 1}),
    (["gpu-1", "gpu-0"], {0: 1, 1: 0}),
    (["gpu-3"], {3: 0}),
    # A chip whose slot's name has a number in it, too, and comes first.
    (["amdgpu-0000:c1:00.0", "gpu-0"], {0: 1, 1: 0}),
    (["gpu-0", "amdgpu-0000:c1:00.0", "i915-0000:00:02.0"], {0: 0, 1: 1, 2: 2}),
    (["gpu-0", "gpu-0"], {0: 0, 1: 1}),
])
def test_gpus(names, indexes):
    assert _indexes([domain(name) for name in names])["gpu"] == indexes


def test_packages_and_their_memory():
    domains = [domain("package-1", "cpu"), domain("package-0", "cpu"),
               domain("package-0-uncore", "cpu", counted=False), domain("package-1-dram", "dram")]
    assert _indexes(domains)["cpu"] == {0: 1, 1: 0}
    assert _indexes(domains)["dram"] == {1: 3}
