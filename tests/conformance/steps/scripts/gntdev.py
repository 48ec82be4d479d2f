# SPDX-License-Identifier: MIT
"""Scripts for /dev/xen/gntdev in one domain, row by row of its documentation."""
from script import case

DOMID_IO = 0x7ff1
MAP_GRANT_REF, UNMAP_GRANT_REF, GET_OFFSET, SET_MAX, SET_NOTIFY = 0x184700, 0x104701, 0x184702, 0x44703, 0x104707


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
        for prot, share in (("r", "shared"), ("rw", "shared"), ("w", "shared"), ("r", "private"),
                            ("rw", "private")):
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
