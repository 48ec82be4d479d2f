/* SPDX-License-Identifier: MIT */
/* GNTTABOP_transfer: moves a page from a PV domain to the domain that asked for it. */
#include "hv_i.h"

/* The page is nobody's already. Makes it e's; on any error it stays nobody's. */
static int receive(struct hv_domain *e, const struct hv_domain *from, uint32_t ref, uint64_t mfn)
{
    uint64_t wanted;
    int rc;

    if (domain_dying(e) || domain_tot_pages(e) >= e->max_pages)
        return GNTST_general_error;
    if (gnttab_prepare_transfer(e, ref, from->id))
        return GNTST_general_error;
    frame_assign(e, mfn);
    wanted = gnttab_transfer_frame(&e->gt, ref);
    rc = e->guest->place(e, wanted, mfn);
    /* The receiver is told even when it cannot see the page: it owns it. */
    gnttab_complete_transfer(&e->gt, ref, e->guest->transferred_number(mfn));
    return rc ? GNTST_general_error : GNTST_okay;
}

static int transfer_one(const struct hv_call *c, void *element, void *state)
{
    const struct gnttab_transfer *op = element;
    struct hv_domain *e;
    uint64_t mfn;
    int status = c->d->guest->steal(c->d, op->mfn, &mfn);

    (void)state;
    if (status)
        return status;
    /* From here on the sender has lost the page, whatever happens. */
    e = domain_lookup(c->hv, op->domid);
    status = e ? receive(e, c->d, op->ref, mfn) : GNTST_bad_domain;
    if (frame_of(c->hv, mfn)->owner == NO_OWNER)
        frame_put(c->hv, mfn);
    return status;
}

long gnttab_transfer(const struct hv_call *c, uint64_t uop, unsigned count)
{
    return call_elements(
        c, uop, count,
        &(struct element_kind){ ELEMENT(struct gnttab_transfer), .act = transfer_one }, NULL);
}
