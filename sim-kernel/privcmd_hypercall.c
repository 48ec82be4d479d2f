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
/* Of one argument. */
#define MAX_ARGUMENT 1024u

/* A part of the caller's memory as the hypervisor sees it. */
struct window {
    uint64_t addr;
    size_t readable, writable;       /* bytes from addr on */
    unsigned char *data;
    size_t dirty_from, dirty_to;
};

struct call_memory {
    struct window args, lists[PRIVCMD_LISTS];
};

/* ---- What the hypervisor sees ---------------------------------------------------------------- */

static bool contains(const struct window *w, size_t limit, uint64_t addr, size_t size)
{
    return addr >= w->addr && addr - w->addr <= limit && size <= limit - (addr - w->addr);
}

/* The window that holds it and may be read, or may be written; NULL: none. */
static struct window *find_window(struct call_memory *m, bool write, uint64_t addr, size_t size)
{
    for (unsigned i = 0; i <= PRIVCMD_LISTS; i++) {
        struct window *w = i ? &m->lists[i - 1] : &m->args;

        if (contains(w, write ? w->writable : w->readable, addr, size))
            return w;
    }
    return NULL;
}

static int copy_from(void *ctx, void *to, uint64_t from, size_t size)
{
    const struct window *w = find_window(ctx, false, from, size);

    if (!w)
        return -EFAULT;
    memcpy(to, w->data + (from - w->addr), size);
    return 0;
}

static int copy_to(void *ctx, uint64_t to, const void *from, size_t size)
{
    struct window *w = find_window(ctx, true, to, size);
    size_t at;

    if (!w)
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

/* ---- Fetching and delivering ----------------------------------------------------------------- */

/* Reads nr elements, or as many as can be; then sees how many can be written. -ENODEV or 0. */
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
    for (rc = rc == -EFAULT ? 0 : rc; !rc && w->writable < w->readable;
         w->writable += rc ? 0 : size)
        rc = user_write(k, req, w->addr + w->writable, w->data + w->writable, size);
    return rc == -ENODEV ? rc : 0;
}

/* Reads a list, or sees how much of one can be written, page by page. */
static int fetch_list(struct kernel *k, const struct kreq *req, struct window *w,
                      const struct privcmd_list *list)
{
    size_t done = 0;
    unsigned char byte;
    int rc = 0;

    while (!rc && done < list->size) {
        uint64_t at = w->addr + done;
        size_t piece = PAGE_SIZE - (at & ~PAGE_MASK);

        if (piece > list->size - done)
            piece = list->size - done;
        rc = list->in ? user_read(k, req, w->data + done, at, piece)
                      : user_read(k, req, &byte, at, 1);
        if (!rc && list->in)
            w->readable += piece;
        if (!rc && list->out)
            rc = user_write(k, req, at, list->in ? w->data + done : &byte, 1);
        if (!rc && list->out)
            w->writable += piece;
        done += piece;
    }
    return rc == -ENODEV ? rc : 0;
}

static int deliver(struct kernel *k, const struct kreq *req, const struct window *w)
{
    if (w->dirty_from == w->dirty_to)
        return 0;
    return user_write(k, req, w->addr + w->dirty_from, w->data + w->dirty_from,
                      w->dirty_to - w->dirty_from);
}

/* ---- Operations ------------------------------------------------------------------------------ */

/* The lists that the argument names. 0, -ENOMEM, -ENODEV. */
static int fetch_lists(struct kernel *k, const struct kreq *req, uint64_t nr,
                       const struct hv_op *op, struct call_memory *m)
{
    struct privcmd_list lists[PRIVCMD_LISTS] = { { .size = 0 } };
    int rc = 0;

    privcmd_find_lists(k, (unsigned)nr, op, m->args.data, lists);
    for (unsigned i = 0; i < PRIVCMD_LISTS && !rc; i++) {
        if (!lists[i].size)
            continue;
        m->lists[i].addr = lists[i].addr;
        m->lists[i].data = calloc(1, lists[i].size);
        rc = m->lists[i].data ? fetch_list(k, req, &m->lists[i], &lists[i]) : -ENOMEM;
    }
    return rc;
}

static int deliver_all(struct kernel *k, const struct kreq *req, const struct call_memory *m)
{
    int rc = k->dead ? -ENODEV : 0;

    for (unsigned i = 0; i < PRIVCMD_LISTS && !rc; i++)
        rc = deliver(k, req, &m->lists[i]);
    return rc ? rc : deliver(k, req, &m->args);
}

/* One hypercall on nr elements, or with one argument. */
static long call_piece(struct kernel *k, const struct kreq *req, uint64_t op,
                       const uint64_t args[5], const struct hv_op *known, size_t nr)
{
    _Alignas(8) unsigned char data[PIECE * MAX_ELEMENT];
    struct call_memory m = { .args = { .data = data } };
    struct hv_guest_memory mem = { copy_from, copy_to, &m };
    long rc = 0;
    int delivered;

    static_assert(sizeof data >= MAX_ARGUMENT, "it has room for one");
    assert(!known || known->size * nr <= sizeof data);
    m.args.addr = known && known->flags & HV_OP_FIRST ? args[0] : args[1];
    if (known && known->size && nr)
        rc = fetch(k, req, &m.args, known->size, nr);
    if (!rc && known && m.args.readable)
        rc = fetch_lists(k, req, op, known, &m);
    if (!rc)
        rc = hv_hypercall(k->hv, k->domid, (unsigned)op, args, &mem);
    delivered = deliver_all(k, req, &m);
    for (unsigned i = 0; i < PRIVCMD_LISTS; i++)
        free(m.lists[i].data);
    return delivered ? delivered : rc;
}

static long one_hypercall(struct kernel *k, const struct kreq *req, uint64_t op,
                          const uint64_t args[5])
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
    if (op == __HYPERVISOR_grant_table_op && known && known->cmd == GNTTABOP_set_version &&
        rc != -ENODEV)
        gnttab_reload_version(k);
    return rc;
}

/*
 * Each entry of a multicall is a hypercall of its own. The library makes memory operations in one,
 * because an ioctl has no room for their results.
 */
static long multicall(struct kernel *k, const struct kreq *req, uint64_t list, uint64_t nr)
{
    for (uint64_t i = 0; i < nr; i++) {
        uint64_t at = list + i * sizeof(multicall_entry_t);
        multicall_entry_t entry;
        int rc = user_read(k, req, &entry, at, sizeof entry);

        if (rc)
            return rc;
        entry.result = entry.op == __HYPERVISOR_multicall
                         ? (uint64_t)-EINVAL
                         : (uint64_t)one_hypercall(k, req, entry.op, (const uint64_t *)entry.args);
        if (k->dead)
            return -ENODEV;
        rc = user_write(k, req, at + offsetof(multicall_entry_t, result), &entry.result,
                        sizeof entry.result);
        if (rc)
            return rc;
    }
    return 0;
}

long privcmd_hypercall(struct kernel *k, const struct kreq *req, uint64_t op,
                       const uint64_t args[5])
{
    return op == __HYPERVISOR_multicall ? multicall(k, req, args[0], (uint32_t)args[1])
                                        : one_hypercall(k, req, op, args);
}
