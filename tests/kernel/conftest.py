# SPDX-License-Identifier: MIT
"""Tests on real kernels: ./test --kernel. Each boots an emulated machine, so they run one after the
other, and checks that need the same machine share a boot."""

import json
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import kernels  # noqa: E402
import lab  # noqa: E402

if "PM_KERNEL" not in os.environ:
    collect_ignore_glob = ["test_*.py"]

BUILD = pathlib.Path(os.environ.get("PM_BUILD", lab.HERE.parent.parent / "build-test")).resolve()


class Boots:
    """Boots each machine and script once; who asks again gets the same result."""

    def __init__(self, factory):
        self.factory, self.results = factory, {}

    def __call__(self, script, **machine):
        key = json.dumps([script, sorted(machine.items())])
        if key not in self.results:
            self.results[key] = self.boot(script, machine)
        if isinstance(self.results[key], Exception):
            raise self.results[key]
        return self.results[key]

    def boot(self, script, machine):
        directory = self.factory.mktemp("boot")
        try:
            done = lab.run(lab.Machine(**machine), script, BUILD, directory)
        except kernels.Unavailable as reason:
            pytest.skip(str(reason))
        except (lab.Died, RuntimeError) as failed:
            return failed
        print(f"boot of {machine}: {done.seconds:.0f} s; what it left: {directory}\n{done.console}")
        return done


@pytest.fixture(scope="session")
def boots(tmp_path_factory):
    return Boots(tmp_path_factory)


@pytest.fixture(params=list(kernels.SUITES))
def kernel(request):
    """A kernel's version; the test is skipped where it cannot be had."""
    try:
        kernels.Kernel(request.param, BUILD).energy_module()
    except kernels.Unavailable as reason:
        pytest.skip(f"Linux {request.param}: {reason}")
    return request.param
