/* SPDX-License-Identifier: MIT */
/*
 * Sends the local buffers of a grant copy along with the request. A real grant copy reaches the
 * caller's memory through the kernel, where a bad pointer is an EFAULT at its segment. So this file
 * reads and writes the buffers by system calls, too. It leaves unreadable memory out of the
 * request, and the driver faults where a real one does.
 */
#include "sock_copy_i.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "handle_i.h"
#include <xen/sys/gntdev.h>

#include "sock_area_i.h"
#include "sock_client_i.h"

/*
 * Segments in one request, so that it stays within SOCK_MAX_MESSAGE: a multiple of what a kernel
 * does in one batch.
 */
#define MAX_SEGMENTS 128u

struct local {
    uint64_t addr;
    uint32_t size;
};

struct copying {
    struct local locals[MAX_SEGMENTS + 2];
    unsigned nr;
    struct sock_range ranges[MAX_SEGMENTS + 2];
    struct sock_view views[2 * MAX_SEGMENTS];
    unsigned nr_views;
    int staging;                 /* a file that takes and gives bytes by system calls */
};

static int by_address(const void *a, const void *b)
{
    const struct local *x = a, *y = b;

    return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void *at(uint64_t addr)
{
    return (void *)(uintptr_t)addr;
}

/* Bytes from addr on that can be read; with them in the staging file. */
static uint32_t readable(const struct copying *c, uint64_t addr, uint32_t size)
{
    ssize_t n = pwrite(c->staging, at(addr), size, 0);

    return n > 0 ? (uint32_t)n : 0;
}

/*
 * Of size bytes that were just read: how many can be written, page by page, as the kernel sees it.
 */
static uint32_t writable(const struct copying *c, uint64_t addr, uint32_t size)
{
    uint32_t done = 0;

    while (done < size) {
        uint32_t room = GNT_PAGE_SIZE - (uint32_t)((addr + done) % GNT_PAGE_SIZE);

        if (pread(c->staging, at(addr + done), 1, done) != 1)
            return done;
        done = room < size - done ? done + room : size;
    }
    return done;
}

static void add_views(struct copying *c, struct sock_client *client, uint64_t start, uint64_t end)
{
    struct sock_area area;

    while (start < end && c->nr_views < 2 * MAX_SEGMENTS && sock_area_find(client, start, &area) &&
           area.start < end) {
        uint64_t from = start > area.start ? start : area.start;

        from &= ~(uint64_t)(GNT_PAGE_SIZE - 1);
        if (!c->nr_views || c->views[c->nr_views - 1].addr + c->views[c->nr_views - 1].size <= from)
            c->views[c->nr_views++] = (struct sock_view){
                from, area.end - from, area.id, area.page + ((from - area.start) >> GNT_PAGE_SHIFT)
            };
        start = area.end;
    }
}

/* What the segments name, as far as they can be read. */
static void collect(struct copying *c, const struct ioctl_gntdev_grant_copy *copy)
{
    c->locals[c->nr++] = (struct local){ (uintptr_t)copy, sizeof *copy };
    for (uint32_t i = 0, size; i < copy->count; i++) {
        const struct ioctl_gntdev_grant_copy_segment *seg = &copy->segments[i];
        struct local local = { .size = seg->len };

        if (!(seg->flags & GNTCOPY_source_gref))
            local.addr = (uintptr_t)seg->source.virt;
        else if (!(seg->flags & GNTCOPY_dest_gref))
            local.addr = (uintptr_t)seg->dest.virt;
        else
            continue;
        size = local.size ? readable(c, local.addr, local.size) : 0;
        if (seg->flags & GNTCOPY_source_gref)
            size = writable(c, local.addr, size);
        if (!size)
            continue;
        local.size = size;
        c->locals[c->nr++] = local;
    }
}

/* The locals as ranges that neither overlap nor touch. */
static unsigned merge(struct copying *c, struct sock_client *client)
{
    unsigned nr = 0;

    qsort(c->locals, c->nr, sizeof *c->locals, by_address);
    for (unsigned i = 0; i < c->nr; i++) {
        const struct local *local = &c->locals[i];
        struct sock_range *last = nr ? &c->ranges[nr - 1] : NULL;

        add_views(c, client, local->addr, local->addr + local->size);
        if (!last || last->addr + last->size < local->addr)
            c->ranges[nr++] = (struct sock_range){ .addr = local->addr, .size = local->size };
        else if (last->addr + last->size < local->addr + local->size)
            last->size = (uint32_t)(local->addr + local->size - last->addr);
    }
    return nr;
}

/* A reply's writes. */
static int put_back(const struct copying *c, const struct sock_answer *answer)
{
    const char *bytes = answer->bytes;

    for (uint32_t i = 0; i < answer->reply->nr_writes; i++) {
        const struct sock_range *write = &answer->writes[i];

        if (pwrite(c->staging, bytes, write->size, 0) != (ssize_t)write->size ||
            pread(c->staging, at(write->addr), write->size, 0) != (ssize_t)write->size) {
            errno = EFAULT;
            return -1;
        }
        bytes += write->size;
    }
    return 0;
}

static int send_request(struct copying *c, struct sock_client *client,
                        const struct ioctl_gntdev_grant_copy *copy, unsigned nr)
{
    struct sock_ioctl request = {
        .header.op = SOCK_IOCTL, .arg = (uintptr_t)copy, .cmd = (uint32_t)IOCTL_GNTDEV_GRANT_COPY,
        .nr_ranges = nr, .nr_views = c->nr_views
    };
    struct iovec parts[MAX_SEGMENTS + 5] = { { &request, sizeof request },
                                             { c->ranges, nr * sizeof *c->ranges },
                                             { c->views, c->nr_views * sizeof *c->views } };
    struct sock_answer answer;
    int64_t result;
    int rc;

    for (unsigned i = 0; i < nr; i++)
        parts[3 + i] = (struct iovec){ at(c->ranges[i].addr), c->ranges[i].size };
    if (sock_client_begin(client, parts, (int)nr + 3, &answer))
        return -1;
    rc = put_back(c, &answer);
    result = answer.reply->result;
    sock_client_end(client);
    if (result >= 0)
        return rc ? rc : (int)result;
    errno = (int)-result;
    return -1;
}

static int copy_some(struct copying *c, struct sock_client *client,
                     struct ioctl_gntdev_grant_copy *copy)
{
    uint32_t size = copy->count * (uint32_t)sizeof *copy->segments, there;
    struct ioctl_gntdev_grant_copy part = *copy;

    c->nr = c->nr_views = 0;
    there = size ? readable(c, (uintptr_t)copy->segments, size) : 0;
    there = writable(c, (uintptr_t)copy->segments, there);
    if (there) {
        /* A copy of the segments, so that they stay as checked; the driver reads the caller's. */
        struct ioctl_gntdev_grant_copy_segment segments[MAX_SEGMENTS];

        if (pread(c->staging, segments, there, 0) != (ssize_t)there)
            return -1;
        part.segments = segments;
        part.count = there / (uint32_t)sizeof *segments;
        collect(c, &part);
        c->locals[c->nr++] = (struct local){ (uintptr_t)copy->segments, there };
        c->locals[0].addr = (uintptr_t)copy;
    } else {
        c->locals[c->nr++] = (struct local){ (uintptr_t)copy, sizeof *copy };
    }
    return send_request(c, client, copy, merge(c, client));
}

int sock_grant_copy(struct sock_client *client, struct ioctl_gntdev_grant_copy *copy)
{
    struct copying *c = malloc(sizeof *c);
    uint32_t done = 0;
    int rc = -1;

    if (!c)
        return -1;
    c->staging = memfd_create("grant copy", MFD_CLOEXEC);
    while (c->staging >= 0) {
        uint32_t left = copy->count - done;
        struct ioctl_gntdev_grant_copy part = {
            .count = left < MAX_SEGMENTS ? left : MAX_SEGMENTS, .segments = copy->segments + done
        };

        rc = copy_some(c, client, &part);
        done += part.count;
        if (rc || done == copy->count)
            break;
    }
    if (c->staging >= 0) {
        int saved_errno = errno;

        close(c->staging);
        errno = saved_errno;
    }
    free(c);
    return rc;
}
