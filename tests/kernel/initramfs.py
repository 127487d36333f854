# SPDX-License-Identifier: MIT
"""A root file system for the kernel to start with, as it takes it: an archive of the "newc" kind,
written here so that neither root nor a tool for device files is needed."""

import os
import pathlib
import re
import shutil
import stat
import subprocess

from kernels import Unavailable


class Initramfs:
    def __init__(self):
        self.entries = {}  # path: (mode, bytes)

    def directory(self, path, mode=0o755):
        path = path.strip("/")
        parent = path.rpartition("/")[0]
        if parent:
            self.directory(parent)
        if path:
            self.entries.setdefault(path, (stat.S_IFDIR | mode, b""))

    def data(self, path, data, mode=0o644):
        path = path.strip("/")
        self.directory(path.rpartition("/")[0])
        self.entries[path] = (stat.S_IFREG | mode, data)

    def link(self, path, target):
        path = path.strip("/")
        self.directory(path.rpartition("/")[0])
        self.entries[path] = (stat.S_IFLNK | 0o777, target.encode())

    def file(self, source, path=None):
        source = pathlib.Path(source)
        self.data(str(path or source), source.read_bytes(), stat.S_IMODE(source.stat().st_mode))

    def program(self, source, path=None):
        """A program of this machine with the libraries that it is linked with."""
        self.file(source, path)
        done = subprocess.run(["ldd", str(source)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
        if done.returncode != 0:
            return  # linked statically, or a script
        for library in re.findall(r"(/\S+) \(0x", done.stdout):
            # At the place where the loader looks, whatever links led to it here.
            self.file(os.path.realpath(library), library)

    def tool(self, name, package):
        """A program of this machine by its name, to the same place."""
        path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if not path:
            raise Unavailable(f"{name} is not installed: sudo apt-get install {package}")
        self.program(path)

    def archive(self):
        out = bytearray()
        for number, (path, (mode, data)) in enumerate(sorted(self.entries.items()), 1):
            out += self._entry(number, path, mode, data)
        return bytes(out + self._entry(0, "TRAILER!!!", 0, b""))

    @staticmethod
    def _entry(number, path, mode, data):
        name = path.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
        out = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += b"\0" * (-len(out) % 4)
        return out + data + b"\0" * (-len(data) % 4)
