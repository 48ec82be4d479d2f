/* SPDX-License-Identifier: MIT */
/* Talks to a store's daemon over its socket, one request at a time. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon_i.h"
#include "store_way_i.h"
#include "xs_error.h"

void daemon_disconnect(struct daemon_conn *conn)
{
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
}

int daemon_connect(struct daemon_conn *conn)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int rc;

    daemon_disconnect(conn);
    conn->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (conn->fd < 0)
        return -errno;
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", conn->path);
    if (!connect(conn->fd, (struct sockaddr *)&addr, sizeof addr))
        return 0;
    rc = -errno;
    daemon_disconnect(conn);
    return rc;
}

/* 0, -ETIMEDOUT, -EPIPE. */
static int wait_for(const struct daemon_conn *conn, short events)
{
    struct pollfd fds[2] = { { conn->fd, events, 0 }, { conn->stop_fd, POLLIN, 0 } };
    int n;

    do
        n = poll(fds, 2, DAEMON_PATIENCE_MS);
    while (n < 0 && errno == EINTR);
    return !n ? -ETIMEDOUT : fds[1].revents ? -EPIPE : 0;
}

static int send_all(const struct daemon_conn *conn, const void *bytes, size_t size)
{
    const char *p = bytes;
    int rc = 0;

    while (!rc && size) {
        ssize_t n = send(conn->fd, p, size, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN)
            rc = wait_for(conn, POLLOUT);
        else if (n < 0 && errno != EINTR)
            rc = -EPIPE;
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        }
    }
    return rc;
}

static int receive_all(const struct daemon_conn *conn, void *bytes, size_t size)
{
    char *p = bytes;
    int rc = 0;

    while (!rc && size) {
        ssize_t n = recv(conn->fd, p, size, 0);

        if (n < 0 && errno == EAGAIN)
            rc = wait_for(conn, POLLIN);
        else if (!n || (n < 0 && errno != EINTR))
            rc = -EPIPE;
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        }
    }
    return rc;
}

int daemon_ask(struct daemon_conn *conn, uint32_t type, uint32_t tx, const void *body, size_t len,
               void *reply, size_t *reply_len)
{
    struct xsd_sockmsg header = { .type = type, .tx_id = tx, .len = (uint32_t)len };
    char bytes[XENSTORE_PAYLOAD_MAX + 1];
    int rc = conn->fd < 0 ? -EPIPE : send_all(conn, &header, sizeof header);

    if (reply_len)
        *reply_len = 0;
    if (!rc)
        rc = send_all(conn, body, len);
    if (!rc)
        rc = receive_all(conn, &header, sizeof header);
    if (!rc && header.len > XENSTORE_PAYLOAD_MAX)
        rc = -EPIPE;
    if (!rc)
        rc = receive_all(conn, bytes, header.len);
    if (rc) {
        daemon_disconnect(conn);     /* a reply that comes later is nobody's */
        return rc;
    }
    if (header.type == XS_ERROR) {
        bytes[header.len] = '\0';
        return -xs_error_number(bytes);
    }
    if (reply)
        memcpy(reply, bytes, header.len);
    if (reply_len)
        *reply_len = header.len;
    return 0;
}
