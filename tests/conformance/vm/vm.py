# SPDX-License-Identifier: MIT
"""Boots a real Xen in QEMU: Debian's Xen, Linux and toolstack, by plain emulation, without KVM or
root.

    vm = Vm(cache)                              # a directory that keeps the downloads
    with vm.boot(domus=[Domu()], files={"/probes/p": "build/p"}) as guest:
        out = guest.run("/probes/p", "1")                        # in dom0, argv[1] = "1"
        out = guest.run("/probes/p", "{domid}", domain=1)        # in the first domU; {domid}, {d0},
        {d1}, {d2}: domids
        one = guest.start("/probes/p", "serve", domain=1)        # several at the same time
        two = guest.start("/probes/p", "use", "{d1}")
        print(two.wait().lines, one.wait().status, one.wait().errors)
        guest.destroy(1); guest.create(1)                        # the domU anew
        guest.versions                                           # {"xen": …, "linux": …, package:
        version}

or in one call, one program after the other:

    outputs = vm.run(dom0=[("name", "build/p", ["1"])], domus=[[("name1", "build/p", ["{domid}"])]],
    files={}, timeout=600) outputs["name"].lines

All of it is gone when the block is left, also by Ctrl-C. A program that takes too long is killed
(its status is 137); a guest that does not answer is a VmError, and its console is in
CACHE/console.log.
"""
import fcntl
import gzip
import os
import re
import select
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from debs import Debs, VmError, need
from image import Image

BOOT_PATIENCE = 900         # seconds until dom0 answers: 20 on an idle machine
DOMU_PATIENCE = 900         # until a domU does
PATIENCE = 200              # for a program
XEN = "xen-hypervisor-4.17-amd64"


def default_cache():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gntsim-real-xen"


@dataclass
class Domu:
    """A PV domain. kernel: one of our own instead of Linux (then it takes no jobs, and create()
    only starts it)."""
    memory: int = 256
    kernel: Path | None = None
    config: list = field(default_factory=list)      # more lines of xl.cfg, such as "max_grant_frames=4"
    created: bool = True                            # at boot; else by guest.create()


@dataclass
class Output:
    # of the program: 128 + signal if one killed it; 255 if its domain was gone
    status: int
    out: bytes
    err: bytes

    @property
    def lines(self):
        return self.out.decode(errors="replace").splitlines()

    @property
    def errors(self):
        return self.err.decode(errors="replace").splitlines()


class Program:
    """One that has been started."""

    def __init__(self, guest, name, timeout):
        self.guest, self.name, self.timeout = guest, name, timeout
        self.output = None

    def wait(self):
        if self.output is None:
            self.guest.send(f"wait {self.name}")
            answer = self.guest.line(self.timeout + 120)
            found = re.fullmatch(rf"@@ {self.name} (\d+) (\d+) (\d+)", answer)
            if not found:
                raise VmError(f"the guest answered {answer!r}; its console is in {self.guest.console}")
            both, size = gzip.decompress(self.guest.read(int(found[3]))), int(found[2])
            self.output = Output(int(found[1]), both[:size], both[size:])
        return self.output


class Guest:
    """The booted machine."""

    def __init__(self, vm, work, domus):
        self.vm, self.work, self.domus = vm, work, domus
        self.versions = dict(vm.versions)
        self.console = vm.cache / "console.log"
        self.process = self.socket = None
        self.buffer, self.count, self.domids = b"", 0, {0: 0}

    # -- the line to dom0

    def send(self, line):
        data = line.encode() + b"\n"
        if len(data) > 2000:        # a serial port of the guest holds 4096 bytes
            raise VmError("a command line of more than 2000 bytes: put it into a file")
        self.socket.sendall(data)

    def fill(self, deadline):
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not select.select([self.socket], [], [], remaining)[0]:
            raise VmError(f"the guest does not answer; its console is in {self.console}")
        got = self.socket.recv(65536)
        if not got:
            raise VmError(f"the machine ended; its console is in {self.console}")
        self.buffer += got

    def line(self, patience):
        deadline = time.monotonic() + patience
        while b"\n" not in self.buffer:
            self.fill(deadline)
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode(errors="replace")

    def read(self, size):
        deadline = time.monotonic() + 60 + size / 5000
        while len(self.buffer) < size:
            self.fill(deadline)
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    # -- for users

    def start(self, *argv, domain=0, timeout=PATIENCE, env=None):
        """Starts a program with arguments in domain 0 (dom0), 1 (the first domU) or 2."""
        self.count += 1
        ids = {"domid": self.domids.get(domain)} | {f"d{n}": domid
                                                    for n, domid in self.domids.items()}
        words = [re.sub(r"\{(domid|d\d)\}", lambda m: str(ids.get(m[1])), str(word))
                 for word in argv]
        command = " ".join(f"{k}={shlex.quote(v)}" for k, v in (env or {}).items()) + " exec " + \
            shlex.join(words)
        self.send(f"start {self.count} {domain} {int(timeout)} {command.strip()}")
        return Program(self, str(self.count), timeout)

    def run(self, *argv, **how):
        return self.start(*argv, **how).wait()

    def shell(self, text, **how):
        """A line for dom0's (or the domain's) shell: xl, xenstore-*, busybox."""
        return self.run("/bin/sh", "-c", text, **how)

    def create(self, number):
        """The domU, from its configuration."""
        done = self.run("/usr/bin/domu", "create", number, timeout=DOMU_PATIENCE)
        if done.status:
            raise VmError(f"domU {number}: " + "\n".join(done.errors))
        self.domids[number] = int(self.shell(f"xl domid d{number}").out)
        return self.domids[number]

    def destroy(self, number):
        self.run("/usr/bin/domu", "destroy", number)
        self.domids.pop(number, None)

    # -- beginning and end

    def __enter__(self):
        try:
            self.vm.launch(self)
            answer = self.line(BOOT_PATIENCE)
            if answer != "@@ up":
                raise VmError(f"the guest answered {answer!r}; its console is in {self.console}")
            for number, domu in enumerate(self.domus, 1):
                if domu.created:
                    self.create(number)
        except BaseException:
            self.__exit__()
            raise
        return self

    def kill(self):
        """From another thread: whoever waits for it finds that the machine has ended."""
        if self.process:
            self.process.kill()

    def __exit__(self, *exception):
        if self.process:
            self.process.kill()     # there is nothing in it that is worth a shutdown
            self.process.wait()
        if self.socket:
            self.socket.close()
        if (self.work.path / "console").exists():
            shutil.copyfile(self.work.path / "console", self.console)
        self.work.remove()


class Work:
    """A directory for one run. One that a killed run left is removed by the next."""

    def __init__(self, cache):
        for old in cache.glob("run.*"):
            with open(old / "lock", "a", encoding="utf-8") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue
                shutil.rmtree(old, ignore_errors=True)
        self.path = Path(tempfile.mkdtemp(prefix="run.", dir=cache))
        self.lock = open(self.path / "lock", "w", encoding="utf-8")
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.close()


class Vm:
    def __init__(self, cache=None, kernel=None, xen=XEN, memory=1536, xen_args="", linux_args=""):
        """kernel, xen: Debian packages, also as name=version."""
        self.cache = Path(cache or default_cache()).absolute()
        self.cache.mkdir(parents=True, exist_ok=True)
        self.debs = Debs(self.cache)
        self.kernel, self.xen, self.memory = kernel, xen, memory
        self.xen_args, self.linux_args = xen_args, linux_args
        self.versions = {}

    @staticmethod
    def need():
        """Says what is missing on this machine."""
        need("qemu-system-x86_64", "cpio", "apt-get", "dpkg-deb", "ldd", "gcc", "setpriv")

    def boot(self, domus=(), files=None):
        """A Guest, for use with "with". files: {path in every domain: file or directory here}."""
        self.need()
        work = Work(self.cache)
        try:
            self.build(work.path, domus, files or {})
            return Guest(self, work, domus)
        except BaseException:
            work.remove()
            raise

    def run(self, dom0=(), domus=(), files=None, timeout=900):
        """{name: Output} of programs run one after the other, dom0's first; (name, path here,
        arguments) each."""
        start = time.monotonic()
        files = dict(files or {})
        jobs = [(0, *job) for job in dom0] + [(n, *job) for n, programs in enumerate(domus, 1)
                                              for job in programs]
        for _, name, path, _ in jobs:
            files[f"/programs/{name}"] = path
        outputs = {}
        with self.boot([Domu() for _ in domus], files) as guest:
            for domain, name, _, arguments in jobs:
                left = timeout - (time.monotonic() - start)
                if left <= 0:
                    raise VmError(f"not done after {timeout} s: {name} was not run")
                outputs[name] = guest.run(f"/programs/{name}", *arguments, domain=domain,
                                          timeout=min(PATIENCE, left))
        return outputs

    def build(self, work, domus, files):
        kernel_package = self.kernel or self.debs.default_kernel()
        kernel, xen = self.debs.get(kernel_package), self.debs.get(self.xen)
        vmlinuz = kernel.one("boot/vmlinuz-*")
        image = Image(work / "dom0", self.debs, kernel)
        image.toolstack()
        for where, source in files.items():
            image.add(source, where)
        linux_domus = any(domu.kernel is None for domu in domus)
        if linux_domus:
            domu_image = Image(work / "domu", self.debs, kernel)
            for where, source in files.items():
                domu_image.add(source, where)
            domu_image.pack("init-domu", work / "domu.cpio")
            image.add(work / "domu.cpio", "/domu.cpio")
            image.add(vmlinuz, "/vmlinuz")
        for number, domu in enumerate(domus, 1):
            image.write(f"/etc/xen/d{number}.cfg", self.config(number, domu, image))
            if domu.kernel is None:
                image.write(f"/etc/xen/d{number}.agent", "")
        image.pack("init-dom0", work / "dom0.cpio")
        (work / "xen").write_bytes(subprocess.run(["gzip", "-dc", xen.one("boot/xen-*-amd64.gz")],
                                                  check=True, stdout=subprocess.PIPE).stdout)
        (work / "vmlinuz").symlink_to(vmlinuz)
        self.versions = {"xen": xen.version,
                         "linux": f"{kernel_package.partition('=')[0].removeprefix('linux-image-')} {kernel.version}",
                         **dict(sorted(image.versions.items()))}

    def config(self, number, domu, image):
        lines = [f'name="d{number}"', 'type="pv"', f"memory={domu.memory}", "vcpus=1",
                 'on_poweroff="destroy"', 'on_reboot="destroy"',
                 'on_crash="destroy"']
        if domu.kernel:
            image.add(domu.kernel, f"/guests/d{number}")
            lines += [f'kernel="/guests/d{number}"']
        else:
            lines += ['kernel="/vmlinuz"', 'ramdisk="/domu.cpio"',
                      'extra="console=hvc0 loglevel=4 oops=panic panic=1"']
        return "\n".join(lines + list(domu.config)) + "\n"

    def launch(self, guest):
        work = guest.work.path
        ours, theirs = socket.socketpair()
        guest.socket = ours
        # setpriv: a killed run leaves no QEMU behind. nice: whoever works here comes first.
        argv = ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "5", "qemu-system-x86_64",
                "-machine", "q35,accel=tcg", "-cpu", "qemu64",
                "-m", str(self.memory), "-display", "none", "-monitor", "none", "-no-reboot",
                "-nic", "none",
                "-serial", f"file:{work}/console", "-chardev",
                f"socket,id=jobs,fd={theirs.fileno()}", "-serial", "chardev:jobs",
                "-kernel", f"{work}/xen",
                "-append", f"dom0_mem={self.memory // 2}M console=com1 com1=115200,8n1 loglvl=all guest_loglvl=all {self.xen_args}".strip(),
                "-initrd", f"{work}/vmlinuz console=hvc0 loglevel=4 oops=panic panic=1 {self.linux_args}".strip() + f",{work}/dom0.cpio"]
        with theirs, open(self.cache / "qemu.log", "wb") as log:
            guest.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             pass_fds=[theirs.fileno()], start_new_session=True)
