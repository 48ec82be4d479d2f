/* SPDX-License-Identifier: MIT */
/* Answers each request of a connection with an operation of the kernel model. */
#include "sock_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xen/sys/evtchn.h>

#include "follow.h"
#include "maps.h"

/* ---- What the kernel model decides ----------------------------------------------------------- */

/*
 * What it has decided is taken note of in the hold of the lock in which it did. Returns the result,
 * or what else went wrong.
 */
static long record(struct sock_conn *conn, long result)
{
    struct machine *m = conn->server->machine;
    struct vma *vma = conn->vma;
    struct mapping *mapping;

    if (!vma || result)
        return result;
    result = maps_add(m->maps, vma, 0, sock_file_mapping_ended, &mapping, &conn->out_fd);
    if (result) {
        conn->out_fd = -1;
        kernel_vma_close(vma);
        return result;
    }
    conn->file->refs++;          /* the mapping's */
    m->stats.mappings_made++;
    conn->placing = mapping->id;
    return 0;
}

static void on_decided(struct kreq *kreq, long result)
{
    struct sock_conn *conn = kreq->owner;

    conn->decision = record(conn, result);
    sem_post(&conn->decided);
}

static struct kreq *new_kreq(struct sock_conn *conn)
{
    conn->vma = NULL;
    conn->kreq =
        (struct kreq){ .done = on_decided, .owner = conn, .mem = message_memory(&conn->message) };
    return &conn->kreq;
}

/* The result of a call, waited for if need be, with the events that it caused on their way. */
static long decided(struct sock_conn *conn, long rc)
{
    struct machine *m = conn->server->machine;

    if (rc == KERNEL_PENDING) {
        machine_unlock(m);
        while (sem_wait(&conn->decided))
            ;
        machine_lock(m);
        rc = conn->decision;
    } else {
        rc = record(conn, rc);
    }
    machine_settle(m);
    return rc;
}

static bool reply(struct sock_conn *conn)
{
    return conn_compose(conn, NULL);
}

/* ---- mmap ------------------------------------------------------------------------------------ */

/* So many pages of addresses, in turn. */
static uint32_t take_place(struct sock_server *server, uint64_t nr_pages)
{
    uint64_t place = server->next_place + nr_pages <= SOCK_NR_PLACES ? server->next_place : 0;

    /* valgrind takes what touches for one mapping, and dies of the second name */
    server->next_place = place + nr_pages + 1;
    return (uint32_t)place;
}

static bool do_mmap(struct sock_conn *conn, uint64_t offset, uint64_t length, uint32_t prot,
                    uint32_t flags)
{
    struct kreq *kreq = new_kreq(conn);
    long rc =
        decided(conn, kernel_mmap(conn->file->file, offset, length, prot, flags, &conn->vma, kreq));
    struct machine *m = conn->server->machine;
    const struct vma *vma = conn->vma;

    if (rc == -EAGAIN)
        m->stats.mmap_eagain++;
    conn->reply.mapped = (int32_t)rc;
    if (rc)
        return reply(conn);
    conn->reply.place = take_place(conn->server, vma->nr_pages);
    if (m->watched)
        PARTS_TELL(m, mapping_placed, m, vma,
                   SOCK_PLACES + (uint64_t)conn->reply.place * HV_PAGE_SIZE);
    conn->reply.map_prot = vma->map_prot;
    conn->reply.map_flags = vma->dont_copy ? SOCK_MAP_DONT_COPY : 0;
    return conn_compose(conn, vma);
}

static bool call_mmap(struct sock_conn *conn, size_t size, const char **why)
{
    const struct sock_mmap *request = (const void *)conn->in;

    if (size != sizeof *request) {
        *why = "an mmap that is too long";
        return false;
    }
    return do_mmap(conn, request->offset, request->length, request->prot, request->flags);
}

/* ---- ioctl ----------------------------------------------------------------------------------- */

/* A view says what it likes: only mappings of the caller's own kernel are looked at. */
static struct vma *look_up(void *ctx, uint64_t id, uint64_t file_page, uint64_t *page)
{
    const struct sock_conn *conn = ctx;
    struct vma *vma = maps_vma_of(conn->server->machine->maps, id);
    uint64_t before = 0;

    if (!vma || vma->file->kernel != conn->file->file->kernel)
        return NULL;
    for (size_t i = 0; i < vma->nr_runs; before += vma->runs[i].nr, i++) {
        if (file_page >= vma->runs[i].mfn && file_page - vma->runs[i].mfn < vma->runs[i].nr) {
            *page = before + (file_page - vma->runs[i].mfn);
            return vma;
        }
    }
    return NULL;
}

/* False: the request is none. */
static bool do_ioctl(struct sock_conn *conn, size_t fixed, size_t size, const char **why)
{
    const struct sock_ioctl *request = (const void *)conn->in;

    *why = message_parse(&conn->message, request, conn->in + fixed, conn->in + size);
    if (*why)
        return false;
    conn->message.look_up = look_up;
    conn->message.ctx = conn;
    conn->reply.result =
        decided(conn, kernel_ioctl(conn->file->file, request->cmd, request->arg, new_kreq(conn)));
    if (request->cmd == IOCTL_EVTCHN_RESET && conn->file->events)
        events_reset(conn->file->events);
    return true;
}

static bool call_ioctl(struct sock_conn *conn, size_t size, const char **why)
{
    return do_ioctl(conn, sizeof(struct sock_ioctl), size, why) && reply(conn);
}

static bool call_ioctl_mmap(struct sock_conn *conn, size_t size, const char **why)
{
    const struct sock_ioctl_mmap *request = (const void *)conn->in;
    uint64_t index;

    if (!do_ioctl(conn, sizeof *request, size, why))
        return false;
    if (conn->reply.result < 0)
        return reply(conn);
    if (message_read(&conn->message, &index, request->index, sizeof index)) {
        conn->reply.mapped = -EFAULT;
        return reply(conn);
    }
    return do_mmap(conn, index, request->length, request->prot, request->flags);
}

/* ---- The rest -------------------------------------------------------------------------------- */

static bool call_write(struct sock_conn *conn, size_t size, const char **why)
{
    long rc;

    rc = kernel_write(conn->file->file, conn->in + sizeof(struct sock_header),
                      size - sizeof(struct sock_header));
    (void)why;
    machine_settle(conn->server->machine);
    conn->reply.result = rc;
    return reply(conn);
}

static bool call_attach(struct sock_conn *conn, size_t size, const char **why)
{
    int fd = conn->in_fd;

    if (size != sizeof(struct sock_header) || fd < 0) {
        *why = "an attachment of nothing";
        return false;
    }
    conn->in_fd = -1;
    conn->file->refs++;
    if (conn_create(conn->server, fd, conn->domid, 0, conn->file)) {
        conn->in_fd = fd;        /* closed with the connection */
        sock_file_put(conn->file);
        *why = "an attachment that is no socket of packets";
        return false;
    }
    return true;             /* no reply: it would be somebody else's */
}

/* Another connection to the device that was opened, whose other end is the reply's descriptor. */
static int open_known(struct sock_conn *conn)
{
    int fds[2], rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
        return -errno;
    conn->file->refs++;
    rc = conn_create(conn->server, fds[0], conn->domid, conn->peer, conn->file);
    if (rc) {
        sock_file_put(conn->file);
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    sock_file_known_by(conn->file, fds[1]);
    conn->out_fd = fds[1];
    return 0;
}

static bool call_open(struct sock_conn *conn, size_t size, const char **why)
{
    struct sock_server *server = conn->server;
    const struct sock_open *request = (const void *)conn->in;
    struct domain *d = machine_domain_at(server->machine, conn->domid);
    const struct chardev *dev;
    int rc;

    if (size != sizeof *request || request->magic != SOCK_MAGIC ||
        !memchr(request->device, 0, sizeof request->device)) {
        *why = "no greeting of this protocol";
        return false;
    }
    if (request->version != SOCK_VERSION) {
        conn->reply.result = -EPROTONOSUPPORT;
        return reply(conn);
    }
    dev = kernel_chardev_find(request->device);
    rc = !dev ? -ENOENT
       : !d   ? -ENODEV
              : sock_file_open(server, d, dev, request->flags & ~SOCK_OPEN_KNOWN, &conn->file);
    if (!rc) {
        if (!strcmp(dev->name, "evtchn"))
            rc = events_create(conn->file, &conn->out_fd);
        else if (request->flags & SOCK_OPEN_KNOWN)
            rc = open_known(conn);
        if (rc) {
            sock_file_put(conn->file);
            conn->file = NULL;
        }
    }
    conn->reply.result = rc;
    return reply(conn);
}

static bool call_events_page(struct sock_conn *conn, size_t size, const char **why)
{
    int rc = size != sizeof(struct sock_header) || !conn->file->events ? -EINVAL
                                                                       : page_of(conn->file);

    (void)why;
    if (rc >= 0)
        conn->out_fd = rc;
    conn->reply.result = rc < 0 ? rc : 0;
    return reply(conn);
}

static bool call_lost(struct sock_conn *conn, size_t size, const char **why)
{
    struct vma frames = { .nr_runs = 0 };
    bool composed;

    (void)why;
    conn->reply.result =
        size != sizeof(struct sock_header)
            ? -EINVAL
            : follow_lost(conn->server->machine, conn->file->file->kernel, &frames.runs,
                          &frames.nr_runs);
    composed = conn_compose(conn, conn->reply.result ? NULL : &frames);
    if (!conn->reply.result)
        free(frames.runs);
    return composed;
}

static const struct {
    bool (*fn)(struct sock_conn *conn, size_t size, const char **why);
    size_t size;                 /* at least */
} calls[SOCK_NR_OPS] = {
    [SOCK_OPEN] = { call_open, sizeof(struct sock_open) },
    [SOCK_ATTACH] = { call_attach, sizeof(struct sock_header) },
    [SOCK_IOCTL] = { call_ioctl, sizeof(struct sock_ioctl) },
    [SOCK_MMAP] = { call_mmap, sizeof(struct sock_mmap) },
    [SOCK_IOCTL_MMAP] = { call_ioctl_mmap, sizeof(struct sock_ioctl_mmap) },
    [SOCK_EVENTS_PAGE] = { call_events_page, sizeof(struct sock_header) },
    [SOCK_LOST] = { call_lost, sizeof(struct sock_header) },
    [SOCK_WRITE] = { call_write, sizeof(struct sock_header) },
};

bool call_answer(struct sock_conn *conn, const char **why)
{
    struct sock_header header;

    memcpy(&header, conn->in, sizeof header);
    conn->reply = (struct sock_reply){ .header.op = header.op, .mapped = SOCK_NOT_TRIED };
    if (header.op >= SOCK_NR_OPS || !calls[header.op].fn)
        *why = "a request that does not exist";
    else if (header.size < calls[header.op].size)
        *why = "a request that is too short";
    else if ((header.op == SOCK_OPEN) != !conn->file)
        *why = conn->file ? "a second greeting" : "a request before its greeting";
    else if (conn->in_fd >= 0 && header.op != SOCK_ATTACH && conn->in_used == header.size)
        *why = "descriptors that nobody asked for";
    if (*why)
        return false;
    return calls[header.op].fn(conn, header.size, why);
}
