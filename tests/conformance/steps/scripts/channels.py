# SPDX-License-Identifier: MIT
"""Event channels between domains."""
from script import case


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
            b events e 1
            a signal e $p
            a signal e $p
            b events e 0
            b unmask e $q
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
