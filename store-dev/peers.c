/* SPDX-License-Identifier: MIT */
/*
 * Serves the programs connected to the domains' sockets, in the machine's main loop. Nothing here
 * waits: what a program does not take stays in the store's queue until it does.
 */
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

#include "process.h"
#include "sock_way.h"
#include "daemon_i.h"
#include "store_way_i.h"

/* ---- Programs -------------------------------------------------------------------------------- */

static void hang_up(struct store_peer *peer)
{
    if (peer->closing)
        return;
    peer->closing = true;
    shutdown(peer->watch.fd, SHUT_RDWR);
}

/* More requests only when the store has taken those that are there. */
static unsigned wanted_events(const struct store_peer *peer)
{
    size_t size;

    return (peer->used ? 0 : EPOLLIN) | (store_output(peer->conn, &size) ? EPOLLOUT : 0);
}

static void rearm(struct store_peer *peer)
{
    machine_rearm(peer->server->machine, &peer->watch, wanted_events(peer));
}

static void mark_dirty(struct store_peer *peer)
{
    if (peer->dirty)
        return;
    peer->dirty = true;
    LL_APPEND2(peer->server->dirty, peer, next_dirty);
}

void store_peers_output(struct store_server *server, struct store_conn *conn)
{
    struct store_peer *peer = store_conn_user(conn);

    (void)server;
    if (peer)
        mark_dirty(peer);
}

/* The store takes what it will of the bytes that came. */
static void feed(struct store_peer *peer)
{
    struct store_server *server = peer->server;
    ssize_t taken;

    server->process = peer->process;
    taken = store_receive(peer->conn, peer->in, peer->used);
    server->process = 0;
    if (taken < 0) {
        peer->used = 0;
        hang_up(peer);
    } else {
        peer->used -= (size_t)taken;
        memmove(peer->in, peer->in + taken, peer->used);
    }
    store_points_settle(server);
}

/* Sends until nothing is left, or the socket is full. True: it sent something. */
static bool send_queue(struct store_peer *peer)
{
    const void *bytes;
    size_t size;
    bool some = false;

    while (!peer->closing && (bytes = store_output(peer->conn, &size))) {
        ssize_t n = send(peer->watch.fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno != EAGAIN)
                hang_up(peer);
            break;
        }
        store_sent(peer->conn, (size_t)n);
        some = true;
    }
    return some;
}

/* Requests that the store had not taken, since too much was unread. */
static void feed_again(struct store_server *server)
{
    struct store_peer *peer;

    store_rings_again(server);
    DL_FOREACH(server->peers, peer) {
        if (!peer->used || peer->closing)
            continue;
        feed(peer);
        if (!peer->used)
            rearm(peer);
    }
}

void store_peers_flush(struct store_server *server)
{
    struct store_peer *peer;

    while ((peer = server->dirty)) {
        LL_DELETE2(server->dirty, peer, next_dirty);
        peer->dirty = false;
        if (send_queue(peer))
            feed_again(server);
        rearm(peer);
    }
}

static void free_peer(struct store_peer *peer)
{
    struct store_server *server = peer->server;

    if (peer->dirty)
        LL_DELETE2(server->dirty, peer, next_dirty);
    machine_unwatch(server->machine, &peer->watch);
    close(peer->watch.fd);
    DL_DELETE(server->peers, peer);
    store_disconnect(peer->conn);
    free(peer);
}

static void receive(struct store_peer *peer)
{
    ssize_t n = recv(peer->watch.fd, peer->in, sizeof peer->in, MSG_DONTWAIT);

    if (n > 0)
        peer->used = (size_t)n;
    else if (!n || (errno != EAGAIN && errno != EINTR))
        hang_up(peer);
    if (peer->used)
        feed(peer);
}

static void peer_ready(void *ctx, unsigned events)
{
    struct store_peer *peer = ctx;
    struct store_server *server = peer->server;
    struct machine *m = server->machine;

    machine_lock(m);
    store_time(server->store, m->clock.now / 1000000u);
    if (!peer->closing && !peer->used && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(peer);
    mark_dirty(peer);
    store_peers_flush(server);
    if (peer->closing)
        free_peer(peer);
    store_peers_flush(server);
    machine_unlock(m);
}

/* ---- The domains' sockets -------------------------------------------------------------------- */

static struct store_conn *connect_domain(struct store *store, unsigned domid)
{
    return domid ? store_connect_domain(store, domid) : store_connect(store);
}

static unsigned process_of(struct machine *m, int fd)
{
    struct ucred peer = { .pid = 0 };
    socklen_t size = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) ? 0 : process_number(m, peer.pid);
}

/* Takes fd. */
static void add_peer(struct store_listener *listener, int fd)
{
    struct store_server *server = listener->server;
    struct store_peer *peer = calloc(1, sizeof *peer);
    struct store_conn *conn = peer ? connect_domain(server->store, listener->domid) : NULL;

    if (conn) {
        *peer = (struct store_peer){ .watch = { fd, peer_ready, peer },
                                     .server = server,
                                     .conn = conn,
                                     .domid = listener->domid,
                                     .process = process_of(server->machine, fd) };
        store_conn_set_user(conn, peer);
        DL_APPEND(server->peers, peer);
        if (!machine_watch(server->machine, &peer->watch, EPOLLIN))
            return;
        DL_DELETE(server->peers, peer);
        store_disconnect(conn);
    }
    close(fd);
    free(peer);
}

static void free_listener(struct store_listener *listener)
{
    machine_unwatch(listener->server->machine, &listener->watch);
    close(listener->watch.fd);
    DL_DELETE(listener->server->listeners, listener);
    free(listener);
}

/* A program that waits to be let in would make the loop look again and again. */
static void turn_away(struct store_listener *listener)
{
    struct store_server *server = listener->server;
    int fd;

    close(server->spare_fd);
    fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    machine_log(server->machine,
                "domain %u: a client of the store was turned away: "
                "the machine has no descriptors left (ulimit -n)",
                listener->domid);
}

static void listener_ready(void *ctx, unsigned events)
{
    struct store_listener *listener = ctx;
    struct machine *m = listener->server->machine;
    int fd;

    (void)events;
    machine_lock(m);
    if (listener->closing) {
        free_listener(listener);
    } else {
        fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            add_peer(listener, fd);
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
        rc = machine_watch(listener->server->machine, &listener->watch, EPOLLIN);
    if (rc)
        close(fd);
    return rc;
}

static struct store_listener *find_listener(struct store_server *server, domid_t id, bool inside)
{
    struct store_listener *listener;

    DL_FOREACH(server->listeners, listener)
        if (listener->domid == id && listener->inside == inside && !listener->closing)
            return listener;
    return NULL;
}

const char *store_way_path(struct machine *m, domid_t id, bool inside, int *rc)
{
    struct store_server *server = store_server_of(m);
    struct store_listener *listener;
    const char *dir;

    if (store_daemon_of(m))
        return store_daemon_path(m, id, inside, rc);
    *rc = !server ? -ENOTSUP : store_domain_conn(server->store, id) ? 0 : -ESRCH;
    if (*rc)
        return NULL;
    listener = find_listener(server, id, inside);
    if (listener)
        return listener->path;
    dir = sock_way_dir(m, inside, rc);
    if (!dir)
        return NULL;
    listener = calloc(1, sizeof *listener);
    *rc = -ENOMEM;
    if (!listener)
        return NULL;
    *listener = (struct store_listener){ .server = server, .domid = id, .inside = inside };
    if (inside && !id)
        snprintf(listener->path, sizeof listener->path, "%s/xenstored/socket", dir);
    else
        snprintf(listener->path, sizeof listener->path, "%s/store-%u.%llu", dir, id,
                 (unsigned long long)server->nr_listeners++ % 10000000000u);
    *rc = open_listener(listener);
    if (*rc) {
        free(listener);
        return NULL;
    }
    DL_APPEND(server->listeners, listener);
    return listener->path;
}

/* ---- The end --------------------------------------------------------------------------------- */

void store_peers_hang_up(struct store_server *server, unsigned domid)
{
    struct store_listener *listener;
    struct store_peer *peer;

    DL_FOREACH(server->peers, peer)
        if (peer->domid == domid)
            hang_up(peer);
    DL_FOREACH(server->listeners, listener) {
        if (listener->domid != domid || listener->closing)
            continue;
        listener->closing = true;
        unlink(listener->path);
        shutdown(listener->watch.fd, SHUT_RDWR);
    }
}

void store_peers_drop(struct store_server *server)
{
    struct store_peer *peer;

    DL_FOREACH(server->peers, peer)
        hang_up(peer);
}

void store_peers_free(struct store_server *server)
{
    while (server->peers)
        free_peer(server->peers);
    while (server->listeners)
        free_listener(server->listeners);
}
