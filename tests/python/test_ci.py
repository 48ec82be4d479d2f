# SPDX-License-Identifier: MIT
"""The recipes of docs/ci do what they say, on the example project: what is in them runs here, but
for what installs packages and gntsim."""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import harness
from conftest import SOURCE

CI = SOURCE / "docs" / "ci"
PROJECT = SOURCE / "docs" / "examples" / "pytest-project"
# What needs the network or writes to the host; tools/install is tried by itself.
INSTALLS = re.compile(r"apt-get|git clone|tools/install")
whole = pytest.mark.skipif(not os.environ.get("GNTSIM_TEST_ALL"),
                           reason="as the others do, or builds once more: runs with ./test --all")


@pytest.fixture
def project(place, monkeypatch):
    """A copy of the example project, with gntsim where an installation puts it."""
    shutil.copytree(PROJECT, place / "project")
    monkeypatch.setenv("PATH", "%s:%s:%s" % (os.path.dirname(harness.GNTSIM),
                                             os.path.dirname(sys.executable), os.environ["PATH"]))
    monkeypatch.setenv("PYTHONPATH", str(SOURCE / "scenarios"))
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p gntsim.pytest_plugin")
    return place / "project"


def loaded(name):
    yaml = pytest.importorskip("yaml", reason="python3-yaml is not there (as root: apt-get install "
                               "python3-yaml)")
    return yaml.safe_load((CI / name).read_text(encoding="utf-8"))


def play(commands, directory, **env):
    """As a runner does: the first command that fails is the end."""
    done = subprocess.run(["sh", "-e", "-c", "\n".join(commands)], cwd=directory,
                          env={**os.environ, **env}, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=harness.PATIENCE * 2)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("job", ["libraries",
                                 pytest.param("devices", marks=pytest.mark.needs_device_files)])
def test_the_jobs_on_github_pass(project, job):
    steps = loaded("github.yml")["jobs"][job]["steps"]
    uses = [step["uses"] for step in steps if "uses" in step]
    assert uses == ["actions/checkout@v4", "OWNER/gntsim@v" + version()]
    commands = [step["run"] for step in steps if "run" in step]
    out = play([c for c in commands if not INSTALLS.search(c)], project)
    assert re.search(r"\d+ passed", out) and "failed" not in out


def version():
    return re.search(r"version: '(.*?)'", (SOURCE / "meson.build").read_text())[1]


@whole
def test_the_job_on_gitlab_passes(project):
    job = loaded("gitlab.yml")["grants"]
    commands = [c for c in job["before_script"] + job["script"] if not INSTALLS.search(c)]
    assert re.search(r"\d+ passed", play(commands, project))
    assert (project / job["artifacts"]["reports"]["junit"]).exists()


@whole
def test_the_script_for_a_host_passes_as_soon_as_gntsim_is_there(project, place):
    where = place / "cache" / "gntsim-ci" / "bin"
    where.mkdir(parents=True)
    (where / "gntsim").symlink_to(harness.GNTSIM)
    out = play([str(CI / "host.sh")], project, XDG_CACHE_HOME=str(place / "cache"),
               GNTSIM=harness.GNTSIM)
    assert re.search(r"# backend: .*, 0 failed", out)


def test_the_action_calls_the_installer_and_names_files_that_are_there():
    steps = loaded("../../action.yml")["runs"]["steps"]
    text = "\n".join(step["run"] for step in steps)
    for path in re.findall(r"\$GITHUB_ACTION_PATH/([\w./-]+)", text):
        assert (SOURCE / path).exists(), path
    for step in steps:
        subprocess.run(["sh", "-n", "-c", re.sub(r"\$\{\{.*?\}\}", "x", step["run"])], check=True)


LEAK = r"""
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <xengnttab.h>

int main(void)
{
    uint32_t ref;
    xengntshr_handle *shr = xengntshr_open(NULL, 0);
    xengnttab_handle *tab = xengnttab_open(NULL, 0);

    xengntshr_share_pages(shr, 0, 1, &ref, 1);
    return !xengnttab_map_grant_ref(tab, 0, ref, PROT_READ);
}
"""


def test_the_problem_matcher_finds_the_line_of_a_finding(place):
    """As GitHub reads it: one pattern for each line, one after the other."""
    (place / "leak.c").write_text(LEAK)
    subprocess.run(["gcc", "-g", "-o", "leak", "leak.c", "-lxengnttab"], cwd=place, check=True)
    done = subprocess.run([harness.GNTSIM, "run", "--check", "--", "./leak"], cwd=place,
                          capture_output=True, text=True, timeout=harness.PATIENCE)
    assert done.returncode == 99, done
    [matcher] = json.loads((CI / "problem-matcher.json").read_text())["problemMatcher"]
    lines, found = done.stderr.splitlines(), []
    for first in range(len(lines) - len(matcher["pattern"]) + 1):
        values = {}
        for pattern, line in zip(matcher["pattern"], lines[first:]):
            match = re.search(pattern["regexp"], line)
            if not match:
                break
            values.update({key: match[group] for key, group in pattern.items() if key != "regexp"})
        else:
            found.append((values["code"], os.path.basename(values["file"]), values["line"]))
    assert ("slot-leak", "leak.c", "14") in found, done.stderr


TEST = {
    "cargo": {
        "Cargo.toml": '[package]\nname = "grants"\nversion = "0.1.0"\nedition = "2021"\n',
        "build.rs": 'fn main() { println!("cargo:rustc-link-lib=xengnttab"); }\n',
        "src/lib.rs": """
extern "C" {
    fn xengnttab_open(logger: *mut u8, flags: u32) -> *mut u8;
    fn xengnttab_close(handle: *mut u8) -> i32;
}
#[test]
fn the_device_opens() {
    unsafe {
        let handle = xengnttab_open(std::ptr::null_mut(), 0);
        assert!(!handle.is_null());
        xengnttab_close(handle);
    }
}
"""},
    "go": {
        "go.mod": "module grants\n\ngo 1.19\n",
        "grants.go": """package grants

// #cgo LDFLAGS: -lxengnttab
// #include <stdlib.h>
// #include <xengnttab.h>
import "C"

func opens() bool {
    h := C.xengnttab_open(nil, 0)
    if h == nil {
        return false
    }
    C.xengnttab_close(h)
    return true
}
""",
        "grants_test.go": """package grants

import "testing"

func TestTheDeviceOpens(t *testing.T) {
    if !opens() {
        t.Fatal("it does not")
    }
}
"""}}


@whole
@pytest.mark.parametrize("tool, command, says", [
    ("cargo", "mkdir .cargo; cp {ci}/cargo-config.toml .cargo/config.toml; cargo test --offline",
     "the_device_opens ... ok"),
    ("go", "{ci}/go-test.sh", "ok  \tgrants"),
])
def test_the_test_runners_of_rust_and_go_run_their_programs_in_machines(project, place, monkeypatch,
                                                                        tool, command, says):
    if not shutil.which(tool):
        pytest.skip("%s is not there (as root: apt-get install %s)"
                    % (tool, {"go": "golang-go"}.get(tool, tool)))
    for name, text in TEST[tool].items():
        path = place / tool / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("HOME", os.environ.get("HOME", str(place)))
    assert says in play([command.format(ci=CI)], place / tool, GOFLAGS="-mod=mod",
                        GOCACHE=str(place / "cache"))


@whole
def test_the_installer_makes_a_gntsim_that_runs(place):
    play([str(SOURCE / "tools" / "install") + " --prefix " + str(place / "prefix")], place)
    done = subprocess.run([place / "prefix" / "bin" / "gntsim", "run", "--", "true"])
    assert done.returncode == 0
