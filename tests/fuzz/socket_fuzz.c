/* SPDX-License-Identifier: MIT */
/*
 * The socket's protocol, as a peer speaks it who does what it likes. An input is a list of steps,
 * each a kind, a connection (0 to 3), a length of two bytes, and so many bytes:
 *
 *   0  the bytes as they are                      3  takes the replies that are there
 *   1  a message: the first byte is its op, its   4  no more bytes: half of the connection is closed
 *      header is right                            5  the connection is closed, and a new one opened
 *   2  the same, and a descriptor with it
 *
 * The machine is the real one, with domain 1 and a page that it grants to itself. After each input
 * it must be as it was before.
 */
#include "socket_fuzz_i.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xen/sys/gntalloc.h>

#include <gntsim/socket.h>

#include "machine.h"
#include "maps.h"
#include "sock_way.h"

#define DOMID 1
#define NR_CONNECTIONS 4
#define PATIENCE 10000000u

struct fuzz {
    struct machine machine;
    struct file *granter;
    unsigned open_files;
    int peers[NR_CONNECTIONS];
};

/* ---- The machine ----------------------------------------------------------------------------- */

static void never(struct kreq *kreq, long result)
{
    (void)kreq;
    (void)result;
    abort();
}

struct fuzz *fuzz_start(void)
{
    struct machine_config config = { .nr_frames = 1 << 13, .parts = { &sock_way } };
    struct fuzz *fuzz = calloc(1, sizeof *fuzz);
    struct ioctl_gntalloc_alloc_gref alloc = { .domid = DOMID, .flags = GNTALLOC_FLAG_WRITABLE,
                                               .count = 1 };
    struct kreq kreq = { .done = never, .mem = user_memory_plain };
    struct domain *d;

    if (!fuzz || machine_start(&fuzz->machine, &config))
        exit(2);
    machine_lock(&fuzz->machine);
    if (machine_domain_create(&fuzz->machine, DOMID, NULL, &d) ||
        kernel_open(d->kernel, kernel_chardev_find("gntalloc"), O_RDWR, &fuzz->granter) ||
        kernel_ioctl(fuzz->granter, IOCTL_GNTALLOC_ALLOC_GREF, (uintptr_t)&alloc, &kreq))
        exit(2);
    machine_unlock(&fuzz->machine);
    for (unsigned i = 0; i < NR_CONNECTIONS; i++)
        fuzz->peers[i] = -1;
    return fuzz;
}

void fuzz_stop(struct fuzz *fuzz)
{
    machine_lock(&fuzz->machine);
    kernel_file_close(fuzz->granter);
    machine_unlock(&fuzz->machine);
    machine_stop(&fuzz->machine);
    free(fuzz);
}

static bool is_as_before(struct fuzz *fuzz)
{
    struct machine *m = &fuzz->machine;
    struct domain *d;
    bool same;

    machine_lock(m);
    d = machine_domain(m, DOMID);
    same = d && !d->open_files && !maps_count(m->maps);
    machine_unlock(m);
    return same;
}

static void audit(struct fuzz *fuzz)
{
    struct machine *m = &fuzz->machine;
    struct domain *d;

    machine_lock(m);
    d = machine_domain(m, DOMID);
    if (!d || hv_audit(m->hv, stderr) || kernel_audit(d->kernel, stderr))
        abort();
    machine_unlock(m);
}

/* ---- A peer ---------------------------------------------------------------------------------- */

static bool connect_peer(struct fuzz *fuzz, unsigned i)
{
    int fds[2];

    if (fuzz->peers[i] >= 0)
        return true;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
        return false;
    fuzz->peers[i] = fds[0];
    return !sock_way_adopt(&fuzz->machine, fds[1], DOMID);
}

/* Takes a reply, or a part of one, and what comes with it. False: there is none, or there never
 * will be. */
static bool take(int fd, int flags)
{
    union {
        char space[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control;
    char bytes[4096];
    struct iovec iov = { bytes, sizeof bytes };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                          .msg_controllen = sizeof control };
    ssize_t n = recvmsg(fd, &msg, flags);

    if (n <= 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        for (size_t i = 0;
             c->cmsg_type == SCM_RIGHTS && i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int got;

            memcpy(&got, CMSG_DATA(c) + i * sizeof got, sizeof got);
            close(got);
        }
    }
    return true;
}

/* Sends bytes, with a socket beside them if wanted. The machine reads no more while it has replies
 * to send. */
static void give(int fd, const uint8_t *bytes, size_t size, bool with_descriptor)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    int pair[2] = { -1, -1 };

    if (with_descriptor && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return;
    while (size) {
        struct iovec iov = { (void *)(uintptr_t)bytes,
                             size < SOCK_MAX_PACKET ? size : SOCK_MAX_PACKET };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (with_descriptor) {
            struct cmsghdr *c;

            msg.msg_control = &control;
            msg.msg_controllen = sizeof control.space;
            c = CMSG_FIRSTHDR(&msg);
            *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                   .cmsg_len = CMSG_LEN(sizeof(int)) };
            memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
        }
        n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd pfd = { fd, POLLIN | POLLOUT, 0 };

            poll(&pfd, 1, -1);
            if (pfd.revents & POLLIN)
                take(fd, MSG_DONTWAIT);
            continue;
        }
        if (n < 0)
            break;
        with_descriptor = false;
        bytes += n;
        size -= (size_t)n;
    }
    for (unsigned i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

static void give_message(int fd, const uint8_t *bytes, size_t size, bool with_descriptor)
{
    struct sock_header header;
    uint8_t *message;

    if (!size)
        return;
    header = (struct sock_header){ (uint32_t)(sizeof header + size - 1), bytes[0] };
    message = malloc(header.size);
    if (!message)
        return;
    memcpy(message, &header, sizeof header);
    memcpy(message + sizeof header, bytes + 1, size - 1);
    give(fd, message, header.size, with_descriptor);
    free(message);
}

static void hang_up(struct fuzz *fuzz, unsigned i)
{
    if (fuzz->peers[i] < 0)
        return;
    shutdown(fuzz->peers[i], SHUT_WR);
    while (take(fuzz->peers[i], 0))
        ;
    close(fuzz->peers[i]);
    fuzz->peers[i] = -1;
}

static void step(struct fuzz *fuzz, unsigned kind, unsigned i, const uint8_t *bytes, size_t size)
{
    if (!connect_peer(fuzz, i))
        return;
    switch (kind) {
    case 0:
        give(fuzz->peers[i], bytes, size, false);
        break;
    case 1:
    case 2:
        give_message(fuzz->peers[i], bytes, size, kind == 2);
        break;
    case 3:
        while (take(fuzz->peers[i], MSG_DONTWAIT))
            ;
        break;
    case 4:
        shutdown(fuzz->peers[i], SHUT_WR);
        break;
    default:
        hang_up(fuzz, i);
    }
}

void fuzz_run(struct fuzz *fuzz, const uint8_t *data, size_t size)
{
    unsigned tries = 0;

    while (size >= 4) {
        size_t length = data[2] | (size_t)data[3] << 8;

        if (length > size - 4)
            length = size - 4;
        step(fuzz, data[0] % 6, data[1] % NR_CONNECTIONS, data + 4, length);
        data += 4 + length;
        size -= 4 + length;
    }
    for (unsigned i = 0; i < NR_CONNECTIONS; i++)
        hang_up(fuzz, i);
    while (!is_as_before(fuzz) && tries++ < PATIENCE)
        sched_yield();
    if (!is_as_before(fuzz)) {
        fputs("something is left open or mapped\n", stderr);
        abort();
    }
    audit(fuzz);
}
