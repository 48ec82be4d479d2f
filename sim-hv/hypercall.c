/* SPDX-License-Identifier: MIT */
/* Entry of hypercalls, and the caller's memory. */
#include "hv_i.h"
#include "plain_memory_i.h"

const struct hv_guest_memory hv_plain_memory = { .copy_from = plain_copy_from, .copy_to = plain_copy_to };

/*
 * Xen refuses a PV caller's array that starts above the lower half and not above its own part of the address
 * space. What follows the start is found out element by element. Translated callers are never refused here, and
 * plain pointers of this process are not guest addresses.
 */
bool call_array_okay(const struct call *c, uint64_t addr)
{
    if (c->d->guest != &guest_pv || c->plain)
        return true;
    return addr < UINT64_C(1) << 47 || addr >= HYPERVISOR_VIRT_END;
}

/* How an operation uses count, and whether its array is range-checked before anything. */
enum { SINGLE = 1, ARRAY = 2 };

struct gnttab_op {
    const char *name;
    gnttab_handler *handler;
    unsigned kind;
};

/* GNTTABOP_dump_table (3) has had no implementation since 2006. */
static const struct gnttab_op gnttab_ops[] = {
    [GNTTABOP_map_grant_ref]     = { "map_grant_ref", gnttab_map_grant_ref, ARRAY },
    [GNTTABOP_unmap_grant_ref]   = { "unmap_grant_ref", gnttab_unmap_grant_ref, ARRAY },
    [GNTTABOP_setup_table]       = { "setup_table", gnttab_setup_table, SINGLE },
    [GNTTABOP_dump_table]        = { "dump_table", NULL, 0 },
    [GNTTABOP_transfer]          = { "transfer", gnttab_transfer, ARRAY },
    [GNTTABOP_copy]              = { "copy", gnttab_copy, ARRAY },
    [GNTTABOP_query_size]        = { "query_size", gnttab_query_size, SINGLE },
    [GNTTABOP_unmap_and_replace] = { "unmap_and_replace", gnttab_unmap_and_replace, ARRAY },
    [GNTTABOP_set_version]       = { "set_version", gnttab_set_version, 0 },
    [GNTTABOP_get_status_frames] = { "get_status_frames", gnttab_get_status_frames, SINGLE },
    [GNTTABOP_get_version]       = { "get_version", gnttab_get_version, 0 },
    [GNTTABOP_swap_grant_ref]    = { "swap_grant_ref", gnttab_swap_grant_ref, ARRAY },
    [GNTTABOP_cache_flush]       = { "cache_flush", gnttab_cache_flush, ARRAY },
};
#define NR_GNTTAB_OPS (sizeof gnttab_ops / sizeof *gnttab_ops)
#define GNTTABOP_CMD_MASK 0xfffu

static long grant_table_op(struct call *call, const uint64_t args[5])
{
    unsigned cmd = (unsigned)args[0] & GNTTABOP_CMD_MASK, count = (unsigned)args[2];
    unsigned high = (unsigned)args[0] & ~GNTTABOP_CMD_MASK;
    const struct gnttab_op *op;

    if ((int)count < 0)
        return -EINVAL;
    if (high && cmd != GNTTABOP_cache_flush)
        return -EINVAL;
    if (cmd >= NR_GNTTAB_OPS || !gnttab_ops[cmd].handler)
        return -ENOSYS;
    if (cmd == GNTTABOP_cache_flush && !call->hv->profile->cache_flush_on_x86)
        return -ENOSYS;
    op = &gnttab_ops[cmd];
    if (op->kind == SINGLE && count != 1)
        return -EINVAL;
    if (op->kind == ARRAY && !call_array_okay(call, args[1]))
        return -EFAULT;
    call->opaque = high;
    return op->handler(call, args[1], count);
}

static const struct {
    unsigned nr;
    long (*handler)(struct call *call, const uint64_t args[5]);
} hypercalls[] = {
    { __HYPERVISOR_grant_table_op, grant_table_op },
    { __HYPERVISOR_event_channel_op, evtchn_hypercall },
    { __HYPERVISOR_memory_op, memory_hypercall },
};

static long hooked_hypercall(struct call *call, long (*handler)(struct call *, const uint64_t *), unsigned op,
                             const uint64_t args[5])
{
    long rc;

    call->op = op;
    call->cmd = (unsigned)args[0] & (op == __HYPERVISOR_memory_op ? MEMOP_CMD_MASK : GNTTABOP_CMD_MASK);
    call->count = op == __HYPERVISOR_grant_table_op ? (uint32_t)args[2] : 0;
    rc = hook_inject_call(call);
    if (!rc)
        rc = handler(call, args);
    if (!call->traced)
        hook_trace_call(call, NULL, 0, rc);
    return rc;
}

long hv_hypercall(struct hv *hv, domid_t caller, unsigned op, const uint64_t args[5],
                  const struct hv_guest_memory *mem)
{
    struct call call = { .hv = hv, .d = domain_lookup(hv, caller), .mem = mem,
                         .plain = mem->copy_from == plain_copy_from && mem->copy_to == plain_copy_to };
    long rc = -ENOSYS;

    hv->nr_hypercalls++;
    if (!call.d || domain_dying(call.d) || call.d->crashed)
        return -ESRCH;
    for (size_t i = 0; i < sizeof hypercalls / sizeof *hypercalls; i++)
        if (hypercalls[i].nr == op) {
            rc = __builtin_expect(hv_is_hooked(hv), 0) ? hooked_hypercall(&call, hypercalls[i].handler, op, args)
                                                 : hypercalls[i].handler(&call, args);
            break;
        }
    if (hv->reap || hv->freed_nr)
        hv_reap(hv);
    return rc;
}

uint64_t hv_nr_hypercalls(const struct hv *hv)
{
    return hv->nr_hypercalls;
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
