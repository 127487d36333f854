# SPDX-License-Identifier: MIT
"""The container image of deploy/camera-traps without a container engine: what its Dockerfile says
is read, its steps are done in a directory, and what lies there is started as a container would."""

import json
import os
import pathlib
import re
import shlex
import subprocess

from conftest import TOP

DEPLOY = TOP / "deploy" / "camera-traps"

# What Docker leaves to a container that says nothing of capabilities.
DOCKERS_OWN = ("chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service "
               "net_raw sys_chroot mknod audit_write setfcap").split()

# CAP_PERFMON by its number: setpriv of older systems does not know the name.
PERFMON = "cap_38"

# In a mount namespace of its own: hosts_file root (directories to bind) -- command
ENTER = """
set -e
hosts=$1 root=$2; shift 2
while [ "$1" != -- ]; do
    mount --rbind "$1" "$root/$2"; shift 2
done
shift
[ -z "$hosts" ] || mount --bind "$hosts" "$root/etc/hosts"
exec chroot "$root" "$@"
"""


def instructions(path=DEPLOY / "Dockerfile"):
    """[(INSTRUCTION, arguments)] of a Dockerfile, continued lines as one."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.M)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


def stages():
    """The instructions of each FROM, the last one's being the image's."""
    result = []
    for name, arguments in instructions():
        if name == "FROM":
            result.append([])
        if result:
            result[-1].append((name, arguments))
    return result


def environment():
    """What the image's ENV says."""
    return dict(word.split("=", 1) for name, arguments in stages()[-1] if name == "ENV"
                for word in shlex.split(arguments))


def single(name):
    """The image's one instruction of that name, a JSON list if it looks like one."""
    found, = [arguments for one, arguments in stages()[-1] if one == name]
    return json.loads(found) if found.startswith("[") else found


def run_steps(stage):
    """The commands of a stage's RUN instructions, each with what it has mounted."""
    for name, arguments in stage:
        if name != "RUN":
            continue
        words = shlex.split(arguments)
        mounts = [dict(part.partition("=")[::2] for part in word[len("--mount="):].split(","))
                  for word in words if word.startswith("--mount=")]
        yield words[len(mounts):], mounts


class Root:
    """A directory that is / to what is started in it."""

    def __init__(self, path, binds=(), installed=None):
        self.path = pathlib.Path(path)
        self.binds = [("/proc", "proc"), ("/sys", "sys"), ("/dev", "dev"), *binds]
        self._logs = pathlib.Path(installed or path) / "logs"

    def empty_logs(self):
        """Its /logs as the image has it, seen from outside; what is in it goes."""
        for path in self._logs.iterdir():
            path.unlink()
        return self._logs

    def argv(self, command, hosts="", more_binds=(), pid_namespace=False):
        """The command line that runs a command in it, mounts and all gone when it ends."""
        binds = [str(part) for pair in (*self.binds, *more_binds) for part in pair]
        return ["unshare", "--mount", *(["--pid", "--fork"] if pid_namespace else []), "--",
                "sh", "-c", ENTER, "sh", str(hosts), str(self.path), *binds, "--",
                *[str(c) for c in command]]

    def run(self, command, more_binds=(), timeout=600):
        env = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}
        env.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C.UTF-8")
        done = subprocess.run(self.argv(command, more_binds=more_binds), env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        assert done.returncode == 0, f"{command}:\n{done.stdout}"
        return done.stdout


def root_of_this_system(directory, program):
    """This machine's own system, with what install.sh makes of a program laid over it."""
    staged, path = directory / "staged", directory / "root"
    subprocess.run(["sh", DEPLOY / "install.sh", program, staged], check=True)
    binds = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc"):
        here, there = pathlib.Path("/", name), path / name
        path.mkdir(exist_ok=True)
        if here.is_symlink():
            there.symlink_to(os.readlink(here))
        elif here.is_dir():
            there.mkdir()
            binds.append((here, name))
    for name in ("proc", "sys", "dev", "logs", "tmp"):
        (path / name).mkdir()
    return Root(path, [*binds, (staged / "usr" / "local", "usr/local"), (staged / "logs", "logs")],
                installed=staged)


def as_user(uid, capabilities=None, no_new_privs=False):
    """What stands before a command that runs as a container's user with just these capabilities to
    be had; None: all that there are."""
    words = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups",
             "--inh-caps=-all"]
    if capabilities is not None:
        words.append("--bounding-set=" + ",".join(["-all", *(f"+{c}" for c in capabilities)]))
    if no_new_privs:
        words.append("--no-new-privs")
    return words
