/* SPDX-License-Identifier: MIT */
/* /dev/xen/evtchn: binding, delivery, masking, reading and writing, ownership, restriction,
 * references. */
#include "harness.h"

SUITE("evtchn", "pv pvh legacy");

static struct file *e0, *e1;
static uint32_t p0, p1;

static void up(void)
{
    world_up();
    e0 = open_dev(0, "evtchn");
    e1 = open_dev(1, "evtchn");
}

static void down(void)
{
    close_dev(e0);
    close_dev(e1);
    EQ(info(0).nr_ports, 0);
    EQ(info(1).nr_ports, 0);
    world_down();
}

static long bind_unbound(struct file *e, uint32_t remote)
{
    struct ioctl_evtchn_bind_unbound_port op = { remote };

    return do_ioctl(e, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &op);
}

static long bind_inter(struct file *e, uint32_t remote, uint32_t port)
{
    struct ioctl_evtchn_bind_interdomain op = { remote, port };

    return do_ioctl(e, IOCTL_EVTCHN_BIND_INTERDOMAIN, &op);
}

static long bind_virq(struct file *e, uint32_t virq)
{
    struct ioctl_evtchn_bind_virq op = { virq };

    return do_ioctl(e, IOCTL_EVTCHN_BIND_VIRQ, &op);
}

static long port_op(struct file *e, unsigned cmd, uint32_t port)
{
    return do_ioctl(e, cmd, &port);
}

static long notify(struct file *e, uint32_t port)
{
    return port_op(e, IOCTL_EVTCHN_NOTIFY, port);
}

static long unbind(struct file *e, uint32_t port)
{
    return port_op(e, IOCTL_EVTCHN_UNBIND, port);
}

static unsigned readable(struct file *e)
{
    return kernel_poll(e) & POLLIN;
}

/* ---- Binding --------------------------------------------------------------------------------- */

TEST("who binds to an offered port is readable at once, the offerer is not, and both can notify")
{
    long port, other;

    up();
    port = bind_unbound(e0, 1);
    EQ(port, 1);
    other = bind_inter(e1, 0, (uint32_t)port);
    EQ(other, 1);
    OK(readable(e1));
    OK(!readable(e0));
    EQ(next_event(e1), other);
    EQ(notify(e1, (uint32_t)other), 0);
    EQ(next_event(e0), port);
    EQ(notify(e0, (uint32_t)port), 0);
    EQ(next_event(e1), other);
    EQ(next_event(e1), 0);
    audit_clean();
    down();
}

TEST("binding passes the hypervisor's errors on: ESRCH, EINVAL, EEXIST")
{
    uint32_t port, mine;

    up();
    EQ(bind_inter(e1, 2, 1), -ESRCH);
    EQ(bind_inter(e1, 0, 1), -EINVAL);
    port = (uint32_t)bind_unbound(e0, 999);
    EQ(bind_inter(e1, 0, port), -EINVAL);
    mine = (uint32_t)bind_unbound(e0, 0);
    EQ(bind_inter(e1, 0, mine), -EINVAL);
    port = (uint32_t)bind_unbound(e0, 1);
    EQ(bind_inter(e0, 0, port), -EINVAL);
    EQ(bind_inter(e1, 0, port), 1);
    EQ(bind_inter(e1, 0, port), -EINVAL);
    EQ(bind_virq(e0, 24), -EINVAL);
    /* Only the low 16 bits name the domain, and 0x7ff0 is oneself. */
    OK(bind_inter(e0, 0x7ff0, mine) > 0);
    OK(bind_unbound(e0, 0x70001) > 0);
    down();
}

TEST("a channel within one domain works")
{
    uint32_t a, b;

    up();
    a = (uint32_t)bind_unbound(e0, 0);
    b = (uint32_t)bind_inter(e0, 0, a);
    EQ(take_event(e0), b);
    ack_event(e0, b);
    EQ(notify(e0, b), 0);
    EQ(take_event(e0), a);
    ack_event(e0, a);
    down();
}

TEST("a virtual interrupt is delivered and is bound once")
{
    uint32_t port;

    up();
    port = (uint32_t)bind_virq(e0, VIRQ_DOM_EXC);
    EQ(port, 1);
    EQ(bind_virq(e0, VIRQ_DOM_EXC), -EEXIST);
    boot(2, w.profile);
    destroy_domain(2);
    EQ(next_event(e0), port);
    EQ(unbind(e0, port), 0);
    EQ(bind_virq(e0, VIRQ_DOM_EXC), 1);
    down();
}

TEST("ports are given lowest first until none is left: ENOSPC")
{
    long port, n = 0;

    up();
    while ((port = bind_unbound(e0, 1)) > 0)
        EQ(port, ++n);
    EQ(port, -ENOSPC);
    EQ(n, 4095);
    EQ(info(0).nr_ports, 4095);
    EQ(unbind(e0, 4095), 0);
    EQ(unbind(e0, 77), 0);
    EQ(bind_unbound(e0, 1), 77);
    down();
}

/* ---- Delivery -------------------------------------------------------------------------------- */

TEST("events merge, and one that comes before the unmask is delivered after it")
{
    up();
    connect(e0, 0, e1, 1, &p0, &p1);
    for (unsigned i = 0; i < 5; i++)
        EQ(notify(e0, p0), 0);
    EQ(take_event(e1), p1);
    EQ(take_event(e1), 0);
    /* Between read and unmask: kept, and delivered once. */
    EQ(notify(e0, p0), 0);
    EQ(notify(e0, p0), 0);
    EQ(take_event(e1), 0);
    ack_event(e1, p1);
    EQ(take_event(e1), p1);
    ack_event(e1, p1);
    EQ(take_event(e1), 0);
    /* Unmasking what is not masked does nothing. */
    ack_event(e1, p1);
    EQ(take_event(e1), 0);
    down();
}

TEST("read takes whole ports, oldest first, and EAGAIN when there is none and nobody wants to wait")
{
    uint32_t ports[4] = { 0 }, theirs[3], ours[3];
    struct call call;

    up();
    for (unsigned i = 0; i < 3; i++)
        connect(e0, 0, e1, 1, &theirs[i], &ours[i]);
    for (unsigned i = 0; i < 3; i++)
        EQ(notify(e0, theirs[i]), 0);
    EQ(start_read(e1, ports, 3, &call), 0);
    EQ(start_read(e1, ports, 7, &call), 4);
    EQ(ports[0], ours[0]);
    EQ(start_read(e1, ports, sizeof ports, &call), 8);
    EQ(ports[0], ours[1]);
    EQ(ports[1], ours[2]);
    e1->flags |= O_NONBLOCK;
    EQ(start_read(e1, ports, 4, &call), -EAGAIN);
    EQ(start_read(e1, ports, 3, &call), 0);
    down();
}

TEST("read and write are cut to a page, and the ring grows with the bound ports")
{
    static uint32_t ports[2048];
    struct call call;
    uint32_t a, b;

    up();
    for (unsigned i = 0; i < 1100; i++) {
        a = (uint32_t)bind_unbound(e0, 0);
        b = (uint32_t)bind_inter(e0, 0, a);
        MUST(b > 0);
    }
    /* Every binder has its event; nothing was read, so nothing is unmasked. The ring grew with the
     * ports. */
    EQ(start_read(e0, ports, sizeof ports, &call), PAGE);
    EQ(ports[0], 2);
    EQ(ports[1023], 2048);
    EQ(kernel_write(e0, ports, sizeof ports), PAGE);
    EQ(start_read(e0, ports, sizeof ports, &call), 76 * 4);
    audit_clean();
    down();
}

TEST("write unmasks the file's own masked ports and ignores all others")
{
    struct { uint32_t port[3]; char rest; } buf;

    up();
    connect(e0, 0, e1, 1, &p0, &p1);
    EQ(notify(e0, p0), 0);
    EQ(take_event(e1), p1);
    EQ(notify(e0, p0), 0);
    buf.port[0] = 4095;
    buf.port[1] = UINT32_MAX;
    buf.port[2] = p1;
    EQ(kernel_write(e1, &buf, 3), 0);
    EQ(kernel_write(e1, &buf, 11), 8);
    EQ(take_event(e1), 0);
    EQ(kernel_write(e1, &buf, sizeof buf - 3), 12);
    settle();
    EQ(take_event(e1), p1);
    ack_event(e1, p1);
    down();
}

static unsigned wakes;

static void count_wake(struct file *file)
{
    (void)file;
    wakes++;
}

TEST("poll and wake tell the change from empty to not empty")
{
    uint32_t q0, q1;

    up();
    connect(e0, 0, e1, 1, &p0, &p1);
    connect(e0, 0, e1, 1, &q0, &q1);
    wakes = 0;
    e1->wake = count_wake;
    EQ(kernel_poll(e1), POLLOUT | POLLWRNORM);
    EQ(notify(e0, p0), 0);
    EQ(kernel_poll(e1), POLLOUT | POLLWRNORM | POLLIN | POLLRDNORM);
    EQ(wakes, 1);
    /* Only the change from empty wakes. */
    EQ(notify(e0, q0), 0);
    EQ(wakes, 1);
    EQ(next_event(e1), p1);
    OK(readable(e1));
    EQ(next_event(e1), q1);
    OK(!readable(e1));
    EQ(notify(e0, q0), 0);
    EQ(wakes, 2);
    EQ(next_event(e1), q1);
    down();
}

/* ---- Waiting --------------------------------------------------------------------------------- */

TEST("waiting readers are served in their order and can be interrupted")
{
    struct call first, second, third;
    uint32_t a[4], b[4], q0, q1;

    up();
    connect(e0, 0, e1, 1, &p0, &p1);
    connect(e0, 0, e1, 1, &q0, &q1);
    wakes = 0;
    e1->wake = count_wake;
    EQ(start_read(e1, a, sizeof a, &first), KERNEL_PENDING);
    EQ(start_read(e1, b, sizeof b, &second), KERNEL_PENDING);
    EQ(notify(e0, p0), 0);
    OK(first.done && !second.done);
    EQ(first.result, 4);
    EQ(a[0], p1);
    EQ(wakes, 0);                   /* the reader took it all */
    EQ(notify(e0, q0), 0);
    OK(second.done);
    EQ(b[0], q1);
    ack_event(e1, p1);
    ack_event(e1, q1);
    /* Interrupted. */
    EQ(start_read(e1, a, 4, &first), KERNEL_PENDING);
    EQ(start_read(e1, a, 4, &second), KERNEL_PENDING);
    EQ(start_read(e1, a, 4, &third), KERNEL_PENDING);
    kernel_cancel(&second.req);
    OK(second.done);
    EQ(second.result, -EINTR);
    kernel_cancel(&second.req);
    kernel_cancel(&first.req);
    EQ(first.result, -EINTR);
    EQ(notify(e0, p0), 0);
    EQ(third.result, 4);
    kernel_cancel(&third.req);
    ack_event(e1, p1);
    down();
}

TEST("an event that comes while read is running is its result")
{
    struct call call;
    uint32_t a, b, got;
    long rc;

    up();
    a = (uint32_t)bind_unbound(e0, 0);
    b = (uint32_t)bind_inter(e0, 0, a);
    EQ(take_event(e0), b);
    /* b is still masked; the notification is pending. The read that takes the event ends with it,
     * not later. */
    EQ(notify(e0, a), 0);
    EQ(kernel_write(e0, &b, 4), 4);
    rc = start_read(e0, &got, 4, &call);
    EQ(rc, 4);
    EQ(got, b);
    OK(!call.done);
    EQ(kernel_write(e0, &b, 4), 4);
    /* The ring is empty when the read begins, and the kernel has not noticed yet that the event is
     * pending. */
    EQ(hv_event_channel_op(w.hv, 0, EVTCHNOP_send, &(struct evtchn_send){ a }), 0);
    w.upcall[0] = false;
    got = 0;
    rc = start_read(e0, &got, 4, &call);
    EQ(rc, 4);
    EQ(got, b);
    OK(!call.done);
    down();
}

/* ---- Ownership ------------------------------------------------------------------------------- */

TEST("a port belongs to the file that bound it: ENOTCONN for others, EINVAL beyond all ports")
{
    struct file *other;

    up();
    connect(e0, 0, e1, 1, &p0, &p1);
    other = open_dev(0, "evtchn");
    EQ(notify(other, p0), -ENOTCONN);
    EQ(unbind(other, p0), -ENOTCONN);
    EQ(notify(e0, p0 + 1), -ENOTCONN);
    EQ(unbind(e0, 1023), -ENOTCONN);
    EQ(unbind(e0, 1024), -EINVAL);
    EQ(unbind(e0, UINT32_MAX), -EINVAL);
    EQ(notify(e0, UINT32_MAX), -ENOTCONN);
    EQ(notify(e1, p1), 0);
    EQ(take_event(other), 0);
    EQ(take_event(e0), p0);
    /* Somebody else's write unmasks nothing. */
    EQ(notify(e1, p1), 0);
    ack_event(other, p0);
    EQ(take_event(e0), 0);
    ack_event(e0, p0);
    EQ(next_event(e0), p0);
    close_dev(other);
    EQ(unbind(e0, p0), 0);
    EQ(unbind(e0, p0), -ENOTCONN);
    /* The peer is not told, and may go on. */
    EQ(next_event(e1), 0);
    EQ(notify(e1, p1), 0);
    EQ(kernel_poll(e1), POLLOUT | POLLWRNORM);
    down();
}

TEST("what is in the ring is read although its port was unbound")
{
    uint32_t q0, q1;

    up();
    connect(e0, 0, e1, 1, &p0, &p1);
    connect(e0, 0, e1, 1, &q0, &q1);
    EQ(notify(e0, p0), 0);
    EQ(notify(e0, q0), 0);
    EQ(unbind(e1, p1), 0);
    EQ(take_event(e1), p1);
    EQ(take_event(e1), q1);
    down();
}

TEST("closing the file closes its ports, and the peer may be bound again")
{
    up();
    connect(e0, 0, e1, 1, &p0, &p1);
    EQ(notify(e0, p0), 0);
    close_dev(e1);
    EQ(info(1).nr_ports, 0);
    EQ(notify(e0, p0), 0);
    e1 = open_dev(1, "evtchn");
    /* The port went back to unbound, for the same domain. */
    EQ(bind_inter(e1, 0, p0), 1);
    EQ(next_event(e1), 1);
    down();
}

TEST("a port that was masked when it went is not when it is bound again")
{
    uint32_t again;

    up();
    connect(e0, 0, e1, 1, &p0, &p1);
    EQ(notify(e0, p0), 0);
    EQ(take_event(e1), p1);
    EQ(notify(e0, p0), 0);
    EQ(unbind(e1, p1), 0);
    again = (uint32_t)bind_inter(e1, 0, p0);
    EQ(again, p1);
    EQ(next_event(e1), again);
    EQ(next_event(e1), 0);
    EQ(notify(e0, p0), 0);
    EQ(next_event(e1), again);
    down();
}

/* ---- Overflow, reset, restriction ------------------------------------------------------------ */

TEST("an overflow is EFBIG and POLLERR until RESET, and the lost port stays masked")
{
    struct call call;
    uint32_t q0, q1, buf;

    up();
    connect(e0, 0, e1, 1, &p0, &p1);
    connect(e0, 0, e1, 1, &q0, &q1);
    EQ(notify(e0, q0), 0);
    wakes = 0;
    e1->wake = count_wake;
    kernel_evtchn_lose_next(e1);
    EQ(notify(e0, p0), 0);
    EQ(wakes, 1);
    EQ(kernel_poll(e1), POLLERR);
    EQ(start_read(e1, &buf, 4, &call), -EFBIG);
    EQ(start_read(e1, &buf, 3, &call), 0);
    EQ(do_ioctl(e1, IOCTL_EVTCHN_RESET, NULL), 0);
    EQ(kernel_poll(e1), POLLOUT | POLLWRNORM);
    EQ(take_event(e1), 0);
    /* Both are still masked; who writes them goes on. */
    EQ(notify(e0, p0), 0);
    EQ(take_event(e1), 0);
    ack_event(e1, p1);
    EQ(next_event(e1), p1);
    ack_event(e1, q1);
    EQ(notify(e0, q0), 0);
    EQ(next_event(e1), q1);
    down();
}

TEST("a restricted file binds to that domain only, once and for all")
{
    struct ioctl_evtchn_restrict_domid op = { 0 };
    static const domid_t bad[] = { 0, 0x7ff0, 0x7ff4, 0xffff };
    uint32_t port, got;

    up();
    boot(2, w.profile);
    port = (uint32_t)bind_unbound(e0, 1);
    connect(e0, 0, e1, 1, &p0, &p1);
    for (unsigned i = 0; i < 4; i++) {
        op.domid = bad[i];
        EQ(do_ioctl(e0, IOCTL_EVTCHN_RESTRICT_DOMID, &op), -EINVAL);
    }
    op.domid = 1;
    EQ(do_ioctl(e0, IOCTL_EVTCHN_RESTRICT_DOMID, &op), 0);
    EQ(do_ioctl(e0, IOCTL_EVTCHN_RESTRICT_DOMID, &op), -EACCES);
    EQ(do_ioctl(e0, IOCTL_EVTCHN_RESTRICT_DOMID, NULL), -EACCES);
    EQ(bind_unbound(e0, 1), -EACCES);
    EQ(do_ioctl(e0, IOCTL_EVTCHN_BIND_UNBOUND_PORT, NULL), -EACCES);
    EQ(bind_virq(e0, VIRQ_DOM_EXC), -EACCES);
    EQ(do_ioctl(e0, IOCTL_EVTCHN_BIND_VIRQ, NULL), -EACCES);
    EQ(bind_inter(e0, 2, 1), -EACCES);
    EQ(do_ioctl(e0, IOCTL_EVTCHN_BIND_INTERDOMAIN, NULL), -EFAULT);
    EQ(bind_inter(e0, 1, 63), -EINVAL);        /* allowed, but nobody offers it */
    got = (uint32_t)bind_unbound(e1, 0);
    OK(bind_inter(e0, 1, got) > 0);
    /* What was bound before can be used as before. */
    EQ(notify(e0, p0), 0);
    EQ(next_event(e1), p1);
    EQ(unbind(e0, port), 0);
    down();
}

/* ---- Static ports ---------------------------------------------------------------------------- */

#define BIND_STATIC _IOC(_IOC_NONE, 'E', 7, 4)

SUITE("evtchn-static", "pvh");

TEST("a static port is bound by number, by several files, and never closed by the kernel")
{
    struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = 1 };
    struct file *other;

    up();
    EQ(hv_event_channel_op(w.hv, 0, EVTCHNOP_alloc_unbound, &op), 0);
    EQ(do_ioctl(e0, BIND_STATIC, NULL), -EFAULT);
    EQ(port_op(e0, BIND_STATIC, op.port), 0);
    EQ(port_op(e0, BIND_STATIC, op.port), -EISCONN);
    EQ(port_op(e0, BIND_STATIC, 0), -EINVAL);
    EQ(port_op(e0, BIND_STATIC, 4096), -EINVAL);
    /* Two files may listen; the first to acknowledge lets the next event in. */
    other = open_dev(0, "evtchn");
    EQ(port_op(other, BIND_STATIC, op.port), 0);
    p1 = (uint32_t)bind_inter(e1, 0, op.port);
    EQ(next_event(e1), p1);
    EQ(notify(e1, p1), 0);
    EQ(take_event(e0), op.port);
    EQ(take_event(other), op.port);
    EQ(notify(e1, p1), 0);
    EQ(take_event(e0), 0);
    ack_event(other, op.port);
    EQ(take_event(other), op.port);
    EQ(notify(e0, op.port), 0);
    EQ(next_event(e1), p1);
    EQ(unbind(e0, op.port), 0);
    close_dev(other);
    /* The kernel does not close it. */
    EQ(info(0).nr_ports, 1);
    EQ(hv_event_channel_op(w.hv, 0, EVTCHNOP_close, &(struct evtchn_close){ op.port }), 0);
    down();
}
