# SPDX-License-Identifier: MIT
"""Grant copies between domains."""
from script import case


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
