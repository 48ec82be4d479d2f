/* SPDX-License-Identifier: MIT */
/* /dev/xen/evtchn: event channels for processes. A port belongs to the file that bound it. */
#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "ioctls_i.h"
#include "kernel_i.h"

#define FIRST_RING 64u
#define MAX_TRANSFER PAGE_SIZE
#define UNRESTRICTED ((domid_t)-1)

_Static_assert(sizeof(evtchn_port_t) == 4, "ports are read and written in units of this");

struct user_port {
    struct event_handler handler;
    struct evtchn_file *file;
    bool enabled;
    bool stale; /* its channel went with a migration: it is a number that is taken in this file,
                   nothing else */
    struct user_port *next;          /* ascending port */
};

struct waiter {
    struct kreq *req;
    struct evtchn_file *file;
    void *buf;
    size_t size;
    struct waiter *prev, *next;
};

struct evtchn_file {
    struct file *file;
    struct user_port *ports;
    unsigned nr_ports, nr_stale;
    evtchn_port_t *ring;
    uint32_t ring_size;              /* a power of two, 0 before the first bind */
    uint32_t prod, cons;
    bool overflow;
    bool lose_next;                  /* the next event finds no room */
    domid_t restrict_domid;
    struct waiter *waiters;          /* in order of arrival */
};

/* ---- The ring -------------------------------------------------------------------------------- */

static uint32_t ring_used(const struct evtchn_file *u)
{
    return u->prod - u->cons;
}

static int grow_ring(struct evtchn_file *u)
{
    uint32_t size = u->ring_size ? u->ring_size * 2 : FIRST_RING;
    evtchn_port_t *ring;

    if (u->nr_ports <= u->ring_size)
        return 0;
    ring = calloc(size, sizeof *ring);
    if (!ring)
        return -ENOMEM;
    for (uint32_t i = u->cons; i != u->prod; i++)
        ring[i & (size - 1)] = u->ring[i & (u->ring_size - 1)];
    free(u->ring);
    u->ring = ring;
    u->ring_size = size;
    return 0;
}

static size_t ring_read(struct evtchn_file *u, void *buf, size_t size)
{
    evtchn_port_t *out = buf;
    size_t nr = size / sizeof *out, done = 0;

    while (done < nr && u->cons != u->prod)
        out[done++] = u->ring[u->cons++ & (u->ring_size - 1)];
    return done * sizeof *out;
}

static void wake(struct evtchn_file *u)
{
    if (u->file->wake)
        u->file->wake(u->file);
}

static void answer_waiters(struct evtchn_file *u)
{
    struct waiter *w;

    while ((w = u->waiters) && ring_used(u)) {
        DL_DELETE(u->waiters, w);
        kreq_complete(w->req, (long)ring_read(u, w->buf, w->size));
        free(w);
    }
}

static void evtchn_interrupt(struct event_handler *handler)
{
    struct user_port *p = container_of(handler, struct user_port, handler);
    struct evtchn_file *u = p->file;

    p->enabled = false;
    if (u->lose_next || ring_used(u) == u->ring_size) {
        u->lose_next = false;
        u->overflow = true;
        wake(u);
        return;
    }
    u->ring[u->prod++ & (u->ring_size - 1)] = handler->port;
    if (ring_used(u) != 1)
        return;
    answer_waiters(u);
    if (ring_used(u))
        wake(u);
}

/* ---- Ports of a file ------------------------------------------------------------------------- */

static int by_port(const struct user_port *a, const struct user_port *b)
{
    return a->handler.port < b->handler.port ? -1 : 1;
}

static struct user_port *find_port(struct evtchn_file *u, evtchn_port_t port)
{
    /* A port seldom has more than one listener, a file may have thousands of ports. */
    for (struct event_handler *h = event_handlers(u->file->kernel, port); h; h = h->next)
        if (h->fn == evtchn_interrupt && container_of(h, struct user_port, handler)->file == u)
            return container_of(h, struct user_port, handler);
    for (struct user_port *p = u->nr_stale ? u->ports : NULL; p; p = p->next)
        if (p->handler.port == port)
            return p;
    return NULL;
}

static void unbind_port(struct evtchn_file *u, struct user_port *p)
{
    LL_DELETE(u->ports, p);
    u->nr_ports--;
    if (p->stale)
        u->nr_stale--;
    else
        event_unbind(u->file->kernel, &p->handler);
    free(p);
}

static int bind_port(struct evtchn_file *u, evtchn_port_t port, bool is_static)
{
    struct kernel *k = u->file->kernel;
    struct evtchn_close close = { .port = port };
    struct user_port *p = calloc(1, sizeof *p);
    int rc = -ENOMEM;

    if (!p)
        goto fail;
    rc = -EEXIST;
    if (find_port(u, port))
        goto fail;
    *p = (struct user_port){
        .handler = { .port = port, .fn = evtchn_interrupt }, .file = u, .enabled = true
    };
    LL_INSERT_INORDER(u->ports, p, by_port);
    u->nr_ports++;
    rc = grow_ring(u);
    if (!rc)
        rc = event_bind(k, &p->handler, port, is_static);
    if (!rc)
        return 0;
    LL_DELETE(u->ports, p);
    u->nr_ports--;

fail:
    free(p);
    if (!is_static)
        kernel_event_channel_op(k, EVTCHNOP_close, &close);
    return rc;
}

/* ---- ioctls ---------------------------------------------------------------------------------- */

static bool restricted(const struct evtchn_file *u)
{
    return u->restrict_domid != UNRESTRICTED;
}

/* The argument, unless the file is restricted, perhaps while its caller's memory was read. */
static long read_unrestricted(struct file *file, struct kreq *req, void *to, uint64_t arg,
                              size_t size)
{
    long rc;

    if (restricted(file->priv))
        return -EACCES;
    rc = user_read(file->kernel, req, to, arg, size);
    return rc ? rc : restricted(file->priv) ? -EACCES : 0;
}

static long bind_new(struct evtchn_file *u, evtchn_port_t port)
{
    int rc = bind_port(u, port, false);

    return rc ? rc : (long)port;
}

static long ioctl_bind_virq(struct file *file, uint64_t arg, struct kreq *req)
{
    struct evtchn_file *u = file->priv;
    struct ioctl_evtchn_bind_virq bind;
    struct evtchn_bind_virq op;
    long rc = read_unrestricted(file, req, &bind, arg, sizeof bind);

    if (rc)
        return rc;
    op = (struct evtchn_bind_virq){ .virq = bind.virq, .vcpu = 0 };
    rc = kernel_event_channel_op(file->kernel, EVTCHNOP_bind_virq, &op);
    return rc ? rc : bind_new(u, op.port);
}

static long ioctl_bind_interdomain(struct file *file, uint64_t arg, struct kreq *req)
{
    struct evtchn_file *u = file->priv;
    struct ioctl_evtchn_bind_interdomain bind;
    struct evtchn_bind_interdomain op;
    long rc = user_read(file->kernel, req, &bind, arg, sizeof bind);

    if (rc)
        return rc;
    if (restricted(u) && u->restrict_domid != bind.remote_domain)
        return -EACCES;
    op = (struct evtchn_bind_interdomain){ .remote_dom = (domid_t)bind.remote_domain,
                                           .remote_port = bind.remote_port };
    rc = kernel_event_channel_op(file->kernel, EVTCHNOP_bind_interdomain, &op);
    return rc ? rc : bind_new(u, op.local_port);
}

static long ioctl_bind_unbound_port(struct file *file, uint64_t arg, struct kreq *req)
{
    struct evtchn_file *u = file->priv;
    struct ioctl_evtchn_bind_unbound_port bind;
    struct evtchn_alloc_unbound op;
    long rc = read_unrestricted(file, req, &bind, arg, sizeof bind);

    if (rc)
        return rc;
    op = (struct evtchn_alloc_unbound){ .dom = DOMID_SELF,
                                        .remote_dom = (domid_t)bind.remote_domain };
    rc = kernel_event_channel_op(file->kernel, EVTCHNOP_alloc_unbound, &op);
    return rc ? rc : bind_new(u, op.port);
}

static long ioctl_unbind(struct file *file, uint64_t arg, struct kreq *req)
{
    struct evtchn_file *u = file->priv;
    struct ioctl_evtchn_unbind unbind;
    struct user_port *p;
    long rc = user_read(file->kernel, req, &unbind, arg, sizeof unbind);

    if (rc)
        return rc;
    if (unbind.port >= events_nr_channels(file->kernel))
        return -EINVAL;
    p = find_port(u, unbind.port);
    if (!p)
        return -ENOTCONN;
    unbind_port(u, p);
    return 0;
}

static long ioctl_notify(struct file *file, uint64_t arg, struct kreq *req)
{
    struct ioctl_evtchn_notify notify;
    long rc = user_read(file->kernel, req, &notify, arg, sizeof notify);

    if (rc)
        return rc;
    if (!find_port(file->priv, notify.port))
        return -ENOTCONN;
    event_notify(file->kernel, notify.port);
    return 0;
}

static long ioctl_reset(struct file *file, uint64_t arg, struct kreq *req)
{
    struct evtchn_file *u = file->priv;

    (void)arg;
    (void)req;
    u->prod = u->cons = 0;
    u->overflow = false;
    return 0;
}

static long ioctl_restrict_domid(struct file *file, uint64_t arg, struct kreq *req)
{
    struct evtchn_file *u = file->priv;
    struct ioctl_evtchn_restrict_domid restrict_to;
    long rc = read_unrestricted(file, req, &restrict_to, arg, sizeof restrict_to);

    if (rc)
        return rc;
    if (restrict_to.domid == 0 || restrict_to.domid >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    u->restrict_domid = restrict_to.domid;
    return 0;
}

static long ioctl_bind_static(struct file *file, uint64_t arg, struct kreq *req)
{
    uint32_t port;
    long rc;

    if (!file->kernel->profile->has_bind_static)
        return -ENOSYS;
    rc = user_read(file->kernel, req, &port, arg, sizeof port);
    if (rc)
        return rc;
    if (find_port(file->priv, port))
        return -EISCONN;
    return bind_port(file->priv, port, true);
}

static long evtchn_ioctl(struct file *file, unsigned cmd, uint64_t arg, struct kreq *req)
{
    static const struct ioctl_handler handlers[] = {
#define ROW(name, handler, ...) { IOCTL_EVTCHN_##name, handler },
        KERNEL_EVTCHN_IOCTLS(ROW)
#undef ROW
    };

    return ioctl_dispatch(handlers, sizeof handlers / sizeof *handlers, file, cmd, arg, req,
                          -ENOSYS);
}

/* ---- The file -------------------------------------------------------------------------------- */

static int evtchn_open(struct file *file)
{
    struct evtchn_file *u = calloc(1, sizeof *u);

    if (!u)
        return -ENOMEM;
    u->file = file;
    u->restrict_domid = UNRESTRICTED;
    file->priv = u;
    return 0;
}

static void evtchn_release(struct file *file)
{
    struct evtchn_file *u = file->priv;
    struct user_port *p;

    while (u->waiters)
        u->waiters->req->abort(u->waiters->req, -EBADF);
    while (file->kernel && u->ports)
        unbind_port(u, u->ports);
    while ((p = u->ports)) {
        u->ports = p->next;
        free(p);
    }
    free(u->ring);
    free(u);
}

static void abort_read(struct kreq *req, long why)
{
    struct waiter *w = req->driver;

    DL_DELETE(w->file->waiters, w);
    free(w);
    kreq_complete(req, why);
}

static long evtchn_read(struct file *file, void *buf, size_t size, struct kreq *req)
{
    struct evtchn_file *u = file->priv;
    struct waiter *w;

    size &= ~(sizeof(evtchn_port_t) - 1);
    if (!size)
        return 0;
    if (size > MAX_TRANSFER)
        size = MAX_TRANSFER;
    if (u->overflow)
        return -EFBIG;
    if (ring_used(u))
        return (long)ring_read(u, buf, size);
    if (file->flags & O_NONBLOCK)
        return -EAGAIN;
    w = malloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    *w = (struct waiter){ .req = req, .file = u, .buf = buf, .size = size };
    DL_APPEND(u->waiters, w);
    return kreq_pend(file->kernel, req, true, abort_read, w);
}

static long evtchn_write(struct file *file, const void *buf, size_t size)
{
    struct evtchn_file *u = file->priv;
    const char *in = buf;

    size &= ~(sizeof(evtchn_port_t) - 1);
    if (size > MAX_TRANSFER)
        size = MAX_TRANSFER;
    for (size_t i = 0; i < size; i += sizeof(evtchn_port_t)) {
        struct user_port *p;
        evtchn_port_t port;

        memcpy(&port, in + i, sizeof port);
        p = find_port(u, port);
        if (!p || p->enabled)
            continue;
        p->enabled = true;
        if (!p->stale)
            event_eoi(file->kernel, port);
    }
    return (long)size;
}

static unsigned evtchn_poll(struct file *file)
{
    struct evtchn_file *u = file->priv;

    if (u->overflow)
        return POLLERR;
    return POLLOUT | POLLWRNORM | (ring_used(u) ? POLLIN | POLLRDNORM : 0u);
}

/* Files keep the ports that they had as numbers, what is in their rings, and their readers. */
void evtchn_migrated(struct kernel *k)
{
    for (struct file *file = k->files; file; file = file->next) {
        struct evtchn_file *u = file->priv;

        if (file->dev != &evtchn_chardev)
            continue;
        for (struct user_port *p = u->ports; p; p = p->next)
            p->stale = true;
        u->nr_stale = u->nr_ports;
    }
}

void kernel_evtchn_lose_next(struct file *file)
{
    assert(file->dev == &evtchn_chardev);
    ((struct evtchn_file *)file->priv)->lose_next = true;
}

static const struct chardev_ops evtchn_ops = {
    .open = evtchn_open,
    .release = evtchn_release,
    .ioctl = evtchn_ioctl,
    .read = evtchn_read,
    .write = evtchn_write,
    .poll = evtchn_poll,
};

const struct chardev evtchn_chardev = {
    .name = "evtchn", .async = true, .stream = true, .ops = &evtchn_ops
};
