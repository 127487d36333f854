# SPDX-License-Identifier: MIT
"""The image of deploy/camera-traps: what its files say, and its steps, done and run without a
container engine. With PM_IMAGE=1 also in a Debian of its own, from its first package on."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

import image
from boards import BOARDS, put
from conftest import BURN, GIVE_UP_S, POWERMEASURE, TOP, start_event, terminate_event, wait_for
from engine_standin import QUIT, standin  # noqa: F401

UID = 4711
PROGRAM = "/usr/local/bin/powermeasure"
ENTRY = "/usr/local/bin/powermeasure-entry"
PERFMON, DAC_READ_SEARCH = 1 << 38, 1 << 2

# How a container may be started: the user, what capabilities there are, and which of them the program
# then has.
BOTH = PERFMON | DAC_READ_SEARCH
WAYS = {
    "privileged": (UID, None, {}, BOTH),
    "no word of capabilities": (UID, image.DOCKERS_OWN, {}, 0),
    "cap_add PERFMON": (UID, [*image.DOCKERS_OWN, image.PERFMON], {}, PERFMON),
    "cap_add DAC_READ_SEARCH": (UID, [*image.DOCKERS_OWN, "dac_read_search"], {}, DAC_READ_SEARCH),
    "cap_drop ALL": (UID, [], {}, 0),
    "no-new-privileges": (UID, None, {"no_new_privs": True}, 0),
    "privileged, root": (0, None, {}, BOTH),
    "root": (0, image.DOCKERS_OWN, {}, 0),
}


# ---- what the files say --------------------------------------------------------------------------


def test_the_dockerfile_says_what_a_deployment_needs():
    assert image.environment() == {
        "POWER_MEASURING_PLUGIN_HOST": "engine", "POWERMEASURE_LOG_FORMAT": "camera-traps",
        "TRAPS_POWER_LOG_PATH": "/logs", "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "utility"}
    # As lists: the program gets the signals, and no shell the words.
    assert image.single("ENTRYPOINT") == [ENTRY] and image.single("CMD") == ["plugin"]
    build, last = image.stages()
    assert [name for name, _ in last].count("COPY") == 0  # a copied file may lose its capabilities
    assert {arguments.split()[0] for stage in (build, last) for name, arguments in stage
            if name == "FROM"} == {"${DEBIAN}"}
    assert ("ARG", "DEBIAN=debian:12-slim") in image.instructions()


def test_nothing_asks_for_more_than_it_needs():
    for path in sorted(image.DEPLOY.iterdir()):
        text = re.sub(r"^ *#.*$", "", path.read_text(), flags=re.M)
        if path.suffix != ".md":
            assert "sudo" not in text and "docker.sock" not in text and "0777" not in text, path


def test_the_steps_leave_out_nothing_that_is_built():
    ignored = [line for line in (image.DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
               if not line.startswith("#")]
    needed = {"meson.build", "meson_options.txt", "src", "include", "bench", "docs", "scripts",
              "deploy"}
    assert not any(pathlib.PurePath(name).match(pattern) for name in needed for pattern in ignored)


def test_the_compose_example_swaps_the_service():
    yaml = pytest.importorskip("yaml", reason="python3-yaml is not installed")
    document = yaml.safe_load((image.DEPLOY / "docker-compose.override.yml").read_text())
    service = document["services"]["powerMonitorPlugin"]  # the stock one's name
    assert service["image"].startswith("tapis/power_measuring_plugin_py:")
    assert service["pid"] == "host"
    known = set(re.findall(r"\b(?:POWER_MEASURING|POWERMEASURE|TRAPS)_[A-Z_]+\b",
                           (TOP / "README.md").read_text()))
    assert set(service["environment"]) - {"TZ"} <= known
    assert "volumes" not in service and "user" not in service
    assert service["pull_policy"] == "never"


# ---- the steps, done and run ---------------------------------------------------------------------


class Container:
    """The image's entry point, started in a root as a container would start it."""

    def __init__(self, root, hosts, way, more_env, pid_namespace=False):
        uid, capabilities, how, _ = WAYS[way]
        command = [*image.as_user(uid, capabilities, **how), *image.single("ENTRYPOINT"),
                   *image.single("CMD"), "--sensors", "sim"]
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **image.environment(), **more_env}
        self.said = ""
        self.process = subprocess.Popen(
            root.argv(command, hosts=hosts, pid_namespace=pid_namespace), env=env,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.said += line.decode(errors="replace")

    def status(self):
        """What the kernel tells of the program, which has replaced all that started it."""
        return pathlib.Path(f"/proc/{self.process.pid}/status").read_text()

    def children(self):
        """The pids of programs that it has started, as one text."""
        threads = pathlib.Path(f"/proc/{self.process.pid}/task")
        return "".join(path.read_text() for path in threads.glob("*/children"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        result = self.process.wait(GIVE_UP_S)
        self._reader.join(5)
        return result

    def wait_asked(self, standin, n):  # noqa: F811
        """Waits until it has asked the engine for an event, or has ended, which it should not."""
        wait_for(lambda: standin.n_asked >= n or self.process.poll() is not None,
                 what="a request for an event")
        if self.process.poll() is not None:
            self._reader.join(5)
            raise AssertionError(f"it ended with {self.process.returncode}")

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # whatever it may have left
        except ProcessLookupError:
            pass
        self.process.wait()


def why_not():
    """Why no root can be made here, or None."""
    if os.geteuid() != 0:
        return "needs root, to set capabilities and to change the root directory"
    for tool in "setcap", "setpriv", "unshare", "chroot":
        if not shutil.which(tool):
            return f"needs {tool}"
    if re.search(rb"__[at]san_init", POWERMEASURE.read_bytes()):
        return "the image has no sanitizers, and they dislike capabilities"
    if subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode:
        return "no mount namespace can be had here"
    for capability in PERFMON, DAC_READ_SEARCH:
        if not status_number(pathlib.Path("/proc/self/status").read_text(), "CapBnd") & capability:
            return "this system keeps capabilities from us"
    return None


def status_number(status, name):
    return int(re.search(rf"^{name}:\s+(\w+)", status, re.M)[1], 16)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """This machine's own system with what install.sh made laid over it."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("image")
    if os.statvfs(directory).f_flag & os.ST_NOSUID:
        pytest.skip(f"{directory} lies on a file system without capabilities of files (nosuid)")
    return image.root_of_this_system(directory, POWERMEASURE)


@pytest.fixture
def hosts(tmp_path):
    """A hosts file in which there is an engine, as a compose network has one."""
    if not pathlib.Path("/etc/hosts").is_file():
        pytest.skip("this system has no /etc/hosts in whose place another could be mounted")
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost engine\n")
    return path


@pytest.fixture
def generating(load, tmp_path):
    """A load that is told by the name of its program."""
    program = tmp_path / "image_generating_plugin.py"
    program.write_text(BURN)
    return load(0.2, program)


def check_a_life(root, hosts, standin, one, way, owner=None):
    """Event, measurement, SIGTERM; the rights that it had, and whose the files are. owner: whose /logs
    is, where that is another user than the container's."""
    uid, capabilities, how, rights = WAYS[way]
    logs, asked = root.empty_logs(), standin.n_asked
    if owner is not None:
        os.chown(logs, owner, owner)
        logs.chmod(0o755)
        uid = owner
    standin.start()
    p = Container(root, hosts, way, {"POWER_MEASURING_PLUGIN_PORT": str(standin.port)})
    try:
        try:
            p.wait_asked(standin, asked + 1)
            started = os.readlink(f"/proc/{p.process.pid}/exe")
            assert started.endswith(PROGRAM)
            check_rights(p.status(), uid, rights)
            assert not p.children()
            standin.deliver(start_event([one.pid], [1], 0))  # as the generating plugin asks
            wait_for(lambda: json.loads((logs / "cpu.json").read_text()), what="a line of the log")
            assert not p.children()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{p.said}") from None
        assert p.stop() == 0, p.said
    finally:
        p.close()
        standin.kill()
        os.chown(logs, 0, 0)
        logs.chmod(0o1777)
    check_files(logs, uid, one.pid)


def check_rights(status, uid, rights):
    assert re.search(rf"^Uid:\s+{uid}\s+{uid}\s", status, re.M)
    had = status_number(status, "CapEff")
    if uid != 0:
        assert had == rights
        assert status_number(status, "CapAmb") == 0
    else:
        assert had & rights == rights


def check_files(logs, uid, pid):
    names = {path.name for path in logs.iterdir() if not path.name.startswith(".")}
    assert {"cpu.json", "gpu.json", "power_summary_report.json", "system_measurements.csv"} <= names
    assert any(name.startswith("metadata_") for name in names)
    for path in logs.iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (uid, uid), path
    pairs = [pair for element in json.loads((logs / "cpu.json").read_text())
             for pair in list(element.values())[0]]
    assert pairs and all(watts > 0 and who == str(pid) for watts, who in pairs)
    report = json.loads((logs / "power_summary_report.json").read_text())
    entry, = report["plugin power summary report"]
    assert entry["plugin"] == "image_generating_plugin"
    assert entry["cpu_power_consumption"] > 0 and entry["gpu_power_consumption"] > 0


def check_as_the_first_process(root, hosts, standin):
    """Without the host's pids it is process 1, which signals end only if it waits for them."""
    root.empty_logs()
    asked = standin.n_asked
    standin.start()
    p = Container(root, hosts, "cap_drop ALL", {"POWER_MEASURING_PLUGIN_PORT": str(standin.port)},
                  pid_namespace=True)
    try:
        p.wait_asked(standin, asked + 1)
        first, = p.children().split()
        status = pathlib.Path(f"/proc/{first}/status").read_text()
        assert re.search(r"^NSpid:\t\d+\t1$", status, re.M)
        os.kill(int(first), signal.SIGTERM)
        assert p.process.wait(GIVE_UP_S) == 0, p.said
    finally:
        p.close()
        standin.kill()


def check_counters_of_root(root):
    """A counter that only root may read is read with the capability; else it is said why not."""
    machine = root.path / "machine"
    put(machine, BOARDS["laptop-intel-unplugged"])
    for path in machine.rglob("energy_uj"):
        path.chmod(0o400)
    for way in WAYS:
        uid, capabilities, how, rights = WAYS[way]
        done = subprocess.run(
            # By way of a shell: setpriv itself has more than a container's user.
            root.argv([*image.as_user(uid, capabilities, **how), "sh", "-c", 'exec "$@"', "sh",
                       PROGRAM, "doctor", "--json",
                       "--root", "/machine", "--sensors", "rapl-powercap"]),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=GIVE_UP_S)
        found, = json.loads(done.stdout)["sensors"]
        may_read = bool(rights & DAC_READ_SEARCH) or way == "root"
        assert done.returncode == (0 if may_read else 1), f"{way}: {done.stdout}{done.stderr}"
        assert bool(found["denied"]) != may_read, way


@pytest.mark.parametrize("way", WAYS)
def test_it_measures_however_it_is_started(root, hosts, standin, generating, way):  # noqa: F811
    check_a_life(root, hosts, standin, generating, way)


@pytest.mark.parametrize("way", ["privileged, root", "root"])
def test_without_a_user_it_becomes_the_owner_of_the_logs(root, hosts, standin, generating,  # noqa: F811
                                                         way):
    """As where the installer was told run_containers_as_user: false."""
    check_a_life(root, hosts, standin, generating, way, owner=5012)


def test_logs_of_another_user_are_named(root, standin):  # noqa: F811
    """Without the right to become their owner the message says who that is."""
    logs = root.empty_logs()
    os.chown(logs, 5012, 5012)
    logs.chmod(0o755)
    try:
        done = subprocess.run(
            root.argv([*image.as_user(UID, []), PROGRAM, "plugin", "--sensors", "sim", "--log-dir",
                       "/logs", "--listen", "tcp://127.0.0.1:*"]),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=GIVE_UP_S)
    finally:
        os.chown(logs, 0, 0)
        logs.chmod(0o1777)
    assert done.returncode == 1
    assert ("/logs/.powermeasure.lock: Permission denied: the directory is of uid 5012, this program "
            f"runs as uid {UID}") in done.stderr


def test_it_ends_with_sigterm_as_process_1(root, hosts, standin):  # noqa: F811
    check_as_the_first_process(root, hosts, standin)


@pytest.mark.parametrize("backend", ["powerjoular", "scaphandre", "jtop"])
def test_the_stock_environment_and_the_oracle_s_end(root, hosts, standin, backend):  # noqa: F811
    """All that the deployment's compose file sets, then the event by which it ends everybody."""
    logs = root.empty_logs()
    standin.start()
    p = Container(root, hosts, "privileged", {
        "POWER_MEASURING_PLUGIN_PORT": str(standin.port), "TRAPS_POWER_LOG_PATH": "/logs",
        "TRAPS_POWER_LOG_HOST_PATH": "/home/ada/out/power_output_dir",
        "TRAPS_POWER_LOG_LEVEL": "DEBUG", "TRAPS_POWER_BACKEND": backend,
        "TRAPS_TEST_POWER_FUNCTION": "1"})
    try:
        p.wait_asked(standin, 1)
        wait_for(lambda: json.loads((logs / "cpu.json").read_text()), what="its own power")
        standin.deliver(terminate_event("*", "6e153711-9823-4ee6-b608-58e2e801db51"))
        assert p.process.wait(GIVE_UP_S) == 0, p.said
    finally:
        p.close()
    standin.wait_ended()
    assert standin.received[-1] == QUIT
    report = json.loads((logs / "power_summary_report.json").read_text())
    assert [e["plugin"] for e in report["plugin power summary report"]] == ["power_monitor_plugin"]
    log_line = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARN|ERROR): ")
    assert all(map(log_line.match, p.said.splitlines())), p.said


def test_a_counter_that_is_root_s(root):
    check_counters_of_root(root)


# ---- all of it -----------------------------------------------------------------------------------


def test_the_image_s_steps_in_a_debian_of_its_own(tmp_path, standin, generating, hosts):  # noqa: F811
    """The Dockerfile's RUN instructions as they stand, and what they made."""
    if os.environ.get("PM_IMAGE") != "1":
        pytest.skip("takes minutes and a Debian mirror: PM_IMAGE=1 does it")
    if why_not():
        pytest.skip(why_not())
    if not shutil.which("debootstrap"):
        pytest.skip("needs debootstrap")
    directory = tmp_path / "image"
    directory.mkdir()
    try:
        steps_in_a_debian(directory, hosts, standin, generating)
    finally:
        shutil.rmtree(directory)


def steps_in_a_debian(directory, hosts, standin, generating):  # noqa: F811
    begun = time.monotonic()

    def tell(what):
        print(f"{time.monotonic() - begun:.0f} s: {what}")

    base, mirror = directory / "base", os.environ.get("PM_MIRROR", "http://deb.debian.org/debian")
    subprocess.run(["debootstrap", "--variant=minbase", "bookworm", base, mirror], check=True)
    shutil.copy("/etc/resolv.conf", base / "etc" / "resolv.conf")
    (base / "etc" / "hosts").touch()
    (base / "src").mkdir()
    (base / "out").mkdir()
    tell("a Debian")
    out, source = directory / "out", directory / "src"
    out.mkdir()
    for name in subprocess.run(["git", "-C", TOP, "ls-files", "-z"], check=True,
                               stdout=subprocess.PIPE, text=True).stdout.split("\0"):
        if name and not name.startswith("tests/") and (TOP / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / name, source / name)
    for number, stage in enumerate(image.stages()):
        path = directory / f"stage{number}"
        subprocess.run(["cp", "-a", base, path], check=True)
        for command, mounts in image.run_steps(stage):
            binds = [(out if mount.get("from") else source, mount["target"].lstrip("/"))
                     for mount in mounts]
            if number == 0:
                binds.append((out, "out"))
            image.Root(path).run(command, more_binds=binds)
            tell(f"stage {number}: {' '.join(command)}")
    root = image.Root(path)
    left = set(root.run(["dpkg-query", "-W", "-f", "${Package}\n"]).split())
    assert {"libzmq5", "libjansson4"} <= left
    assert not left & {"libcap2-bin", "gcc", "g++", "meson", "sudo"}
    for way in WAYS:
        check_a_life(root, hosts, standin, generating, way)
    check_as_the_first_process(root, hosts, standin)
    check_counters_of_root(root)
    tell("all ways to start it")
