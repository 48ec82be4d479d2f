/* SPDX-License-Identifier: MIT */
/*
 * The rings of events about a domain's memory. The helper on the other side may write anything into
 * its ring at any instant. So each number is read once, and nothing loops as often as it says.
 */
#include "hv_i.h"
#include "paging_i.h"
#include "sharing_i.h"

/* As the public interface numbers them, with the parameter that says where the ring is. */
static const struct {
    uint32_t mode;
    unsigned param;
} kinds[NR_VM_EVENTS] = {
    [VM_EVENT_PAGING] = { XEN_DOMCTL_VM_EVENT_OP_PAGING, HVM_PARAM_PAGING_RING_PFN },
    [VM_EVENT_MONITOR] = { XEN_DOMCTL_VM_EVENT_OP_MONITOR, HVM_PARAM_MONITOR_RING_PFN },
    [VM_EVENT_SHARING] = { XEN_DOMCTL_VM_EVENT_OP_SHARING, HVM_PARAM_SHARING_RING_PFN },
};

/* ---- Control --------------------------------------------------------------------------------- */

/* The page of the ring, with references to it: 0, -EINVAL, -ENOENT. */
static int take_page(struct hv_domain *d, uint64_t gfn, uint64_t *mfn)
{
    int status = d->guest->get_frame(d, gfn, false, true, mfn);

    if (status)
        return status == GNTST_eagain ? -ENOENT : -EINVAL;
    frame_get_types(frame_of(d->hv, *mfn), 1);
    return 0;
}

static void drop_page(struct hv_domain *d, uint64_t mfn)
{
    frame_put_types(frame_of(d->hv, mfn), 1);
    frame_put(d->hv, mfn);
}

static long enable(struct hv_domain *d, domid_t helper, enum vm_event_kind kind, uint32_t *port)
{
    struct vm_event *ev = &d->events[kind];
    uint64_t gfn = d->params[kinds[kind].param], mfn;
    int rc;

    if (kind != VM_EVENT_MONITOR && d->guest != &guest_translated)
        return -ENODEV;
    if (vm_event_is_on(ev))
        return -EBUSY;
    if (!gfn)
        return -EOPNOTSUPP;
    rc = take_page(d, gfn, &mfn);
    if (rc)
        return rc;
    rc = evtchn_alloc_xen(d, helper, kind);
    if (rc < 0) {
        drop_page(d, mfn);
        return rc;
    }
    *ev = (struct vm_event){ .mfn = mfn, .port = (uint32_t)rc };
    FRONT_RING_INIT(&ev->ring, (vm_event_sring_t *)frame_data(d->hv, mfn), HV_PAGE_SIZE);
    *port = ev->port;
    return 0;
}

static void disable(struct hv_domain *d, enum vm_event_kind kind)
{
    struct vm_event *ev = &d->events[kind];

    evtchn_close_xen(d, ev->port);
    drop_page(d, ev->mfn);
    free(ev->dropped);
    *ev = (struct vm_event){ .mfn = 0 };
    d->event_pauses = 0;
    frames_flush_freed(d->hv);
    shown_go_on(d);
}

void vm_event_close_all(struct hv_domain *d)
{
    for (unsigned kind = 0; kind < NR_VM_EVENTS; kind++)
        if (vm_event_is_on(&d->events[kind]))
            disable(d, kind);
}

static long control_kind(const struct hv_call *c, struct hv_domain *d, enum vm_event_kind kind,
                         struct xen_domctl_vm_event_op *op)
{
    bool on = vm_event_is_on(&d->events[kind]);

    switch (op->op) {
    case XEN_VM_EVENT_ENABLE:
        return enable(d, c->d->id, kind, &op->u.enable.port);
    case XEN_VM_EVENT_DISABLE:
        if (!on)
            return -EINVAL;
        disable(d, kind);
        return 0;
    case XEN_VM_EVENT_RESUME:
        if (!on)
            return -ENODEV;
        vm_event_resume(d, kind);
        return 0;
    }
    return -ENOSYS;
}

long vm_event_control(const struct hv_call *c, struct hv_domain *d,
                      struct xen_domctl_vm_event_op *op)
{
    if (op->op == XEN_VM_EVENT_GET_VERSION) {
        op->u.version = VM_EVENT_INTERFACE_VERSION;
        return 0;
    }
    if (!d)
        return -ESRCH;
    if (d == c->d)
        return -EINVAL;
    if (domain_dying(d))
        return 0;
    if (!d->nr_vcpus)
        return -EINVAL;
    for (unsigned kind = 0; kind < NR_VM_EVENTS; kind++)
        if (kinds[kind].mode == op->mode)
            return control_kind(c, d, kind, op);
    return -ENOSYS;
}

/* ---- Requests -------------------------------------------------------------------------------- */

int vm_event_claim(const struct hv_domain *d, enum vm_event_kind kind)
{
    const struct vm_event *ev = &d->events[kind];

    if (!vm_event_is_on(ev))
        return -EOPNOTSUPP;
    /* A slot is free when its response was taken, not when its request was read. */
    return RING_FREE_REQUESTS(&ev->ring) > 0 ? 0 : -EBUSY;
}

void vm_event_send(struct hv_domain *d, enum vm_event_kind kind, vm_event_request_t *request,
                   bool own)
{
    struct vm_event *ev = &d->events[kind];

    request->version = VM_EVENT_INTERFACE_VERSION;
    request->vcpu_id = 0;
    if (own) {
        request->flags |= VM_EVENT_FLAG_VCPU_PAUSED;
        d->event_pauses++;
    } else {
        request->flags |= VM_EVENT_FLAG_FOREIGN;
    }
    memcpy(RING_GET_REQUEST(&ev->ring, ev->ring.req_prod_pvt), request, sizeof *request);
    ev->ring.req_prod_pvt++;
    __atomic_store_n(&ev->ring.sring->req_prod, ev->ring.req_prod_pvt, __ATOMIC_RELEASE);
    evtchn_notify_xen(d, ev->port);
}

/* ---- Responses ------------------------------------------------------------------------------- */

/* True: a vCPU goes on by it. */
static bool handle_response(struct hv_domain *d, const vm_event_response_t *response)
{
    if (response->version != VM_EVENT_INTERFACE_VERSION || response->vcpu_id >= d->nr_vcpus)
        return false;
    /* Nobody waits for it. */
    if (!d->event_pauses)
        return false;
    if (response->reason == VM_EVENT_REASON_MEM_PAGING &&
        !(response->u.mem_paging.flags & MEM_PAGING_DROP_PAGE))
        paging_resume(d, response->u.mem_paging.gfn);
    if (!(response->flags & VM_EVENT_FLAG_VCPU_PAUSED))
        return false;
    d->event_pauses--;
    return true;
}

void vm_event_resume(struct hv_domain *d, enum vm_event_kind kind)
{
    struct vm_event *ev = &d->events[kind];
    bool goes_on = false;
    uint32_t prod, nr;

    if (!vm_event_is_on(ev))
        return;
    prod = __atomic_load_n(&ev->ring.sring->rsp_prod, __ATOMIC_ACQUIRE);
    nr = prod - ev->ring.rsp_cons;
    /* A ring has no more responses than slots. What claims to be more is the same ones again. */
    if (nr > RING_SIZE(&ev->ring))
        nr = RING_SIZE(&ev->ring);
    for (uint32_t at = prod - nr; at != prod; at++) {
        vm_event_response_t response;

        memcpy(&response, RING_GET_RESPONSE(&ev->ring, at), sizeof response);
        goes_on |= handle_response(d, &response);
    }
    ev->ring.rsp_cons = prod;
    __atomic_store_n(&ev->ring.sring->rsp_event, prod + 1, __ATOMIC_RELEASE);
    if (kind == VM_EVENT_PAGING)
        paging_tell_forgotten(d);
    /* Any response gives its slot back, for which somebody may wait. */
    if (goes_on || (nr && d->wants_slot))
        shown_go_on(d);
}
