/* SPDX-License-Identifier: MIT */
/* Makes the socket way a part of the machine: its loop, the domains' sockets, start and end. */
#include "sock_way.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <utlist.h>

#include "loops.h"
#include "sock_i.h"

#define MIN_FRAMES (4096u)       /* 16 MiB */

/* ---- The loop -------------------------------------------------------------------------------- */

int server_watch(struct sock_server *server, struct sock_watch *watch, unsigned events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };

    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) ? -errno : 0;
}

void server_rearm(struct sock_server *server, struct sock_watch *watch, unsigned events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };

    epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void server_unwatch(struct sock_server *server, struct sock_watch *watch)
{
    epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

static void free_retired(struct sock_server *server)
{
    struct sock_listener *listener, *next;

    machine_lock(server->machine);
    atomic_store(&server->retired, false);
    LL_FOREACH_SAFE(server->listeners, listener, next) {
        if (listener->watch.fd >= 0 || listener->killed)
            continue;
        LL_DELETE(server->listeners, listener);
        free(listener);
    }
    machine_unlock(server->machine);
}

/* One event at a time: dealing with it may free what another one is about. */
static bool server_step(void *ctx)
{
    struct sock_server *server = ctx;
    struct epoll_event event;
    struct sock_watch *watch;

    if (atomic_load(&server->retired))
        free_retired(server);
    if (epoll_wait(server->epoll_fd, &event, 1, -1) == 1) {
        watch = event.data.ptr;
        if (watch == &server->stop)
            return false;
        watch->ready(watch, event.events);
    }
    return true;
}

/* ---- The domains' sockets -------------------------------------------------------------------- */

static void listener_ready(struct sock_watch *watch, unsigned events)
{
    struct sock_listener *listener = (struct sock_listener *)(void *)watch;
    struct sock_server *server = listener->server;
    struct machine *m = server->machine;
    int fd;

    (void)events;
    machine_lock(m);
    /* The domain may have ended since. */
    fd = watch->fd < 0 ? -1 : accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        if (conn_create(server, fd, listener->domid, 0, NULL))
            close(fd);
    } else if (watch->fd >= 0 && (errno == EMFILE || errno == ENFILE)) {
        close(server->spare_fd);
        fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        machine_log(
            m,
            "domain %u: a process was turned away: the machine has no descriptors left (ulimit -n)",
            listener->domid);
    }
    machine_unlock(m);
}

/* With the lock. */
static void listener_close(struct sock_listener *listener)
{
    server_unwatch(listener->server, &listener->watch);
    close(listener->watch.fd);
    listener->watch.fd = -1;
    unlink(listener->path);
}

static int listener_open(struct sock_listener *listener)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;

    if (fd < 0)
        return -errno;
    strcpy(addr.sun_path, listener->path);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) || listen(fd, 128)) {
        rc = -errno;
        close(fd);
        return rc;
    }
    listener->watch.fd = fd;
    rc = server_watch(listener->server, &listener->watch, EPOLLIN);
    if (rc) {
        close(fd);
        listener->watch.fd = -1;
    }
    return rc;
}

static struct sock_listener *listener_of(struct sock_server *server, domid_t id, bool inside)
{
    struct sock_listener *listener = server->listeners;

    while (listener &&
           (listener->domid != id || listener->inside != inside || listener->watch.fd < 0))
        listener = listener->next;
    return listener;
}

static int need_dir(struct sock_server *server)
{
    struct private_dir *dir;
    int rc;

    if (server->dir)
        return 0;
    dir = malloc(sizeof *dir);
    rc = dir ? private_dir_create(dir) : -ENOMEM;
    if (rc)
        free(dir);
    else
        server->dir = dir;
    return rc;
}

const char *sock_way_dir(struct machine *m, bool inside, int *rc)
{
    struct sock_server *server = sock_of(m);

    *rc = inside ? 0 : need_dir(server);
    return *rc ? NULL : inside ? m->inner_dir : server->dir->path;
}

const char *sock_way_path(struct domain *d, bool inside, int *rc)
{
    struct sock_server *server = sock_of(d->machine);
    struct sock_listener *listener = listener_of(server, d->place, inside);
    const char *dir;

    if (listener)
        return listener->path;
    dir = sock_way_dir(d->machine, inside, rc);
    if (!dir)
        return NULL;
    listener = calloc(1, sizeof *listener);
    *rc = -ENOMEM;
    if (!listener)
        return NULL;
    *listener = (struct sock_listener){
        .watch = { -1, listener_ready }, .server = server, .domid = d->place, .inside = inside
    };
    snprintf(listener->path, sizeof listener->path, "%s/domain-%u.%llu", dir, d->id,
             (unsigned long long)server->nr_listeners++ % 10000000000u);
    *rc = listener_open(listener);
    if (*rc) {
        free(listener);
        return NULL;
    }
    LL_PREPEND(server->listeners, listener);
    return listener->path;
}

int sock_way_adopt(struct machine *m, int fd, domid_t id)
{
    int rc;

    machine_lock(m);
    rc = conn_create(sock_of(m), fd, id, 0, NULL);
    machine_unlock(m);
    if (rc)
        close(fd);
    return rc;
}

uint64_t sock_way_requests(const struct machine *m)
{
    return sock_of(m)->requests;
}

const char *sock_way_problem(void)
{
    struct private_dir dir;

    if (private_dir_create(&dir))
        return "no directory ($GNTSIM_TMPDIR, /dev/shm, $XDG_RUNTIME_DIR, $TMPDIR, /tmp) can be "
               "written to and shows the end of mappings";
    private_dir_remove(&dir);
    return NULL;
}

/* ---- The way --------------------------------------------------------------------------------- */

static void sock_destroy(struct machine *m)
{
    struct sock_server *server = sock_of(m);
    struct sock_listener *listener;

    while ((listener = server->listeners)) {
        server->listeners = listener->next;
        if (listener->watch.fd >= 0)
            close(listener->watch.fd);
        free(listener);
    }
    if (server->dir)
        private_dir_remove(server->dir);
    free(server->dir);
    close(server->epoll_fd);
    close(server->stop.fd);
    close(server->spare_fd);
    ended_destroy(&server->ended);
}

/*
 * Memory is as sparse as the file system allows, but no file system gives more than it has: that
 * would end in SIGBUS.
 */
static int place_memory(struct machine *m, int *memory_fd)
{
    struct sock_server *server = sock_of(m);
    uint64_t frames;
    int rc = need_dir(server);

    if (rc) {
        fprintf(stderr, "gntsim: cannot serve over sockets: %s\n", sock_way_problem());
        return rc;
    }
    frames = server->dir->bytes_free / HV_PAGE_SIZE / 16 * 15;
    if (frames < MIN_FRAMES) {
        fprintf(stderr, "gntsim: %s has no room for a machine's memory: %llu MiB are free\n",
                server->dir->path, (unsigned long long)(server->dir->bytes_free >> 20));
        return -ENOSPC;
    }
    if (frames < m->nr_frames) {
        machine_log(m, "%s has room for %llu MiB: the machine's memory is not larger",
                    server->dir->path, (unsigned long long)(frames >> 8));
        m->nr_frames = frames;
    }
    *memory_fd = fcntl(server->dir->fd, F_DUPFD_CLOEXEC, 0);
    if (*memory_fd < 0) {
        fprintf(stderr, "gntsim: cannot open the directory %s: %s\n", server->dir->path,
                strerror(errno));
        return -EMFILE;
    }
    return 0;
}

static int sock_prepare(struct machine *m, int *memory_fd)
{
    struct sock_server *server = sock_of(m);
    int rc = 0;

    server->machine = m;
    ended_init(&server->ended);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->stop.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (server->epoll_fd < 0 || server->stop.fd < 0 || server->spare_fd < 0)
        rc = -errno;
    if (!rc)
        rc = server_watch(server, &server->stop, EPOLLIN);
    if (rc)
        fprintf(stderr, "gntsim: cannot make what sockets are served with: %s\n", strerror(-rc));
    if (!rc && *memory_fd < 0)
        rc = place_memory(m, memory_fd);
    if (rc)
        sock_destroy(m);
    return rc;
}

static int sock_start(struct machine *m)
{
    return loops_start(m->loops, server_step, NULL, sock_of(m));
}

static void sock_kill(struct domain *d)
{
    struct sock_server *server = sock_of(d->machine);
    struct sock_listener *listener = listener_of(server, d->place, true);

    if (listener) {
        listener_close(listener);
        atomic_store(&server->retired, true);
    }
    listener = listener_of(server, d->place, false);
    if (!listener)
        return;
    listener_close(listener);
    listener->killed = true;
    programs_kill(listener->path, false);
    atomic_store(&server->retired, true);
}

static int sock_domain_of(struct machine *m, pid_t pid)
{
    char *socket = programs_socket_of(pid);
    int domain = -1;

    if (!socket)
        return -1;
    machine_lock_only(m);
    for (const struct sock_listener *l = sock_of(m)->listeners; l && domain < 0; l = l->next)
        if (!l->inside &&
            !strcmp(l->path, socket)) /* what is inside has the same name in other machines */
            domain = l->domid;
    machine_unlock_only(m);
    free(socket);
    return domain;
}

static void sock_wait_killed(struct machine *m)
{
    char path[sizeof ((struct sock_listener *)NULL)->path];
    struct sock_listener *listener;

    for (;;) {
        machine_lock(m);
        for (listener = sock_of(m)->listeners; listener && !listener->killed;
             listener = listener->next)
            ;
        if (listener) {
            listener->killed = false;
            atomic_store(&sock_of(m)->retired, true);
            strcpy(path, listener->path);
        }
        machine_unlock(m);
        if (!listener)
            return;
        programs_kill(path, true);
    }
}

static void sock_stop(struct machine *m)
{
    struct sock_listener *listener;
    uint64_t one = 1;

    machine_lock(m);
    sock_of(m)->stopping = true;
    pages_settle(m);
    for (struct sock_conn *conn = sock_of(m)->conns; conn; conn = conn->next)
        conn_hang_up(conn);
    /* Programs of domains that went on as others, too. */
    for (listener = sock_of(m)->listeners; listener; listener = listener->next)
        listener->killed |= listener->watch.fd >= 0 && !listener->inside;
    machine_unlock(m);
    sock_wait_killed(m);
    if (write(sock_of(m)->stop.fd, &one, sizeof one) < 0)
        return;
}

static void sock_close_all(struct machine *m)
{
    struct sock_server *server = sock_of(m);

    while (server->files && server->files->events)
        events_free(server->files->events);
}

static void sock_clear_up(struct machine *m)
{
    (void)m;
    private_dir_sweep();
}

const struct machine_part sock_way = {
    .machine_size = sizeof(struct sock_server),
    .prepare = sock_prepare,
    .start = sock_start,
    .kill = sock_kill,
    .wait_killed = sock_wait_killed,
    .domain_of = sock_domain_of,
    .find_file = sock_file_find,
    .masked = pages_masked,
    .catch_up = pages_catch_up,
    .attend = pages_attend,
    .settle = pages_settle,
    .see_closed = ended_see,
    .stop = sock_stop,
    .close_all = sock_close_all,
    .destroy = sock_destroy,
    .clear_up = sock_clear_up,
};
