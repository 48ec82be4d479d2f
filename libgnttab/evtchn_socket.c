/* SPDX-License-Identifier: MIT */
/* libxenevtchn's back end over sockets: events on the event socket, all else on a connection. */
#include "evtchn_i.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Ports that are unmasked without a message ----------------------------------------------- */

/* Without the page, every unmask is a message. */
static void share_page(struct xenevtchn_handle *h)
{
    struct sock_header header = { .op = SOCK_EVENTS_PAGE };
    struct iovec part = { &header, sizeof header };
    struct sock_answer answer;
    int saved_errno = errno;

    if (!h->client.is_watched && !sock_client_begin(&h->client, &part, 1, &answer)) {
        int fd = answer.fd;

        sock_client_end(&h->client);
        if (fd >= 0) {
            void *page = mmap(NULL, SOCK_EVENTS_PAGE_SIZE, PROT_READ | PROT_WRITE,
                              MAP_SHARED | SOCK_MMAP_FLAG, fd, 0);

            h->page = page == MAP_FAILED ? NULL : page;
            close(fd);
        }
    }
    errno = saved_errno;
}

/* False: the machine must be asked. */
static bool unmask(struct xenevtchn_handle *h, evtchn_port_t port)
{
    struct sock_events_page *page = h->page;
    uint64_t bit = UINT64_C(1) << port % 64;
    unsigned word = port / 64;

    if (!page || word >= SOCK_EVENTS_WORDS || !__atomic_load_n(&page->may, __ATOMIC_SEQ_CST) ||
        !sock_fd_is_there(&h->client.own))
        return false;
    __atomic_fetch_or(&page->unmasked[word], bit, __ATOMIC_SEQ_CST);
    __atomic_store_n(&page->any, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&page->may, __ATOMIC_SEQ_CST) &&
           !(__atomic_load_n(&page->late[word], __ATOMIC_SEQ_CST) & bit);
}

/* ---- The back end ---------------------------------------------------------------------------- */

static int socket_open(struct xenevtchn_handle *h, int flags)
{
    int fd = sock_client_open(&h->client, "evtchn", flags);

    if (fd < 0)
        return fd;
    h->fd = fd;
    share_page(h);
    return 0;
}

static int socket_fdopen(struct xenevtchn_handle *h, int fd)
{
    if (sock_client_adopt(&h->client, fd))
        return -1;
    h->fd = fd;
    share_page(h);
    return 0;
}

static int socket_close(struct xenevtchn_handle *h)
{
    if (h->page)
        munmap(h->page, SOCK_EVENTS_PAGE_SIZE);
    return sock_client_close(&h->client);
}

static int socket_ioctl(struct xenevtchn_handle *h, unsigned long cmd, void *arg, size_t size)
{
    return sock_client_ioctl(&h->client, cmd, arg, size);
}

static ssize_t socket_read(struct xenevtchn_handle *h, evtchn_port_t *port)
{
    ssize_t n;

    if (!h->failed) {
        n = read(h->fd, port, sizeof *port);
        if (n < 0)
            return n;
        h->failed = n ? SOCK_EVENTS_ERROR(*port) : ENODEV;       /* nothing: the machine is gone */
        if (!h->failed)
            return n;
    }
    errno = h->failed;
    return -1;
}

/* As write(2) of the device. */
static ssize_t write_device(struct sock_client *client, const void *bytes, size_t size)
{
    struct sock_header header = { .op = SOCK_WRITE };
    struct iovec parts[] = { { &header, sizeof header }, { (void *)bytes, size } };
    struct sock_answer answer;
    int64_t result;

    if (sock_client_begin(client, parts, 2, &answer))
        return sock_client_is_forbidden(client) ? write(client->handle.fd, bytes, size) : -1;
    result = answer.reply->result;
    sock_client_end(client);
    if (result >= 0)
        return (ssize_t)result;
    errno = (int)-result;
    return -1;
}

static ssize_t socket_write(struct xenevtchn_handle *h, const evtchn_port_t *port)
{
    return unmask(h, *port) ? (ssize_t)sizeof *port
                            : write_device(&h->client, port, sizeof *port);
}

const struct evtchn_backend evtchn_socket = {
    .open   = socket_open,
    .fdopen = socket_fdopen,
    .close  = socket_close,
    .ioctl  = socket_ioctl,
    .read   = socket_read,
    .write  = socket_write,
};
