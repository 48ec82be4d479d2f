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

static void release_inner(domid_t domid, uint32_t ref, struct hv *hv, bool readonly);

HOT void release_grant(const struct entry *e, bool readonly)
{
    struct active_entry *act = e->act;
    struct domain *rd = e->rd;

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
static __attribute__((noinline)) void release_inner(domid_t domid, uint32_t ref, struct hv *hv, bool readonly)
{
    struct domain *td = domain_lookup(hv, domid);
    struct entry e;

    assert(td && grant_ref_okay(&td->gt, ref));
    e = entry_at(td, ref);
    release_grant(&e, readonly);
}

static int acquire_transitive(struct entry e, domid_t ldom, bool readonly, bool may_trans, struct acquired *inner);

/* First pin, or first write pin, of an entry that names a frame. */
HOT int acquire_frame(const struct entry *e, domid_t ldom, struct acquired *out)
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
        (act->is_sub_page && (!granted.is_sub_page || !same_range(act, granted.start, granted.length)))) {
        frame_put(rd->hv, out->mfn);
        return GNTST_general_error;
    }
    return GNTST_okay;
}

/* Pins the entry for ldom and takes a reference to its frame, or does neither. */
HOT int acquire_grant(const struct entry *e, domid_t ldom, bool readonly, bool may_trans, struct acquired *out)
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
        status = acquire_transitive(*e, ldom, readonly, may_trans, out);
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

/* The entry says that another domain's grant to rd is passed on. */
static __attribute__((noinline)) int acquire_transitive(struct entry e, domid_t ldom, bool readonly, bool may_trans,
                                                        struct acquired *inner)
{
    const grant_entry_v2_t *shared = (void *)e.header;
    domid_t trans_domid = __atomic_load_n(&shared->transitive.trans_domid, __ATOMIC_RELAXED);
    uint32_t trans_ref = __atomic_load_n(&shared->transitive.gref, __ATOMIC_RELAXED);
    struct active_entry *act = e.act;
    struct domain *rd = e.rd, *td;
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

/* One side of a copy. Stays acquired from one element of a batch to the next while it is the same. */
struct copy_side {
    struct domain *d;
    uint64_t number;           /* reference or frame number */
    struct entry e;            /* of a reference */
    struct acquired got;
    bool is_gref;
    bool held;
};

HOT void side_release(struct copy_side *s, bool readonly)
{
    if (!s->held)
        return;
    s->held = false;
    if (s->is_gref)
        release_grant(&s->e, readonly);
    frame_put(s->d->hv, s->got.mfn);
}

/* That nobody else runs while the side is held makes a reference as a writable page, beside the one to the frame, needless. */
HOT int side_claim(const struct call *c, struct copy_side *s, struct domain *d, domid_t domid, uint64_t number, bool is_gref,
                   bool readonly)
{
    struct acquired got = { .mfn = HV_INVALID_MFN };
    struct entry e;
    int status;

    /* For every element, whatever the one before it was. */
    if (!is_gref && domid != DOMID_SELF)
        return GNTST_permission_denied;
    if (s->held && s->d == d && s->is_gref == is_gref && s->number == number)
        return GNTST_okay;
    side_release(s, readonly);
    s->d = d;
    s->number = number;
    s->is_gref = is_gref;
    if (is_gref) {
        if (number > UINT32_MAX || !grant_ref_okay(&d->gt, (uint32_t)number))
            return GNTST_bad_gntref;
        e = entry_at(d, (uint32_t)number);
        status = acquire_grant(&e, c->d->id, readonly, true, &got);
        s->e = e;
    } else {
        got = (struct acquired){ .length = HV_PAGE_SIZE };
        status = domain_get_frame(d, number, true, &got.mfn);
    }
    s->got = got;
    s->held = status == GNTST_okay;
    return status;
}

HOT void release_sides(struct copy_side *src, struct copy_side *dst)
{
    side_release(src, true);
    side_release(dst, false);
}

HOT bool in_range(const struct copy_side *s, unsigned offset, unsigned len)
{
    return offset >= s->got.start && offset + len <= (unsigned)s->got.start + s->got.length;
}

/* Where a range runs into itself the hypervisor copies on what it just wrote: 8 bytes at a time, then the rest by bytes. */
static __attribute__((noinline)) void copy_onto_itself(char *to, const char *from, unsigned len)
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

static void copy_bytes(const struct hv *hv, uint64_t to, unsigned to_offset, uint64_t from, unsigned from_offset, unsigned len)
{
    char *target = (char *)frame_data(hv, to) + to_offset;
    const char *source = (const char *)frame_data(hv, from) + from_offset;

    if (to == from && target > source && target < source + len)
        copy_onto_itself(target, source, len);
    else
        memmove(target, source, len);
}

/* An element: references and frame numbers alike are numbers. */
struct copy_in {
    uint64_t source, dest;
    domid_t source_domid, dest_domid;
    uint16_t source_offset, dest_offset, len, flags;
};

HOT int copy_one(const struct call *c, const struct copy_in *op, struct copy_side *src, struct copy_side *dst)
{
    bool src_gref = op->flags & GNTCOPY_source_gref, dst_gref = op->flags & GNTCOPY_dest_gref;
    struct domain *sd, *dd;
    int status;

    if (op->len == 0 && c->hv->profile->copy_len0_is_okay)
        return GNTST_okay;
    /* Both domains are looked up before either page is: that frames are only the caller's to name comes later. */
    sd = domain_lookup_any(c->d, op->source_domid);
    dd = domain_lookup_any(c->d, op->dest_domid);
    if (!sd || !dd)
        return GNTST_bad_domain;
    /* Both sides are let go when either names another domain. */
    if (src->d != sd || dst->d != dd)
        release_sides(src, dst);
    status = side_claim(c, src, sd, op->source_domid, op->source, src_gref, true);
    if (!status)
        status = side_claim(c, dst, dd, op->dest_domid, op->dest, dst_gref, false);
    if (status)
        return status;
    if (op->source_offset + op->len > (int)HV_PAGE_SIZE || op->dest_offset + op->len > (int)HV_PAGE_SIZE)
        return GNTST_bad_copy_arg;
    if (!in_range(src, op->source_offset, op->len) || !in_range(dst, op->dest_offset, op->len))
        return GNTST_general_error;
    copy_bytes(c->hv, dst->got.mfn, op->dest_offset, src->got.mfn, op->source_offset, op->len);
    return GNTST_okay;
}

HOT void load_plain(struct copy_in *in, uint64_t uop)
{
    uint32_t ref;

    LOAD_FIELD(in->flags, uop, struct gnttab_copy, flags);
    LOAD_FIELD(in->len, uop, struct gnttab_copy, len);
    LOAD_FIELD(in->source_domid, uop, struct gnttab_copy, source.domid);
    LOAD_FIELD(in->source_offset, uop, struct gnttab_copy, source.offset);
    LOAD_FIELD(in->dest_domid, uop, struct gnttab_copy, dest.domid);
    LOAD_FIELD(in->dest_offset, uop, struct gnttab_copy, dest.offset);
    if (in->flags & GNTCOPY_source_gref) {
        LOAD_FIELD(ref, uop, struct gnttab_copy, source.u.ref);
        in->source = ref;
    } else {
        LOAD_FIELD(in->source, uop, struct gnttab_copy, source.u.gmfn);
    }
    if (in->flags & GNTCOPY_dest_gref) {
        LOAD_FIELD(ref, uop, struct gnttab_copy, dest.u.ref);
        in->dest = ref;
    } else {
        LOAD_FIELD(in->dest, uop, struct gnttab_copy, dest.u.gmfn);
    }
}

/* From a guest's memory, or with somebody watching. As hook_element. */
static __attribute__((noinline)) int load_guest(const struct call *c, struct copy_in *in, uint64_t uop, unsigned left,
                                                int16_t *status)
{
    struct gnttab_copy op;
    int rc;

    if (call_from_guest(c, &op, uop, sizeof op))
        return -EFAULT;
    rc = hook_element(c, left, &op, status);
    load_plain(in, (uintptr_t)&op);
    return rc;
}

long gnttab_copy(const struct call *c, uint64_t uop, unsigned count)
{
    struct copy_side src = { .held = false }, dst = { .held = false };
    bool plain = c->plain && !hv_is_hooked(c->hv) && uop;
    struct copy_in op;
    int16_t status;
    int decided = 0;
    long rc = 0;

    for (; count && !rc; count--, uop += sizeof(struct gnttab_copy)) {
        if (plain)
            load_plain(&op, uop);
        else
            decided = load_guest(c, &op, uop, count, &status);
        if (decided < 0) {
            rc = decided;
            break;
        }
        if (!decided)
            status = (int16_t)copy_one(c, &op, &src, &dst);
        hook_element_done(c, status);
        if (status != GNTST_okay)
            release_sides(&src, &dst);
        rc = call_to_guest(c, uop + offsetof(struct gnttab_copy, status), &status, sizeof status);
    }
    release_sides(&src, &dst);
    return rc;
}
