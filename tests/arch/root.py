# SPDX-License-Identifier: MIT
"""Makes a root of Debian for another processor: apt-get with a configuration of its own downloads
the packages, and tar unpacks them. Needs no privilege, and installs nothing on this machine."""
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What a root has without being asked: links of a merged /usr, and what scripts of packages make.
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"}
MADE = {"usr/bin/cc": "gcc", "usr/bin/awk": "mawk", "etc/mtab": "/proc/mounts"}
DIRECTORIES = "dev proc sys tmp run root srv var/tmp var/lock".split()


class Failed(Exception):
    """It cannot be done, and this is why."""


def quiet(words, why, **more):
    """A command that must succeed; what it says is shown only if it does not."""
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise Failed("%s: %s failed:\n%s" % (why, words[0], "\n".join(text.splitlines()[-15:])))
    return text


def release():
    """This machine's release of Debian, which the root is of, too."""
    text = Path("/etc/os-release").read_text(encoding="utf-8")
    found = re.search(r"^VERSION_CODENAME=(\w+)", text, re.M)
    if not found or "debian" not in text:
        raise Failed("this machine is no Debian: name a release with --suite")
    return found[1]


class Packages:
    """The packages of a suite for a processor, in a cache."""

    def __init__(self, cache, debian, suite, mirror, say):
        self.cache, self.debian, self.suite, self.say = Path(cache), debian, suite, say
        self.apt = self.cache / "apt"
        for name in ("lists/partial", "archives/partial", "etc"):
            (self.apt / name).mkdir(parents=True, exist_ok=True)
        (self.apt / "status").touch()
        (self.apt / "sources.list").write_text(
            "deb [signed-by=%s] %s %s main\n" % (KEYS, mirror, suite), encoding="utf-8")
        # Not the configuration of this machine, whose lists and processor are others.
        (self.apt / "apt.conf").write_text("""
APT::Architecture "%s"; APT::Architectures { "%s"; }; APT::Install-Recommends "false";
Dir::State "%s"; Dir::State::status "%s/status"; Dir::State::lists "%s/lists";
Dir::Cache "%s"; Dir::Cache::archives "%s/archives";
Dir::Etc::sourcelist "%s/sources.list"; Dir::Etc::sourceparts "-"; Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-"; Dir::Etc::trusted "-"; Dir::Etc::trustedparts "-";
APT::Sandbox::User "%s"; Acquire::Languages "none"; Acquire::Check-Valid-Until "false";
""" % (debian, debian, *[self.apt] * 6, "root" if not os.geteuid() else ""), encoding="utf-8")

    def run(self, *words):
        # A configuration named here is read last, and so it is the one that holds.
        settings = {"APT_CONFIG": str(self.apt / "apt.conf"), "LC_ALL": "C.UTF-8"}
        return quiet([*words[:1], "-q", *words[1:]], "the packages of %s" % self.debian,
                     env=os.environ | settings)

    def get(self, names):
        """The files of the packages and of all that they need, downloaded."""
        lists = list((self.apt / "lists").glob("*_Packages*"))
        if not lists:
            self.say("reading Debian's list of packages for %s" % self.debian)
            self.run("apt-get", "update")
        essential = self.run("apt-cache", "dumpavail")
        wanted = [re.search(r"^Package: (\S+)", part, re.M)[1]
                  for part in essential.split("\n\n") if "\nEssential: yes" in part]
        self.say("downloading the packages of the root, unless they are there")
        said = self.run("apt-get", "install", "--yes", "--simulate", *wanted, *names)
        self.run("apt-get", "install", "--yes", "--download-only", *wanted, *names)
        return [self.file(*found) for found in re.findall(r"^Inst (\S+) \((\S+) ", said, re.M)]

    def file(self, name, version):
        """What was downloaded of a package."""
        pattern = "%s_%s_*.deb" % (name, version.replace(":", "%3a"))
        found = list((self.apt / "archives").glob(pattern))
        if not found:
            raise Failed("apt-get did not bring %s %s" % (name, version))
        return found[0]


def unpack(packages, root, say):
    """All packages into a directory, without their scripts."""
    say("unpacking %d packages" % len(packages))
    for name, target in LINKS.items():
        (root / target).mkdir(parents=True)
        (root / name).symlink_to(target)
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for package in packages:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package],
                              stdout=subprocess.PIPE) as source:
            done = subprocess.run(["tar", "-C", root, "-x", "--keep-directory-symlink",
                                   "--no-same-owner", "--exclude=./dev/*"], stdin=source.stdout,
                                  stderr=subprocess.PIPE, check=False)
        if source.returncode or done.returncode:
            raise Failed("cannot unpack %s: %s" % (package.name, done.stderr.decode()))
    for name, target in MADE.items():
        if not (root / name).is_symlink() and not (root / name).exists():
            (root / name).symlink_to(target)
    for name, text in (("passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh"),
                       ("group", "root:x:0:\nnogroup:x:65534:"),
                       ("hosts", "127.0.0.1 localhost"), ("hostname", "arch")):
        (root / "etc" / name).write_text(text + "\n", encoding="utf-8")


def make(cache, debian, names, suite, mirror, say):
    """The directory of the root, made if it is not there or other packages are wanted now."""
    key = hashlib.sha256(" ".join([suite, mirror, *sorted(names)]).encode()).hexdigest()[:12]
    root = Path(cache) / ("root-%s" % key)
    if root.is_dir():
        return root
    for old in Path(cache).glob("root-*"):
        shutil.rmtree(old)
    packages = Packages(cache, debian, suite, mirror, say).get(names)
    made = root.with_suffix(".tmp")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    unpack(packages, made, say)
    made.rename(root)
    return root
