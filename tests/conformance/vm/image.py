# SPDX-License-Identifier: MIT
"""Makes a domain's initramfs: busybox, kernel modules, programs, and the distribution's
libraries."""
import lzma
import re
import shutil
import subprocess
from pathlib import Path

from debs import VmError

HERE = Path(__file__).resolve().parent
MODULES = ["xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs"]
LIBRARIES = ["libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1",
             "libxengnttab1", "libxenhypfs1",
             "libxenmisc4.17", "libxenstore4", "libxentoolcore1", "libxentoollog1", "libyajl2"]
XENSTORE = ["xenstore-read", "xenstore-write", "xenstore-ls", "xenstore-list", "xenstore-rm",
            "xenstore-watch"]
TOOLSTACK = ["xl", "xenstored", "xenconsoled", "xen-init-dom0", "libxl-save-helper"]


class Image:
    """A root file system that is being filled."""

    def __init__(self, root, debs, kernel):
        self.root, self.debs = Path(root), debs
        self.versions = {}
        for directory in "bin dev proc sys tmp mod lib etc/xen run/xen run/xenstored run/lock usr/bin var/log/xen var/lib/xen " \
                         "var/lib/xenstored var/lock".split():
            (self.root / directory).mkdir(parents=True)
        (self.root / "var/run").symlink_to("../run")
        self.libraries = [self.package(name).path / "usr/lib/x86_64-linux-gnu"
                          for name in LIBRARIES]
        self.add(self.package("busybox-static").one("bin/busybox", "usr/bin/busybox"),
                 "/bin/busybox")
        for module in MODULES:
            self.module(kernel.one(f"lib/modules/*/kernel/**/{module}.ko",
                                   f"lib/modules/*/kernel/**/{module}.ko.xz"), f"/mod/{module}.ko")
        for tool in XENSTORE:
            self.add(self.package("xenstore-utils").one(f"usr/bin/{tool}"), f"/usr/bin/{tool}")
        self.add(HERE / "vm.sh", "/lib/vm.sh")

    def package(self, name):
        package = self.debs.get(name)
        self.versions[name.partition("=")[0]] = package.version
        return package

    def add(self, source, where):
        """A file or a directory of the host at an absolute path of the guest, with the libraries
        that an ELF file wants."""
        source, target = Path(source), self.root / where.lstrip("/")
        if source.is_dir():
            for path in sorted(source.rglob("*")):
                if path.is_file():
                    self.add(path, f"{where}/{path.relative_to(source)}")
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(source.stat().st_mode & 0o777)
        with open(source, "rb") as file:
            elf = file.read(4) == b"\x7fELF"
        if elf and target.suffix != ".ko":
            self.add_libraries(source)

    def module(self, source, where):
        """Newer kernels have them compressed, which busybox cannot insert."""
        if source.suffix != ".xz":
            self.add(source, where)
            return
        target = self.root / where.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(lzma.decompress(source.read_bytes()))

    def add_libraries(self, program):
        # Debian's own Xen libraries, whatever the host has or is told to use.
        path = ":".join(str(directory) for directory in self.libraries)
        said = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=False,
                              env={"LD_LIBRARY_PATH": path,
                                   "PATH": "/usr/bin:/bin"}).stdout.decode(errors="replace")
        for line in said.splitlines():
            found = re.match(r"\s*(?:(\S+) => )?(\S+) \(0x|\s*(\S+) => not found", line)
            if not found:
                continue
            if found[3]:
                raise VmError(f"{program} needs {found[3]}, which is not installed here")
            library = Path(found[2])
            if not library.is_absolute():
                continue                # linux-vdso
            ours = any(directory in library.parents for directory in self.libraries)
            self.library(library, f"/usr/lib/x86_64-linux-gnu/{library.name}" if ours
                         else str(library))

    def library(self, source, where):
        target = self.root / where.lstrip("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755)

    def toolstack(self):
        """What dom0 has more: xl and the daemons."""
        package = self.package("xen-utils-4.17")
        for tool in TOOLSTACK:
            source = package.one(f"usr/lib/xen-*/bin/{tool}")
            where = "/" + str(source.relative_to(package.path))
            self.add(source, where)
            (self.root / "usr/bin" / tool).symlink_to(where)
        (self.root / "etc/xen/xl.conf").touch()
        self.add(HERE / "domu", "/usr/bin/domu")

    def write(self, where, text, mode=0o644):
        target = self.root / where.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)

    def pack(self, init, output):
        """Not compressed: unpacking would cost an emulated processor more than reading."""
        self.add(HERE / init, "/init")
        (self.root / "init").chmod(0o755)
        gcc = subprocess.run(["gcc", "-print-file-name=libgcc_s.so.1"], stdout=subprocess.PIPE,
                             check=True).stdout.decode().strip()
        if Path(gcc).is_absolute():     # for pthread_cancel and pthread_exit, which load it
            self.library(Path(gcc).resolve(), "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1")
        with open(output, "wb") as out:
            names = "\0".join(sorted(str(p.relative_to(self.root))
                                     for p in self.root.rglob("*"))).encode()
            subprocess.run(["cpio", "-0", "-o", "-H", "newc", "--quiet", "-R", "0:0"],
                           cwd=self.root, input=names, stdout=out, check=True)
