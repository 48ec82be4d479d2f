/* SPDX-License-Identifier: MIT */
/* Carries a program's requests from its socket to an open /dev/xen/xenbus, and the replies back. */
#include "bridges.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utlist.h>
#include <xen/io/xs_wire.h>

#include "container_of.h"
#include "machine.h"
#include "xs_error.h"

#define HEADER sizeof(struct xsd_sockmsg)

/* Only the main loop frees it. */
struct store_bridge {
    struct watch watch;
    struct store_bridges *all;
    struct domain *domain;
    unsigned domid;                 /* the domain's, when it connected */
    struct file *file;
    bool closing;
    size_t used, out_size, sent;    /* bytes of in, of out, and of out that are sent */
    uint8_t in[HEADER + XENSTORE_PAYLOAD_MAX], out[HEADER + XENSTORE_PAYLOAD_MAX];
    struct store_bridge *prev, *next;
};

static void hang_up(struct store_bridge *bridge)
{
    if (bridge->closing)
        return;
    bridge->closing = true;
    shutdown(bridge->watch.fd, SHUT_RDWR);
}

/* ---- From the kernel ------------------------------------------------------------------------- */

/* The device is opened O_NONBLOCK. */
static void never_done(struct kreq *kreq, long result)
{
    (void)kreq;
    (void)result;
    abort();
}

/* There is something to read: the main loop sees at once that the socket takes it. */
static void on_wake(struct file *file)
{
    struct store_bridge *bridge = file->owner;

    machine_rearm(bridge->all->listeners.machine, &bridge->watch, EPOLLIN | EPOLLOUT);
}

static void send_some(struct store_bridge *bridge)
{
    ssize_t n = send(bridge->watch.fd, bridge->out + bridge->sent, bridge->out_size - bridge->sent,
                     MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n > 0)
        bridge->sent += (size_t)n;
    else if (errno != EAGAIN && errno != EINTR)
        hang_up(bridge);
}

static bool has_output(const struct store_bridge *bridge)
{
    return bridge->sent < bridge->out_size;
}

/* Until the device has nothing more, or the program takes no more. */
static void carry_back(struct store_bridge *bridge)
{
    struct kreq kreq = { .done = never_done };
    long n = 0;

    while (!bridge->closing && n != -EAGAIN) {
        if (has_output(bridge)) {
            send_some(bridge);
            if (has_output(bridge))
                return;
        }
        n = kernel_read(bridge->file, bridge->out, sizeof bridge->out, &kreq);
        bridge->sent = 0;
        bridge->out_size = n > 0 ? (size_t)n : 0;
        if (n <= 0 && n != -EAGAIN)
            hang_up(bridge);
    }
}

/* ---- From the program ------------------------------------------------------------------------ */

/* What the write failed with, as the reply that the store would have given. */
static void answer_error(struct store_bridge *bridge, int error)
{
    struct xsd_sockmsg header;
    const char *name = xs_error_name(error);

    memcpy(&header, bridge->in, HEADER);
    header.type = XS_ERROR;
    header.len = (uint32_t)strlen(name) + 1;
    memcpy(bridge->out, &header, HEADER);
    memcpy(bridge->out + HEADER, name, header.len);
    bridge->sent = 0;
    bridge->out_size = HEADER + header.len;
}

/* Gives a whole message to the device. False: there is none yet. */
static bool carry_one(struct store_bridge *bridge)
{
    struct xsd_sockmsg header;
    size_t size;
    long n;

    if (bridge->used < HEADER)
        return false;
    memcpy(&header, bridge->in, HEADER);
    size = HEADER + (size_t)header.len;
    if (size > sizeof bridge->in)
        hang_up(bridge);
    if (bridge->used < size || bridge->closing)
        return false;
    /* As libxenstore writes it: so the device says E2BIG of what is too long. */
    n = kernel_write(bridge->file, bridge->in, HEADER);
    if (n > 0 && header.len)
        n = kernel_write(bridge->file, bridge->in + HEADER, header.len);
    if (n == -ENODEV)
        hang_up(bridge);
    else if (n < 0)
        answer_error(bridge, (int)-n);
    bridge->used -= size;
    memmove(bridge->in, bridge->in + size, bridge->used);
    return true;
}

static void receive(struct store_bridge *bridge)
{
    ssize_t n = recv(bridge->watch.fd, bridge->in + bridge->used, sizeof bridge->in - bridge->used,
                     MSG_DONTWAIT);

    if (n > 0)
        bridge->used += (size_t)n;
    else if (!n || (errno != EAGAIN && errno != EINTR))
        hang_up(bridge);
}

static void bridge_free(struct store_bridge *bridge)
{
    struct domain *d = bridge->domain;

    machine_unwatch(bridge->all->listeners.machine, &bridge->watch);
    close(bridge->watch.fd);
    DL_DELETE(bridge->all->list, bridge);
    kernel_file_close(bridge->file);
    free(bridge);
    d->open_files--;
    domain_enter(d);     /* lets a dead domain go if this was the last */
    domain_leave(d);
}

/* Whoever takes no replies makes no requests either. */
static void bridge_ready(void *ctx, unsigned events)
{
    struct store_bridge *bridge = ctx;
    struct machine *m = bridge->all->listeners.machine;

    machine_lock(m);
    carry_back(bridge);
    if (!bridge->closing && !has_output(bridge) && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(bridge);
    while (!bridge->closing && !has_output(bridge) && carry_one(bridge))
        carry_back(bridge);
    if (bridge->closing)
        bridge_free(bridge);
    else
        machine_rearm(m, &bridge->watch, has_output(bridge) ? EPOLLOUT : EPOLLIN);
    machine_unlock(m);
}

/* ---- Their life ------------------------------------------------------------------------------ */

static void bridge_accept(struct store_listener *listener, int fd)
{
    struct store_bridges *all = container_of(listener->all, struct store_bridges, listeners);
    struct domain *d = machine_domain(listener->all->machine, (domid_t)listener->domid);
    struct store_bridge *bridge = calloc(1, sizeof *bridge);

    if (!d || !bridge ||
        kernel_open(d->kernel, kernel_chardev_find("xenbus"), O_RDWR | O_NONBLOCK, &bridge->file)) {
        close(fd);
        free(bridge);
        return;
    }
    bridge->watch = (struct watch){ fd, bridge_ready, bridge };
    bridge->all = all;
    bridge->domain = d;
    bridge->domid = listener->domid;
    bridge->file->owner = bridge;
    bridge->file->wake = on_wake;
    d->open_files++;
    DL_APPEND(all->list, bridge);
    if (machine_watch(listener->all->machine, &bridge->watch, EPOLLIN))
        bridge_free(bridge);
}

void store_bridges_begin(struct store_bridges *all, struct machine *m)
{
    store_listeners_begin(&all->listeners, m, bridge_accept);
}

void store_bridges_hang_up(struct store_bridges *all, unsigned domid)
{
    struct store_bridge *bridge;

    DL_FOREACH(all->list, bridge)
        if (bridge->domid == domid)
            hang_up(bridge);
    store_listeners_close(&all->listeners, domid);
}

void store_bridges_free(struct store_bridges *all)
{
    while (all->list)
        bridge_free(all->list);
    store_listeners_free(&all->listeners);
}
