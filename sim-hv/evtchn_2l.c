/* SPDX-License-Identifier: MIT */
/*
 * The 2-level event ABI: pending and mask bits in shared_info, and the vCPU's selector and upcall
 * flag.
 */
#include "hv_i.h"
#include "xen_arch.h"

static_assert(sizeof(struct vcpu_info) == ARCH_VCPU_INFO_SIZE &&
                  offsetof(struct shared_info, evtchn_pending) ==
                      XEN_LEGACY_MAX_VCPUS * ARCH_VCPU_INFO_SIZE &&
                  offsetof(struct shared_info, evtchn_mask) ==
                      offsetof(struct shared_info, evtchn_pending) + 512,
              "64-bit layout");

static uint64_t bit(uint32_t port)
{
    return UINT64_C(1) << port % 64;
}

static uint64_t *pending_word(const struct hv_domain *d, uint32_t port)
{
    return &d->shared_info->evtchn_pending[port / 64];
}

static uint64_t *mask_word(const struct hv_domain *d, uint32_t port)
{
    return &d->shared_info->evtchn_mask[port / 64];
}

bool evtchn_2l_is_pending(const struct hv_domain *d, uint32_t port)
{
    return __atomic_load_n(pending_word(d, port), __ATOMIC_SEQ_CST) & bit(port);
}

bool evtchn_2l_is_masked(const struct hv_domain *d, uint32_t port)
{
    return __atomic_load_n(mask_word(d, port), __ATOMIC_SEQ_CST) & bit(port);
}

/* Sets the selector; tells the vCPU unless it knows already. */
static void select_and_kick(struct hv_domain *d, uint32_t port)
{
    struct vcpu_info *v = &d->shared_info->vcpu_info[0];
    uint64_t selector = UINT64_C(1) << port / 64;

    if (__atomic_fetch_or(&v->evtchn_pending_sel, selector, __ATOMIC_SEQ_CST) & selector)
        return;
    if (__atomic_exchange_n(&v->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
        return;
    if (d->hv->hooks.upcall)
        d->hv->hooks.upcall(d->hv->hook_ctx, d->id);
}

void evtchn_2l_set_pending(struct hv_domain *d, uint32_t port)
{
    if (__atomic_fetch_or(pending_word(d, port), bit(port), __ATOMIC_SEQ_CST) & bit(port))
        return;
    if (!evtchn_2l_is_masked(d, port))
        select_and_kick(d, port);
    else if (d->hv->hooks.masked)
        d->hv->hooks.masked(d->hv->hook_ctx, d->id, port);
}

void evtchn_2l_clear_pending(struct hv_domain *d, uint32_t port)
{
    __atomic_fetch_and(pending_word(d, port), ~bit(port), __ATOMIC_SEQ_CST);
}

void evtchn_2l_unmask(struct hv_domain *d, uint32_t port)
{
    if ((__atomic_fetch_and(mask_word(d, port), ~bit(port), __ATOMIC_SEQ_CST) & bit(port)) &&
        evtchn_2l_is_pending(d, port))
        select_and_kick(d, port);
}
