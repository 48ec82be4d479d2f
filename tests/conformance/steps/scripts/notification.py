# SPDX-License-Identifier: MIT
"""Scripts for what ends of grants and mappings tell the peer: the byte and the event."""
from script import case


def ends(side):
    """(name, steps) of every way in which a process's use of the page x (named p in the mapper) can
    end."""
    if side == "granter":
        return [("unshare", ["e unshare p"]), ("exit", ["stop e"]), ("exit-status", ["e exit 3"]),
                ("kill", ["e kill 9"]), ("term", ["e kill 15"]),
                ("segv", ["e segv"]), ("exec", ["e exec"]),
                ("close-handle", ["e lib-close gntshr"]),
                ("munmap", ["e munmap p 1"]), ("anon-over", ["e anon-over p 1"]),
                ("mremap-away", ["e mremap p 1 move"]),
                ("mprotect-none", ["e mprotect p 1 n"])]
    return [("unmap", ["e unmap p"]), ("exit", ["stop e"]), ("exit-status", ["e exit 3"]),
            ("kill", ["e kill 9"]), ("term", ["e kill 15"]),
            ("segv", ["e segv"]), ("exec", ["e exec"]), ("close-handle", ["e lib-close gnttab"]),
            ("close-after-munmap", ["e munmap p 1", "e lib-close gnttab"]),
            ("munmap", ["e munmap p 1"]), ("anon-over", ["e anon-over p 1"]),
            ("mprotect-none", ["e mprotect p 1 n"])]


def notification(ender, other):
    """The matrix of the protocol: who ends, how, and what the peer sees."""
    channel = """
            . o open ev evtchn rw,nb
            . e open ev evtchn rw,nb,exec
            . o unbound ev po $d{ender}
            . e bind ev pe $d{other} $po
            . e events ev 1
            . e unmask ev $pe
        """
    for side in ("granter", "mapper"):
        for what, offset, port in (("both", 21, "$pe"), ("byte", 21, -1), ("event", -1, "$pe"),
                                   ("none", -1, -1)):
            for name, steps in ends(side):
                if what != "both" and name not in ("unshare", "unmap", "kill", "munmap"):
                    continue
                if side == "granter":
                    setup = f"""
            e share-notify p $d{other} w {offset} {port}
            . e fill p 64 0xff
            o map-one q rw $d{ender}:$p.0
            """
                else:
                    setup = f"""
            . o share q $d{ender} 1 w
            . o fill q 64 0xff
            e map-notify p rw $d{other}:$q.0 {offset} {port}
            """
                ending = "\n            ".join(steps)
                yield case(f"d{ender}-{side}-{what}-{name}", f"""
            actor e {ender}
            actor o {other}
            {channel.format(ender=ender, other=other)}
            {setup}
            o events ev 0
            {ending}
            o events ev {1 if what in ("both", "event") and not (name in ("close-handle", "mprotect-none") or (side == "mapper" and name in ("munmap", "anon-over"))) else 0}
            o peek q+21
            o peek q+20
            o poke q+20 0x12
            o peek q+20
            . o unmask ev $po
            o events ev 0
            """)


def notify_details():
    setup = """
            actor e 1
            actor o 0
            . o open ev evtchn rw,nb
            . e open ev evtchn rw,nb
            . o unbound ev po $d1
            . e bind ev pe $d0 $po
            . e events ev 1
            . e unmask ev $pe
            """
    granter = setup + """
            . e open f gntalloc
            . e alloc f x $d0 w 2
            . e mmap p f $x.index 2 rw shared
            . e fill p 8192 0xff
            . o map q rw $d1:$x.0 $d1:$x.1
            """
    mapper = setup + """
            . o share q $d1 2 w
            . o fill q 8192 0xff
            . e open f gntdev
            . e mapop f x $d0:$q.0 $d0:$q.1
            . e mmap p f $x.index 2 rw shared
            """
    look = """
            o peek q+5
            o peek q+4101
            . o unmask ev $po
            o events ev 0
            """
    yield case("granter-two-pages-two-records", granter + """
            e notify f $x.index+5 3 $pe
            e notify f $x.index+4101 1 0
            e dealloc f $x.index 2
            e munmap p 2
            o events ev 1
            """ + look)
    yield case("granter-cancelled", granter + """
            e notify f $x.index+5 3 $pe
            e notify f $x.index+5 0 0
            e dealloc f $x.index 2
            e munmap p 2
            o events ev 0
            """ + look)
    yield case("granter-replaced", granter + """
            e notify f $x.index+5 3 $pe
            e notify f $x.index+6 1 0
            e dealloc f $x.index 2
            e munmap p 2
            o events ev 0
            o peek q+6
            """ + look)
    # A port each: of two events on one port, sent one right after the other, the peer sees one or
    # two.
    yield case("granter-half-unmapped", granter + """
            . o unbound ev po2 $d1
            . e bind ev pe2 $d0 $po2
            . e events ev 1
            . e unmask ev $pe2
            e notify f $x.index+5 3 $pe
            e notify f $x.index+4101 3 $pe2
            e dealloc f $x.index 2
            e munmap p 1
            o events ev 0
            o peek q+5
            e munmap p+4096 1
            o events ev 2
            """ + look)
    yield case("granter-dealloc-of-one", granter + """
            e notify f $x.index+5 3 $pe
            e notify f $x.index+4101 3 $pe
            e dealloc f $x.index 1
            e munmap p 2
            o events ev 1
            o peek q+5
            o peek q+4101
            . o unmask ev $po
            e close f
            o events ev 1
            """ + look)
    yield case("granter-twice-mapped", granter + """
            e mmap r f $x.index 2 rw shared
            e notify f $x.index+5 3 $pe
            e dealloc f $x.index 2
            e munmap p 2
            o events ev 0
            e munmap r 2
            o events ev 1
            """ + look)
    yield case("granter-port-unbound-before", granter + """
            e notify f $x.index+5 3 $pe
            e unbind ev $pe
            o events ev 0
            e dealloc f $x.index 2
            e munmap p 2
            o events ev 1
            """ + look)
    yield case("granter-evtchn-closed-before", granter + """
            e notify f $x.index+5 3 $pe
            e close ev
            e dealloc f $x.index 2
            e munmap p 2
            o events ev 1
            """ + look)
    yield case("granter-close-without-munmap", granter + """
            e notify f $x.index+5 3 $pe
            e close f
            o events ev 0
            o peek q+5
            e munmap p 2
            o events ev 1
            """ + look)
    yield case("granter-never-mmapped", setup + """
            . e open f gntalloc
            . e alloc f x $d0 w 1
            o map q rw $d1:$x.0
            o fill q 64 0xff
            e notify f $x.index+5 3 $pe
            e dealloc f $x.index 1
            o events ev 1
            o peek q+5
            """)
    yield case("granter-fork", granter + """
            e notify f $x.index+5 3 $pe
            e fork c
            e close f
            e munmap p 2
            o events ev 0
            o peek q+5
            e in c munmap p 2
            o events ev 0
            e in c close f
            o events ev 1
            """ + look)
    yield case("granter-fork-parent-dies", granter + """
            . e notify f $x.index+5 3 $pe
            . e fork c
            e in c fork d
            e munmap p 2
            e close f
            e in c munmap p 2
            e in c close f
            o events ev 0
            e in c in d kill 9
            o events ev 1
            """ + look)
    yield case("mapper-one-record", mapper + """
            e notify f $x.index+5 3 $pe
            e notify f $x.index+4101 3 $pe
            e munmap p 2
            o events ev 0
            o peek q+5
            o peek q+4101
            e unmapop f $x.index 2
            o events ev 1
            """ + look)
    yield case("mapper-cancelled", mapper + """
            e notify f $x.index+5 3 $pe
            e notify f $x.index 0 0
            e munmap p 2
            e unmapop f $x.index 2
            o events ev 0
            """ + look)
    yield case("mapper-munmap-first-page", mapper + """
            e notify f $x.index+4101 3 $pe
            e munmap p 1
            o peek q+4101
            e peek p+4096
            e munmap p+4096 1
            o peek q+4101
            o events ev 0
            e close f
            o events ev 1
            """ + look)
    yield case("mapper-unmapop-first", mapper + """
            e notify f $x.index+5 3 $pe
            e unmapop f $x.index 2
            o events ev 0
            o peek q+5
            e munmap p 2
            o events ev 1
            """ + look)
    yield case("mapper-close-first", mapper + """
            e notify f $x.index+5 3 $pe
            e close f
            o events ev 0
            o peek q+5
            e munmap p 2
            o events ev 1
            """ + look)
    yield case("mapper-port-unbound-before", mapper + """
            e notify f $x.index+5 3 $pe
            e unbind ev $pe
            e unmapop f $x.index 2
            e munmap p 2
            o events ev 1
            """ + look)
    yield case("mapper-never-mmapped", setup + """
            . o share q $d1 2 w
            . o fill q 8192 0xff
            . e open f gntdev
            . e mapop f x $d0:$q.0 $d0:$q.1
            e notify f $x.index+5 3 $pe
            e unmapop f $x.index 2
            o events ev 1
            """ + look)
    yield case("mapper-fork", mapper + """
            . e notify f $x.index+5 3 $pe
            . e fork c
            e in c peek p
            e munmap p 2
            o peek q+5
            o events ev 0
            e close f
            o events ev 0
            e in c close f
            o events ev 1
            """ + look)
    yield case("both-sides", setup + """
            . e bind ev qe $d0 0
            e share-notify p $d0 w 21 $pe
            . e fill p 64 0xff
            o map-notify q rw $d1:$p.0 20 $po
            e events ev 0
            o unmap q
            e events ev 1
            e peek p+20
            e peek p+21
            . e unmask ev $pe
            e unshare p
            o events ev 1
            """)
    yield case("errors", setup + """
            e share-notify p $d0 w 4096 -1
            e share-notify q $d0 w 0 9999
            e share-notify q $d0 w 0 0
            e share-notify q $d0 r 5 $pe
            . o share r $d1 1 w
            . o share s $d1 1 r
            e map-notify m rw $d0:$r.0 4096 -1
            e map-notify m rw $d0:$r.0 0 9999
            e map-notify m r $d0:$r.0 0 -1
            e map-notify m r $d0:$s.0 0 $pe
            e map-notify m r $d0:$s.0 -1 $pe
            e unmap m
            o events ev 1
            """)
