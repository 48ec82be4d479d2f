# SPDX-License-Identifier: MIT
"""Downloads Debian packages with apt-get and unpacks them into a cache, without root or
installation.

    debs = Debs(cache)
    xen = debs.get("xen-hypervisor-4.17-amd64")     # or "name=version", where more than one is on
    offer xen.path / "boot"; xen.version
"""
import fcntl
import re
import shutil
import subprocess
from pathlib import Path


class VmError(Exception):
    """Said to the user as it is: what is wrong, and what to do."""


class Package:
    def __init__(self, path):
        self.path = path
        self.version = (path / ".version").read_text(encoding="utf-8").strip()

    def one(self, *patterns):
        """The one file that matches the first pattern that matches at all."""
        for pattern in patterns:
            found = sorted(self.path.glob(pattern))
            if found:
                return found[0]
        raise VmError(f"no {patterns[0]} in {self.path.name}: is this another release than Debian 12?")


def need(*programs):
    """Says which package brings what is missing, before minutes are spent."""
    packages = {"qemu-system-x86_64": "qemu-system-x86", "cpio": "cpio", "apt-get": "apt",
                "dpkg-deb": "dpkg", "ldd": "libc-bin",
                "gcc": "gcc", "setpriv": "util-linux", "meson": "meson", "ninja": "ninja-build"}
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        raise VmError(f"{', '.join(missing)} not found: tools/install-deps build conformance installs what a real Xen in QEMU needs"
                      f" (apt-get install --no-install-recommends {' '.join(packages[p] for p in missing)})")


class Debs:
    def __init__(self, cache):
        self.cache = Path(cache)
        (self.cache / "pkg").mkdir(parents=True, exist_ok=True)

    def get(self, name):
        path = self.cache / "pkg" / name
        with open(self.cache / "pkg" / ".lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)        # another process may want the same
            if not path.is_dir():
                self.fetch(name, path)
        return Package(path)

    def fetch(self, name, path):
        need("apt-get", "dpkg-deb")
        work = self.cache / "pkg" / (name + ".tmp")
        shutil.rmtree(work, ignore_errors=True)
        (work / "deb").mkdir(parents=True)
        print(f"real-xen: downloading {name}", flush=True)
        # As root, apt would want to give the file to its own user, and warn that it cannot.
        done = subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name],
                              cwd=work / "deb",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=600, check=False)
        files = list((work / "deb").glob("*.deb"))
        if done.returncode or len(files) != 1:
            raise VmError(f"apt-get download {name} failed (as root, once: apt-get update):\n{done.stdout.decode(errors='replace')}")
        subprocess.run(["dpkg-deb", "-x", files[0], work / "root"], check=True)
        version = subprocess.run(["dpkg-deb", "-f", files[0], "Version"], check=True,
                                 stdout=subprocess.PIPE).stdout
        (work / "root" / ".version").write_bytes(version)
        (work / "root").rename(path)
        shutil.rmtree(work)

    def default_kernel(self):
        """The kernel that Debian's linux-image-amd64 stands for; once chosen, kept as long as the
        cache."""
        chosen = self.cache / "default-kernel"
        if chosen.exists():
            return chosen.read_text(encoding="utf-8").strip()
        said = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], stdout=subprocess.PIPE,
                              check=False).stdout.decode()
        found = re.search(r"Depends: (linux-image-\S+)", said)
        if not found:
            raise VmError("apt-cache knows no linux-image-amd64 (as root, once: apt-get update)")
        chosen.write_text(found[1] + "\n", encoding="utf-8")
        return found[1]
