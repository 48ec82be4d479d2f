/* SPDX-License-Identifier: MIT */
/* GNTTABOP_copy: frames and references on both sides, sub-pages, and one level of transitivity. */
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

static void release_inner(domid_t domid, uint32_t ref, struct hv *hv, bool readonly);

static void release_grant(const struct entry *e, bool readonly)
{
    struct active_entry *act = e->act;
    struct hv_domain *rd = e->rd;

    act->pin -= pin_for(readonly);
    reduce_status(e, readonly);
    if (rd->gt.version == 1)
        return;
    if (!act->pin && act->is_sub_page)
        rd->gt.nr_v2_ops--;
    if (act->trans_domid != rd->id)
        release_inner(act->trans_domid, act->trans_ref, rd->hv, readonly);
}

/* Bounded: acquiring allows one level. */
static void release_inner(domid_t domid, uint32_t ref, struct hv *hv, bool readonly)
{
    struct hv_domain *td = domain_lookup(hv, domid);
    struct entry e;

    assert(td && grant_ref_okay(&td->gt, ref));
    e = entry_at(td, ref);
    release_grant(&e, readonly);
}

static int acquire_transitive(struct entry e, domid_t ldom, bool readonly, bool may_trans,
                              struct acquired *inner);

/* First pin, or first write pin, of an entry that names a frame. */
static int acquire_frame(const struct entry *e, domid_t ldom, bool readonly, struct acquired *out)
{
    struct active_entry *act = e->act;
    struct grant_frame_ref granted = read_frame(e);
    struct hv_domain *rd = e->rd;
    int status = rd->guest->get_frame(rd, granted.frame, false, !readonly, &out->mfn);

    if (status)
        return status;
    if (!act->pin) {
        act->domid = ldom;
        act->mfn = (uint32_t)out->mfn;
        act->start = granted.start & ACTIVE_START_MASK;
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
        (act->is_sub_page &&
         (!granted.is_sub_page || !same_range(act, granted.start, granted.length)))) {
        frame_put(rd->hv, out->mfn);
        return GNTST_general_error;
    }
    return GNTST_okay;
}

/* Pins the entry for ldom and takes a reference to its frame, or does neither. */
static int acquire_grant(const struct entry *e, domid_t ldom, bool readonly, bool may_trans,
                         struct acquired *out)
{
    struct active_entry *act = e->act;
    struct hv_domain *rd = e->rd;
    bool need_status, transitive;
    int status;

    if (act->pin && (act->domid != ldom || act->pin & PIN_OVERFLOW(pin_for(readonly))))
        return GNTST_general_error;
    need_status = !act->pin || (!readonly && !(act->pin & PIN_WRITE_MASK));
    transitive =
        rd->gt.version == 2 && (read_header(e->header).flags & GTF_type_mask) == GTF_transitive;
    if (need_status) {
        status = set_status(e, readonly, false, ldom);
        if (status)
            return status;
    }
    if (transitive)
        status = acquire_transitive(*e, ldom, readonly, may_trans, out);
    else if (need_status)
        status = acquire_frame(e, ldom, readonly, out);
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

/* The entry says that another domain's grant to rd is passed on. */
static int acquire_transitive(struct entry e, domid_t ldom, bool readonly, bool may_trans,
                                                        struct acquired *inner)
{
    const grant_entry_v2_t *shared = (void *)e.header;
    domid_t trans_domid = __atomic_load_n(&shared->transitive.trans_domid, __ATOMIC_RELAXED);
    uint32_t trans_ref = __atomic_load_n(&shared->transitive.gref, __ATOMIC_RELAXED);
    struct active_entry *act = e.act;
    struct hv_domain *rd = e.rd, *td;
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
     * The entry is in use as something else. Xen restarts the hypercall at this element until the
     * guest changes that; nobody else runs while we do, so it would never end.
     */
    release_grant(&from, readonly);
    frame_put(rd->hv, inner->mfn);
    return GNTST_general_error;
}

/* One side of a copy. It stays acquired while the elements of a batch name the same. */
struct copy_side {
    struct hv_domain *d;
    uint64_t number;           /* reference or frame number */
    struct entry e;            /* of a reference */
    struct acquired got;
    bool is_gref;
    bool held;
};

static void side_release(struct copy_side *s, bool readonly)
{
    if (!s->held)
        return;
    s->held = false;
    if (s->is_gref)
        release_grant(&s->e, readonly);
    frame_put(s->d->hv, s->got.mfn);
}

/*
 * That nobody else runs while the side is held makes a reference as a writable page, beside the one
 * to the frame, needless.
 */
static int side_claim(const struct hv_call *c, struct copy_side *s, struct hv_domain *d,
                      const struct gnttab_copy_ptr *ptr, bool is_gref, bool readonly)
{
    uint64_t number = is_gref ? ptr->u.ref : ptr->u.gmfn;
    struct acquired got = { .mfn = HV_INVALID_MFN };
    struct entry e;
    int status;

    /* For every element, whatever the one before it was. */
    if (!is_gref && ptr->domid != DOMID_SELF)
        return GNTST_permission_denied;
    if (s->held && s->d == d && s->is_gref == is_gref && s->number == number)
        return GNTST_okay;
    side_release(s, readonly);
    s->d = d;
    s->number = number;
    s->is_gref = is_gref;
    if (is_gref) {
        if (!grant_ref_okay(&d->gt, ptr->u.ref))
            return GNTST_bad_gntref;
        e = entry_at(d, ptr->u.ref);
        status = acquire_grant(&e, c->d->id, readonly, true, &got);
        s->e = e;
    } else {
        got = (struct acquired){ .length = HV_PAGE_SIZE };
        status = d->guest->get_frame(d, number, true, !readonly, &got.mfn);
    }
    s->got = got;
    s->held = status == GNTST_okay;
    return status;
}

static void release_sides(struct copy_side *src, struct copy_side *dst)
{
    side_release(src, true);
    side_release(dst, false);
}

static bool in_range(const struct copy_side *s, unsigned offset, unsigned len)
{
    return offset >= s->got.start && offset + len <= (unsigned)s->got.start + s->got.length;
}

/*
 * Where a range runs into itself the hypervisor copies on what it just wrote: 8 bytes at a time,
 * then the rest by bytes.
 */
static void copy_onto_itself(char *to, const char *from, unsigned len)
{
    unsigned done = 0;

    for (; done + 8 <= len; done += 8) {
        uint64_t word;

        memcpy(&word, from + done, sizeof word);
        memcpy(to + done, &word, sizeof word);
    }
    for (; done < len; done++)
        to[done] = from[done];
}

static void copy_bytes(const struct hv *hv, uint64_t to, unsigned to_offset, uint64_t from,
                       unsigned from_offset, unsigned len)
{
    char *target = (char *)frame_data(hv, to) + to_offset;
    const char *source = (const char *)frame_data(hv, from) + from_offset;

    if (to == from && target > source && target < source + len)
        copy_onto_itself(target, source, len);
    else
        memmove(target, source, len);
}

struct copy_sides {
    struct copy_side src, dst;
};

static int copy_one(const struct hv_call *c, const struct gnttab_copy *op, struct copy_side *src,
                    struct copy_side *dst)
{
    struct hv_domain *sd, *dd;
    int status;

    if (op->len == 0 && c->hv->profile->copy_len0_is_okay)
        return GNTST_okay;
    /* Both domains are looked up before either page is: that frames are only the caller's to name
     * comes later. */
    sd = domain_lookup_any(c->d, op->source.domid);
    dd = domain_lookup_any(c->d, op->dest.domid);
    if (!sd || !dd)
        return GNTST_bad_domain;
    /* Both sides are let go when either names another domain. */
    if (src->d != sd || dst->d != dd)
        release_sides(src, dst);
    status = side_claim(c, src, sd, &op->source, op->flags & GNTCOPY_source_gref, true);
    if (!status)
        status = side_claim(c, dst, dd, &op->dest, op->flags & GNTCOPY_dest_gref, false);
    if (status)
        return status;
    if (op->source.offset + op->len > (int)HV_PAGE_SIZE ||
        op->dest.offset + op->len > (int)HV_PAGE_SIZE)
        return GNTST_bad_copy_arg;
    if (!in_range(src, op->source.offset, op->len) || !in_range(dst, op->dest.offset, op->len))
        return GNTST_general_error;
    copy_bytes(c->hv, dst->got.mfn, op->dest.offset, src->got.mfn, op->source.offset, op->len);
    return GNTST_okay;
}

static int copy_element(const struct hv_call *c, void *op, void *state)
{
    struct copy_sides *sides = state;
    int status = copy_one(c, op, &sides->src, &sides->dst);

    if (status != GNTST_okay)
        release_sides(&sides->src, &sides->dst);
    return status;
}

long gnttab_copy(const struct hv_call *c, uint64_t uop, unsigned count)
{
    struct copy_sides sides = { .src.held = false };
    long rc = call_elements(
        c, uop, count, &(struct element_kind){ ELEMENT(struct gnttab_copy), .act = copy_element },
        &sides);

    release_sides(&sides.src, &sides.dst);
    return rc;
}
