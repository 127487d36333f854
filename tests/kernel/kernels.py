# SPDX-License-Identifier: MIT
"""Debian's kernels, unpacked below the build directory: nothing is installed, and nothing of them is
part of the project. With each comes energy.ko, built for it from energy.c."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent

# What Debian calls the archive that has a kernel.
SUITES = {"6.1": "bookworm", "6.12": "bookworm-backports"}
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

DOWNLOAD_TIMEOUT_S = 300


class Unavailable(Exception):
    """Something that the lab needs cannot be had here; the text says what and how to get it."""


def call(command, what, **options):
    """Runs a command whose output matters only where it fails."""
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, **options).stdout
    except FileNotFoundError:
        raise Unavailable(f"{what}: {command[0]} is not installed") from None
    except subprocess.CalledProcessError as failed:
        raise RuntimeError(f"{what}: {' '.join(map(str, command))}\n{failed.stdout}") from None


class Archive:
    """A package archive, asked with a state of its own: neither root nor the system's list of
    sources is needed, and nothing of the system is changed."""

    def __init__(self, directory, suite):
        self.directory = directory
        for name in ("state/lists/partial", "cache/archives/partial", "packages"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        sources = directory / "sources.list"
        sources.write_text(f"deb [signed-by={KEYRING}] {MIRROR} {suite} main\n")
        self.options = []
        for name, value in {
                "Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "-",
                "Dir::State": directory / "state", "Dir::State::status": "/dev/null",
                "Dir::Cache": directory / "cache", "Debug::NoLocking": "1",
                "APT::Architecture": "amd64", "APT::Architectures": "amd64",
                "APT::Sandbox::User": "", "Acquire::Retries": "2"}.items():
            self.options += ["-o", f"{name}={value}"]

    def update(self):
        try:
            call(["apt-get", *self.options, "-q", "update", "--error-on=any"],
                 "the package archive", timeout=DOWNLOAD_TIMEOUT_S)
        except (RuntimeError, subprocess.TimeoutExpired) as failed:
            raise Unavailable(f"{MIRROR} cannot be reached: {failed}") from None

    def depends(self, package):
        """The names of the packages that a package depends on."""
        text = call(["apt-cache", *self.options, "depends", "--important", package],
                    f"the dependencies of {package}")
        return re.findall(r"Depends: ([^<\s]\S*)", text)

    def unpack(self, package, root):
        call(["apt-get", *self.options, "-q", "download", package], f"package {package}",
             cwd=str(self.directory / "packages"), timeout=DOWNLOAD_TIMEOUT_S)
        found = sorted((self.directory / "packages").glob(f"{package}_*.deb"),
                       key=lambda p: p.stat().st_mtime)
        call(["dpkg", "-x", str(found[-1]), str(root)], f"package {package}")
        found[-1].unlink()


def first(names, pattern, what):
    for name in names:
        if re.fullmatch(pattern, name):
            return name
    raise Unavailable(f"{what} is not in the package archive")


class Kernel:
    """An unpacked kernel. `image` is what is booted, `modules` its /lib/modules/RELEASE."""

    def __init__(self, version, build):
        self.version = version
        self.directory = build / "kernel-lab" / version
        self.root = self.directory / "root"
        if not (self.directory / "complete").exists():
            shutil.rmtree(self.root, ignore_errors=True)
            self.fetch()
            (self.directory / "complete").touch()
        self.image = next((self.root / "boot").glob("vmlinuz-*"))
        self.release = self.image.name[len("vmlinuz-"):]
        self.modules = self.root / "lib" / "modules" / self.release

    def fetch(self):
        archive = Archive(self.directory, SUITES[self.version])
        archive.update()
        image = first(archive.depends("linux-image-amd64"), r"linux-image-\d.*", "linux-image-amd64")
        headers = first(archive.depends("linux-headers-amd64"), r"linux-headers-\d.*",
                        "linux-headers-amd64")
        needed = archive.depends(headers)
        for package in (image, headers,
                        first(needed, r"linux-headers-.*-common", f"{headers}'s common part"),
                        first(needed, r"linux-kbuild-.*", "linux-kbuild")):
            archive.unpack(package, self.root)
        # The headers name each other as if they were installed.
        makefile = next((self.root / "usr/src").glob("linux-headers-*-amd64/Makefile"))
        makefile.write_text(re.sub(r"include /usr/src", f"include {self.root}/usr/src",
                                   makefile.read_text()))
        release = next((self.root / "boot").glob("vmlinuz-*")).name[len("vmlinuz-"):]
        call(["/sbin/depmod", "-b", str(self.root), release], "depmod (package kmod)")

    def energy_module(self):
        """energy.ko for this kernel, built where its source has changed."""
        source = (HERE / "energy.c").read_bytes() + (HERE / "Kbuild").read_bytes()
        directory = self.directory / ("energy-" + hashlib.sha256(source).hexdigest()[:12])
        module = directory / "energy.ko"
        if module.exists():
            return module
        for old in self.directory.glob("energy-*"):
            shutil.rmtree(old)
        directory.mkdir()
        for name in ("energy.c", "Kbuild"):
            shutil.copy(HERE / name, directory)
        headers = next((self.root / "usr/src").glob("linux-headers-*-amd64"))
        # BTF of modules takes the kernel's own vmlinux, which the headers do not have.
        call(["make", "-s", "-C", str(headers), f"M={directory}", "CONFIG_DEBUG_INFO_BTF_MODULES=",
              "CC=gcc", "modules"],
             f"energy.c does not build for {self.release}",
             env={**os.environ, "LC_ALL": "C"})
        return module

    def module_files(self, names):
        """Paths below the root of these modules and of all that they need. A module that this kernel
        does not have is left out: who loads it says so."""
        needs, found, wanted = {}, [], list(names)
        for line in (self.modules / "modules.dep").read_text().splitlines():
            path, _, others = line.partition(":")
            name = re.sub(r"\.ko(\.\w+)?$", "", path.rpartition("/")[2]).replace("-", "_")
            needs[name] = (path, others.split())
        while wanted:
            path, others = needs.get(wanted.pop().replace("-", "_"), (None, []))
            found += [path] if path else []
            found += others
        return sorted({f"lib/modules/{self.release}/{path}" for path in found})
