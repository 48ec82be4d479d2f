# SPDX-License-Identifier: MIT
"""Processes that die, and domains that are destroyed."""
from script import case


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


# Each case leaves two domUs behind.
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
