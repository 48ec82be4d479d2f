/* SPDX-License-Identifier: MIT */
/* The HVM operations: parameters of a domain, and the type of a page. */
#include "hv_i.h"

enum { READS = 1, WRITES = 2, NEITHER = 4, ONCE = 8 };

/* What the domain itself may do with a parameter, and what nobody may. */
static const uint8_t param_rules[HVM_NR_PARAMS] = {
    [HVM_PARAM_CALLBACK_IRQ] = READS | WRITES,
    [HVM_PARAM_STORE_PFN] = READS,
    [HVM_PARAM_STORE_EVTCHN] = READS | WRITES,
    [HVM_PARAM_CONSOLE_PFN] = READS,
    [HVM_PARAM_CONSOLE_EVTCHN] = READS | WRITES,
    [HVM_PARAM_VM86_TSS] = READS | WRITES,
    [HVM_PARAM_VM86_TSS_SIZED] = READS | WRITES,
    [HVM_PARAM_ACPI_IOPORTS_LOCATION] = READS | WRITES,
    [HVM_PARAM_VM_GENERATION_ID_ADDR] = READS | WRITES,
    [HVM_PARAM_ALTP2M] = READS | ONCE,
    [HVM_PARAM_X87_FIP_WIDTH] = READS | WRITES,
#ifdef HVM_PARAM_VIRIDIAN /* x86 has it */
    [HVM_PARAM_VIRIDIAN] = ONCE,
#endif
    [HVM_PARAM_IOREQ_PFN] = ONCE,
    [HVM_PARAM_BUFIOREQ_PFN] = ONCE,
    [HVM_PARAM_IOREQ_SERVER_PFN] = ONCE,
    [HVM_PARAM_NR_IOREQ_SERVER_PAGES] = ONCE,
    [HVM_PARAM_MCA_CAP] = ONCE,
    /* Numbers that older versions used. */
    [4] = NEITHER,
    [13] = NEITHER,
    [20] = NEITHER,
    [21] = NEITHER,
    [22] = NEITHER,
    [23] = NEITHER,
    [24] = NEITHER,
    [25] = NEITHER,
    [26] = NEITHER,
    [30] = NEITHER,
};

/* What the caller wants of which domain, if it may. */
static long read_param(const struct hv_call *c, uint64_t arg, unsigned right,
                       struct xen_hvm_param *op, struct hv_domain **d)
{
    if (call_from_guest(c, op, arg, sizeof *op))
        return -EFAULT;
    if (op->index >= HVM_NR_PARAMS)
        return -EINVAL;
    *d = domain_lookup_any(c->d, op->domid);
    if (!*d)
        return -ESRCH;
    if ((*d)->guest != &guest_translated)
        return -EINVAL;
    if (!domain_may_control(c->d, *d))
        return -EPERM;
    if (param_rules[op->index] & NEITHER)
        return -EINVAL;
    return *d == c->d && !(param_rules[op->index] & right) ? -EPERM : 0;
}

static long set_param(const struct hv_call *c, uint64_t arg)
{
    struct xen_hvm_param op;
    struct hv_domain *d;
    long rc = read_param(c, arg, WRITES, &op, &d);

    if (rc)
        return rc;
    if (param_rules[op.index] & ONCE && d->params[op.index] && op.value != d->params[op.index])
        return -EEXIST;
    d->params[op.index] = op.value;
    return 0;
}

static long get_param(const struct hv_call *c, uint64_t arg)
{
    struct xen_hvm_param op;
    struct hv_domain *d;
    long rc = read_param(c, arg, READS, &op, &d);

    if (rc)
        return rc;
    op.value = d->params[op.index];
    return call_to_guest(c, arg, &op, sizeof op);
}

/* Pages that are out, or on their way, are memory all the same. */
static long get_mem_type(const struct hv_call *c, uint64_t arg)
{
    struct xen_hvm_get_mem_type op;
    const struct hv_domain *d;
    struct p2m_entry e;

    if (call_from_guest(c, &op, arg, sizeof op))
        return -EFAULT;
    d = domain_lookup_any(c->d, op.domid);
    if (!d)
        return -ESRCH;
    if (!domain_may_control(c->d, d))
        return -EPERM;
    if (d->guest != &guest_translated)
        return -EINVAL;
    e = p2m_get(&d->p2m, op.pfn);
    op.mem_type =
        e.type == P2M_RAM_RW || e.type >= P2M_RAM_PAGING_OUT ? HVMMEM_ram_rw : HVMMEM_mmio_dm;
    if (e.type == P2M_GRANT_MAP_RO)
        op.mem_type = HVMMEM_ram_ro;
    return call_to_guest(c, arg, &op, sizeof op);
}

/* The parameter that somebody in the same process may read and set. */
static uint64_t *param_at(const struct hv *hv, domid_t id, unsigned index, int *rc)
{
    struct hv_domain *d = domain_lookup(hv, id);

    *rc = 0;
    if (!d)
        *rc = -ESRCH;
    else if (d->guest != &guest_translated || index >= HVM_NR_PARAMS)
        *rc = -EINVAL;
    return *rc ? NULL : &d->params[index];
}

int hv_domain_param(const struct hv *hv, domid_t id, unsigned index, uint64_t *value)
{
    int rc;
    const uint64_t *param = param_at(hv, id, index, &rc);

    if (param)
        *value = *param;
    return rc;
}

int hv_domain_set_param(struct hv *hv, domid_t id, unsigned index, uint64_t value)
{
    int rc;
    uint64_t *param = param_at(hv, id, index, &rc);

    if (param)
        *param = value;
    return rc;
}

long hvm_hypercall(struct hv_call *c, const uint64_t args[5])
{
    static long (*const handlers[])(const struct hv_call *c, uint64_t arg) = {
#define ROW(op, size) [HVMOP_##op] = op,
        HV_HVM_OPS(ROW)
#undef ROW
    };

    if (args[0] >= sizeof handlers / sizeof *handlers || !handlers[args[0]])
        return -ENOSYS;
    return handlers[args[0]](c, args[1]);
}
