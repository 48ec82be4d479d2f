# SPDX-License-Identifier: MIT
"""Scripts for /dev/xen/evtchn in one domain, row by row of its documentation."""
from script import case

DOMID_IO = 0x7ff1


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
