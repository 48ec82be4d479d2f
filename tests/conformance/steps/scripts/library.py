# SPDX-License-Identifier: MIT
"""Scripts for the libraries in one domain, row by row of their documentation."""
from script import case


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
