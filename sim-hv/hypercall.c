/* SPDX-License-Identifier: MIT */
/* Dispatches hypercalls and reaches the caller's memory. */
#include "hv_i.h"
#include "plain_memory.h"
#include "xen_arch.h"

const struct hv_guest_memory hv_plain_memory = { .copy_from = plain_copy_from,
                                                 .copy_to = plain_copy_to };

static const struct {
    gnttab_handler *handler;
    unsigned flags;
} gnttab_ops[] = {
#define ROW(op, flags, ...) [GNTTABOP_##op] = { gnttab_##op, flags },
    HV_GNTTAB_OPS(ROW)
#undef ROW
};

long call_elements(const struct hv_call *c, uint64_t uop, unsigned count,
                   const struct element_kind *kind, void *state)
{
    uint64_t op[ELEMENT_MAX];
    int16_t *status = (void *)((char *)op + kind->status);
    bool hooked = hv_is_hooked(c->hv);
    long rc = 0;

    assert(kind->size <= sizeof op);
    for (; count && !rc; count--, uop += kind->size) {
        int decided = 0;

        if (call_from_guest(c, op, uop, kind->size))
            return -EFAULT;
        if (kind->refuse)
            rc = kind->refuse(c, op);
        if (!rc && hooked)
            decided = hook_inject_element(c, count, op, status);
        if (rc || decided < 0)
            return rc ? rc : decided;
        if (!decided)
            *status = (int16_t)kind->act(c, op, state);
        if (hooked)
            hook_trace_element(c, kind->answers ? op : NULL, *status);
        rc = kind->answers ? call_to_guest(c, uop, op, kind->size)
                           : call_to_guest(c, uop + kind->status, status, sizeof *status);
    }
    return rc;
}

bool call_array_okay(const struct hv_call *c, uint64_t addr)
{
    return c->mem->copy_from == hv_plain_memory.copy_from || c->d->guest != &guest_pv ||
           addr < ARCH_USER_END || addr >= ARCH_XEN_END;
}

static long grant_table_op(struct hv_call *call, const uint64_t args[5])
{
    unsigned cmd = (unsigned)args[0] & GNTTAB_CMD_MASK, count = (unsigned)args[2];
    unsigned high = (unsigned)args[0] & ~GNTTAB_CMD_MASK;

    if ((int)count < 0)
        return -EINVAL;
    if (high && cmd != GNTTABOP_cache_flush)
        return -EINVAL;
    if (cmd >= sizeof gnttab_ops / sizeof *gnttab_ops)
        return -ENOSYS;
    if (cmd == GNTTABOP_cache_flush && !ARCH_HAS_CACHE_FLUSH &&
        !call->hv->profile->cache_flush_on_x86)
        return -ENOSYS;
    if (gnttab_ops[cmd].flags & HV_OP_ONE && count != 1)
        return -EINVAL;
    if (gnttab_ops[cmd].flags & HV_OP_ARRAY && !call_array_okay(call, args[1]))
        return -EFAULT;
    call->opaque = high;
    return gnttab_ops[cmd].handler(call, args[1], count);
}

typedef long hypercall_handler(struct hv_call *call, const uint64_t args[5]);

static const struct {
    unsigned nr;
    hypercall_handler *handler;
} hypercalls[] = {
#define ROW(name, group, mask, fault, handler) { __HYPERVISOR_##name, handler },
    HV_HYPERCALLS(ROW)
#undef ROW
};

static long hooked_hypercall(struct hv_call *call, hypercall_handler *handler, unsigned op,
                             const uint64_t args[5])
{
    long rc;

    call->op = op;
    call->cmd = (unsigned)args[0] & hv_hypercall_find(op)->cmd_mask;
    call->count = op == __HYPERVISOR_grant_table_op ? (uint32_t)args[2] : 0;
    rc = hook_inject_call(call);
    if (!rc)
        rc = handler(call, args);
    if (!call->traced)
        hook_trace_call(call, NULL, 0, rc);
    return rc;
}

static uint32_t command_of(const struct hv_call *call, unsigned op, const uint64_t args[5])
{
    const struct hv_hypercall *known = hv_hypercall_find(op);
    uint32_t cmd = (uint32_t)args[0];

    if (known && known->cmd_mask)
        return cmd & known->cmd_mask;
    if (known && call_from_guest(call, &cmd, args[0], sizeof cmd))
        return 0;
    return cmd;
}

long hv_hypercall(struct hv *hv, domid_t caller, unsigned op, const uint64_t args[5],
                  const struct hv_guest_memory *mem)
{
    struct hv_call call = { .hv = hv, .mem = mem, .d = domain_lookup(hv, caller) };
    hypercall_handler *handler = NULL;
    long rc;

    hv->nr_hypercalls++;
    if (!call.d || domain_dying(call.d) || call.d->crashed)
        return -ESRCH;
    for (size_t i = 0; i < sizeof hypercalls / sizeof *hypercalls; i++)
        if (hypercalls[i].nr == op)
            handler = hypercalls[i].handler;
    if (!handler)
        rc = -ENOSYS;
    else if (hv_is_hooked(hv))
        rc = hooked_hypercall(&call, handler, op, args);
    else
        rc = handler(&call, args);
    if (rc == -ENOSYS && hv->hooks.unmodelled)
        hv->hooks.unmodelled(hv->hook_ctx, caller, op, command_of(&call, op, args), NULL);
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
