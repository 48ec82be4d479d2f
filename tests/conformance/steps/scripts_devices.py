# SPDX-License-Identifier: MIT
"""The scripts that need one domain only: each device, and the libraries, row by row of how they are documented."""
from script import case


DOMID_IO = 0x7ff1
MAP_GRANT_REF, UNMAP_GRANT_REF, GET_OFFSET, SET_MAX, SET_NOTIFY = 0x184700, 0x104701, 0x184702, 0x44703, 0x104707
ALLOC_GREF, DEALLOC_GREF = 0x184705, 0x104706


def gntdev(d):
    """spec: /dev/xen/gntdev."""
    begin = f"""
            actor a {d}
            . a open s gntalloc
            . a alloc s x $d{d} w 6
            . a mmap p s $x.index 6 rw shared
            . a fill p 24576 0x40
            . a poke p 0x50
            . a poke p+4096 0x51
            . a poke p+8192 0x52
            . a alloc s ro $d{d} r 1
            . a mmap q s $ro.index 1 rw shared
            . a poke q 0x5f
            . a open f gntdev
            """
    one = begin + f"""
            . a mapop f m $d{d}:$x.0
            """
    three = begin + f"""
            . a mapop f m $d{d}:$x.0 $d{d}:$x.1 $d{d}:$x.2
            """
    ref = [f"$d{d}:$x.{i}" for i in range(6)]

    yield case(f"d{d}-file", begin + """
            a open r gntdev r
            a open w gntdev w
            a read f 4
            a read f 0
            a write f 4
            a write f 0
            a read w 4
            a write r 4
            a seek f 0
            a seek f 4096
            a poll f
            a dup f g
            a close f
            a mapop g m """ + ref[0] + """
            a mmap u g $m.index 1 rw shared
            a peek u
            a close g
            a peek u
            a close g
            """)
    yield case(f"d{d}-unknown-ioctls", begin + """
            a ioctl f 0x4763 null
            a ioctl f 0x4700 null
            a ioctl f 0x204700 null
            a ioctl f 0x40184700 null
            a ioctl f 0xc0184700 null
            a ioctl f 0x184705 null
            a ioctl f 0x104706 null
            a ioctl f 0x44500 null
            a ioctl f 0x305000 null
            a ioctl f 0x5401 null
            a ioctl f 0x541b null
            a ioctl f 0 null
            a ioctl f 0xffffffff null
            a max-grants f 0
            a max-grants f 5
            a ioctl f 0x44703 null
            a ioctl f 0x14470d null
            """)
    yield case(f"d{d}-bad-pointers", begin + f"""
            a ioctl f {MAP_GRANT_REF} null
            a ioctl f {MAP_GRANT_REF} bad
            a ioctl f {UNMAP_GRANT_REF} null
            a ioctl f {UNMAP_GRANT_REF} bad
            a ioctl f {GET_OFFSET} null
            a ioctl f {GET_OFFSET} bad
            a ioctl f {SET_NOTIFY} null
            a ioctl f {SET_NOTIFY} bad
            a ioctl f 0x104708 null
            a ioctl f 0x104708 bad
            """)
    yield case(f"d{d}-counts", begin + """
            a mapop-count f m 0
            a mapop-count f m 65537
            a mapop-count f m 0x7fffffff
            a mapop-count f m 0xffffffff
            a mapop-count f m 1
            a unmapop f 0 0
            a unmapop f 0 0
            a param xen_gntdev limit
            a param xen_gntdev limit 2
            a param xen_gntdev limit
            a mapop f m """ + " ".join(ref[:2]) + """
            a mapop f n """ + " ".join(ref[:3]) + """
            a mapop f n """ + " ".join(ref[:2]) + """
            a mmap u f $m.index 2 rw shared
            a param xen_gntdev limit 0
            a mapop f n """ + ref[0] + """
            a peek u
            a param xen_gntdev limit -1
            a param xen_gntdev limit 4294967295
            a param xen_gntdev limit
            a param xen_gntdev limit 4294967296
            a param xen_gntdev limit x
            a param xen_gntdev limit 65536
            a param xen_gntdev limit
            a param xen_gntdev nothing
            """)
    yield case(f"d{d}-indices", begin + """
            a mapop f a """ + ref[0] + """
            a mapop f b """ + " ".join(ref[:2]) + """
            a mapop f c """ + " ".join(ref[:3]) + """
            a mapop f d """ + ref[0] + """
            a unmapop f $b.index 2
            a mapop f e """ + ref[0] + """
            a mapop f g """ + ref[0] + """
            a unmapop f $c.index 3
            a mapop f h """ + " ".join(ref[:2]) + """
            a mapop f i """ + ref[0] + """
            a mapop f j """ + ref[0] + """
            a unmapop f $a.index 1
            a unmapop f $e.index 1
            a mapop f k """ + ref[0] + """
            a mapop f l """ + " ".join(ref[:2]) + """
            a unmapop f $d.index 2
            a unmapop f $d.index+1 1
            a unmapop f $d.index+4095 0
            a unmapop f $d.index 1
            a unmapop f 0xfffffffffffff000 1
            a unmapop f 0x7ffffffff000 0
            a open o gntdev
            a mapop o z """ + ref[0] + """
            a unmapop o 4096 1
            """)
    yield case(f"d{d}-mmap-arguments", three + """
            a mmap u f $m.index 0 rw shared
            a mmap-bytes u f $m.index 1 rw shared
            a mmap-bytes u f $m.index 8192 rw shared
            a mmap u f $m.index+1 3 rw shared
            a mmap u f $m.index+4096 2 rw shared
            a mmap u f $m.index+12288 3 rw shared
            a mmap u f 0x7ffffffff000 3 rw shared
            a mmap u f 0x8000000000000000 3 rw shared
            a mmap u f $m.index 4 rw shared
            a mmap u f $m.index 3 rw private
            a mmap u f $m.index 3 w private
            a mmap-bytes u f $m.index 8193 rw shared
            a peek u+8192
            a mmap v f $m.index 3 rw shared
            a mmap v f $m.index 3 r shared
            a offset f u
            """)
    for prot in ("r", "w", "rw", "n", "rx", "rwx", "x"):
        for share in ("shared", "private"):
            yield case(f"d{d}-mmap-{prot}-{share}", one + f"""
            a mmap u f $m.index 1 {prot} {share}
            """ + ("" if share == "private" and "w" in prot else """
            a peek u
            a poke u+1 0x91
            a peek p+1
            a offset f u
            """))
    for mode in ("r", "w"):
        for prot, share in (("r", "shared"), ("rw", "shared"), ("w", "shared"), ("r", "private"), ("rw", "private")):
            yield case(f"d{d}-opened-{mode}-mmap-{prot}-{share}", begin + f"""
            a open g gntdev {mode}
            a mapop g m {ref[0]}
            a mmap u g $m.index 1 {prot} {share}
            a mmap u g $m.index 1 r shared
            """)
    yield case(f"d{d}-readonly-grant", begin + f"""
            a mapop f m $d{d}:$ro.0
            a mmap u f $m.index 1 rw shared
            a mmap u f $m.index 1 r shared
            a unmapop f $m.index 1
            a mapop f m $d{d}:$ro.0
            a mmap u f $m.index 1 r shared
            a peek u
            a poke u 1
            a mprotect u 1 rw
            a peek q
            a mapop f n $d{d}:$ro.0
            a mmap v f $n.index 1 w shared
            a mapop f o $d{d}:$ro.0
            a mmap v f $o.index 1 n shared
            a mapop f o $d{d}:$ro.0 {ref[0]}
            a mmap v f $o.index 2 rw shared
            a mapop f o $d{d}:$ro.0 {ref[0]}
            a mmap v f $o.index 2 r shared
            a peek v
            a peek v+4096
            """)
    yield case(f"d{d}-bad-grants", begin + f"""
            a mapop f m $d{d}:32000
            a mmap u f $m.index 1 rw shared
            a mmap u f $m.index 1 rw shared
            a unmapop f $m.index 1
            a unmapop f $m.index 1
            a mapop f m {ref[0]} $d{d}:32000 {ref[1]}
            a mmap u f $m.index 3 rw shared
            a unmapop f $m.index 3
            a mapop f m 999:$x.0
            a mmap u f $m.index 1 rw shared
            a mapop f m {DOMID_IO}:$x.0
            a mmap u f $m.index 1 rw shared
            a mapop f m 32753:$x.0
            a mmap u f $m.index 1 rw shared
            a mapop f m 4294967295:$x.0
            a mmap u f $m.index 1 rw shared
            a mapop f m $d{d}:4294967295
            a mmap u f $m.index 1 rw shared
            a mapop f m $d{d}:7
            a mmap u f $m.index 1 rw shared
            a dealloc s $x.index 6
            a munmap p 6
            a mapop f m {ref[0]}
            a mmap u f $m.index 1 rw shared
            """)
    if d == 0:
        yield case("d0-domid-above-16-bits", begin + """
            a mapop f m 65536:$x.0
            a mmap u f $m.index 1 rw shared
            """)
    yield case(f"d{d}-same-grant-often", begin + f"""
            a mapop f m {ref[0]} {ref[0]} {ref[0]}
            a mmap u f $m.index 3 rw shared
            a poke u+4100 0x33
            a peek u+4
            a peek u+8196
            a mapop f n {ref[0]}
            a mmap v f $n.index 1 r shared
            a peek v+4
            a munmap u 3
            a peek v+4
            """)
    yield case(f"d{d}-offset-of-addresses", three + """
            . a anon z 16
            a mmap-over u z+16384 f $m.index 3 rw
            a offset f u
            a offset f u+4096
            a offset f u+12287
            a offset f z+16383
            a offset f u+12288
            a offset f z
            a munmap z 4
            a offset f z+16383
            a offset f z+12288
            a offset f 0
            a offset f 4096
            a offset f 0x7ffffffff000
            a offset f 0xffffffffffffffff
            a offset f 0x800000000000
            a offset f p
            a open g gntdev
            a offset g u
            a munmap u 1
            a offset f u
            a offset f u+4096
            a munmap u+8192 1
            a offset f u+8191
            a unmapop f $m.index 3
            a offset f u+4096
            a munmap u+4096 1
            a offset f u+4096
            """)
    yield case(f"d{d}-partial-munmap", three + """
            a mmap u f $m.index 3 rw shared
            a munmap u+4096 1
            a peek u
            a peek u+4096
            a peek u+8192
            a munmap u 1
            a peek u
            a peek u+8192
            a mmap v f $m.index 3 rw shared
            a unmapop f $m.index 3
            a peek u+8192
            a munmap u 3
            a unmapop f $m.index 3
            """)
    yield case(f"d{d}-mprotect", three + """
            a mmap u f $m.index 3 rw shared
            a mprotect u 1 r
            a poke u 1
            a peek u
            a mprotect u+4096 1 n
            a poke u+8192 7
            a peek u+8192
            a peek p+8192
            a munmap u 3
            a unmapop f $m.index 3
            """)
    yield case(f"d{d}-mprotect-forbidden", begin + f"""
            a open g gntdev r
            a mapop g m {ref[0]}
            a mmap u g $m.index 1 r shared
            a mprotect u 1 rw
            a mprotect u 1 r
            a mapop f n {ref[0]}
            a mmap v f $n.index 1 r private
            a mprotect v 1 r
            """)
    yield case(f"d{d}-mremap", three + """
            a mmap u f $m.index 3 rw shared
            a mremap u 4
            a mremap u 2
            a peek u
            a peek u+8192
            a mremap u 3
            a munmap u 2
            """)
    yield case(f"d{d}-madvise-and-others", three + """
            a mmap u f $m.index 3 rw shared
            a madvise u 3 dontfork
            a madvise u 3 willneed
            a msync u 3
            a munlock u 3
            a peek u
            """)
    yield case(f"d{d}-system-calls-on-mapped-pages", one + """
            . a mmap u f $m.index 1 rw shared
            . a pipe r w
            . a fill u 64 0x5a
            a write w 64 u
            a read r 32 u+100
            a peek u+131
            a peek u+132
            """)
    yield case(f"d{d}-over-other-memory", one + """
            . a anon z 3
            . a fill z 12288 0x11
            a mmap-over u z+4096 f $m.index 1 rw
            a peek z
            a peek z+4096
            a peek z+8192
            a poke u+9 0x12
            a peek p+9
            a anon-over u 1
            a peek u
            a peek p+9
            a mmap v f $m.index 1 rw shared
            """)
    yield case(f"d{d}-fork", one + f"""
            a mmap u f $m.index 1 rw shared
            a fork c
            a in c peek u
            a in c offset f u
            a in c mapop f n {ref[1]}
            a in c mmap v f $n.index 1 rw shared
            a in c peek v
            a mmap v f $n.index 1 rw shared
            a unmapop f $n.index 1
            a in c unmapop f $m.index 1
            a unmapop f $m.index 1
            a peek u
            a in c munmap u 1
            a peek u
            a in c open g gntdev
            a in c mapop g o {ref[2]}
            a in c mmap w g $o.index 1 rw shared
            a in c peek w
            a end c
            a peek u
            """)
    yield case(f"d{d}-threads", one + f"""
            a thread mmap u f $m.index 1 rw shared
            a peek u
            a thread poke u+3 0x13
            a peek p+3
            a thread mapop f n {ref[1]}
            a thread mmap v f $n.index 1 r shared
            a thread peek v
            a thread munmap u 1
            a peek u
            a thread unmapop f $m.index 1
            a thread offset f v
            """)
    yield case(f"d{d}-exec", one + f"""
            a mmap u f $m.index 1 rw shared
            a fork c
            a in c exec
            a in c open f gntdev
            a in c mapop f m {ref[1]}
            a in c mmap u f $m.index 1 rw shared
            a in c peek u
            a peek u
            a end c
            """)
    yield case(f"d{d}-close-before-munmap", one + """
            a mmap u f $m.index 1 rw shared
            a close f
            a poke u+2 0x22
            a peek p+2
            a open f gntdev
            a offset f u
            a unmapop f $m.index 1
            a munmap u 1
            a peek u
            """)
    yield case(f"d{d}-notify", three + f"""
            . a open e evtchn rw,nb
            . a unbound e e1 $d{d}
            . a bind e e2 $d{d} $e1
            . a events e 1
            . a unmask e $e2
            a notify f $m.index 4 0
            a notify f $m.index 0xffffffff 0
            a notify f $m.index 0 0
            a notify f $m.index 0 999999
            a notify f $m.index 1 999999
            a notify f $m.index 2 0
            a notify f $m.index 2 999999
            a notify f $m.index 2 4095
            a notify f $m.index 2 $e2
            a notify f $m.index 2 $e1
            a notify f $m.index+12288 2 $e2
            a notify f $m.index+12287 3 $e2
            a notify f 0xffffffffffffffff 1 0
            a notify f $m.index+0x100000000000 1 0
            a notify f $m.index+12288 4 0
            a notify f $m.index+12288 0 0
            a mmap u f $m.index 3 rw shared
            a notify f $m.index+5 3 $e2
            a munmap u 3
            a peek p+5
            a events e 0
            a unmapop f $m.index 3
            a events e 1
            a notify f $m.index 1 0
            """)


def gntalloc(d):
    """spec: /dev/xen/gntalloc."""
    begin = f"""
            actor a {d}
            . a open f gntalloc
            . a open g gntdev
            """
    three = begin + f"""
            . a alloc f x $d{d} w 3
            """
    yield case(f"d{d}-file", begin + """
            a open r gntalloc r
            a open w gntalloc w
            a read f 4
            a write f 4
            a read f 0
            a seek f 4096
            a poll f
            """ + "".join(f"""
            a alloc {o} {o}x $d{d} w 1
            a mmap {o}u {o} ${o}x.index 1 r shared
            a mmap {o}u {o} ${o}x.index 1 rw shared
            a mmap {o}u {o} ${o}x.index 1 w shared
            a dealloc {o} ${o}x.index 1
            """ for o in ("r", "w")))
    yield case(f"d{d}-unknown-ioctls", begin + """
            a ioctl f 0x4763 null
            a ioctl f 0x184700 null
            a ioctl f 0x104701 null
            a ioctl f 0x184702 null
            a ioctl f 0x104708 null
            a ioctl f 0x144705 null
            a ioctl f 0x40184705 null
            a ioctl f 0x5401 null
            a ioctl f 0x184705 null
            a ioctl f 0x184705 bad
            a ioctl f 0x104706 null
            a ioctl f 0x104706 bad
            a ioctl f 0x104707 null
            a ioctl f 0x104707 bad
            """)
    yield case(f"d{d}-indices", begin + f"""
            a alloc f a $d{d} w 1
            a alloc f b $d{d} r 3
            a alloc f c $d{d} w 0
            a alloc f d $d{d} w 1
            a dealloc f $d.index 1
            a alloc f e $d{d} w 1
            a alloc f h $d{d} w 1025
            a alloc f h $d{d} w 0xffffffff
            a alloc f h $d{d} w 0x40000000
            a alloc f i $d{d} w 1
            a alloc f j $d{d} 0xffff 1
            a alloc f k $d{d} 2 1
            a alloc f l 999 w 1
            a alloc f m {DOMID_IO} w 1
            a alloc f n 65535 w 1
            a dealloc f 0 0
            a dealloc f 0 5
            a dealloc f $b.index 4
            a dealloc f $a.index 2
            a dealloc f $b.index 2
            a dealloc f $b.index 1
            a dealloc f $b.index+8192 1
            a dealloc f $e.index+1 1
            a dealloc f 0x7ffffffff000 1
            a open h gntalloc
            a alloc h z $d{d} w 1
            a dealloc h $e.index 1
            """)
    yield case(f"d{d}-limit", begin + f"""
            a param xen_gntalloc limit
            a param xen_gntalloc limit 4
            a param xen_gntalloc limit
            a alloc f a $d{d} w 5
            a alloc f a $d{d} w 4
            a alloc f b $d{d} w 1
            a alloc f c $d{d} w 0
            a dealloc f $a.index 1
            a alloc f d $d{d} w 2
            a alloc f d $d{d} w 1
            a mmap p f $d.index 1 rw shared
            a dealloc f $d.index 1
            a alloc f e $d{d} w 1
            a munmap p 1
            a alloc f e $d{d} w 1
            a open h gntalloc
            a alloc h i $d{d} w 1
            a param xen_gntalloc limit 5
            a alloc h i $d{d} w 1
            a param xen_gntalloc limit 0
            a alloc f j $d{d} w 1
            a alloc f j $d{d} w 0
            a param xen_gntalloc limit -1
            a param xen_gntalloc limit
            a alloc f k $d{d} w 1
            a param xen_gntalloc limit 2147483648
            a param xen_gntalloc limit x
            a param xen_gntalloc limit 1024
            a param xen_gntalloc limit
            """)
    yield case(f"d{d}-pages-of-a-mapper-and-the-limit", begin + f"""
            . a alloc f a $d{d} w 1
            . a mmap p f $a.index 1 rw shared
            . a dealloc f $a.index 1
            a map m rw $d{d}:$a.0
            a param xen_gntalloc limit 1
            a alloc f b $d{d} w 1
            a munmap p 1
            a alloc f b $d{d} w 1
            a peek m
            a param xen_gntalloc limit 1024
            """)
    yield case(f"d{d}-mmap", three + f"""
            a mmap u f $x.index 0 rw shared
            a mmap u f $x.index+1 1 rw shared
            a mmap u f $x.index 4 rw shared
            a mmap u f $x.index+12288 1 rw shared
            a mmap u f 0x7ffffffff000 1 rw shared
            a mmap u f $x.index 3 rw private
            a mmap u f $x.index 3 r private
            a mmap u f $x.index 3 r shared
            a peek u
            a poke u 1
            a mprotect u 3 rw
            a poke u 0x21
            a mmap v f $x.index 3 rw shared
            a peek v
            a mmap w f $x.index+4096 1 rw shared
            a poke w 0x22
            a peek v+4096
            a mmap-bytes y f $x.index+8192 100 rw shared
            a poke y+4095 0x23
            a peek v+12287
            a mmap z f $x.index 2 n shared
            a peek z
            a mmap z f $x.index 1 w shared
            a poke z+1 0x24
            a peek u+1
            a alloc f b $d{d} w 1
            a mmap t f $x.index 4 rw shared
            a dealloc f $x.index+4096 1
            a mmap s f $x.index 3 rw shared
            a mmap s f $x.index 1 rw shared
            a mmap s f $x.index+4096 1 rw shared
            a peek t+4096
            """)
    yield case(f"d{d}-readonly-for-the-peer", begin + f"""
            a alloc f x $d{d} r 1
            a mmap p f $x.index 1 rw shared
            a poke p 0x31
            a map m rw $d{d}:$x.0
            a map m r $d{d}:$x.0
            a peek m
            a poke m 1
            a poke p 0x32
            a peek m
            """)
    yield case(f"d{d}-life", three + f"""
            . a mmap p f $x.index 3 rw shared
            . a fill p 12288 0x41
            a dealloc f $x.index 3
            a dealloc f $x.index 3
            a peek p
            a map m rw $d{d}:$x.0
            a map n rw $d{d}:$x.2
            a munmap p+4096 1
            a map o rw $d{d}:$x.1
            a peek o
            a munmap p 1
            a munmap p+8192 1
            a map q rw $d{d}:$x.1
            a peek m
            a unmap o
            a unmap m
            a map q rw $d{d}:$x.0
            a peek n
            """)
    yield case(f"d{d}-zeroed", begin + f"""
            . a alloc f x $d{d} w 4
            . a mmap p f $x.index 4 rw shared
            . a fill p 16384 0xee
            a dealloc f $x.index 4
            a munmap p 4
            a alloc f y $d{d} w 4
            a mmap p f $y.index 4 rw shared
            a sum p 16384
            """)
    yield case(f"d{d}-mremap-and-others", three + """
            . a mmap p f $x.index 3 rw shared
            . a fill p 12288 0x61
            a mremap p 4
            a mremap p 2
            a peek p+8191
            a peek p+8192
            a mremap p 2 move
            a peek p
            a poke p+1 0x62
            a mmap q f $x.index 1 rw shared
            a peek q+1
            a madvise p 2 dontfork
            a madvise p 2 dofork
            a msync p 2
            a mprotect p 1 n
            a peek p
            a mprotect p 1 rw
            a peek p
            a dealloc f $x.index 3
            """)
    yield case(f"d{d}-fork", three + f"""
            . a mmap p f $x.index 3 rw shared
            . a fill p 12288 0x71
            a fork c
            a in c peek p
            a in c poke p+1 0x72
            a peek p+1
            a in c dealloc f $x.index 1
            a dealloc f $x.index 1
            a munmap p 3
            a map m rw $d{d}:$x.0
            a peek m+1
            a in c alloc f y $d{d} w 1
            a in c mmap q f $y.index 1 rw shared
            a mmap q f $y.index 1 rw shared
            a in c poke q 0x73
            a peek q
            a close f
            a end c
            a unmap m
            a map m rw $d{d}:$x.0
            a map m rw $d{d}:$x.1
            a peek q
            """)
    yield case(f"d{d}-madvise-dontfork", three + """
            . a mmap p f $x.index 3 rw shared
            a madvise p 1 dontfork
            a fork c
            a in c peek p
            a in c peek p+4096
            a end c
            """)
    yield case(f"d{d}-notify", three + f"""
            . a open e evtchn rw,nb
            . a unbound e e1 $d{d}
            . a bind e e2 $d{d} $e1
            . a events e 1
            . a unmask e $e2
            . a mmap p f $x.index 3 rw shared
            . a map m rw $d{d}:$x.0 $d{d}:$x.1 $d{d}:$x.2
            . a fill m 12288 0xff
            a notify f $x.index 4 0
            a notify f $x.index+12288 4 0
            a notify f $x.index+12288 2 999999
            a notify f $x.index 2 999999
            a notify f $x.index 2 0
            a notify f $x.index 2 4095
            a notify f 0xffffffffffffffff 1 0
            a notify f $x.index 0 999999
            a notify f $x.index+3 3 $e1
            a notify f $x.index+4100 2 $e2
            a notify f $x.index+8200 1 999999
            a dealloc f $x.index+4096 1
            a notify f $x.index+4100 1 0
            a events e 0
            a close f
            a peek m+3
            a munmap p 3
            a events e 2
            a peek m+3
            a peek m+4100
            a peek m+8200
            a peek m+8201
            """)
    yield case(f"d{d}-system-calls-on-shared-pages", three + """
            . a mmap p f $x.index 3 rw shared
            . a pipe r w
            . a fill p 64 0x5a
            a write w 64 p
            a read r 64 p+4090
            a peek p+4153
            a msync p 3
            """)


def evtchn(d):
    """spec: /dev/xen/evtchn."""
    begin = f"""
            actor a {d}
            . a open e evtchn rw,nb
            """
    pair = begin + f"""
            . a unbound e p $d{d}
            . a bind e q $d{d} $p
            . a events e 1
            . a unmask e $q
            """
    yield case(f"d{d}-file", begin + """
            a open r evtchn r
            a open w evtchn w
            a read e 4
            a read e 3
            a read e 0
            a read e 4097
            a read r 0
            a read w 4
            a write r 4
            a write e 0
            a write e 3
            a write e 4
            a write e 7
            a write e 4096
            a write e 4099
            a write e 8192
            a write e 65536
            a write e 4 0x1000
            a read e 4 0x1000
            a seek e 0
            a seek e 4
            a poll e
            a mmap u e 0 1 r shared
            a mmap u e 0 1 rw private
            """)
    yield case(f"d{d}-unknown-ioctls", begin + """
            a ioctl e 0x4563 null
            a ioctl e 0x4500 null
            a ioctl e 0x84500 null
            a ioctl e 0x40044500 null
            a ioctl e 0x44507 null
            a ioctl e 0x5401 null
            a ioctl e 0x184700 null
            a ioctl e 0x44500 null
            a ioctl e 0x44500 bad
            a ioctl e 0x84501 null
            a ioctl e 0x44502 null
            a ioctl e 0x44503 null
            a ioctl e 0x44504 null
            a ioctl e 0x4505 null
            a ioctl e 0x24506 null
            """)
    yield case(f"d{d}-binding", begin + f"""
            a unbound e p $d{d}
            a unbound e p2 999
            a unbound e p3 {DOMID_IO}
            a unbound e p4 0x7ff0
            a unbound e p5 0x10000
            a unbound e p6 0xffffffff
            a bind e q $d{d} $p
            a bind e r $d{d} $p
            a bind e r $d{d} $q
            a bind e r $d{d} 0
            a bind e r $d{d} 999999
            a bind e r 0x7ff0 $p4
            a bind e r $d{d} $p4
            a bind e r 998 1
            a bind e r {DOMID_IO} 1
            a events e 2
            a unbind e $q
            a unbind e $q
            a signal e $q
            a bind e q $d{d} $p
            a events e 1
            a unbind e 0
            a unbind e 999999
            a unbind e 0xffffffff
            a unbind e 4095
            a signal e 0
            a signal e 999999
            """)
    yield case(f"d{d}-virqs", begin + "".join(f"""
            a virq e v{v} {v}
            """ for v in (4, 5, 6, 8, 9, 10, 11, 24, 25, 4000000000)))
    yield case(f"d{d}-virq-twice", begin + """
            a virq e v 7
            a virq e w 7
            a open g evtchn rw,nb
            a virq g w 7
            a signal e $v
            a events e 0
            a unbind e $v
            a virq g w 7
            """)
    yield case(f"d{d}-ownership", pair + f"""
            a open g evtchn rw,nb
            a signal g $p
            a unbind g $p
            a unmask g $p
            a signal e $p
            a unmask g $q
            a events e 1
            a unmask e $q
            a bind g r $d{d} $q
            a close e
            a unbound g s $d{d}
            a bind g t $d{d} $s
            a events g 1
            """)
    yield case(f"d{d}-merging", pair + """
            a signal e $p
            a signal e $p
            a events e 1
            a events e 0
            a signal e $p
            a signal e $p
            a poll e
            a events e 0
            a unmask e $q
            a poll e
            a events e 1
            a unmask e $q
            a unmask e $q
            a unmask e $q $q $p
            a events e 0
            a signal e $q
            a signal e $p
            a events e 2
            a unmask e $p $q
            a events e 0
            """)
    yield case(f"d{d}-reset", pair + """
            a signal e $p
            a poll e
            a reset e
            a poll e
            a events e 0
            a signal e $p
            a events e 0
            a unmask e $q
            a events e 1
            a reset e
            a unmask e $q
            a events e 0
            a signal e $q
            a events e 1
            """)
    yield case(f"d{d}-unbind-with-event-waiting", pair + f"""
            a signal e $p
            a unbind e $q
            a events e 1
            a unbound e r $d{d}
            a events e 0
            a poll e
            """)
    yield case(f"d{d}-blocking", begin + f"""
            . a open b evtchn
            . a unbound b p $d{d}
            . a bind b q $d{d} $p
            a read b 3
            a read b 4
            a interrupted-read b 4
            a unmask b $q
            a signal b $p
            a read b 4096
            """)
    yield case(f"d{d}-many-ports", begin + f"""
            a unbound-many e 70 $d{d}
            a unbound e p $d{d}
            a bind e q $d{d} $p
            a events e 1
            a unmask e $q
            a signal e $p
            a events e 1
            """)
    yield case(f"d{d}-fork", pair + """
            a fork c
            a signal e $p
            a in c events e 1
            a events e 0
            a in c unmask e $q
            a in c signal e $p
            a events e 1
            a unmask e $q
            a in c unbind e $q
            a unbind e $q
            a end c
            a signal e $p
            """)
    yield case(f"d{d}-signal-io", begin + f"""
            a async e
            a unbound e p $d{d}
            a signals 0
            a bind e q $d{d} $p
            a signals 1
            a signal e $p
            a signals 0
            a events e 1
            a unmask e $q
            a signals 1
            a events e 1
            a unmask e $q
            a signal e $p
            a signals 1
            """)
    yield case(f"d{d}-restricted", pair + f"""
            a restrict e 0
            a restrict e 0x7ff0
            a restrict e 0xffff
            a restrict e 5
            a restrict e 5
            a restrict e 6
            a restrict e 0
            a virq e v 7
            a unbound e r $d{d}
            a unbound e r 5
            a bind e r 5 1
            a bind e r 6 1
            a bind e r 0x7ff0 $p
            a signal e $p
            a events e 1
            a unmask e $q
            a reset e
            a unbind e $q
            """)


def library(d):
    """spec: libxengnttab and libxenevtchn."""
    begin = f"""
            actor a {d}
            """
    yield case(f"d{d}-handles", begin + """
            a lib-open gnttab
            a lib-open gntshr
            a lib-open evtchn
            a lib-fd gnttab g
            a lib-fd gntshr s
            a lib-fd evtchn e
            a lib-close gnttab
            a lib-close gntshr
            a lib-close evtchn
            a lib-open gnttab 0xffff
            a lib-open gntshr 0xffff
            a lib-open evtchn 1
            a lib-fd evtchn e
            a lib-open evtchn 2
            a lib-open evtchn 0x80000000
            """)
    yield case(f"d{d}-closed-twice", begin + """
            a lib-close gnttab
            a lib-close gntshr
            a lib-close evtchn
            """)
    yield case(f"d{d}-share", begin + f"""
            a share p $d{d} 0 w
            a share p $d{d} 1025 w
            a share p 999 1 w
            a unshare p
            a share p $d{d} 3 w
            a lib-fd gntshr s
            a mmap q s 0 1 rw shared
            a dealloc s 0 3
            a notify s 0 1 0
            a map m rw $d{d}:$p.2 $d{d}:$p.0 $d{d}:$p.1
            a poke m 2
            a peek p+8192
            a unshare p 1
            a peek p
            a peek p+4096
            a map n rw $d{d}:$p.1
            a munmap p+4096 2
            a peek m
            a unmap n
            a map n rw $d{d}:$p.1
            a unmap m
            a map n rw $d{d}:$p.1
            """)
    yield case(f"d{d}-share-notify", begin + f"""
            . a ev-unbound e $d{d}
            a share-notify p $d{d} w 0 -1
            a share-notify q $d{d} w 4095 -1
            a share-notify r $d{d} w 4096 -1
            a share-notify s $d{d} w -1 -1
            a share-notify t $d{d} w -1 $e
            a share-notify u $d{d} w 9 $e
            a share-notify v $d{d} w 9 999
            a share-notify v $d{d} w -1 0
            a share-notify w 999 w 9 $e
            a map m rw $d{d}:$p.0
            a map n rw $d{d}:$q.0
            a fill m 4096 0xff
            a fill n 4096 0xff
            a unshare p
            a unshare q
            a peek m
            a peek m+1
            a peek n+4095
            a peek n+4094
            a param xen_gntalloc limit
            """)
    yield case(f"d{d}-map", begin + f"""
            . a share p $d{d} 2 w
            . a share q $d{d} 1 r
            . a fill p 8192 0x31
            a map-one m rw $d{d}:$p.0
            a map-one n r $d{d}:$p.0
            a map-one o n $d{d}:$p.0
            a map-one w w $d{d}:$p.0
            a peek m
            a peek n
            a peek o
            a peek w
            a poke w 0x32
            a peek m
            a map-one x rw $d{d}:$q.0
            a map-one x r $d{d}:$q.0
            a map x rw
            a map-domain y rw $d{d}:$p.0 $d{d}:$p.1
            a map z rw $d{d}:$p.0 $d{d}:$p.1 $d{d}:32000
            a unmap y 1
            a unmap y 3
            a unmap y 2 4096
            a peek y+4096
            a unmap y
            a unmap nothing
            a unmap p 2
            a lib-fd gnttab g
            a mapop g i $d{d}:$p.0
            a max-grants g 1
            a set-max 0
            a set-max 1
            a map y rw $d{d}:$p.0 $d{d}:$p.1
            """)
    yield case(f"d{d}-map-notify", begin + f"""
            . a ev-unbound e $d{d}
            . a share p $d{d} 1 w
            . a share q $d{d} 1 r
            . a fill p 4096 0xff
            a map-notify m rw $d{d}:$p.0 7 -1
            a unmap m
            a peek p+7
            a peek p+8
            a map-notify m rw $d{d}:$p.0 4096 -1
            a unmap m
            a sum p 4096
            a map-notify m rw $d{d}:$p.0 -1 -1
            a unmap m
            a map-notify m rw $d{d}:$p.0 -1 $e
            a unmap m
            a map-notify m rw $d{d}:$p.0 0 9999
            a map-notify m rw $d{d}:$p.0 0 0
            a map-notify m r $d{d}:$p.0 0 -1
            a map-notify m r $d{d}:$p.0 -1 $e
            a map-notify m rw $d{d}:$q.0 0 -1
            a map-notify m rw $d{d}:32000 0 9999
            a lib-fd gnttab g
            a mapop g i $d{d}:$p.0
            """)
    yield case(f"d{d}-evtchn", begin + f"""
            a ev-unbound p $d{d}
            a ev-unbound q 999
            a ev-bind r $d{d} $p
            a ev-bind s $d{d} $p
            a ev-bind s 999 1
            a ev-pending
            a ev-unmask $r
            a ev-signal $p
            a ev-pending
            a ev-unmask $r
            a ev-virq v 7
            a ev-virq w 7
            a ev-virq w 99
            a ev-unbind $v
            a ev-unbind $v
            a ev-signal 9999
            a ev-unmask 9999
            a ev-unbind 9999
            a ev-restrict 0
            a ev-restrict 7
            a ev-restrict 7
            a ev-virq w 7
            a ev-bind s 8 1
            a ev-bind s 7 1
            """)
    yield case(f"d{d}-fork", begin + f"""
            . a share p $d{d} 1 w
            . a poke p 0x11
            . a map m rw $d{d}:$p.0
            a fork c
            a in c peek p
            a in c peek m
            a in c lib-close gnttab
            a peek m
            a in c unmap m
            a in c lib-open gnttab
            a in c map n rw $d{d}:$p.0
            a in c peek n
            a in c unmap n
            a unmap m
            a end c
            a unshare p
            """)
    yield case(f"d{d}-close-keeps-mappings", begin + f"""
            . a share p $d{d} 1 w
            . a poke p 0x11
            . a map m rw $d{d}:$p.0
            a lib-close gnttab
            a peek m
            a lib-close gntshr
            a peek p
            a poke m 0x12
            a peek p
            a map n rw $d{d}:$p.0
            a unmap m
            a peek m
            """)


PRIVCMD_HYPERCALL = 0x305000


def privcmd(d):
    """spec: /dev/xen/privcmd, the part that needs no memory of other domains."""
    yield case(f"d{d}-privcmd", f"""
            actor a {d}
            . a open f privcmd
            a read f 4
            a write f 4
            a seek f 0
            a poll f
            a ioctl f 0x50ff null
            a ioctl f 0x5063 null
            a ioctl f 0x5401 null
            a ioctl f 0x184700 null
            a ioctl f {PRIVCMD_HYPERCALL} null
            a ioctl f {PRIVCMD_HYPERCALL} bad
            a ioctl f {PRIVCMD_HYPERCALL} {"3f" + "00" * 47}
            a ioctl f {PRIVCMD_HYPERCALL} {"14" + "00" * 7 + "63" + "00" * 39}
            a ioctl f 0x25006 null
            a ioctl f 0x25006 0500
            a ioctl f 0x25006 0500
            a ioctl f 0x25006 0600
            a ioctl f {PRIVCMD_HYPERCALL} {"14" + "00" * 47}
            a ioctl f {PRIVCMD_HYPERCALL} null
            """)
