/* SPDX-License-Identifier: MIT */
/* Memory paging: XENMEM_paging_op, and the requests for pages that are out. */
#include "memory_i.h"
#include "paging_i.h"
#include "sharing_i.h"

/* ---- Pages that somebody needs, or does not need any more ------------------------------------ */

void paging_populate(struct hv_domain *d, uint64_t gfn, bool own)
{
    struct p2m_entry e = p2m_get(&d->p2m, gfn);
    vm_event_request_t request = { .reason = VM_EVENT_REASON_MEM_PAGING };
    int rc = vm_event_claim(d, VM_EVENT_PAGING);
    bool first = e.type != P2M_RAM_PAGING_IN;

    assert(p2m_is_paging(e.type));
    /* What hv_page_out paged out comes back by hv_page_in, without a pager. */
    if (rc == -EOPNOTSUPP && e.mfn != HV_INVALID_MFN &&
        frame_of(d->hv, e.mfn)->flags & FRAME_PAGED) {
        p2m_change(&d->p2m, gfn, P2M_RAM_PAGING_IN, e.mfn);
        if ((first || own) && d->hv->hooks.populate)
            d->hv->hooks.populate(d->hv->hook_ctx, d->id, gfn);
        return;
    }
    if (rc == -EOPNOTSUPP)
        domain_crash(d, "a page is needed that is paged out, and there is no pager");
    /* A stranger does not wait until the ring has room: the page stays as it is. */
    if (rc)
        return;
    p2m_change(&d->p2m, gfn, P2M_RAM_PAGING_IN, e.mfn);
    /* The domain itself would wait, so each of its accesses asks. */
    if (!first && !own)
        return;
    request.u.mem_paging.gfn = gfn;
    request.u.mem_paging.p2mt = p2m_number(e.type);
    request.u.mem_paging.flags = e.type == P2M_RAM_PAGING_OUT ? MEM_PAGING_EVICT_FAIL : 0;
    vm_event_send(d, VM_EVENT_PAGING, &request, own);
}

/* The page is the domain's again, in its old frame. */
static void is_back(struct hv_domain *d, uint64_t gfn, uint64_t mfn)
{
    p2m_change(&d->p2m, gfn, P2M_RAM_RW, mfn);
    if (frame_of(d->hv, mfn)->held)
        shown_change(d, gfn, mfn, mfn, true);
}

void paging_resume(struct hv_domain *d, uint64_t gfn)
{
    struct p2m_entry e = p2m_get(&d->p2m, gfn);

    if (e.type == P2M_RAM_PAGING_IN && e.mfn != HV_INVALID_MFN &&
        !(frame_of(d->hv, e.mfn)->flags & FRAME_PAGED))
        is_back(d, gfn, e.mfn);
}

static void tell_dropped(struct hv_domain *d, uint64_t gfn)
{
    vm_event_request_t request = { .reason = VM_EVENT_REASON_MEM_PAGING };

    request.u.mem_paging.gfn = gfn;
    request.u.mem_paging.flags = MEM_PAGING_DROP_PAGE;
    vm_event_send(d, VM_EVENT_PAGING, &request, false);
}

void paging_forget(struct hv_domain *d, uint64_t gfn)
{
    struct vm_event *ev = &d->events[VM_EVENT_PAGING];
    uint32_t max = ev->max_dropped ? ev->max_dropped * 2 : 64;
    uint64_t *more;

    if (!vm_event_is_on(ev))
        return;
    if (ev->nr_dropped == ev->max_dropped) {
        more = hv_grow(d->hv, ev->dropped, ev->max_dropped, max, sizeof *more);
        if (!more)
            return;
        ev->dropped = more;
        ev->max_dropped = max;
    }
    ev->dropped[ev->nr_dropped++] = gfn;
    paging_tell_forgotten(d);
}

void paging_tell_forgotten(struct hv_domain *d)
{
    struct vm_event *ev = &d->events[VM_EVENT_PAGING];

    while (ev->nr_dropped && !vm_event_claim(d, VM_EVENT_PAGING))
        tell_dropped(d, ev->dropped[--ev->nr_dropped]);
}

/* Xen counts a page as not out any more that never was, and keeps its frame for nobody. */
int paging_drop(struct hv_domain *d, uint64_t gfn, struct p2m_entry e)
{
    if (e.mfn == HV_INVALID_MFN || frame_of(d->hv, e.mfn)->flags & FRAME_PAGED)
        return -EILSEQ;
    p2m_clear(&d->p2m, gfn);
    frame_of(d->hv, e.mfn)->gfn = NO_GFN;
    d->paged_pages--;
    if (!vm_event_claim(d, VM_EVENT_PAGING))
        tell_dropped(d, gfn);
    return 0;
}

/* ---- What a pager does ----------------------------------------------------------------------- */

/* Only the domain has it: no grant, no other domain and no ring refers to it. */
static bool is_pageable(const struct hv *hv, const struct p2m_entry *e, enum p2m_type type)
{
    const struct frame *f;

    if (e->type != type)
        return false;
    f = frame_of(hv, e->mfn);
    return f->refs == 1 && !f->types && !(f->flags & FRAME_XENHEAP);
}

static long nominate(struct hv_domain *d, uint64_t gfn)
{
    struct p2m_entry e = p2m_get(&d->p2m, gfn);
    bool waits;

    if (!is_pageable(d->hv, &e, P2M_RAM_RW))
        return -EBUSY;
    /* From now on programs of the domain that see the page wait before they write to it. Where the
     * embedder cannot stop them they go on, in the frame that the page keeps. */
    waits = frame_of(d->hv, e.mfn)->held && shown_can_change(d, gfn, e.mfn);
    p2m_change(&d->p2m, gfn, P2M_RAM_PAGING_OUT, e.mfn);
    if (waits)
        shown_change(d, gfn, e.mfn, e.mfn, false);
    return 0;
}

/*
 * A program of the domain that has the page in its address space goes on using it (f->held): a
 * real machine would stop it and bring the page back. So its frame stays the page's. So does that
 * of every page of a domain whose kernel runs here.
 */
static long evict(struct hv_domain *d, uint64_t gfn)
{
    struct p2m_entry e = p2m_get(&d->p2m, gfn);
    struct frame *f;

    if (!is_pageable(d->hv, &e, P2M_RAM_PAGING_OUT))
        return -EBUSY;
    f = frame_of(d->hv, e.mfn);
    d->paged_pages++;
    if (f->held || d->config.keeps_frames) {
        f->flags |= FRAME_PAGED;
        d->kept_pages++;
        p2m_change(&d->p2m, gfn, P2M_RAM_PAGED, e.mfn);
        return 0;
    }
    p2m_change(&d->p2m, gfn, P2M_RAM_PAGED, HV_INVALID_MFN);
    f->gfn = NO_GFN;
    frame_drop_allocated(d->hv, e.mfn);
    frames_flush_freed(d->hv);
    return 0;
}

/* A frame for a page that has none, with what the pager has of it. */
static long load(const struct hv_call *c, struct hv_domain *d, uint64_t gfn, uint64_t buffer)
{
    uint64_t mfn;

    if (!buffer)
        return -EINVAL;
    if (!domain_may_grow(d, 1) || frame_alloc(d->hv, &mfn))
        return -ENOMEM;
    if (call_from_guest(c, frame_data(d->hv, mfn), buffer, HV_PAGE_SIZE)) {
        frame_put(d->hv, mfn);
        frames_flush_freed(d->hv);
        return -EFAULT;
    }
    frame_assign(d, mfn);
    frame_of(d->hv, mfn)->gfn = gfn;
    d->paged_pages--;
    p2m_change(&d->p2m, gfn, P2M_RAM_RW, mfn);
    return 0;
}

/*
 * The same where the frame was kept. What the domain's kernel or a program has there is newer than
 * what the pager has.
 */
static long load_kept(const struct hv_call *c, struct hv_domain *d, uint64_t gfn, uint64_t mfn,
                      uint64_t buffer)
{
    struct frame *f = frame_of(d->hv, mfn);

    if (!buffer)
        return -EINVAL;
    if (!domain_may_grow(d, 1))
        return -ENOMEM;
    if (!f->held && !d->config.keeps_frames &&
        call_from_guest(c, frame_data(d->hv, mfn), buffer, HV_PAGE_SIZE))
        return -EFAULT;
    f->flags &= (uint8_t)~FRAME_PAGED;
    d->kept_pages--;
    d->paged_pages--;
    is_back(d, gfn, mfn);
    return 0;
}

static long prep(const struct hv_call *c, struct hv_domain *d, uint64_t gfn, uint64_t buffer)
{
    struct p2m_entry e = p2m_get(&d->p2m, gfn);

    if (buffer && !call_array_okay(c, buffer))
        return -EINVAL;
    if (e.type != P2M_RAM_PAGED && e.type != P2M_RAM_PAGING_IN)
        return -ENOENT;
    if (e.mfn == HV_INVALID_MFN)
        return load(c, d, gfn, buffer);
    if (frame_of(d->hv, e.mfn)->flags & FRAME_PAGED)
        return load_kept(c, d, gfn, e.mfn, buffer);
    is_back(d, gfn, e.mfn);
    return 0;
}

long memory_paging_op(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    struct xen_mem_paging_op op;
    struct hv_domain *d;
    long rc;

    (void)start;
    if (call_from_guest(c, &op, arg, sizeof op))
        return -EFAULT;
    rc = memory_live_remote(c, op.domain, &d);
    if (rc)
        return rc;
    if (!vm_event_is_on(&d->events[VM_EVENT_PAGING]))
        return -ENODEV;
    switch (op.op) {
    case XENMEM_paging_op_nominate:
        return nominate(d, op.gfn);
    case XENMEM_paging_op_evict:
        return evict(d, op.gfn);
    case XENMEM_paging_op_prep:
        return prep(c, d, op.gfn, (uintptr_t)op.buffer.p);
    }
    return -ENOSYS;
}
