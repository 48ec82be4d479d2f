/* SPDX-License-Identifier: MIT */
/* The domains' sockets, at which programs connect to the store. */
#include "listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <utlist.h>

#include "machine.h"
#include "sock_way.h"

static void free_listener(struct store_listener *listener)
{
    machine_unwatch(listener->all->machine, &listener->watch);
    close(listener->watch.fd);
    DL_DELETE(listener->all->list, listener);
    free(listener);
}

/* A program that waits to be let in would make the loop look again and again. */
static void turn_away(const struct store_listener *listener)
{
    struct store_listeners *all = listener->all;
    int fd;

    close(all->spare_fd);
    fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    all->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    machine_log(all->machine,
                "domain %u: a client of the store was turned away: "
                "the machine has no descriptors left (ulimit -n)",
                listener->domid);
}

static void listener_ready(void *ctx, unsigned events)
{
    struct store_listener *listener = ctx;
    struct machine *m = listener->all->machine;
    int fd;

    (void)events;
    machine_lock(m);
    if (listener->closing) {
        free_listener(listener);
    } else {
        fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            listener->all->accept(listener, fd);
        else if (errno == EMFILE || errno == ENFILE)
            turn_away(listener);
        machine_rearm(m, &listener->watch, EPOLLIN);
    }
    machine_unlock(m);
}

static int open_listener(struct store_listener *listener)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc = 0;

    if (fd < 0)
        return -errno;
    strcpy(addr.sun_path, listener->path);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) || listen(fd, 128))
        rc = -errno;
    listener->watch = (struct watch){ fd, listener_ready, listener };
    if (!rc)
        rc = machine_watch(listener->all->machine, &listener->watch, EPOLLIN);
    if (rc)
        close(fd);
    return rc;
}

static struct store_listener *find_listener(const struct store_listeners *all, domid_t id,
                                            bool inside)
{
    struct store_listener *listener;

    DL_FOREACH(all->list, listener)
        if (listener->domid == id && listener->inside == inside && !listener->closing)
            return listener;
    return NULL;
}

/* ---- For their owners ------------------------------------------------------------------------ */

void store_listeners_begin(struct store_listeners *all, struct machine *m,
                           void (*accept)(struct store_listener *listener, int fd))
{
    *all = (struct store_listeners){
        .machine = m, .accept = accept, .spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC)
    };
}

const char *store_listeners_path(struct store_listeners *all, domid_t id, bool inside, int *rc)
{
    struct store_listener *listener = find_listener(all, id, inside);
    const char *dir;

    *rc = 0;
    if (listener)
        return listener->path;
    dir = sock_way_dir(all->machine, inside, rc);
    if (!dir)
        return NULL;
    listener = calloc(1, sizeof *listener);
    *rc = -ENOMEM;
    if (!listener)
        return NULL;
    *listener = (struct store_listener){ .all = all, .domid = id, .inside = inside };
    if (inside && !id)
        snprintf(listener->path, sizeof listener->path, "%s/xenstored/socket", dir);
    else
        snprintf(listener->path, sizeof listener->path, "%s/store-%u.%llu", dir, id,
                 (unsigned long long)all->nr++ % 10000000000u);
    *rc = open_listener(listener);
    if (*rc) {
        free(listener);
        return NULL;
    }
    DL_APPEND(all->list, listener);
    return listener->path;
}

void store_listeners_close(struct store_listeners *all, unsigned domid)
{
    struct store_listener *listener;

    DL_FOREACH(all->list, listener) {
        if (listener->domid != domid || listener->closing)
            continue;
        listener->closing = true;
        unlink(listener->path);
        shutdown(listener->watch.fd, SHUT_RDWR);
    }
}

void store_listeners_free(struct store_listeners *all)
{
    while (all->list)
        free_listener(all->list);
    close(all->spare_fd);
}
