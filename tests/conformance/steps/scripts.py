# SPDX-License-Identifier: MIT
"""The scripts, by name: what the actors do, step by step. README.md explains the language.

One case of a script begins with fresh processes. A line that begins with a dot only prepares: it is printed only if it fails.
"""
from pathlib import Path

import fuzz
from script import case, script
from scripts_devices import evtchn, gntalloc, gntdev, library, privcmd


# ---- Sharing and mapping between domains ----------------------------------------------------------

def sharing():
    """Each domain as granter and as mapper, with the libraries."""
    for granter, mapper in ((0, 1), (1, 0), (1, 2), (2, 1)):
        yield case(f"d{granter}-to-d{mapper}", f"""
            actor g {granter}
            actor m {mapper}
            g share p $d{mapper} 2 w
            . g fill p 4096 0x41
            . g fill p+4096 4096 0x42
            . g share q $d{mapper} 1 r
            . g poke q 0x52
            . g share o $d{granter} 1 w
            m map-one a rw $d{granter}:$p.0
            m peek a
            m peek a+4095
            m poke a+7 0x99
            g peek p+7
            g poke p+8 0x77
            m peek a+8
            m map-domain b rw $d{granter}:$p.1 $d{granter}:$p.0
            m peek b
            m peek b+4096
            m map-one c rw $d{granter}:$q.0
            m map-one c r $d{granter}:$q.0
            m peek c
            m poke c 1
            m map-one n rw $d{granter}:$o.0
            m map-one n rw $d{granter}:32000
            m map-one n rw $d{granter}:4294967295
            m map-one n rw 999:$p.0
            m map-one n rw $d{mapper}:$p.0
            m map n rw $d{granter}:$p.0 $d{granter}:32000
            m map n rw $d{granter}:$p.0 999:$p.1
            m map-one n r $d{granter}:$p.0
            m poke n 1
            m peek n+7
            m unmap n
            m unmap b
            m unmap a 2
            m unmap a
            m unmap c
            g unshare p
            m map-one n rw $d{granter}:$p.0
            g share p $d{mapper} 1 w
            m map-one n rw $d{granter}:$p.0
            m sum n 4096
            """)
    yield case("both-ways-at-once", """
        actor a 0
        actor b 1
        a share p $d1 1 w
        b share q $d0 1 w
        a map-one m rw $d1:$q.0
        b map-one m rw $d0:$p.0
        a poke p 1
        b peek m
        b poke q 2
        a peek m
        b poke m 3
        a peek p
        a poke m 4
        b peek q
        """)
    yield case("wrong-domain", """
        actor g 0
        actor a 1
        actor b 2
        . g share p $d1 1 w
        b map-one m rw $d0:$p.0
        b map-one m r $d0:$p.0
        a map-one m rw $d0:$p.0
        g map-one m rw $d0:$p.0
        a poke m 5
        g peek p
        """)
    yield case("two-domains-one-call", """
        actor a 1
        actor b 2
        actor m 0
        . a share p $d0 1 w
        . b share q $d0 1 w
        . a poke p 0xaa
        . b poke q 0xbb
        m map x rw $d1:$p.0 $d2:$q.0
        m peek x
        m peek x+4096
        m map y rw $d1:$p.0 $d2:32000
        m map y rw $d2:$q.0 $d1:$p.0
        m peek y
        m unmap x
        m peek y+4096
        """)
    yield case("two-processes-one-mapper", """
        actor g 0
        actor a 1
        actor b 1
        . g share p $d1 1 w
        a map-one m rw $d0:$p.0
        b map-one m rw $d0:$p.0
        a poke m 0x31
        b peek m
        a unmap m
        b peek m
        g peek p
        b poke m 0x32
        g peek p
        """)
    yield case("many-pages", """
        actor g 1
        actor m 0
        . g share p $d0 64 w
        . g fill p 262144 7
        m map x r """ + " ".join(f"$d1:$p.{i}" for i in range(64)) + """
        m sum x 262144
        m poke x+100000 1
        g poke p+200000 8
        m sum x 262144
        m unmap x 63
        m unmap x 64
        """)
    yield case("raw", """
        actor g 1
        actor m 0
        . g open f gntalloc
        . m open f gntdev
        g alloc f x $d0 w 3
        m mapop f y $d1:$x.0 $d1:$x.1 $d1:$x.2
        m mmap a f $y.index 3 rw shared
        m poke a+4096 9
        g mmap p f $x.index 3 rw shared
        g peek p+4096
        g peek p
        g dealloc f $x.index 3
        m peek a+4096
        g munmap p 3
        m peek a+4096
        m mapop f z $d1:$x.0
        m mmap b f $z.index 1 rw shared
        m unmapop f $y.index 3
        m munmap a 3
        """)


# ---- Copies --------------------------------------------------------------------------------------

def copying():
    for granter, copier in ((0, 1), (1, 0), (1, 2)):
        yield case(f"d{copier}-copies-d{granter}", f"""
            actor g {granter}
            actor c {copier}
            . g share p $d{copier} 1 w
            . g fill p 4096 0x11
            . g share q $d{copier} 1 r
            . g fill q 4096 0x22
            . g share o $d{granter} 1 w
            . c anon l 2
            . c fill l 8192 0x33
            c lib-copy $d{granter}:$p.0:0 l 16
            c peek l+15
            c peek l+16
            c lib-copy l+16 $d{granter}:$p.0:8 8
            g peek p+7
            g peek p+8
            g peek p+16
            c lib-copy l $d{granter}:$q.0:0 8
            g peek q
            c lib-copy $d{granter}:$q.0:4090 l 6
            c lib-copy $d{granter}:$q.0:4090 l 7
            c lib-copy $d{granter}:$q.0:4096 l 0
            c lib-copy $d{granter}:$p.0:0 $d{granter}:$q.0:0 8
            c lib-copy $d{granter}:$q.0:0 $d{granter}:$p.0:100 8
            g peek p+100
            c lib-copy $d{granter}:$o.0:0 l 8
            c lib-copy $d{granter}:32000:0 l 8
            c lib-copy 999:$p.0:0 l 8
            c lib-copy $d{granter}:32000:0 l 8 $d{granter}:$q.0:0 l+32 8
            c peek l+32
            c lib-copy $d{granter}:$q.0:0 l+64 8 $d{granter}:32000:0 l+96 8 $d{granter}:$q.0:0 l+128 8
            c peek l+64
            c peek l+96
            c peek l+128
            c lib-copy l+4000 $d{granter}:$p.0:1000 200
            g peek p+1000
            g peek p+1199
            c lib-copy l l+4096 16
            c lib-copy 0x1000 $d{granter}:$p.0:0 8
            c lib-copy $d{granter}:$p.0:0 0x1000 8
            c map-one m rw $d{granter}:$p.0
            c lib-copy $d{granter}:$q.0:0 $d{granter}:$p.0:2000 8
            c peek m+2000
            c lib-copy $d{granter}:$q.0:0 m+2100 8
            c peek m+2100
            g unshare q
            c lib-copy $d{granter}:$q.0:0 l 8
            """)
    yield case("between-two-others", """
        actor a 1
        actor b 2
        actor c 0
        . a share p $d0 1 w
        . b share q $d0 1 w
        . a fill p 4096 0x51
        c lib-copy $d1:$p.0:0 $d2:$q.0:0 4096
        b sum q 4096
        c lib-copy $d2:$q.0:0 $d1:$p.0:2048 4096
        c lib-copy $d2:32000:0 $d1:32001:0 8
        a poke p 0x61
        c lib-copy $d1:$p.0:0 $d2:$q.0:1 1 $d2:$q.0:1 $d1:$p.0:3 1
        b peek q+1
        a peek p+3
        """)
    yield case("raw-copy", """
        actor g 1
        actor c 0
        . g share p $d0 1 w
        . c anon l 1
        . c open f gntdev
        c copy f l $d1:$p.0:0 4
        c copy f
        c copy-flags f 0 $d1:$p.0:0 l 4
        c copy-flags f 4 $d1:$p.0:0 l 4
        c copy-flags f 5 $d1:$p.0:0 l 4
        c copy f l $d1:$p.0:65535 1
        c copy f l $d1:$p.0:4095 1
        c copy f $d1:$p.0:1 l 65535
        c ioctl f 0x104708 null
        c ioctl f 0x104708 bad
        c ioctl f 0x104708 01000000000000000000000000000000
        c ioctl f 0x104708 00000000000000000000000000000000
        """)
    yield case("local-memory-of-all-kinds", """
        actor g 1
        actor c 0
        . g share p $d0 2 w
        . g fill p 8192 0x3c
        . c share s $d1 1 w
        . c anon l 3
        . c map-one m rw $d1:$p.0
        . c map-one r r $d1:$p.1
        c lib-copy $d1:$p.0:0 s 32
        c peek s+31
        c lib-copy m $d1:$p.1:64 32
        c lib-copy $d1:$p.0:0 r 32
        c lib-copy r $d1:$p.0:128 32
        . c mprotect l 1 r
        c lib-copy $d1:$p.0:0 l 32
        c lib-copy l $d1:$p.0:0 32
        . c mprotect l 1 n
        c lib-copy l $d1:$p.0:0 32
        c lib-copy $d1:$p.0:0 l+4090 32
        c lib-copy $d1:$p.0:0 l+8180 12
        c lib-copy $d1:$p.0:0 l+8180 4000
        c peek l+12179
        c lib-copy $d1:$p.0:0 l+12280 100
        """)


# ---- Notification -----------------------------------------------------------------------------------

def ends(side):
    """(name, steps) of every way in which a process's use of the page x (named p in the mapper) can end."""
    if side == "granter":
        return [("unshare", ["e unshare p"]), ("exit", ["stop e"]), ("exit-status", ["e exit 3"]), ("kill", ["e kill 9"]), ("term", ["e kill 15"]),
                ("segv", ["e segv"]), ("exec", ["e exec"]), ("close-handle", ["e lib-close gntshr"]),
                ("munmap", ["e munmap p 1"]), ("anon-over", ["e anon-over p 1"]), ("mremap-away", ["e mremap p 1 move"]),
                ("mprotect-none", ["e mprotect p 1 n"])]
    return [("unmap", ["e unmap p"]), ("exit", ["stop e"]), ("exit-status", ["e exit 3"]), ("kill", ["e kill 9"]), ("term", ["e kill 15"]),
            ("segv", ["e segv"]), ("exec", ["e exec"]), ("close-handle", ["e lib-close gnttab"]),
            ("close-after-munmap", ["e munmap p 1", "e lib-close gnttab"]),
            ("munmap", ["e munmap p 1"]), ("anon-over", ["e anon-over p 1"]), ("mprotect-none", ["e mprotect p 1 n"])]


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
        for what, offset, port in (("both", 21, "$pe"), ("byte", 21, -1), ("event", -1, "$pe"), ("none", -1, -1)):
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
    yield case("granter-half-unmapped", granter + """
            e notify f $x.index+5 3 $pe
            e notify f $x.index+4101 3 $pe
            e dealloc f $x.index 2
            e munmap p 1
            o events ev 0
            o peek q+5
            e munmap p+4096 1
            o events ev 1
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


# ---- Event channels --------------------------------------------------------------------------------

def channels():
    for a, b in ((0, 1), (1, 0), (1, 2)):
        yield case(f"d{a}-listens-d{b}-binds", f"""
            actor a {a}
            actor b {b}
            . a open e evtchn rw,nb
            . b open e evtchn rw,nb
            a unbound e p $d{b}
            a signal e $p
            a events e 0
            b bind e q $d{a} $p
            b events e 1
            a events e 0
            b events e 0
            a signal e $p
            b events e 0
            b unmask e $q
            b events e 1
            b unmask e $q
            a signal e $p
            a signal e $p
            a signal e $p
            b events e 1
            b unmask e $q
            b events e 0
            b signal e $q
            a events e 1
            b signal e $q
            a events e 0
            a unmask e $p
            a events e 1
            a unmask e $p
            b bind e r $d{a} $p
            b unbind e $q
            a events e 0
            a signal e $p
            b bind e q $d{a} $p
            b events e 1
            b unmask e $q
            a signal e $p
            b events e 1
            a unbind e $p
            b signal e $q
            b bind e r $d{a} $p
            b unbind e $q
            b unbind e $q
            b signal e $q
            """)
    yield case("not-for-you", """
        actor a 0
        actor b 1
        actor c 2
        . a open e evtchn rw,nb
        . b open e evtchn rw,nb
        . c open e evtchn rw,nb
        . a unbound e p $d1
        c bind e q $d0 $p
        a bind e q $d0 $p
        b bind e q $d0 $p
        c bind e q $d0 $p
        b bind e r $d0 $p
        b bind e r $d0 0
        b bind e r $d0 1
        b bind e r $d0 4000
        b bind e r $d0 0xffffffff
        b bind e r 999 $p
        b bind e r 0x7ff0 $p
        b bind e r 0x7ff2 $p
        b bind e r 0x10000 $p
        b signal e 4000
        b unbound e u 999
        b unbound e v 0x7ff0
        b bind e w $d1 $v
        b events e 2
        """)
    yield case("peer-is-killed", """
        actor a 0
        actor b 1
        . a open e evtchn rw,nb
        . b open e evtchn rw,nb
        . a unbound e p $d1
        . b bind e q $d0 $p
        b kill 9
        a events e 0
        a signal e $p
        a poll e
        actor c 1
        . c open e evtchn rw,nb
        c bind e r $d0 $p
        c events e 1
        c signal e $r
        a events e 1
        a unbind e $p
        """)
    yield case("peer-closes-and-forks", """
        actor a 0
        actor b 1
        . a open e evtchn rw,nb
        . b open e evtchn rw,nb
        . a unbound e p $d1
        . b bind e q $d0 $p
        . b events e 1
        . b unmask e $q
        b fork c
        b close e
        a signal e $p
        b in c events e 1
        b in c signal e $q
        a events e 1
        . a unmask e $p
        b in c close e
        a signal e $p
        b unbound e x $d0
        """)
    yield case("two-channels-one-descriptor", """
        actor a 0
        actor b 1
        actor c 2
        . a open e evtchn rw,nb
        . b open e evtchn rw,nb
        . c open e evtchn rw,nb
        . a unbound e pb $d1
        . a unbound e pc $d2
        . b bind e q $d0 $pb
        . c bind e q2 $d0 $pc
        b signal e $q
        c signal e $q2
        a events e 2
        a unmask e $pb $pc
        c signal e $q2
        a events e 1
        a poll e
        b signal e $q
        a poll e
        a events e 1
        a reset e
        a events e 0
        a unmask e $pb
        a unmask e $pc $pc 0 9999
        b signal e $q
        a events e 1
        """)
    yield case("restricted", """
        actor a 0
        actor b 1
        actor c 2
        . b open e evtchn rw,nb
        . c open e evtchn rw,nb
        . b unbound e pb $d0
        . c unbound e pc $d0
        . b unbound e pb2 $d0
        . a open e evtchn rw,nb
        . a bind e q $d1 $pb
        a restrict e 0
        a restrict e 0x7ff0
        a restrict e $d1
        a restrict e $d1
        a restrict e $d2
        a bind e r $d2 $pc
        a bind e r $d1 $pb2
        a unbound e r $d1
        a virq e r 0
        a ioctl e 0x44500 null
        a ioctl e 0x84501 null
        a signal e $q
        b events e 1
        a unbind e $q
        """)
    yield case("libraries", """
        actor a 0
        actor b 1
        a ev-unbound p $d1
        b ev-bind q $d0 $p
        b ev-pending
        b ev-unmask $q
        b ev-signal $q
        a ev-pending
        a ev-unmask $p
        a ev-signal $p
        b ev-pending
        b ev-unmask $q
        b ev-unbind $q
        b ev-unbind $q
        b ev-signal $q
        a ev-signal 0
        a ev-unmask 9999
        a ev-restrict $d1
        a ev-restrict $d1
        a ev-unbound r $d1
        a lib-close evtchn
        """)


# ---- Death ------------------------------------------------------------------------------------------

def death():
    for granter, mapper in ((0, 1), (1, 0)):
        for name, end in (("kill", "kill 9"), ("exit", "exit 0"), ("exec", "exec")):
            yield case(f"granter-d{granter}-{name}", f"""
                actor g {granter}
                actor m {mapper}
                . g share p $d{mapper} 2 w
                . g fill p 8192 0x61
                m map x rw $d{granter}:$p.0
                g {end}
                m peek x+9
                m poke x+9 0x62
                m peek x+9
                m map y rw $d{granter}:$p.1
                m map z r $d{granter}:$p.0
                m lib-copy $d{granter}:$p.0:0 x+100 4
                m unmap x
                """)
            yield case(f"mapper-d{mapper}-{name}", f"""
                actor g {granter}
                actor m {mapper}
                . g share p $d{mapper} 2 w
                . g fill p 8192 0x61
                m map x rw $d{granter}:$p.0 $d{granter}:$p.1
                . m poke x+1 0x63
                m {end}
                g peek p+1
                g poke p+1 0x64
                actor n {mapper}
                n map x rw $d{granter}:$p.0
                n peek x+1
                g unshare p
                n peek x+1
                n unmap x
                n map x rw $d{granter}:$p.0
                """)
    yield case("mapper-dies-with-children", """
        actor g 0
        actor m 1
        . g share p $d1 1 w
        . g poke p 0x61
        m map x rw $d0:$p.0
        m fork c
        m in c peek x
        m in c map y rw $d0:$p.0
        m in c peek y
        m unmap x
        m in c poke y 0x62
        g peek p
        m in c kill 9
        """)
    yield case("granter-children-keep-the-page", """
        actor g 0
        actor m 1
        . g share p $d1 1 w
        . g poke p 0x61
        . g fork c
        g unshare p
        m map x rw $d0:$p.0
        m peek x
        g in c poke p 0x62
        m peek x
        g in c munmap p 1
        m peek x
        m map y rw $d0:$p.0
        m unmap x
        """)
    yield case("granter-of-raw-pages-dies", """
        actor g 1
        actor m 0
        . g open f gntalloc
        . g alloc f x $d0 w 2
        m map a rw $d1:$x.0
        m poke a 0x71
        g kill 9
        m peek a
        m map b rw $d1:$x.1
        m unmap a
        """)


# ---- Domains that are destroyed. Each case leaves two domUs behind. ------------------------------------

def destruction():
    yield case("granter-domain-destroyed", """
        actor g 1
        actor m 0
        . g share p $d0 2 w
        . g fill p 8192 0x51
        . g share-notify n $d0 w 21 -1
        . g fill n 64 0xff
        . m open e evtchn rw,nb
        . g open e evtchn rw,nb
        . m unbound e pm $d1
        . g bind e pg $d0 $pm
        . g share-notify w $d0 w 21 $pg
        . g fill w 64 0xff
        m map x rw $d1:$p.0
        m map y rw $d1:$n.0
        m map z rw $d1:$w.0
        destroy 1
        g peek p
        m peek x
        m poke x 0x52
        m peek x
        m peek y+21
        m peek z+21
        m events e 0
        m map b rw $d1:$p.1
        m map b rw $d1:$p.0
        m lib-copy $d1:$p.0:0 x 4
        m signal e $pm
        m unbound e pn $d1
        m bind e po $d1 5
        m unmap x
        m peek y
        m unmap y
        m unmap z
        m map b rw $d1:$p.0
        m bind e po $d1 5
        m unbind e $pm
        create 1
        """)
    yield case("mapper-domain-destroyed", """
        actor g 0
        actor m 1
        . g open e evtchn rw,nb
        . m open e evtchn rw,nb
        . g unbound e pg $d1
        . m bind e pm $d0 $pg
        . g share p $d1 2 w
        . g fill p 8192 0x51
        m map-notify x rw $d0:$p.0 21 $pm
        m map y rw $d0:$p.1
        m poke y 0x53
        destroy 1
        g peek p+21
        g peek p+4096
        g events e 0
        g signal e $pg
        g unbind e $pg
        g unshare p
        g share q $d1 1 w
        g unshare q
        create 1
        actor n 1
        n map x rw $d0:$p.0
        """)
    yield case("third-domain-unharmed", """
        actor a 1
        actor b 2
        actor c 0
        . a share p $d2 1 w
        . a poke p 0x11
        . b share q $d0 1 w
        . b poke q 0x22
        b map x rw $d1:$p.0
        c map y rw $d2:$q.0
        destroy 1
        b peek x
        b poke x 0x12
        b peek x
        c peek y
        b unmap x
        b map x rw $d1:$p.0
        c poke y 0x23
        b peek q
        create 1
        actor d 1
        d share p $d2 1 w
        b map x rw $d1:$p.0
        d poke p 0x31
        b peek x
        """)
    yield case("both-ends-destroyed", """
        actor a 1
        actor b 2
        . a share p $d2 1 w
        . b share q $d1 1 w
        a map x rw $d2:$q.0
        b map x rw $d1:$p.0
        destroy 1
        b poke q 0x22
        b peek q
        b peek x
        destroy 2
        create 1
        create 2
        actor c 1
        actor d 2
        c share p $d2 1 w
        d map x rw $d1:$p.0
        d peek x
        """)
    yield case("destroyed-while-bound", """
        actor a 1
        actor b 0
        actor c 2
        . a open e evtchn rw,nb
        . b open e evtchn rw,nb
        . c open e evtchn rw,nb
        . a unbound e pb $d0
        . a unbound e pc $d2
        . b bind e qb $d1 $pb
        . c bind e qc $d1 $pc
        . b events e 1
        . b unmask e $qb
        . c events e 1
        . c unmask e $qc
        destroy 1
        b events e 0
        c events e 0
        b signal e $qb
        c signal e $qc
        b unbind e $qb
        c unbind e $qc
        b bind e qb $d1 $pb
        create 1
        b bind e qb $d1 $pb
        """)


SCRIPTS = {
    "x10_share": lambda: script(*sharing()),
    "x20_copy": lambda: script(*copying()),
    "x30_notify0": lambda: script(*notification(0, 1)),
    "x31_notify1": lambda: script(*notification(1, 0)),
    "x35_notify": lambda: script(*notify_details()),
    "x40_evtchn": lambda: script(*channels()),
    "x50_death": lambda: script(*death()),
    "x60_destroy": lambda: script(*destruction()),
}
for _d, _kinds in ((0, {"y10_gntdev": gntdev, "y20_gntalloc": gntalloc, "y30_evtchn": evtchn, "y40_library": library, "y50_privcmd": privcmd}),
                   (1, {"y10_gntdev": gntdev, "y20_gntalloc": gntalloc, "y30_evtchn": evtchn})):
    for _name, _function in _kinds.items():
        SCRIPTS[f"{_name}{_d}"] = lambda f=_function, d=_d: script(*f(d))

# What random scripts found (fuzz.py), shrunk; and some of them as they are.
for _path in sorted((Path(__file__).resolve().parent / "regressions").glob("*.txt")):
    SCRIPTS[f"z_{_path.stem}"] = lambda p=_path: p.read_text(encoding="utf-8")
SCRIPTS["z90_random"] = lambda: fuzz.scripts(range(1, 21))
