/* SPDX-License-Identifier: MIT */
/*
 * Makes hypercalls for a kernel whose hypervisor is another process. The argument travels with the
 * request. The reply brings what the hypervisor wrote, and this file writes it in the same order.
 * So the library notices a result that it cannot write only after the operation. The caller gets
 * -EFAULT, as from a real hypervisor, but later elements were carried out all the same.
 */
#include "client_i.h"
#include "plain_memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/ops.h>

static_assert(sizeof(struct gnttab_copy) * REMOTE_PIECE <= REMOTE_MAX_DATA,
              "a piece of the largest elements fits");

const struct hv_guest_memory hv_plain_memory = { .copy_from = plain_copy_from,
                                                 .copy_to = plain_copy_to };

/* ---- What an operation reads ----------------------------------------------------------------- */

/* As much as can be read, element by element: the hypervisor faults at the next one. */
static uint32_t fetch(unsigned char *to, const struct hv_guest_memory *mem, uint64_t from,
                      size_t element, unsigned nr)
{
    uint32_t size = 0;

    if (mem->copy_from == plain_copy_from && from) {
        memcpy(to, (const void *)(uintptr_t)from, nr * element);
        return (uint32_t)(nr * element);
    }
    while (nr-- && !mem->copy_from(mem->ctx, to + size, from + size, element))
        size += (uint32_t)element;
    return size;
}

/* ---- What it wrote --------------------------------------------------------------------------- */

/* The next write of the reply after *at; NULL at the end, or where the reply makes no sense. */
static const struct remote_write *next_write(const struct hv *hv, uint32_t *at)
{
    const struct remote_write *w = (const void *)(hv->in.data + *at);
    uint32_t left = hv->in.head.size - *at;

    if (left < sizeof *w || w->size > left - sizeof *w)
        return NULL;
    *at += (uint32_t)sizeof *w + ((w->size + 7) & ~7u);
    if (*at > hv->in.head.size)
        *at = hv->in.head.size;
    return w;
}

static int deliver(const struct hv *hv, const struct hv_guest_memory *mem)
{
    const struct remote_write *w;

    for (uint32_t at = 0; (w = next_write(hv, &at));)
        if (mem->copy_to(mem->ctx, w->addr, w + 1, w->size))
            return -EFAULT;
    return 0;
}

/* ---- Mappings of a PV domain ----------------------------------------------------------------- */

#define NOT_DONE INT16_MAX       /* no GNTST_* */

/* The array after the hypercall, as the hypervisor would have left it. */
static void apply(const struct hv *hv, unsigned char *array, uint64_t addr, uint32_t size)
{
    const struct remote_write *w;

    for (uint32_t at = 0; (w = next_write(hv, &at));)
        if (w->addr >= addr && w->addr - addr <= size && w->size <= size - (w->addr - addr))
            memcpy(array + (w->addr - addr), w + 1, w->size);
}

static struct host_mapping *mapping_of(struct hv *hv, uint32_t handle)
{
    if (handle >= hv->nr_mappings) {
        uint32_t nr = hv->nr_mappings ? hv->nr_mappings : 64;
        struct host_mapping *more;

        while (nr <= handle)
            nr *= 2;
        more = reallocarray(hv->mappings, nr, sizeof *more);
        if (!more)
            return NULL;
        memset(more + hv->nr_mappings, 0, (nr - hv->nr_mappings) * sizeof *more);
        hv->mappings = more;
        hv->nr_mappings = nr;
    }
    return &hv->mappings[handle];
}

/* The address space refuses the mapping: it is taken back, as if it had never been. */
static void take_back(struct hv *hv, const struct gnttab_map_grant_ref *op)
{
    struct gnttab_unmap_grant_ref unmap = { .host_addr = op->host_addr,
                                            .dev_bus_addr = op->dev_bus_addr,
                                            .handle = op->handle };
    const uint64_t args[] = { __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref,
                              (uintptr_t)&unmap, 1 };

    memcpy(hv->out.data, &unmap, sizeof unmap);
    remote_call(hv, REMOTE_HYPERCALL, args, 4, sizeof unmap);
}

static int put_mappings(struct hv *hv, const struct hv_guest_memory *mem, uint64_t addr,
                        const struct gnttab_map_grant_ref *was, struct gnttab_map_grant_ref *op,
                        unsigned nr)
{
    for (unsigned i = 0; i < nr && op[i].status != NOT_DONE; i++) {
        struct host_mapping *mapping;

        if (op[i].status == GNTST_okay) {
            mapping = mapping_of(hv, op[i].handle);
            if (mapping)
                *mapping = (struct host_mapping){ .host_addr = op[i].host_addr,
                                                  .mfn = op[i].dev_bus_addr / HV_PAGE_SIZE,
                                                  .flags = op[i].flags };
            if (!mapping ||
                (op[i].flags & GNTMAP_host_map &&
                 hv->pv_ops->map(hv->pv_ctx, op[i].host_addr, op[i].flags, mapping->mfn) < 0)) {
                if (mapping)
                    mapping->flags = 0;
                take_back(hv, &op[i]);
                op[i] = was[i];
                op[i].status = GNTST_general_error;
            }
        }
        if (mem->copy_to(mem->ctx, addr + i * sizeof *op, &op[i], sizeof *op))
            return -EFAULT;
    }
    return 0;
}

static void end_mappings(struct hv *hv, const struct gnttab_unmap_grant_ref *op, unsigned nr,
                         bool replace)
{
    for (unsigned i = 0; i < nr; i++) {
        struct host_mapping *mapping = op[i].handle < hv->nr_mappings
            ? &hv->mappings[op[i].handle] : NULL;

        if (op[i].status != GNTST_okay || !mapping || !op[i].host_addr ||
            !(mapping->flags & GNTMAP_host_map))
            continue;
        hv->pv_ops->unmap(hv->pv_ctx, op[i].host_addr, mapping->flags, mapping->mfn,
                          replace ? op[i].dev_bus_addr : 0);
        mapping->flags &= ~(uint32_t)GNTMAP_host_map;
    }
}

/* The outcome of a map or unmap reaches the domain's page tables, then the caller. */
static int settle_mappings(struct hv *hv, unsigned cmd, const struct hv_guest_memory *mem,
                           uint64_t addr, uint32_t size)
{
    _Alignas(8) unsigned char was[REMOTE_PIECE * sizeof(struct gnttab_map_grant_ref)],
        now[sizeof was];
    struct gnttab_unmap_grant_ref *unmaps = (void *)now;
    struct gnttab_map_grant_ref *maps = (void *)now;
    bool is_map = cmd == GNTTABOP_map_grant_ref;
    unsigned nr = size / (unsigned)(is_map ? sizeof *maps : sizeof *unmaps);

    memcpy(was, hv->out.data, size);
    memcpy(now, hv->out.data, size);
    for (unsigned i = 0; i < nr; i++)
        *(is_map ? &maps[i].status : &unmaps[i].status) = NOT_DONE;
    apply(hv, now, addr, size);
    if (is_map)
        return put_mappings(hv, mem, addr, (void *)was, maps, nr);
    end_mappings(hv, unmaps, nr, cmd == GNTTABOP_unmap_and_replace);
    return deliver(hv, mem);
}

/* ---- The call -------------------------------------------------------------------------------- */

static bool concerns_mappings(unsigned op, uint64_t cmd)
{
    return op == __HYPERVISOR_grant_table_op &&
           (cmd == GNTTABOP_map_grant_ref || cmd == GNTTABOP_unmap_grant_ref ||
            cmd == GNTTABOP_unmap_and_replace);
}

static long call_piece(struct hv *hv, unsigned op, const uint64_t args[5],
                       const struct hv_guest_memory *mem, size_t element, unsigned nr)
{
    const uint64_t all[] = { op, args[0], args[1], args[2], args[3], args[4] };
    uint32_t size = fetch(hv->out.data, mem, args[1], element, nr);
    long rc = (long)remote_call(hv, REMOTE_HYPERCALL, all, 6, size);
    int written;

    if (hv->gone)
        return -ESRCH;
    if (hv->pv_ops && concerns_mappings(op, args[0]))
        written = settle_mappings(hv, (unsigned)args[0], mem, args[1], size);
    else
        written = deliver(hv, mem);
    return written ? written : rc;
}

long hv_hypercall(struct hv *hv, domid_t caller, unsigned op, const uint64_t args[5],
                  const struct hv_guest_memory *mem)
{
    const struct hv_op *known = hv_op_find(op, args[0]);
    size_t element = known ? known->size : 0; /* what the hypervisor does not know reads nothing */
    bool array = known && known->flags & HV_OP_ARRAY;
    uint64_t piece[5] = { args[0], args[1], args[2], args[3], args[4] };
    uint64_t left = array ? (uint32_t)args[2] : element != 0;
    long rc;

    if (caller != hv->domid)
        return -ESRCH;
    if (left > INT32_MAX)
        left = 0;            /* refused as a whole: nothing to fetch */
    do {
        unsigned nr = left < REMOTE_PIECE ? (unsigned)left : REMOTE_PIECE;

        if (array && left)
            piece[2] = nr;
        rc = call_piece(hv, op, piece, mem, element, nr);
        left -= nr;
        piece[1] += nr * element;
    } while (!rc && left);
    /* Status frames come and go with the version. */
    if (op == __HYPERVISOR_grant_table_op && known && known->cmd == GNTTABOP_set_version)
        known_frames_forget(&hv->status);
    return rc;
}

long hv_grant_table_op(struct hv *hv, domid_t caller, unsigned cmd, void *array, unsigned count)
{
    const uint64_t args[5] = { cmd, (uintptr_t)array, count };

    return hv_hypercall(hv, caller, __HYPERVISOR_grant_table_op, args, &hv_plain_memory);
}

long hv_event_channel_op(struct hv *hv, domid_t caller, unsigned cmd, void *arg)
{
    const uint64_t args[5] = { cmd, (uintptr_t)arg };

    return hv_hypercall(hv, caller, __HYPERVISOR_event_channel_op, args, &hv_plain_memory);
}
