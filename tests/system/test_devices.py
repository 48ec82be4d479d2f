# SPDX-License-Identifier: MIT
"""Devices that a toolstack attaches: their nodes at both ends, their removal, and the verbs of ctl
that wait in the store."""
import json
import subprocess

import pytest

import gntsim
import harness

FRONT = "/local/domain/1/device/vbd/51712"
BACK = "/local/domain/0/backend/qdisk/1/51712"


@pytest.fixture
def machine(attached):
    return attached


@pytest.fixture
def guest(machine):
    return machine.domain(1)


def tree(machine, path):
    """Paths below it, in their order, with values and permissions."""
    found = {}
    for name in machine.store.ls(path):
        below = "%s/%s" % (path, name)
        found[name] = (machine.store.read(below).decode(), machine.store.perms(below))
    return found


def test_a_disk_has_the_nodes_and_permissions_that_libxl_writes(machine, guest):
    disk = guest.attach("vbd", keys={"params": "raw:/disk.img"})
    assert (disk.id, disk.frontend, disk.backend) == (51712, FRONT, BACK)
    assert machine.store.perms(FRONT) == ["n1", "r0"] and machine.store.perms(BACK) == ["n0", "r1"]
    front = tree(machine, FRONT)
    assert list(front.items()) == [(key, (value, ["n1", "r0"])) for key, value in (
        ("backend", BACK), ("backend-id", "0"), ("state", "1"), ("virtual-device", "51712"),
        ("device-type", "disk"), ("trusted", "1"), ("protocol", "x86_64-abi"))]
    back = tree(machine, BACK)
    assert list(back.items()) == [(key, (value, ["n0", "r1"])) for key, value in (
        ("frontend", FRONT), ("params", "raw:/disk.img"), ("frontend-id", "1"), ("online", "1"),
        ("removable", "0"), ("bootable", "1"), ("state", "1"), ("dev", "xvda"), ("type", "qdisk"),
        ("mode", "w"), ("device-type", "disk"), ("discard-enable", "1"),
        ("specification", "xen"))]
    libxl = tree(machine, "/libxl/1/device/vbd/51712")
    assert {key: value for key, (value, _) in libxl.items()} == {
        **{key: value for key, (value, _) in back.items()}, "backend": BACK, "frontend": FRONT}
    assert {tuple(perms) for _, perms in libxl.values()} == {("n0",)}
    assert machine.store.perms("/local/domain/1/device/vbd") == ["n0", "r1"]
    assert guest.attach("vbd", type="phy", keys={"params": "/dev/x", "mode": "r"}).backend == \
        "/local/domain/0/backend/vbd/1/51728"
    assert tree(machine, "/local/domain/0/backend/vbd/1/51728")["dev"][0] == "xvdb"
    machine.audit()


def test_only_a_pv_guests_disk_names_its_protocol(machine):
    disk = machine.domain(1, profile="pvh").attach("vbd", keys={"params": "raw:/disk.img"})
    assert "protocol" not in machine.store.ls(disk.frontend)


def test_other_kinds_differ_by_their_rows(machine, guest):
    back = machine.domain(2)
    vif = guest.attach("vif", backend=back, keys={"bridge": "br7", "mtu": "1400"})
    assert vif.backend == "/local/domain/2/backend/vif/1/0"
    front = tree(machine, vif.frontend)
    assert front["mac"] == ("00:16:3e:00:01:00", ["n1", "r2"])
    assert front["mtu"] == ("1400", ["n2", "r1"]), "the back end's domain owns it"
    assert tree(machine, vif.backend)["hotplug-status"] == ("", ["n2", "r1"])
    assert [guest.attach("vif").id for _ in range(2)] == [1, 2]
    console = guest.attach("console")
    assert console.id == 1, "the first is the domain's own"
    assert tree(machine, console.frontend)["limit"] == ("1048576", ["n0", "r1"])
    shared = guest.attach("9pfs", keys={"path": "/srv", "tag": "t"})
    assert (tree(machine, shared.frontend)["tag"][0], tree(machine, shared.backend)["path"][0]) \
        == ("t", "/srv")
    shared = guest.attach("9pfs", type="xen_9pfsd", keys={"path": "/srv", "max-files": "7"})
    assert shared.backend == "/local/domain/0/backend/xen_9pfs/1/1"
    vchan = guest.attach("vchan", backend=back)
    assert machine.store.perms("/local/domain/1/data/vchan/2/0") == ["n1", "r2"]
    with guest.store() as store:
        assert not vchan.row()["connected"]
        store.write("data/vchan/2/0/event-channel", "5")
    vchan.wait(timeout=0)
    machine.audit()


@pytest.mark.parametrize("words, said", [
    ("1 vbd", "a vbd needs params=VALUE"),
    ("1 vbd params=raw:/x dev=xvdz", "nobody chooses 'dev' of a vbd; there are: device-type"),
    ("1 vbd params=raw:/x type=tap", "no vbd has type 'tap'; there are: qdisk, phy"),
    ("1 disk", "there is no kind of device 'disk'; there are: vbd, vif, console, 9pfs, vchan"),
    ("1 vif --backend 9", "there is no domain 9"),
    ("8 vif", "there is no domain 8"),
    ("1 vif id=x", "'x' is not a number"),
    ("1 vif bridge", "'bridge' is not KEY=VALUE"),
    ("1 vif id=0", "domain 1 has such a device with this id"),
])
def test_a_device_that_cannot_be_is_refused_with_the_reason(traced, guest, words, said):
    guest.attach("vif")
    done = traced.ctl("device", "attach", *words.split())
    assert done.returncode and said in done.stderr
    assert len(guest.devices()) == 2


def test_domain_0_has_devices_before_a_program_runs_in_it(machine, guest):
    assert machine.call("device-list", domain=0) == []
    disk = machine.call("device-attach", domain=0, kind="vbd", backend=1,
                        keys={"params": "raw:/disk.img"})
    assert disk["frontend"] == "/local/domain/0/device/vbd/51712"
    assert machine.store.perms(disk["frontend"]) == ["n0", "r1"]
    assert [row["id"] for row in machine.call("device-list", domain=0)] == [51712]
    machine.call("device-detach", domain=0, kind="vbd", force=True)
    assert not machine.store.exists(disk["frontend"])
    machine.audit()


def test_watchers_see_all_nodes_of_a_new_device_at_once(machine, guest):
    with guest.store() as store:
        store.watch("device")
        store.event()
        guest.attach("vif")
        store.event()
        assert store.read("device/vif/0/state") == b"1"


def test_one_of_several_devices_is_named_before_it_is_detached(machine, guest):
    first, second = guest.attach("vif"), guest.attach("vif")
    with pytest.raises(gntsim.Refused, match="has 2 vif devices: name one by its id"):
        guest.call("device-detach", kind="vif", force=True)
    assert len(guest.devices()) >= 2
    guest.call("device-detach", kind="vif", id=second.id, force=True)
    assert guest.call("device-detach", kind="vif", force=True)["id"] == first.id
    with pytest.raises(gntsim.Refused, match="no domain 99"):
        machine.call("device-list", domain=99)


def test_a_detached_device_goes_when_its_back_end_has_closed(traced, machine, guest):
    guest.attach("vif")
    # A back end that follows the toolstack.
    waiting = subprocess.Popen([*traced.gntsim, "ctl", "--dir", traced.dir, "device", "detach", "1",
                                "vif"])
    back = "/local/domain/0/backend/vif/1/0"
    machine.store.wait(back + "/state", "5")
    assert machine.store.read(back + "/online") == b"0"
    assert waiting.poll() is None and machine.store.exists("/libxl/1/device/vif/0")
    machine.store.write(back + "/state", "6")
    assert waiting.wait(harness.PATIENCE) == 0
    for path in ("/local/domain/0/backend/vif", "/local/domain/1/device/vif",
                 "/libxl/1/device/vif"):
        assert not machine.store.exists(path), "the empty directories go, too"
    assert machine.store.exists("/local/domain/1/device")
    device = guest.attach("vif")
    device.detach(timeout=0.1)
    assert device.row() is None, "a deaf back end keeps nothing"
    device = guest.attach("vif")
    device.detach(force=True)
    device.wait("gone", timeout=0)
    assert traced.ctl("device", "detach", "1", "vif").stderr == \
        "gntsim: domain 1 has no such device: see device list\n"
    machine.audit()


def test_ctl_waits_until_both_ends_are_connected(traced, machine, guest):
    device = guest.attach("vif")
    waiting = subprocess.Popen([*traced.gntsim, "ctl", "--dir", traced.dir, "device", "wait", "1",
                                "vif", "connected"])
    machine.store.write(device.frontend + "/state", "4")
    with pytest.raises(gntsim.Timeout, match="is not connected"):
        device.wait(timeout=0)
    assert waiting.poll() is None
    machine.store.write(device.backend + "/state", "4")
    assert waiting.wait(harness.PATIENCE) == 0
    row = traced.json("device", "list", "1")[-1]
    assert (row["front"], row["back"], row["connected"]) == ("connected", "connected", True)
    done = traced.ctl("device", "wait", "1", "vif", "closed", "--timeout", "1")
    assert (done.returncode, done.stderr) == (1, "gntsim: closed: not so within the time\n")


def test_all_devices_go_with_their_domain(machine, guest):
    back = machine.domain(2)
    for kind, keys in (("vbd", {"params": "raw:/x"}), ("vif", {}), ("console", {}),
                       ("vchan", {})):
        guest.attach(kind, keys=keys)
    guest.attach("vif", backend=back)
    guest.destroy()
    assert machine.store.ls("/local/domain/0/backend") == ["console"]
    assert machine.store.ls("/local/domain/0/backend/console") == ["2"]
    assert not machine.store.exists("/local/domain/2/backend")
    machine.audit()


def test_devices_follow_a_suspended_domain_with_their_values(traced, machine, guest, trace):
    guest.attach("vbd", keys={"params": "raw:/x", "mode": "r"})
    gone = guest.attach("vif")
    gone.detach(force=True)
    machine.call("domain-suspend", domain=1, **{"as": 5})
    rows = machine.call("device-list", domain=5)
    assert [(row["kind"], row["id"], row["front"]) for row in rows] == [
        ("console", 0, "unknown"), ("vbd", 51712, "initialising")]
    assert machine.store.read("/local/domain/0/backend/qdisk/5/51712/mode") == b"r"
    assert not machine.store.exists(BACK)
    machine.audit()
    traced.stop()
    lines = len(trace.read_text().splitlines())
    done = harness.gntsim("replay", trace)
    assert (done.returncode, done.stdout) == (0, "replay: %d events, all as recorded\n" % lines), \
        done.stdout + done.stderr


# ---- ctl store watch and wait

def test_ctl_prints_the_paths_that_change(traced, machine):
    watching = subprocess.Popen([*traced.gntsim, "ctl", "--dir", traced.dir, "--json", "store",
                                 "watch", "/a"], stdout=subprocess.PIPE, text=True)
    assert json.loads(watching.stdout.readline()) == {"path": "/a"}
    machine.store.write("/a/b", "x")
    machine.store.write("/c", "x")
    machine.store.rm("/a")
    assert [json.loads(watching.stdout.readline())["path"] for _ in range(2)] == ["/a/b", "/a"]
    machine.call("store-restart")
    assert watching.wait(harness.PATIENCE) == 1, "the daemon hung up"
    watching.stdout.close()


def test_ctl_waits_for_a_node_and_its_value(traced, machine):
    waiting = subprocess.Popen([*traced.gntsim, "ctl", "--dir", traced.dir, "store", "wait", "/a",
                                "b\xfc"], stdout=subprocess.PIPE)
    machine.store.write("/a", "x")
    machine.store.write("/a", "b\xfc".encode())
    assert waiting.communicate(timeout=harness.PATIENCE)[0] == "b\xfc\n".encode()
    assert waiting.returncode == 0
    assert traced.must("store", "wait", "/a") == "b\xfc\n"
    done = traced.ctl("store", "wait", "/no", "--timeout", "1")
    assert (done.returncode, done.stderr) == (1, "gntsim: /no: not so within the time\n")
    assert traced.ctl("store", "wait", "/no.dot").stderr == "gntsim: /no.dot: Invalid argument\n"
