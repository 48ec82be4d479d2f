/* SPDX-License-Identifier: MIT */
/* Event channels: ports, operations and their checks, the two-level bits, both ends' life. */
#include "harness.h"

#include "hv_i.h"

SUITE("evtchn");

static long op(domid_t caller, unsigned cmd, void *arg)
{
    return hv_event_channel_op(w.hv, caller, cmd, arg);
}

static struct evtchn_status status_of(domid_t caller, domid_t dom, uint32_t port, long *rc)
{
    struct evtchn_status s = { .dom = dom, .port = port, .status = 77, .vcpu = 77 };

    *rc = op(caller, EVTCHNOP_status, &s);
    return s;
}

/* Domain 1's port p1 connected to domain 2's p2, nothing pending. */
static void connect(uint32_t *p1, uint32_t *p2)
{
    EQ(evt_alloc(1, DOMID_SELF, 2, p1), 0);
    EQ(evt_bind(2, 1, *p1, p2), 0);
    evt_ack(1);
    evt_ack(2);
    memset(w.upcalls, 0, sizeof w.upcalls);
}

TEST_KINDS("commands are looked at before arguments", "evt:1/unknown evt:1/copy-in")
{
    struct window none = { .from = 16, .to = 16 };

    EQ(event_op_in(1, 15, 16, &none), -ENOSYS);
    EQ(event_op_in(1, UINT32_MAX, 16, &none), -ENOSYS);
    EQ(none.reads, 0);
    for (unsigned cmd = 0; cmd <= RESET_CONT; cmd++)
        EQ(event_op_in(1, cmd, 16, &none), -EFAULT);
    EQ(none.writes, 0);
    audit_clean();
}

TEST_KINDS("a result that cannot be written leaves the port", "evt:1/copy-out")
{
    struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = 2, .port = 77 };
    struct window win = { .from = (uintptr_t)&alloc, .to = (uintptr_t)(&alloc + 1),
                          .fail_write_after = 1 };

    EQ(event_op_in(1, EVTCHNOP_alloc_unbound, (uintptr_t)&alloc, &win), -EFAULT);
    EQ(evt_state(1, 1), EVTCHNSTAT_unbound);
    alloc.dom = 999;
    win.writes = 0;
    EQ(event_op_in(1, EVTCHNOP_alloc_unbound, (uintptr_t)&alloc, &win), -ESRCH);
    EQ(win.writes, 0);                              /* nothing is written on failure */
}

TEST_KINDS("the lowest free port is next", "evt:2/lowest")
{
    uint32_t port;

    for (uint32_t i = 1; i < 200; i++) {
        EQ(evt_alloc(1, DOMID_SELF, 2, &port), 0);
        EQ(port, i);
    }
    EQ(evt_port(1, EVTCHNOP_close, 150), 0);
    EQ(evt_port(1, EVTCHNOP_close, 70), 0);
    EQ(evt_alloc(1, DOMID_SELF, 2, &port), 0);
    EQ(port, 70);
    EQ(evt_alloc(1, DOMID_SELF, 2, &port), 0);
    EQ(port, 150);
    EQ(evt_alloc(1, DOMID_SELF, 2, &port), 0);
    EQ(port, 200);
    audit_clean();
}

TEST_KINDS("port 0 is nobody's", "evt:2/port0 evt:2.1/reserved")
{
    struct evtchn_bind_vcpu bv = { .port = 0 };

    EQ(evt_state(1, 0), EVTCHNSTAT_closed);
    EQ(evt_port(1, EVTCHNOP_close, 0), -EINVAL);
    EQ(evt_port(1, EVTCHNOP_send, 0), -EINVAL);
    EQ(evt_port(1, EVTCHNOP_unmask, 0), 0);
    EQ(op(1, EVTCHNOP_bind_vcpu, &bv), -EINVAL);
    EQ(evt_bind(2, 1, 0, NULL), -EINVAL);
    OK(!evt_pending(1, 0));
}

TEST_KINDS("ports are valid by buckets of 64",
           "evt:2/valid evt:2/never-shrinks evt:2.1/free evt:2/free-number evt:3.5/1 evt:3.6/1 "
           "evt:3.9/invalid")
{
    long rc;
    uint32_t port;

    status_of(1, DOMID_SELF, 63, &rc);
    EQ(rc, 0);
    status_of(1, DOMID_SELF, 64, &rc);
    EQ(rc, -EINVAL);
    EQ(evt_port(1, EVTCHNOP_send, 63), -EINVAL);     /* free */
    EQ(evt_port(1, EVTCHNOP_send, 64), -EINVAL);     /* invalid */
    EQ(evt_port(1, EVTCHNOP_unmask, 63), 0);
    EQ(evt_port(1, EVTCHNOP_unmask, 64), -EINVAL);
    EQ(evt_port(1, EVTCHNOP_unmask, UINT32_MAX), -EINVAL);
    EQ(evt_port(1, EVTCHNOP_close, 64), -EINVAL);
    for (int i = 0; i < 64; i++)
        EQ(evt_alloc(1, DOMID_SELF, 2, &port), 0);
    EQ(port, 64);
    status_of(1, DOMID_SELF, 127, &rc);
    EQ(rc, 0);
    EQ(evt_port(1, EVTCHNOP_close, 64), 0);
    status_of(1, DOMID_SELF, 127, &rc);              /* never shrinks */
    EQ(rc, 0);
}

static void ports_up_to(uint32_t highest, uint32_t last)
{
    struct hv_domain_config config;
    uint32_t port = 0, n = 0;

    world_up(PV, NULL);
    hv_domain_config_init(&config);
    config.max_evtchn_port = highest;
    EQ(add_domain_with(5, &config), 0);
    while (evt_alloc(5, DOMID_SELF, 2, &port) == 0) {
        n++;
        EQ(port, n);
    }
    EQ(n, last);
    EQ(evt_alloc(5, DOMID_SELF, 2, NULL), -ENOSPC);
    EQ(evt_bind(5, 1, 9999, NULL), -ENOSPC);         /* the local port is allocated first */
    EQ(evt_virq(5, VIRQ_DEBUG, 0, NULL), -ENOSPC);
    EQ(op(5, EVTCHNOP_bind_ipi, &(struct evtchn_bind_ipi){ .vcpu = 0 }), -ENOSPC);
    EQ(evt_alloc(1, 5, 2, NULL), -ENOSPC);           /* before permission */
    EQ(evt_port(5, EVTCHNOP_close, 3), 0);
    EQ(evt_alloc(1, 5, 2, NULL), -EPERM);
    EQ(evt_state(5, 3), EVTCHNSTAT_closed);
    audit_clean();
    world_down();
}

TEST("a domain has as many ports as it may",
     "evt:2/max evt:2/max-config evt:2/nospc evt:3.1/2 evt:3.1/3 evt:3.2/2 evt:3.3/6")
{
    ports_up_to(0, 4095);
    ports_up_to(10, 10);
    ports_up_to(127, 127);
    ports_up_to(UINT32_MAX, 4095);
}

TEST_KINDS("an unbound port waits for one domain",
           "evt:3.1/1 evt:3.1/3 evt:3.1/4 evt:1/6 evt:2.1/unbound")
{
    uint32_t port;
    long rc;

    EQ(evt_alloc(1, 999, 2, NULL), -ESRCH);
    EQ(evt_alloc(1, 2, 3, &port), -EPERM);
    EQ(port, 0x77);
    EQ(evt_state(2, 1), EVTCHNSTAT_closed);
    EQ(evt_alloc(1, 1, 999, &port), 0);              /* it need not exist */
    EQ(status_of(1, 1, port, &rc).u.unbound.dom, 999);
    EQ(evt_alloc(1, DOMID_SELF, DOMID_SELF, &port), 0);
    EQ(status_of(1, 1, port, &rc).u.unbound.dom, 1);
    /* A control domain for another: self is the caller. */
    EQ(evt_alloc(0, 2, DOMID_SELF, &port), 0);
    EQ(status_of(0, 2, port, &rc).u.unbound.dom, 0);
    EQ(status_of(0, 2, port, &rc).status, EVTCHNSTAT_unbound);
}

TEST_KINDS("binding checks in order and connects both",
           "evt:3.2/1 evt:3.2/3 evt:3.2/4 evt:3.2/6 evt:1/0 evt:2.1/interdomain")
{
    uint32_t p1, p2;
    long rc;

    EQ(evt_bind(2, 999, 1, NULL), -ESRCH);
    EQ(evt_bind(2, 1, 64, NULL), -EINVAL);            /* invalid */
    EQ(evt_bind(2, 1, 1, NULL), -EINVAL);             /* free */
    EQ(evt_alloc(1, DOMID_SELF, 3, &p1), 0);
    EQ(evt_bind(2, 1, p1, NULL), -EINVAL);            /* for domain 3 */
    EQ(evt_bind(0, 1, p1, NULL), -EINVAL);            /* not even him */
    EQ(evt_state(2, 1), EVTCHNSTAT_closed);           /* the local port is free again */
    EQ(evt_bind(3, 1, p1, &p2), 0);
    EQ(evt_bind(3, 1, p1, NULL), -EINVAL);            /* taken */
    EQ(status_of(1, 1, p1, &rc).u.interdomain.dom, 3);
    EQ(status_of(1, 1, p1, &rc).u.interdomain.port, p2);
    EQ(status_of(1, 1, p1, &rc).status, EVTCHNSTAT_interdomain);
    EQ(status_of(3, 3, p2, &rc).u.interdomain.dom, 1);
    EQ(status_of(3, 3, p2, &rc).u.interdomain.port, p1);
    OK(evt_pending(3, p2));                           /* whoever binds looks once */
    OK(!evt_pending(1, p1));
    EQ(w.upcalls[3], 1);
    EQ(w.upcalls[1], 0);
    audit_clean();
}

TEST_KINDS("a domain may bind to itself", "evt:3.2/loopback")
{
    uint32_t a, b;

    EQ(evt_alloc(1, DOMID_SELF, DOMID_SELF, &a), 0);
    EQ(evt_bind(1, DOMID_SELF, a, &b), 0);
    EQ(b, 2);
    evt_ack(1);
    EQ(evt_port(1, EVTCHNOP_send, a), 0);
    OK(evt_pending(1, b) && !evt_pending(1, a));
    EQ(evt_port(1, EVTCHNOP_send, b), 0);
    OK(evt_pending(1, a));
    audit_clean();
    EQ(evt_port(1, EVTCHNOP_close, a), 0);
    EQ(evt_state(1, b), EVTCHNSTAT_unbound);
    audit_clean();
}

static void virqs(const struct hv_profile *profile, long stranger)
{
    uint32_t port;
    long rc;

    world_up(PV, profile);
    EQ(evt_virq(1, 24, 0, NULL), -EINVAL);
    EQ(evt_virq(1, UINT32_MAX, 5, NULL), -EINVAL);
    EQ(evt_virq(1, VIRQ_CONSOLE, 1, NULL), -EINVAL);  /* not per vCPU */
    EQ(evt_virq(1, VIRQ_TIMER, 1, NULL), -ENOENT);
    EQ(evt_virq(1, VIRQ_DOM_EXC, 0, NULL), stranger);
    EQ(evt_virq(1, VIRQ_ARGO, 0, NULL), 0);           /* per domain */
    EQ(evt_virq(1, VIRQ_ARCH_0, 0, NULL), 0);
    EQ(evt_virq(1, VIRQ_TIMER, 0, &port), 0);
    EQ(status_of(1, 1, port, &rc).u.virq, VIRQ_TIMER);
    EQ(status_of(1, 1, port, &rc).status, EVTCHNSTAT_virq);
    EQ(status_of(1, 1, port, &rc).vcpu, 0);
    OK(!evt_pending(1, port));
    EQ(evt_virq(1, VIRQ_TIMER, 0, NULL), -EEXIST);
    EQ(evt_port(1, EVTCHNOP_send, port), -EINVAL);
    audit_clean();
    EQ(evt_port(1, EVTCHNOP_close, port), 0);
    EQ(evt_virq(1, VIRQ_TIMER, 0, NULL), 0);
    EQ(evt_virq(0, VIRQ_DOM_EXC, 0, &port), 0);
    EQ(hv_domain_destroy(w.hv, 2), 0);
    OK(evt_pending(0, port));
    audit_clean();
    world_down();
}

TEST("virqs have one port, and global ones one handler",
     "evt:3.3/1 evt:3.3/2 evt:3.3/3 evt:3.3/4 evt:3.3/5 evt:3.3/7 evt:3.3/kinds evt:1/1 evt:3.5/5 "
     "evt:2.1/bound")
{
    virqs(&hv_profile_xen_4_17, 0);
    virqs(&hv_profile_xen_4_23, -EBUSY);
}

TEST_KINDS("a stranger to a global virq never hears of it", "evt:3.3/4")
{
    uint32_t port;

    EQ(evt_virq(1, VIRQ_DOM_EXC, 0, &port), 0);
    EQ(hv_domain_destroy(w.hv, 2), 0);
    OK(!evt_pending(1, port));
}

TEST_KINDS("an ipi goes to its own port", "evt:3.4 evt:1/7 evt:1/2 evt:3.6/4 evt:3.5/4 evt:3.8")
{
    struct evtchn_bind_ipi ipi = { .vcpu = 1 };
    struct evtchn_bind_pirq pirq = { .pirq = 0 };
    struct evtchn_bind_vcpu bv = { .vcpu = 0 };

    EQ(op(1, EVTCHNOP_bind_ipi, &ipi), -ENOENT);
    ipi.vcpu = 0;
    EQ(op(1, EVTCHNOP_bind_ipi, &ipi), 0);
    EQ(evt_state(1, ipi.port), EVTCHNSTAT_ipi);
    EQ(evt_port(1, EVTCHNOP_send, ipi.port), 0);
    OK(evt_pending(1, ipi.port));
    bv.port = ipi.port;
    EQ(op(1, EVTCHNOP_bind_vcpu, &bv), -EINVAL);
    EQ(evt_port(1, EVTCHNOP_close, ipi.port), 0);
    OK(!evt_pending(1, ipi.port));
    EQ(op(1, EVTCHNOP_bind_pirq, &pirq), -EINVAL);
}

TEST_KINDS("closing one end leaves the other waiting",
           "evt:3.5/3 evt:3.5/6 evt:3.5/clears evt:3.6/5 evt:1/3 evt:5/afterwards")
{
    uint32_t p1, p2, p3;
    long rc;

    connect(&p1, &p2);
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);
    OK(evt_pending(1, p1));
    memset(w.upcalls, 0, sizeof w.upcalls);
    ((struct shared_info *)hv_shared_info(w.hv, 2))->evtchn_mask[0] |= 1u << p2;
    EQ(evt_port(1, EVTCHNOP_close, p1), 0);
    OK(!evt_pending(1, p1));                          /* of the port that was closed */
    EQ(evt_state(1, p1), EVTCHNSTAT_closed);
    EQ(status_of(2, 2, p2, &rc).u.unbound.dom, 1);
    EQ(status_of(2, 2, p2, &rc).status, EVTCHNSTAT_unbound);
    EQ(w.upcalls[1] + w.upcalls[2], 0);
    OK(((struct shared_info *)hv_shared_info(w.hv, 2))->evtchn_mask[0] >> p2 & 1);
    audit_clean();
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);            /* dropped */
    OK(!evt_pending(1, p1));
    EQ(evt_bind(1, 2, p2, &p3), 0);                   /* bound again by the same domain */
    EQ(evt_state(2, p2), EVTCHNSTAT_interdomain);
    audit_clean();
    EQ(evt_port(1, EVTCHNOP_close, 40), -EINVAL);
}

TEST_KINDS("a closed peer's pending bit stays", "evt:3.5/peer")
{
    uint32_t p1, p2;

    connect(&p1, &p2);
    EQ(evt_port(1, EVTCHNOP_send, p1), 0);
    EQ(evt_port(1, EVTCHNOP_close, p1), 0);
    OK(evt_pending(2, p2));
}

TEST_KINDS("status is for the domain and its controller", "evt:3.7 evt:1/5")
{
    uint32_t p1, p2;
    long rc;

    connect(&p1, &p2);
    status_of(1, 999, p1, &rc);
    EQ(rc, -ESRCH);
    status_of(3, 1, 64, &rc);
    EQ(rc, -EINVAL);                                  /* before permission */
    status_of(3, 1, p1, &rc);
    EQ(rc, -EPERM);
    status_of(0, 1, p1, &rc);
    EQ(rc, 0);
    EQ(status_of(1, 1, 30, &rc).status, EVTCHNSTAT_closed);
    EQ(status_of(1, 1, 30, &rc).vcpu, 0);
}

TEST_KINDS("only some ports can move to another vCPU", "evt:3.8 evt:1/8")
{
    struct evtchn_bind_vcpu bv = { .vcpu = 1 };
    uint32_t p1, p2, timer, argo, unbound;

    connect(&p1, &p2);
    EQ(evt_virq(1, VIRQ_TIMER, 0, &timer), 0);
    EQ(evt_virq(1, VIRQ_ARGO, 0, &argo), 0);
    EQ(evt_alloc(1, 1, 2, &unbound), 0);
    bv.port = p1;
    EQ(op(1, EVTCHNOP_bind_vcpu, &bv), -ENOENT);
    bv.vcpu = 0;
    EQ(op(1, EVTCHNOP_bind_vcpu, &bv), 0);
    bv.port = unbound;
    EQ(op(1, EVTCHNOP_bind_vcpu, &bv), 0);
    bv.port = argo;
    EQ(op(1, EVTCHNOP_bind_vcpu, &bv), 0);
    bv.port = timer;
    EQ(op(1, EVTCHNOP_bind_vcpu, &bv), -EINVAL);
    bv.port = 40;
    EQ(op(1, EVTCHNOP_bind_vcpu, &bv), -EINVAL);
    bv.port = 400;
    EQ(op(1, EVTCHNOP_bind_vcpu, &bv), -EINVAL);
}

TEST_KINDS("a reset closes everything", "evt:3.10 evt:1/10")
{
    struct evtchn_reset reset = { .dom = 999 };
    uint32_t p1, p2;

    connect(&p1, &p2);
    EQ(evt_virq(1, VIRQ_TIMER, 0, NULL), 0);
    EQ(evt_alloc(1, DOMID_SELF, 3, NULL), 0);
    EQ(op(1, EVTCHNOP_reset, &reset), -ESRCH);
    reset.dom = 2;
    EQ(op(1, EVTCHNOP_reset, &reset), -EPERM);
    EQ(op(0, EVTCHNOP_reset, &reset), -EINVAL);        /* it is not paused */
    reset.dom = DOMID_SELF;
    EQ(op(1, EVTCHNOP_reset, &reset), 0);
    EQ(info(1).nr_ports, 0);
    EQ(evt_state(2, p2), EVTCHNSTAT_unbound);
    EQ(evt_virq(1, VIRQ_TIMER, 0, &p1), 0);
    EQ(p1, 1);
    audit_clean();
}

TEST_KINDS("a reset that nobody began cannot be continued", "evt:3.10")
{
    struct evtchn_reset reset = { .dom = 999 };
    uint32_t p1, p2;

    connect(&p1, &p2);
    EQ(op(1, RESET_CONT, &reset), -ESRCH);
    reset.dom = 2;
    EQ(op(1, RESET_CONT, &reset), -EPERM);
    EQ(op(0, RESET_CONT, &reset), -EINVAL);
    reset.dom = 1;
    EQ(op(1, RESET_CONT, &reset), -EBUSY);
    reset.dom = DOMID_SELF;
    EQ(op(1, RESET_CONT, &reset), -EBUSY);
    EQ(evt_state(1, p1), EVTCHNSTAT_interdomain);
    EQ(op(1, EVTCHNOP_reset, &reset), 0);
    EQ(op(1, RESET_CONT, &reset), -EBUSY);
    audit_clean();
}

TEST_KINDS("FIFO channels are not there", "evt:1/fifo")
{
    struct evtchn_set_priority prio = { .port = 1 };
    struct evtchn_init_control control = { .vcpu = 0 };
    struct evtchn_expand_array expand = { .array_gfn = 1 };

    EQ(op(1, EVTCHNOP_init_control, &control), -ENOSYS);
    EQ(op(1, EVTCHNOP_expand_array, &expand), -ENOSYS);
    EQ(op(1, EVTCHNOP_set_priority, &prio), -ENOSYS);
    prio.port = 64;
    EQ(op(1, EVTCHNOP_set_priority, &prio), -EINVAL);
}

/* ---- Bits ------------------------------------------------------------------------------------ */

TEST_KINDS("a pending bit is set once", "evt:4/1 evt:4/2 evt:3.6/3 evt:1/4")
{
    struct shared_info *s = hv_shared_info(w.hv, 1);
    uint32_t p1, p2;

    connect(&p1, &p2);
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);
    EQ(s->vcpu_info[0].evtchn_upcall_pending, 1);
    EQ(s->vcpu_info[0].evtchn_pending_sel, 1);
    EQ(w.upcalls[1], 1);
    /* Still set: nothing more happens, though the guest took the rest away. */
    s->vcpu_info[0].evtchn_upcall_pending = 0;
    s->vcpu_info[0].evtchn_pending_sel = 0;
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);
    EQ(s->vcpu_info[0].evtchn_upcall_pending, 0);
    EQ(w.upcalls[1], 1);
    s->evtchn_pending[0] = 0;
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);
    EQ(w.upcalls[1], 2);
    /* The selector is set already, or the vCPU told already: no kick. */
    s->evtchn_pending[0] = 0;
    s->vcpu_info[0].evtchn_upcall_pending = 0;
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);
    EQ(w.upcalls[1], 2);
    s->evtchn_pending[0] = 0;
    s->vcpu_info[0].evtchn_pending_sel = 0;
    s->vcpu_info[0].evtchn_upcall_pending = 1;
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);
    EQ(s->vcpu_info[0].evtchn_pending_sel, 1);
    EQ(w.upcalls[1], 2);
}

TEST_KINDS("a masked port becomes pending silently",
           "evt:4/2 evt:3.9/unmask evt:1/9 evt:4/unusable")
{
    struct shared_info *s = hv_shared_info(w.hv, 1);
    uint32_t p1, p2;

    connect(&p1, &p2);
    s->evtchn_mask[0] = UINT64_MAX;
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);
    OK(evt_pending(1, p1));
    EQ(s->vcpu_info[0].evtchn_pending_sel, 0);
    EQ(w.upcalls[1], 0);
    EQ(evt_port(1, EVTCHNOP_unmask, p1), 0);
    EQ(s->evtchn_mask[0], ~(UINT64_C(1) << p1));
    EQ(s->vcpu_info[0].evtchn_pending_sel, 1);
    EQ(w.upcalls[1], 1);
    /* Not masked, or nothing pending: nothing. */
    evt_ack(1);
    EQ(evt_port(1, EVTCHNOP_unmask, p1), 0);
    s->evtchn_mask[0] = UINT64_MAX;
    EQ(evt_port(1, EVTCHNOP_unmask, p1), 0);
    EQ(w.upcalls[1], 1);
    s->evtchn_pending[0] = UINT64_C(1) << p1;
    EQ(evt_port(1, EVTCHNOP_unmask, p1), 0);          /* was not masked any more */
    EQ(w.upcalls[1], 1);
    /* A port that is not usable keeps its mask. */
    EQ(evt_port(1, EVTCHNOP_unmask, 40), 0);
    OK(s->evtchn_mask[0] >> 40 & 1);
}

TEST_KINDS("high ports use other words", "evt:4/layout")
{
    struct shared_info *s = hv_shared_info(w.hv, 1);
    uint32_t port = 0, p2;

    while (port != 130)
        EQ(evt_alloc(1, DOMID_SELF, 2, &port), 0);
    EQ(evt_bind(2, 1, 130, &p2), 0);
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);
    EQ(s->evtchn_pending[2], 1u << 2);
    EQ(s->vcpu_info[0].evtchn_pending_sel, 1u << 2);
    EQ((char *)s->evtchn_pending, (char *)&s->vcpu_info[XEN_LEGACY_MAX_VCPUS]);
    EQ((char *)s->evtchn_mask, (char *)s->evtchn_pending + 512);
    EQ(offsetof(struct vcpu_info, evtchn_pending_sel), 8);
}

/* ---- Death ----------------------------------------------------------------------------------- */

TEST_KINDS("death closes ports and tells the hardware domain",
           "evt:5/dying evt:5/order evt:5/peers evt:5/afterwards evt:5/bind evt:5/waiting "
           "evt:5/dom_exc evt:3.6/5")
{
    uint32_t p1, p2, exc, handle, waiting;
    long rc;

    EQ(evt_virq(0, VIRQ_DOM_EXC, 0, &exc), 0);
    connect(&p1, &p2);
    EQ(evt_alloc(3, DOMID_SELF, 1, &waiting), 0);
    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, GNTMAP_host_map, A(1), &handle), GNTST_okay);
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(status_of(2, 2, p2, &rc).status, EVTCHNSTAT_unbound);
    EQ(status_of(2, 2, p2, &rc).u.unbound.dom, 1);
    EQ(w.upcalls[2], 0);
    OK(evt_pending(0, exc));
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);
    EQ(evt_bind(2, 1, p1, NULL), -EINVAL);            /* still there, but closed */
    EQ(evt_alloc(0, 1, 2, NULL), -EINVAL);            /* nothing new in a dying domain */
    audit_clean();
    evt_ack(0);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    OK(evt_pending(0, exc));                          /* and again when it is gone */
    EQ(evt_bind(2, 1, p1, NULL), -ESRCH);
    EQ(evt_state(3, waiting), EVTCHNSTAT_unbound);
    EQ(add_domain(1, kind, false, 4), 0);
    EQ(evt_bind(1, 3, waiting, NULL), 0);             /* whoever has the number may bind */
    audit_clean();
}

TEST_KINDS("ports can be looked at one after the other")
{
    struct hv_port_info p;
    uint32_t p1, p2;

    connect(&p1, &p2);
    EQ(evt_virq(1, VIRQ_TIMER, 0, NULL), 0);
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);
    EQ(hv_port_next(w.hv, 1, 0, &p), 0);
    EQ(p.port, 1);
    EQ(p.status, EVTCHNSTAT_interdomain);
    EQ(p.remote_dom, 2);
    EQ(p.remote_port, p2);
    OK(p.pending && !p.masked);
    EQ(hv_port_next(w.hv, 1, 2, &p), 0);
    EQ(p.status, EVTCHNSTAT_virq);
    EQ(p.virq, VIRQ_TIMER);
    EQ(hv_port_next(w.hv, 1, 3, &p), -ENOENT);
    EQ(hv_port_next(w.hv, 999, 0, &p), -ESRCH);
    EQ(info(1).nr_ports, 2);
}
