# SPDX-License-Identifier: MIT
"""Scripts for /dev/xen/gntalloc in one domain, row by row of its documentation."""
from script import case

DOMID_IO = 0x7ff1


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
