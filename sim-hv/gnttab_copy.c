/* SPDX-License-Identifier: MIT */
/* GNTTABOP_copy: frames and references on either side, sub-pages, one level of transitivity. */
#include "gnttab_entry_i.h"

/* What an acquired grant allows. A reference to the frame is held beside the pin. */
struct acquired {
    uint64_t mfn;
    uint16_t start, length;
};

static bool same_range(const struct active_entry *act, uint16_t start, uint16_t length)
{
    return act->start == start && act->length == length;
}

static uint32_t pin_for(bool readonly)
{
    return readonly ? PIN_HOST_READ : PIN_HOST_WRITE;
}

static void release_grant(const struct entry *e, bool readonly)
{
    struct domain *rd = e->rd, *td;
    domid_t trans_domid = rd->gt.version == 1 ? rd->id : e->act->trans_domid;
    struct entry inner;

    e->act->pin -= pin_for(readonly);
    reduce_status(e, readonly);
    if (!e->act->pin && e->act->is_sub_page)
        rd->gt.nr_v2_ops--;
    if (trans_domid == rd->id)
        return;
    /* Bounded: acquiring allows one level. */
    td = domain_lookup(rd->hv, trans_domid);
    assert(td && grant_ref_okay(&td->gt, e->act->trans_ref));
    inner = entry_at(td, e->act->trans_ref);
    release_grant(&inner, readonly);
}

static int acquire_grant(const struct entry *e, domid_t ldom, bool readonly, bool may_trans, struct acquired *out);

/* The entry says that another domain's grant to rd is passed on. */
static int acquire_transitive(const struct entry *e, domid_t ldom, bool readonly, bool may_trans, struct acquired *inner)
{
    const grant_entry_v2_t *shared = (void *)e->header;
    domid_t trans_domid = __atomic_load_n(&shared->transitive.trans_domid, __ATOMIC_RELAXED);
    uint32_t trans_ref = __atomic_load_n(&shared->transitive.gref, __ATOMIC_RELAXED);
    struct active_entry *act = e->act;
    struct domain *rd = e->rd, *td;
    struct entry from;
    int status;

    if (!may_trans || trans_domid == rd->id)
        return GNTST_general_error;
    td = domain_lookup(rd->hv, trans_domid);
    if (!td)
        return GNTST_general_error;
    if (!grant_ref_okay(&td->gt, trans_ref))
        return GNTST_bad_gntref;
    from = entry_at(td, trans_ref);
    status = acquire_grant(&from, rd->id, readonly, false, inner);
    if (status)
        return status;
    if (!act->pin) {
        act->domid = ldom;
        act->mfn = (uint32_t)inner->mfn;
        act->start = inner->start;
        act->length = inner->length;
        act->trans_domid = trans_domid;
        act->trans_ref = trans_ref;
        /* Whether the inner grant is one or not: what is a sub-page cannot be mapped. */
        act->is_sub_page = true;
        rd->gt.nr_v2_ops++;
        return GNTST_okay;
    }
    if (act->mfn == inner->mfn && same_range(act, inner->start, inner->length) &&
        act->trans_domid == trans_domid && act->trans_ref == trans_ref && act->is_sub_page)
        return GNTST_okay;
    /*
     * The entry is in use as something else. Xen restarts the hypercall at this element until the guest changes that;
     * nobody else runs while we do, so it would never end.
     */
    release_grant(&from, readonly);
    frame_put(rd->hv, inner->mfn);
    return GNTST_general_error;
}

/* First pin, or first write pin, of an entry that names a frame. */
static int acquire_frame(const struct entry *e, domid_t ldom, struct acquired *out)
{
    struct active_entry *act = e->act;
    struct grant_frame_ref granted = read_frame(e);
    struct domain *rd = e->rd;
    int status = domain_get_frame(rd, granted.frame, false, &out->mfn);

    if (status)
        return status;
    if (!act->pin) {
        act->domid = ldom;
        act->mfn = (uint32_t)out->mfn;
        act->start = granted.start;
        act->length = granted.length;
        act->trans_domid = rd->id;
        act->trans_ref = e->ref;
        act->is_sub_page = granted.is_sub_page;
        if (act->is_sub_page)
            rd->gt.nr_v2_ops++;
        return GNTST_okay;
    }
    /* What the guest changed since the first pin must not mix with what was recorded then. */
    if (act->mfn != out->mfn || act->trans_domid != rd->id || act->trans_ref != e->ref ||
        (act->is_sub_page && (!granted.is_sub_page || !same_range(act, granted.start, granted.length)))) {
        frame_put(rd->hv, out->mfn);
        return GNTST_general_error;
    }
    return GNTST_okay;
}

/* Pins the entry for ldom and takes a reference to its frame, or does neither. */
static int acquire_grant(const struct entry *e, domid_t ldom, bool readonly, bool may_trans, struct acquired *out)
{
    struct active_entry *act = e->act;
    struct domain *rd = e->rd;
    bool need_status, transitive;
    int status;

    if (act->pin && (act->domid != ldom || act->pin & PIN_OVERFLOW(pin_for(readonly))))
        return GNTST_general_error;
    need_status = !act->pin || (!readonly && !(act->pin & PIN_WRITE_MASK));
    transitive = rd->gt.version == 2 && (read_header(e->header).flags & GTF_type_mask) == GTF_transitive;
    if (need_status) {
        status = set_status(e, readonly, false, ldom);
        if (status)
            return status;
    }
    if (transitive)
        status = acquire_transitive(e, ldom, readonly, may_trans, out);
    else if (need_status)
        status = acquire_frame(e, ldom, out);
    else if (!domain_dying(rd) && frame_get(rd->hv, act->mfn, rd->id))
        status = GNTST_okay;
    else
        status = GNTST_bad_domain;
    if (status) {
        reduce_status(e, readonly);
        return status;
    }
    act->pin += pin_for(readonly);
    *out = (struct acquired){ .mfn = act->mfn, .start = act->start, .length = act->length };
    return GNTST_okay;
}

/* One side of a copy. Stays acquired from one element of a batch to the next while it is the same. */
struct copy_side {
    struct domain *d;
    uint64_t number;           /* reference or frame number */
    struct entry e;            /* of a reference */
    struct acquired got;
    bool readonly;
    bool is_gref;
    bool held;
};

static void side_release(struct copy_side *s)
{
    struct hv *hv;

    if (!s->held)
        return;
    hv = s->d->hv;
    if (s->is_gref)
        release_grant(&s->e, s->readonly);
    if (!s->readonly)
        frame_put_types(hv, s->got.mfn, 1);
    frame_put(hv, s->got.mfn);
    s->held = false;
}

/* Whose page it is. Must be asked for every element, whatever the one before it was. */
static int side_domain(const struct call *c, domid_t domid, bool is_gref, struct domain **d)
{
    /* A real 4.17.7 says bad_domain before it minds that frames are only the caller's to name. */
    *d = domain_lookup_any(c->d, domid);
    if (!*d)
        return GNTST_bad_domain;
    if (!is_gref && domid != DOMID_SELF)
        return GNTST_permission_denied;
    return GNTST_okay;
}

static int side_claim(const struct call *c, struct copy_side *s, struct domain *d, uint64_t number, bool is_gref)
{
    int status;

    if (s->held && s->d == d && s->is_gref == is_gref && s->number == number)
        return GNTST_okay;
    side_release(s);
    s->d = d;
    s->number = number;
    s->is_gref = is_gref;
    if (is_gref) {
        if (number > UINT32_MAX || !grant_ref_okay(&d->gt, (uint32_t)number))
            return GNTST_bad_gntref;
        s->e = entry_at(d, (uint32_t)number);
        status = acquire_grant(&s->e, c->d->id, s->readonly, true, &s->got);
    } else {
        status = domain_get_frame(d, number, true, &s->got.mfn);
        s->got.start = 0;
        s->got.length = HV_PAGE_SIZE;
    }
    if (status)
        return status;
    if (!s->readonly)
        frame_get_types(c->hv, s->got.mfn, 1);
    s->held = true;
    return GNTST_okay;
}

static bool in_range(const struct copy_side *s, unsigned offset, unsigned len)
{
    return offset >= s->got.start && offset + len <= (unsigned)s->got.start + s->got.length;
}

static int copy_one(const struct call *c, const struct gnttab_copy *op, struct copy_side *src, struct copy_side *dst)
{
    bool src_gref = op->flags & GNTCOPY_source_gref, dst_gref = op->flags & GNTCOPY_dest_gref;
    struct domain *sd, *dd;
    int status;

    if (op->len == 0 && c->hv->profile->copy_len0_is_okay)
        return GNTST_okay;
    status = side_domain(c, op->source.domid, src_gref, &sd);
    if (!status)
        status = side_domain(c, op->dest.domid, dst_gref, &dd);
    if (status)
        return status;
    /* Both sides are let go when either names another domain. */
    if (src->d != sd || dst->d != dd) {
        side_release(src);
        side_release(dst);
    }
    status = side_claim(c, src, sd, src_gref ? op->source.u.ref : op->source.u.gmfn, src_gref);
    if (!status)
        status = side_claim(c, dst, dd, dst_gref ? op->dest.u.ref : op->dest.u.gmfn, dst_gref);
    if (status)
        return status;
    if (op->source.offset + op->len > (int)HV_PAGE_SIZE || op->dest.offset + op->len > (int)HV_PAGE_SIZE)
        return GNTST_bad_copy_arg;
    if (!in_range(src, op->source.offset, op->len) || !in_range(dst, op->dest.offset, op->len))
        return GNTST_general_error;
    memmove((char *)frame_data(c->hv, dst->got.mfn) + op->dest.offset,
            (char *)frame_data(c->hv, src->got.mfn) + op->source.offset, op->len);
    return GNTST_okay;
}

long gnttab_copy(const struct call *c, uint64_t uop, unsigned count)
{
    struct copy_side src = { .readonly = true }, dst = { .readonly = false };
    struct gnttab_copy op;
    int decided;
    long rc = 0;

    for (; count && !rc; count--, uop += sizeof op) {
        if (call_from_guest(c, &op, uop, sizeof op)) {
            rc = -EFAULT;
            break;
        }
        decided = hook_element(c, count, &op, &op.status);
        if (decided < 0) {
            rc = decided;
            break;
        }
        if (!decided)
            op.status = (int16_t)copy_one(c, &op, &src, &dst);
        hook_element_done(c, op.status);
        if (op.status != GNTST_okay) {
            side_release(&src);
            side_release(&dst);
        }
        rc = call_to_guest(c, uop + offsetof(struct gnttab_copy, status), &op.status, sizeof op.status);
    }
    side_release(&src);
    side_release(&dst);
    return rc;
}
