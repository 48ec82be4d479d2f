# SPDX-License-Identifier: MIT
"""Boots Debian's kernel and root of another processor in QEMU, and runs commands there.

The machine has two disks: the root, whose changes are lost with it, and what is to be tested. Its
only line is the serial console, on which its init says when a command begins and ends.
"""
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

from root import Failed, quiet

HERE = Path(__file__).resolve().parent
MODULES = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "fuse"]
MARK = re.compile(r"@@ (\w+) ?(.*)")
BOOT_PATIENCE = 900     # seconds until the first command begins: 40 on two quiet processors
MEMORY = 2048           # MiB


def disk(directory, image, more):
    """A file system with a directory's files, and so many MiB of room more. Needs no privilege."""
    size = int(quiet(["du", "-sm", "--apparent-size", directory], "the disk").split()[0])
    files = sum(1 for _ in directory.rglob("*"))
    part = image.with_suffix(".part")
    part.unlink(missing_ok=True)
    quiet(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-N",
           files + 20000, "-d", directory, part, "%dM" % (size * 5 // 4 + more)], "the disk")
    part.rename(image)


class Modules:
    """The kernel's modules, with those that each needs before it."""

    def __init__(self, root):
        self.files = {path.name.split(".ko")[0].replace("-", "_"): path
                      for path in (root / "lib/modules").rglob("*.ko*")}
        self.order = []

    def add(self, name):
        path = self.files.get(name.replace("-", "_"))
        if not path:
            raise Failed("the kernel has no module %s" % name)
        if path in self.order:
            return
        data = path.read_bytes()
        if path.suffix == ".xz":
            data = subprocess.run(["xz", "-dc", path], stdout=subprocess.PIPE, check=True).stdout
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in needs[1].decode().split(",") if needs and needs[1] else []:
            self.add(other)
        self.order.append(path)


def initramfs(root, work, output):
    """What mounts the root: busybox, modules and init."""
    there = work / "initramfs"
    shutil.rmtree(there, ignore_errors=True)
    for name in ("bin", "dev", "proc", "new", "modules"):
        (there / name).mkdir(parents=True)
    busybox = next(path for path in (root / "usr/bin/busybox", root / "bin/busybox")
                   if path.exists())
    shutil.copy(busybox, there / "bin/busybox")
    (there / "bin/sh").symlink_to("busybox")
    modules = Modules(root)
    for name in MODULES:
        modules.add(name)
    for n, path in enumerate(modules.order):
        target = there / "modules" / ("%02d-%s" % (n, path.name))
        shutil.copy(path, target)
        if path.suffix == ".xz":
            quiet(["xz", "-d", target], "a module")
    shutil.copy(HERE / "init", there / "init")
    (there / "init").chmod(0o755)
    names = "\0".join(sorted(str(p.relative_to(there)) for p in there.rglob("*")))
    with open(output, "wb") as out:
        subprocess.run(["cpio", "-0", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=there,
                       input=names.encode(), stdout=out, check=True)


class Machine:
    """One that is booted with a list of jobs: (name, seconds, command)."""

    def __init__(self, qemu, root, root_disk, work, say):
        self.qemu, self.root, self.root_disk, self.work, self.say = qemu, root, root_disk, work, say

    def run(self, tree, jobs, verbose):
        """{name: (status, output)}; a job that never ended has no entry."""
        (tree / "jobs").write_text("".join("%s %d %s\n" % job for job in jobs), encoding="utf-8")
        shutil.copy(HERE / "jobs.sh", tree / "jobs.sh")
        disk(tree, self.work / "tree.ext4", 600)
        initramfs(self.root, self.work, self.work / "initrd")
        kernel = sorted((self.root / "boot").glob("vmlinuz-*"))[-1]
        # setpriv: a killed run leaves no QEMU behind. nice: whoever works here comes first.
        words = ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "5", *self.qemu,
                 "-m", str(MEMORY), "-smp", "2", "-display", "none", "-monitor", "none",
                 "-nic", "none", "-no-reboot", "-serial", "stdio", "-kernel", str(kernel),
                 "-initrd", str(self.work / "initrd"),
                 "-append", "console=ttyAMA0 loglevel=3 panic=-1"]
        for path in (self.root_disk, self.work / "tree.ext4"):
            words += ["-drive", "file=%s,format=raw,if=virtio,snapshot=on" % path]
        with open(self.work / "qemu.log", "wb") as log, \
                subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=log) as process:
            try:
                return self.read(process, {name: seconds for name, seconds, _ in jobs}, verbose)
            finally:
                process.kill()

    def read(self, process, limits, verbose):
        """Follows the console. The jobs' own limits end them; this one ends a dead machine."""
        done, name, lines = {}, None, []
        watch = threading.Timer(BOOT_PATIENCE, process.kill)
        watch.start()
        began = time.monotonic()
        with open(self.work / "console.log", "w", encoding="utf-8") as console:
            for raw in process.stdout:
                line = raw.decode(errors="replace").rstrip()
                print(line, file=console, flush=True)
                mark = MARK.match(line)
                if not mark:
                    lines.append(line)
                    if verbose and name:
                        print("    " + line, flush=True)
                    continue
                words = mark[2].split()
                watch.cancel()
                if mark[1] == "begin":
                    name, lines = words[0], []
                    self.say("%4d s: %s ..." % (time.monotonic() - began, name))
                    watch = threading.Timer(limits[name] + 120, process.kill)
                    watch.start()
                elif mark[1] == "end":
                    done[name] = (int(words[1]), lines)
                    name, lines = None, []
        watch.cancel()
        return done
