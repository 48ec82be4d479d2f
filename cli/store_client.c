/* SPDX-License-Identifier: MIT */
/* Speaks the protocol of xenstore over a domain's socket. */
#include "store_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "xs_error.h"

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool store_client_open(struct store_client *client, const char *path, unsigned seconds)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    *client = (struct store_client){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    client->deadline = seconds ? now_ms() + 1000ull * seconds : 0;
    if (client->fd >= 0 && strlen(path) < sizeof addr.sun_path) {
        strcpy(addr.sun_path, path);
        if (!connect(client->fd, (struct sockaddr *)&addr, sizeof addr))
            return true;
    }
    failure("cannot reach the store at %s: %s", path, strerror(errno));
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    return false;
}

void store_client_close(struct store_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

static bool wait_input(struct store_client *client)
{
    struct pollfd pollfd = { .fd = client->fd, .events = POLLIN };

    for (;;) {
        uint64_t now = now_ms();
        int left = -1, rc;

        if (client->deadline)
            left = client->deadline > now ? (int)(client->deadline - now) : 0;
        rc = poll(&pollfd, 1, left);
        if (rc > 0)
            return true;
        client->late = !rc;
        if (!rc || errno != EINTR)
            return false;
    }
}

static bool take(struct store_client *client, void *out, size_t size)
{
    for (size_t got = 0; got < size;) {
        ssize_t n = wait_input(client) ? recv(client->fd, (char *)out + got, size - got, 0) : -1;

        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static bool message(struct store_client *client, struct xsd_sockmsg *header)
{
    if (!take(client, header, sizeof *header) || header->len > XENSTORE_PAYLOAD_MAX ||
        !take(client, client->body, header->len))
        return false;
    client->len = header->len;
    client->body[header->len] = '\0';
    return true;
}

/* The reply's body is in the client's. */
static bool ask(struct store_client *client, uint32_t type, const char *first, const char *second)
{
    struct xsd_sockmsg header = { .type = type };
    char message_out[sizeof header + XENSTORE_PAYLOAD_MAX];
    size_t size = strlen(first) + 1 + (second ? strlen(second) + 1 : 0);

    errno = E2BIG;
    if (size > XENSTORE_PAYLOAD_MAX)
        return false;
    header.len = (uint32_t)size;
    memcpy(message_out, &header, sizeof header);
    strcpy(message_out + sizeof header, first);
    if (second)
        strcpy(message_out + sizeof header + strlen(first) + 1, second);
    size += sizeof header;
    if (send(client->fd, message_out, size, MSG_NOSIGNAL) != (ssize_t)size)
        return false;
    do {
        errno = ECONNRESET;
        if (!message(client, &header))
            return false;
        client->event |= header.type == XS_WATCH_EVENT;
    } while (header.type == XS_WATCH_EVENT);
    errno = xs_error_number(client->body);
    return header.type != XS_ERROR;
}

bool store_client_watch(struct store_client *client, const char *path)
{
    return ask(client, XS_WATCH, path, "gntsim");
}

bool store_client_read(struct store_client *client, const char *path)
{
    return ask(client, XS_READ, path, NULL);
}

bool store_client_event(struct store_client *client)
{
    struct xsd_sockmsg header;

    client->event = false;
    errno = ECONNRESET;
    return message(client, &header);
}
