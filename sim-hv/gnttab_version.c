/* SPDX-License-Identifier: MIT */
/* Versions of the grant table: status frames, and the switch between version 1 and 2. */
#include "hv_i.h"

int gnttab_add_status_frames(struct hv_domain *d, unsigned nr_frames)
{
    struct grant_table *gt = &d->gt;
    unsigned old = gt->nr_status, need = status_frames_for(nr_frames);
    struct status_frame *status;
    uint64_t mfn;

    if (need <= old)
        return 0;
    status = hv_grow(d->hv, gt->status, old, need, sizeof *status);
    if (!status)
        return -ENOMEM;
    gt->status = status;
    while (gt->nr_status < need) {
        if (frame_alloc(d->hv, &mfn)) {
            gnttab_drop_status_frames(d, old);
            return -ENOMEM;
        }
        frame_assign_xenheap(d, mfn);
        gt->status[gt->nr_status++] =
            (struct status_frame){ .status = frame_data(d->hv, mfn), .mfn = (uint32_t)mfn };
    }
    return 0;
}

void gnttab_drop_status_frames(struct hv_domain *d, unsigned down_to)
{
    struct grant_table *gt = &d->gt;

    while (gt->nr_status > down_to)
        frame_drop_allocated(d->hv, gt->status[--gt->nr_status].mfn);
}

static bool in_use(const struct grant_table *gt)
{
    for (uint32_t ref = GNTTAB_NR_RESERVED_ENTRIES; ref < nr_grant_entries(gt); ref++)
        if (active_entry(gt, ref)->pin)
            return true;
    return false;
}

/* Takes the status frames away from whoever sees them; nobody else may refer to them. */
static int unpopulate_status_frames(struct hv_domain *d)
{
    bool translated = d->guest == &guest_translated;

    for (unsigned i = 0; i < d->gt.nr_status; i++) {
        struct frame *f = frame_of(d->hv, d->gt.status[i].mfn);

        if (f->gfn != NO_GFN) {
            p2m_clear(&d->p2m, f->gfn);
            f->gfn = NO_GFN;
        }
        if (f->refs == 1)
            continue;
        if (translated)
            domain_crash(d, "a status frame is still in use when its domain changes to version 1");
        return -EBUSY;
    }
    gnttab_drop_status_frames(d, 0);
    return 0;
}

static uint16_t load16(const uint16_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* The reserved entries as version 1 has them. -ERANGE: one cannot be. */
static int save_reserved(const struct grant_table *gt, grant_entry_v1_t saved[])
{
    for (uint32_t ref = 0; ref < GNTTAB_NR_RESERVED_ENTRIES; ref++) {
        const grant_entry_v2_t *v2;
        uint64_t frame;
        uint16_t flags;

        saved[ref] = (grant_entry_v1_t){ .flags = 0 };
        if (gt->version == 1) {
            saved[ref].flags = load16(&shared_v1(gt, ref)->flags);
            saved[ref].domid = load16(&shared_v1(gt, ref)->domid);
            saved[ref].frame = __atomic_load_n(&shared_v1(gt, ref)->frame, __ATOMIC_RELAXED);
            continue;
        }
        v2 = shared_v2(gt, ref);
        flags = load16(&v2->hdr.flags);
        frame = __atomic_load_n(&v2->full_page.frame, __ATOMIC_RELAXED);
        if ((flags & GTF_type_mask) == GTF_transitive)
            return -ERANGE;
        if ((flags & GTF_type_mask) != GTF_permit_access)
            continue;
        if (frame >> 32)
            return -ERANGE;
        saved[ref].flags = flags | load16(status_word(gt, ref));
        saved[ref].domid = load16(&v2->hdr.domid);
        saved[ref].frame = (uint32_t)frame;
    }
    return 0;
}

/*
 * Guests may be writing there, however wrongly: word by word, so that this is no worse than any
 * other race of theirs.
 */
static void wipe(void *frame)
{
    uint64_t *words = frame;

    for (size_t i = 0; i < HV_PAGE_SIZE / sizeof *words; i++)
        __atomic_store_n(&words[i], 0, __ATOMIC_RELAXED);
}

static void store16(uint16_t *p, uint16_t value)
{
    __atomic_store_n(p, value, __ATOMIC_RELAXED);
}

static void restore_reserved(const struct grant_table *gt, const grant_entry_v1_t saved[])
{
    const uint16_t in_status = GTF_reading | GTF_writing;

    for (uint32_t ref = 0; ref < GNTTAB_NR_RESERVED_ENTRIES; ref++) {
        if (gt->version == 1) {
            __atomic_store_n(&shared_v1(gt, ref)->frame, saved[ref].frame, __ATOMIC_RELAXED);
            store16(&shared_v1(gt, ref)->domid, saved[ref].domid);
            __atomic_store_n(&shared_v1(gt, ref)->flags, saved[ref].flags, __ATOMIC_RELEASE);
            continue;
        }
        store16(status_word(gt, ref), saved[ref].flags & in_status);
        __atomic_store_n(&shared_v2(gt, ref)->full_page.frame, (uint64_t)saved[ref].frame,
                         __ATOMIC_RELAXED);
        store16(&shared_v2(gt, ref)->hdr.domid, saved[ref].domid);
        __atomic_store_n(&shared_v2(gt, ref)->hdr.flags, (uint16_t)(saved[ref].flags & ~in_status),
                         __ATOMIC_RELEASE);
    }
}

static int change_version(struct hv_domain *d, unsigned version)
{
    grant_entry_v1_t saved[GNTTAB_NR_RESERVED_ENTRIES];
    struct grant_table *gt = &d->gt;
    int rc;

    if (in_use(gt))
        return -EBUSY;
    if (version == 2) {
        rc = gnttab_add_status_frames(d, gt->nr_frames);
        if (rc)
            return rc;
    } else if (gt->nr_v2_ops) {
        return -EAGAIN;
    }
    rc = save_reserved(gt, saved);
    if (!rc && version == 1)
        rc = unpopulate_status_frames(d);
    if (rc)
        return rc;
    for (unsigned i = 0; i < gt->nr_frames; i++)
        wipe(gt->frames[i].shared);
    gt->version = version;
    memset(gt->moved, 0, sizeof gt->moved);
    restore_reserved(gt, saved);
    return 0;
}

long gnttab_set_version(const struct hv_call *c, uint64_t uop, unsigned count)
{
    struct gnttab_set_version op;
    struct grant_table *gt = &c->d->gt;
    long rc = 0;

    (void)count;
    if (call_from_guest(c, &op, uop, sizeof op))
        return -EFAULT;
    if (op.version != 1 && op.version != 2)
        rc = -EINVAL;
    else if (op.version > gt->max_version)
        rc = -ENOSYS;
    else if (op.version != gt->version)
        rc = change_version(c->d, op.version);
    op.version = gt->version;
    if (call_to_guest(c, uop, &op, sizeof op))
        return -EFAULT;
    return rc;
}
