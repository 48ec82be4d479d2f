# SPDX-License-Identifier: MIT
"""Pages shared and mapped between domains."""
from script import case


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
