/* SPDX-License-Identifier: MIT */
/*
 * Makes a process's hypercall, with arguments in the process's memory. An access to that memory may
 * block for ever, and the model runs an operation in one go. So the kernel fetches the arguments
 * first, a long array piece by piece, as a real hypervisor continues a preempted operation. The
 * operation sees only what was fetched, and faults beyond it. Then the kernel delivers the results.
 */
#include "privcmd_i.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/ops.h>

/* Elements of an array per piece. */
#define PIECE 64u
#define MAX_ELEMENT 40u
/* More frame numbers than this no operation lists, whatever a domain was created with. */
#define MAX_LIST 65536u

/* A part of the caller's memory as the hypervisor sees it. */
struct window {
    uint64_t addr;
    size_t readable, writable;       /* bytes from addr on */
    unsigned char *data;
    size_t dirty_from, dirty_to;
};

struct call_memory {
    struct window args, list;
};

/* ---- What the hypervisor sees ----------------------------------------------------------------- */

static bool contains(const struct window *w, size_t limit, uint64_t addr, size_t size)
{
    return addr >= w->addr && addr - w->addr <= limit && size <= limit - (addr - w->addr);
}

static int copy_from(void *ctx, void *to, uint64_t from, size_t size)
{
    const struct call_memory *m = ctx;

    if (!contains(&m->args, m->args.readable, from, size))
        return -EFAULT;
    memcpy(to, m->args.data + (from - m->args.addr), size);
    return 0;
}

static int copy_to(void *ctx, uint64_t to, const void *from, size_t size)
{
    struct call_memory *m = ctx;
    struct window *w = contains(&m->args, m->args.writable, to, size) ? &m->args : &m->list;
    size_t at;

    if (!contains(w, w->writable, to, size))
        return -EFAULT;
    at = to - w->addr;
    memcpy(w->data + at, from, size);
    if (w->dirty_from == w->dirty_to) {
        w->dirty_from = at;
        w->dirty_to = at + size;
        return 0;
    }
    if (at < w->dirty_from)
        w->dirty_from = at;
    if (at + size > w->dirty_to)
        w->dirty_to = at + size;
    return 0;
}

/* ---- Fetching and delivering ------------------------------------------------------------------ */

/* Reads nr elements, or as many as can be read; then sees how many of those can be written. -ENODEV or 0. */
static int fetch(struct kernel *k, const struct kreq *req, struct window *w, size_t size, size_t nr)
{
    size_t done = 0;
    int rc = user_read(k, req, w->data, w->addr, size * nr);

    if (!rc)
        done = nr;
    for (rc = rc == -EFAULT ? 0 : rc; !rc && done < nr; done += !rc)
        rc = user_read(k, req, w->data + done * size, w->addr + done * size, size);
    if (rc == -ENODEV)
        return rc;
    w->readable = done * size;
    rc = user_write(k, req, w->addr, w->data, w->readable);
    if (!rc)
        w->writable = w->readable;
    for (rc = rc == -EFAULT ? 0 : rc; !rc && w->writable < w->readable; w->writable += rc ? 0 : size)
        rc = user_write(k, req, w->addr + w->writable, w->data + w->writable, size);
    return rc == -ENODEV ? rc : 0;
}

/* Sees how much of a list of results can be written, page by page. */
static int probe_list(struct kernel *k, const struct kreq *req, struct window *w, size_t size)
{
    unsigned char byte;
    int rc = 0;

    while (!rc && w->writable < size) {
        uint64_t at = w->addr + w->writable;
        size_t piece = PAGE_SIZE - (at & ~PAGE_MASK);

        rc = user_read(k, req, &byte, at, 1);
        if (!rc)
            rc = user_write(k, req, at, &byte, 1);
        if (!rc)
            w->writable += piece < size - w->writable ? piece : size - w->writable;
    }
    return rc == -ENODEV ? rc : 0;
}

static int deliver(struct kernel *k, const struct kreq *req, const struct window *w)
{
    if (w->dirty_from == w->dirty_to)
        return 0;
    return user_write(k, req, w->addr + w->dirty_from, w->data + w->dirty_from, w->dirty_to - w->dirty_from);
}

/* ---- Operations ------------------------------------------------------------------------------- */

/* Only what the hypervisor is going to write is looked at: nothing, if more frames are asked for than there can be. */
static size_t list_size(struct kernel *k, domid_t dom, uint32_t nr_frames, unsigned frames_per_entry)
{
    struct gnttab_query_size query = { .dom = dom };

    if (kernel_grant_table_op(k, GNTTABOP_query_size, &query, 1) || query.status != GNTST_okay)
        return 0;
    if (nr_frames > (query.max_nr_frames + frames_per_entry - 1) / frames_per_entry || nr_frames > MAX_LIST)
        return 0;
    return nr_frames * sizeof(uint64_t);
}

static size_t setup_table_list(struct kernel *k, const void *arg, uint64_t *addr)
{
    const struct gnttab_setup_table *op = arg;

    *addr = (uintptr_t)op->frame_list.p;
    return list_size(k, op->dom, op->nr_frames, 1);
}

/* A status frame is enough for the entries of eight grant frames. */
static size_t status_frames_list(struct kernel *k, const void *arg, uint64_t *addr)
{
    const struct gnttab_get_status_frames *op = arg;

    *addr = (uintptr_t)op->frame_list.p;
    return list_size(k, op->dom, op->nr_frames, 8);
}

/* Where an operation will put a list of frames: bytes, 0 for none. */
static size_t list_of(struct kernel *k, uint64_t nr, const struct hv_op *op, const void *arg, uint64_t *addr)
{
    if (nr == __HYPERVISOR_grant_table_op && op->cmd == GNTTABOP_setup_table)
        return setup_table_list(k, arg, addr);
    if (nr == __HYPERVISOR_grant_table_op && op->cmd == GNTTABOP_get_status_frames)
        return status_frames_list(k, arg, addr);
    return 0;
}

/* One hypercall on nr elements at args[1]. */
static long call_piece(struct kernel *k, const struct kreq *req, uint64_t op, const uint64_t args[5],
                       const struct hv_op *known, size_t nr)
{
    _Alignas(8) unsigned char data[PIECE * MAX_ELEMENT];
    struct call_memory m = { .args = { .addr = args[1], .data = data } };
    struct hv_guest_memory mem = { copy_from, copy_to, &m };
    size_t list = 0;
    long rc, flushed;

    assert(!known || known->size * nr <= sizeof data);
    rc = known && nr ? fetch(k, req, &m.args, known->size, nr) : 0;
    if (rc)
        return rc;
    if (known && m.args.readable)
        list = list_of(k, op, known, data, &m.list.addr);
    if (list) {
        m.list.data = malloc(list);
        if (!m.list.data)
            return -ENOMEM;
        rc = probe_list(k, req, &m.list, list);
    }
    if (!rc)
        rc = hv_hypercall(k->hv, k->domid, (unsigned)op, args, &mem);
    flushed = k->dead ? -ENODEV : deliver(k, req, &m.list);
    if (!flushed)
        flushed = deliver(k, req, &m.args);
    free(m.list.data);
    return flushed ? flushed : rc;
}

long privcmd_hypercall(struct kernel *k, const struct kreq *req, uint64_t op, const uint64_t args[5])
{
    const struct hv_op *known = op <= UINT32_MAX ? hv_op_find((unsigned)op, args[0]) : NULL;
    bool array = known && known->flags & HV_OP_ARRAY;
    uint64_t piece[5] = { args[0], args[1], args[2], args[3], args[4] };
    uint64_t left;
    long rc;

    if (op > UINT32_MAX)
        return -ENOSYS;
    left = array ? (uint32_t)args[2] : 1;
    if (left > INT32_MAX)
        left = 0;            /* refused as a whole: nothing to fetch */
    do {
        size_t nr = left < PIECE ? left : PIECE;

        if (left > PIECE)
            piece[2] = PIECE;
        else if (array)
            piece[2] = left ? left : args[2];
        rc = call_piece(k, req, op, piece, known, nr);
        left -= nr;
        piece[1] += known ? known->size * nr : 0;
    } while (!rc && left);
    /* A version change wipes the table that the kernel believes to be its own. */
    if (op == __HYPERVISOR_grant_table_op && known && known->cmd == GNTTABOP_set_version && rc != -ENODEV)
        gnttab_reload_version(k);
    return rc;
}
