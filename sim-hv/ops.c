/* SPDX-License-Identifier: MIT */
/*
 * Answers questions about operations from the rows of ops_i.h. A kernel in a process of its own
 * links this file without the hypervisor.
 */
#include "ops_i.h"

#include <stddef.h>

#define NR(array) (sizeof(array) / sizeof *(array))

#define FIELD(type, name, member, at, mask, value) \
    { name, offsetof(struct type, member), sizeof(((struct type *)0)->member), at, mask, value },
#define FLAGGED(op, name, member, mask, value) \
    FIELD(GROUP(op), name, member, offsetof(struct GROUP(op), flags), mask, value)

#define F(op, member) NAMED(op, #member, member)
#define NAMED(op, name, member) FIELD(GROUP(op), name, member, 0, 0, 0)
#define OKAY(op, name, member) \
    FIELD(GROUP(op), name, member, offsetof(struct GROUP(op), status), UINT16_MAX, GNTST_okay)
#define IF(op, name, member, flag) FLAGGED(op, name, member, flag, flag)
#define UNLESS(op, name, member, flag) FLAGGED(op, name, member, flag, 0)
#define FIELDS(...) (const struct hv_op_field[]){ __VA_ARGS__ { .name = NULL } }

static const struct hv_op gnttab_ops[] = {
#define GROUP(op) gnttab_##op
#define ROW(op, flags, names, fault, fields) \
    [GNTTABOP_##                             \
        op] = { #op, GNTTABOP_##op, flags, sizeof(struct gnttab_##op), FIELDS(fields), fault },
    HV_GNTTAB_OPS(ROW)
#undef ROW
#undef GROUP
};

static const struct hv_op evtchn_ops[] = {
#define GROUP(op) evtchn_##op
#define ROW(op, flags, handler, fault, fields)                                            \
    [EVTCHNOP_##op] = { "evtchn_" #op,  EVTCHNOP_##op, flags, sizeof(struct evtchn_##op), \
                        FIELDS(fields), fault },
    HV_EVTCHN_OPS(ROW)
#undef ROW
#undef GROUP
        [RESET_CONT] = { NULL, RESET_CONT, 0, sizeof(struct evtchn_reset), FIELDS(), NULL },
};

static const struct hv_op memory_ops[] = {
#define ROW(op, size) [XENMEM_##op] = { NULL, XENMEM_##op, 0, size, FIELDS(), NULL },
    HV_MEMORY_OPS(ROW)
#undef ROW
};

static const struct hv_op hvm_ops[] = {
#define ROW(op, size) [HVMOP_##op] = { NULL, HVMOP_##op, 0, size, FIELDS(), NULL },
    HV_HVM_OPS(ROW)
#undef ROW
};

static const struct hv_op version_ops[] = {
#define ROW(op, size) [XENVER_##op] = { NULL, XENVER_##op, 0, size, FIELDS(), NULL },
    HV_VERSION_OPS(ROW)
#undef ROW
};

static const struct hv_op domctl_ops[] = {
    { NULL, 0, HV_OP_FIRST, sizeof(struct xen_domctl), FIELDS(), NULL },
};

static const struct hv_op sysctl_ops[] = {
    { NULL, 0, HV_OP_FIRST, sizeof(struct xen_sysctl), FIELDS(), NULL },
};

const struct hv_hypercall hv_hypercalls[] = {
#define ROW(name, group, mask, fault, handler) \
    { #name, __HYPERVISOR_##name, mask, fault, group##_ops, NR(group##_ops) },
    HV_HYPERCALLS(ROW)
#undef ROW
    { .name = NULL },
};

const struct hv_hypercall *hv_hypercall_find(unsigned nr)
{
    for (const struct hv_hypercall *call = hv_hypercalls; call->name; call++)
        if (call->nr == nr)
            return call;
    return NULL;
}

const struct hv_op *hv_op_find(unsigned nr, uint64_t cmd)
{
    const struct hv_hypercall *call = hv_hypercall_find(nr);
    size_t i = call ? (size_t)(cmd & call->cmd_mask) : 0;

    return call && i < call->nr_ops && call->ops[i].size ? &call->ops[i] : NULL;
}

const char *hv_status_name(long status)
{
    static const char *const names[] = {
#define ROW(name) [-GNTST_##name] = #name,
        HV_STATUSES(ROW)
#undef ROW
    };

    return status <= 0 && -status < (long)NR(names) ? names[-status] : NULL;
}
