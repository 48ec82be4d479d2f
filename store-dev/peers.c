/* SPDX-License-Identifier: MIT */
/*
 * Serves the programs connected to the domains' sockets, in the machine's main loop. Nothing here
 * waits: what a program does not take stays in the store's queue until it does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utlist.h>

#include "container_of.h"
#include "process.h"
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

/* ---- New ones -------------------------------------------------------------------------------- */

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

void store_peers_accept(struct store_listener *listener, int fd)
{
    struct store_server *server = container_of(listener->all, struct store_server, listeners);
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

/* ---- The end --------------------------------------------------------------------------------- */

void store_peers_hang_up(struct store_server *server, unsigned domid)
{
    struct store_peer *peer;

    DL_FOREACH(server->peers, peer)
        if (peer->domid == domid)
            hang_up(peer);
    store_listeners_close(&server->listeners, domid);
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
}
