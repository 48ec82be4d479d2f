# SPDX-License-Identifier: MIT
"""Generates random scripts of device calls for two processes of a domain and their children. They
share, map, copy, notify, unmap and end in an order that a seed decides. Most steps are valid,
some nearly, some not at all. real.py plays them on a real Xen and on gntsim, and shrinks the
first difference.

What no seed may do, since the answer would hang on time or on the layout of an address space:
- map a reference again that was given up while somebody had it mapped (Linux frees it within a
second, or later);
- ask for the byte before a mapping is made (that with a read-only one crashes a PV Linux 6.1);
- look beyond a mapping.
"""
import random


class Actor:
    def __init__(self, name):
        self.name, self.alive = name, True
        self.fds = {"gntalloc": [], "gntdev": [], "evtchn": []}
        self.regions = []           # (name, pages, kind, what it shows)
        self.ports = []
        self.children = []
        self.count = 0

    def new(self, letter):
        self.count += 1
        return f"{letter}{self.name}{self.count}"


class Generator:
    def __init__(self, seed, steps=40):
        self.r = random.Random(seed)
        self.lines = [f"case seed{seed}", "actor a 0", "actor b 0"]
        self.actors = [Actor("a"), Actor("b")]
        self.allocs = []            # live: [actor, fd, name, count]
        # [actor, fd, name, count, allocs, mmapped, not to be mmapped any more]
        self.maps = []
        self.steps = steps

    def say(self, actor, text, child=None):
        self.lines.append(f"{actor.name} " + (f"in {child} " if child else "") + text)

    def pick(self, things, otherwise=None):
        return self.r.choice(things) if things else otherwise

    def chance(self, percent):
        return self.r.randrange(100) < percent

    # -- the state, as far as it must be known

    def give_up(self, alloc):
        """Its references must not be mapped from now on."""
        if alloc in self.allocs:
            self.allocs.remove(alloc)
        self.maps = [m for m in self.maps if alloc not in m[4] or m[5]]

    def give_up_all(self, actor, fd=None):
        for alloc in [x for x in self.allocs if x[0] is actor and fd in (None, x[1])]:
            self.give_up(alloc)

    def forget_maps(self, actor, fd=None):
        self.maps = [m for m in self.maps if not (m[0] is actor and fd in (None, m[1]))]

    def index(self, name, nr):
        """Nearly always the index itself."""
        n = self.r.randrange(100)
        if n < 80:
            return f"${name}.index"
        if n < 90:
            return f"${name}.index+{self.r.choice((1, 8, 4095)) if n < 85 else 4096 * self.r.randint(1, nr)}"
        return self.r.choice(("0", "4096", "1048576", "0x7ffffffff000"))

    def count_near(self, nr):
        return nr if self.chance(80) else self.r.choice((0, nr + 1, max(nr - 1, 0), 1))

    # -- steps

    def open(self, actor):
        device = self.r.choice(("gntalloc", "gntdev", "gntdev", "evtchn"))
        if len(actor.fds[device]) >= 3:
            return
        fd = actor.new("f")
        mode = "rw,nb" if device == "evtchn" else self.r.choice(("rw",) * 8 + ("r", "w"))
        self.say(actor, f"open {fd} {device} {mode}")
        actor.fds[device].append(fd)

    def close(self, actor):
        device = self.r.choice(("gntalloc", "gntdev", "evtchn"))
        fd = self.pick(actor.fds[device])
        if not fd:
            return
        self.say(actor, f"close {fd}")
        actor.fds[device].remove(fd)
        if device == "gntalloc":
            self.give_up_all(actor, fd)
        elif device == "gntdev":
            self.forget_maps(actor, fd)
        else:
            actor.ports = [p for p in actor.ports if p[1] != fd]

    def alloc(self, actor):
        fd = self.pick(actor.fds["gntalloc"])
        if not fd:
            return
        name, count = actor.new("x"), self.r.choice((1, 1, 2, 3, 4))
        domid = self.r.choice(("$d0",) * 9 + ("999",))
        self.say(actor, f"alloc {fd} {name} {domid} {self.r.choice('wwwr')} {count}")
        if domid == "$d0":
            self.allocs.append([actor, fd, name, count])

    def dealloc(self, actor):
        alloc = self.pick([x for x in self.allocs if x[0] is actor])
        if not alloc:
            return
        self.say(actor,
                 f"dealloc {alloc[1]} {self.index(alloc[2], alloc[3])} {self.count_near(alloc[3])}")
        self.give_up_all(actor, alloc[1])       # it may have hit another of the file

    def mmap_shared(self, actor):
        alloc = self.pick([x for x in self.allocs if x[0] is actor])
        if not alloc:
            return
        region, pages = actor.new("p"), self.r.randint(1, alloc[3])
        offset = self.r.choice((0, 0, alloc[3] - pages))
        self.say(actor,
                 f"mmap {region} {alloc[1]} ${alloc[2]}.index+{offset * 4096} {pages} {self.r.choice(('rw', 'rw', 'r', 'w'))} "
                 f"{self.r.choice(('shared',) * 9 + ('private',))}")
        actor.regions.append((region, pages, "shared", alloc))

    def mapop(self, actor):
        fd = self.pick(actor.fds["gntdev"])
        if not fd:
            return
        name, refs, used = actor.new("m"), [], []
        for _ in range(self.r.choice((1, 1, 2, 3))):
            alloc = self.pick(self.allocs)
            if alloc and self.chance(92):
                refs.append(f"$d0:${alloc[2]}.{self.r.randrange(alloc[3])}")
                used.append(alloc)
            else:
                refs.append(self.r.choice(("$d0:32000", "999:8")))
        self.say(actor, f"mapop {fd} {name} " + " ".join(refs))
        self.maps.append([actor, fd, name, len(refs), used, False, False])

    def mmap_map(self, actor):
        m = self.pick([m for m in self.maps if m[0] is actor and not m[6]])
        if not m:
            return
        region = actor.new("r")
        self.say(actor,
                 f"mmap {region} {m[1]} {self.index(m[2], m[3]) if self.chance(30) else f'${m[2]}.index'} "
                 f"{m[3] if self.chance(90) else m[3] + 1} {self.r.choice(('rw', 'rw', 'rw', 'r'))} shared")
        m[5] = True
        actor.regions.append((region, m[3], "grant", m))

    def unmapop(self, actor):
        m = self.pick([m for m in self.maps if m[0] is actor])
        if not m:
            return
        self.say(actor, f"unmapop {m[1]} {self.index(m[2], m[3])} {self.count_near(m[3])}")
        self.forget_maps(actor, m[1])

    def munmap(self, actor):
        region = self.pick(actor.regions)
        if not region:
            return
        name, pages, kind, what = region
        first = self.r.choice((0, 0, self.r.randrange(pages)))
        nr = pages - first if self.chance(70) else 1
        if not self.exists(region):
            return
        self.say(actor, f"munmap {name}+{first * 4096} {nr}")
        actor.regions.remove(region)
        if first:       # what lies behind the hole, or comes to lie in it, is not looked at
            actor.regions.append((name, first, kind, what))

    def exists(self, region):
        """Only what surely came into being is looked at: names that do not exist are a fault of the
        script."""
        return region[0] in self.made

    def look(self, actor):
        region = self.pick([x for x in actor.regions if self.exists(x)])
        if not region:
            return
        at = self.r.randrange(region[1]) * 4096 + self.r.choice((0, 5, 21, 4095))
        if self.chance(50):
            self.say(actor, f"peek {region[0]}+{at}")
        else:
            self.say(actor, f"poke {region[0]}+{at} {self.r.randint(1, 255)}")

    def offset(self, actor):
        region = self.pick([x for x in actor.regions if self.exists(x) and x[2] == "grant"])
        fd = self.pick(actor.fds["gntdev"])
        if region and fd and region[3] in self.maps:
            self.say(actor, f"offset {fd} {region[0]}+{self.r.randrange(region[1]) * 4096}")

    def notify(self, actor):
        port = self.pick(actor.ports)
        byte = self.chance(50)
        m = self.pick([m for m in self.maps if m[0] is actor and m[5]])
        alloc = self.pick([x for x in self.allocs if x[0] is actor])
        if m and self.chance(50):
            action = self.r.choice((0, 1, 2, 3, 3, 4)) if byte else self.r.choice((0, 2))
            m[6] = True
            self.say(actor,
                     f"notify {m[1]} ${m[2]}.index+{self.r.choice((5, 21, 4096 * m[3]))} {action} {f'${port[0]}' if port else 0}")
        elif alloc:
            self.say(actor,
                     f"notify {alloc[1]} ${alloc[2]}.index+{self.r.choice((5, 21, 4096 * alloc[3]))} {self.r.choice((0, 1, 2, 3, 3, 4))} "
                     f"{f'${port[0]}' if port else 0}")

    def event(self, actor):
        fd = self.pick(actor.fds["evtchn"])
        if not fd:
            return
        what = self.r.randrange(8)
        port = self.pick(actor.ports)
        if what <= 1 or not port:
            name = actor.new("e")
            other = self.pick([p for x in self.actors for p in x.ports])
            if other and what:
                self.say(actor, f"bind {fd} {name} $d0 ${other[0]}")
            else:
                self.say(actor, f"unbound {fd} {name} {self.r.choice(('$d0', '$d0', '999'))}")
            actor.ports.append((name, fd))
        elif what <= 4:
            self.say(actor, f"signal {fd} ${port[0]}")
        elif what == 5:
            self.say(actor, f"unbind {fd} ${port[0]}")
        elif what == 6:
            self.say(actor, f"unmask {fd} ${port[0]}")
        else:
            self.say(actor, f"events {fd} 0")

    def copy(self, actor):
        fd, alloc, other = self.pick(actor.fds["gntdev"]), self.pick(self.allocs), self.pick(self.allocs)
        region = self.pick([x for x in actor.regions if self.exists(x)])
        if not fd or not alloc:
            return
        def end(a):
            return f"$d0:${a[2]}.{self.r.randrange(a[3])}:{self.r.choice((0, 8, 4090))}"
        source = end(alloc)
        dest = f"{region[0]}+{self.r.choice((0, 100))}" if region and \
            self.chance(50) else end(other)
        if self.chance(40):
            source, dest = dest, source
        self.say(actor, f"copy {fd} {source} {dest} {self.r.choice((0, 1, 6, 16))}")

    def fork(self, actor):
        if len(actor.children) < 2 and self.chance(60):
            child = f"c{len(actor.children)}"
            self.say(actor, f"fork {child}")
            actor.children.append(child)

    def child(self, actor):
        child = self.pick(actor.children)
        if not child:
            return
        what = self.r.randrange(6)
        region = self.pick([x for x in actor.regions if self.exists(x) and x[2] == "shared"])
        if what <= 2 and region:
            at = self.r.randrange(region[1]) * 4096
            self.say(actor, self.r.choice((f"peek {region[0]}+{at}", f"poke {region[0]}+{at} 9",
                                           f"munmap {region[0]} {region[1]}")), child)
        elif what == 3:
            device = self.r.choice(("gntalloc", "gntdev", "evtchn"))
            fd = self.pick(actor.fds[device])
            if fd:
                self.say(actor, f"close {fd}", child)
        else:
            actor.children.remove(child)
            self.say(actor, f"end {child}") if what == 4 else self.say(actor, "kill 9", child)

    def die(self, actor):
        if not self.chance(15) or len(self.lines) < 15:
            return
        actor.alive = False
        self.say(actor, self.r.choice(("kill 9", "exit 0", "segv")))
        self.give_up_all(actor)
        self.forget_maps(actor)
        actor.ports = []

    def script(self):
        """The text. Regions whose mmap may have failed are made sure of: by an ordinary page of
        that name before."""
        weighted = [(self.open, 6), (self.close, 2), (self.alloc, 9), (self.dealloc, 3),
                    (self.mmap_shared, 8), (self.mapop, 10),
                    (self.mmap_map, 10), (self.unmapop, 4), (self.munmap, 6), (self.look, 14),
                    (self.offset, 3), (self.notify, 6),
                    (self.event, 9), (self.copy, 5), (self.fork, 3), (self.child, 4), (self.die, 1)]
        functions, weights = zip(*weighted)
        self.made = set()
        for actor in self.actors:
            for device in ("gntalloc", "gntdev", "evtchn"):
                fd = actor.new("f")
                self.say(actor, f"open {fd} {device} rw,nb")
                actor.fds[device].append(fd)
        while len(self.lines) < self.steps + 9:
            living = [a for a in self.actors if a.alive]
            if not living:
                break
            before = len(self.lines)
            self.r.choices(functions, weights)[0](self.r.choice(living))
            for i, line in enumerate(self.lines[before:], before):
                words = line.split()
                if "mmap" in words:
                    name = words[words.index("mmap") + 1]
                    self.lines.insert(i, f". {words[0]} anon {name} 4")
                    self.made.add(name)
                    break
        for actor in self.actors:
            if actor.alive:
                for fd in actor.fds["evtchn"]:
                    self.say(actor, f"events {fd} 0")
        return "\n".join(self.lines) + "\n"


def script(seed, steps=40):
    return Generator(seed, steps).script()


def scripts(seeds, steps=40):
    return "".join(script(seed, steps) for seed in seeds)
