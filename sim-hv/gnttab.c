/* SPDX-License-Identifier: MIT */
/* The grant table itself: creation, growth, limits, and the operations that query it. */
#include "hv_i.h"

int gnttab_init(struct hv_domain *d, const struct hv_domain_config *config)
{
    const struct hv_profile *profile = d->hv->profile;
    struct grant_table *gt = &d->gt;

    gt->version = 1;
    gt->max_version = config->max_grant_version ? config->max_grant_version : 2;
    gt->max_frames = profile->max_grant_frames;
    if (config->max_grant_frames >= 0)
        gt->max_frames = (unsigned)config->max_grant_frames;
    if (gt->max_version > 2 || gt->max_frames < INITIAL_NR_GRANT_FRAMES)
        return -EINVAL;
    if (profile->limits_are_upper_bounds && gt->max_frames > profile->max_grant_frames)
        return -EINVAL;
    return gnttab_grow(d, INITIAL_NR_GRANT_FRAMES);
}

static void drop_grant_frame(struct hv_domain *d)
{
    struct grant_frame *f = &d->gt.frames[--d->gt.nr_frames];

    frame_drop_allocated(d->hv, f->mfn);
    free(f->active);
    *f = (struct grant_frame){ .shared = NULL };
}

void gnttab_destroy(struct hv_domain *d)
{
    struct grant_table *gt = &d->gt;

    gnttab_drop_status_frames(d, 0);
    while (gt->nr_frames)
        drop_grant_frame(d);
    free(gt->frames);
    free(gt->status);
    *gt = (struct grant_table){ .version = 1 };
}

/* gt->frames has room for nr_frames more elements. */
static int add_grant_frame(struct hv_domain *d)
{
    struct grant_frame *f = &d->gt.frames[d->gt.nr_frames];
    uint64_t mfn;

    f->active = hv_alloc(d->hv, V1_PER_FRAME, sizeof *f->active);
    if (!f->active)
        return -ENOMEM;
    if (frame_alloc(d->hv, &mfn)) {
        free(f->active);
        f->active = NULL;
        return -ENOMEM;
    }
    frame_assign_xenheap(d, mfn);
    f->mfn = (uint32_t)mfn;
    f->shared = frame_data(d->hv, mfn);
    d->gt.nr_frames++;
    return 0;
}

/* Exactly to nr_frames, all or nothing; never shrinks. */
int gnttab_grow(struct hv_domain *d, unsigned nr_frames)
{
    struct grant_table *gt = &d->gt;
    unsigned old = gt->nr_frames;
    struct grant_frame *frames;
    int rc = 0;

    if (nr_frames <= old)
        return 0;
    assert(nr_frames <= gt->max_frames);
    frames = hv_grow(d->hv, gt->frames, old, nr_frames, sizeof *frames);
    if (!frames)
        return -ENOMEM;
    gt->frames = frames;
    while (!rc && gt->nr_frames < nr_frames)
        rc = add_grant_frame(d);
    if (!rc && gt->version == 2)
        rc = gnttab_add_status_frames(d, nr_frames);
    while (rc && gt->nr_frames > old)
        drop_grant_frame(d);
    return rc;
}

int gnttab_get_shared_frame(struct hv_domain *d, uint64_t idx, uint64_t *mfn)
{
    if (idx >= d->gt.max_frames || gnttab_grow(d, (unsigned)idx + 1))
        return -EINVAL;
    *mfn = d->gt.frames[idx].mfn;
    return 0;
}

int gnttab_get_status_frame(struct hv_domain *d, uint64_t idx, uint64_t *mfn)
{
    assert(d->gt.version == 2);
    /* Grows to as many grant frames as the status frame serves, or not at all. */
    if (idx >= d->gt.nr_status && (idx >= UINT32_MAX / 8 || (idx + 1) * 8 > d->gt.max_frames ||
                                   gnttab_grow(d, ((unsigned)idx + 1) * 8)))
        return -EINVAL;
    *mfn = d->gt.status[idx].mfn;
    return 0;
}

int gnttab_get_frame(struct hv_domain *d, uint64_t idx, uint64_t *mfn)
{
    /* In version 1 the bit is not known, and the index beyond every limit. */
    if (d->gt.version == 2 && idx & XENMAPIDX_grant_table_status)
        return gnttab_get_status_frame(d, idx & ~(uint64_t)XENMAPIDX_grant_table_status, mfn);
    return gnttab_get_shared_frame(d, idx, mfn);
}

/* Whose table the caller means, and whether it may: GNTST_*. */
static int find_table(const struct hv_call *c, domid_t dom, struct hv_domain **out)
{
    struct hv_domain *d = domain_lookup_any(c->d, dom);

    if (!d)
        return GNTST_bad_domain;
    if (!domain_may_control(c->d, d))
        return GNTST_permission_denied;
    *out = d;
    return GNTST_okay;
}

/* Handles are pointers in the public headers, numbers here. */
static int write_frame_numbers(const struct hv_call *c, uint64_t list, const struct hv_domain *d,
                               unsigned nr, bool status)
{
    for (unsigned i = 0; i < nr; i++) {
        uint64_t number =
            d->guest->frame_number(d, status ? d->gt.status[i].mfn : d->gt.frames[i].mfn);

        if (call_to_guest(c, list + i * sizeof number, &number, sizeof number))
            return GNTST_bad_virt_addr;
    }
    return GNTST_okay;
}

static int setup_table(const struct hv_call *c, void *element, void *state)
{
    const struct gnttab_setup_table *op = element;
    struct hv_domain *d;
    int rc = find_table(c, op->dom, &d);

    (void)state;
    if (rc)
        return rc;
    if (op->nr_frames > d->gt.max_frames || gnttab_grow(d, op->nr_frames))
        return GNTST_general_error;
    return write_frame_numbers(c, (uintptr_t)op->frame_list.p, d, op->nr_frames, false);
}

static long refuse_setup_table(const struct hv_call *c, const void *op)
{
    return call_array_okay(c, (uintptr_t)((const struct gnttab_setup_table *)op)->frame_list.p)
             ? 0
             : -EFAULT;
}

long gnttab_setup_table(const struct hv_call *c, uint64_t uop, unsigned count)
{
    return call_elements(c, uop, count,
                         &(struct element_kind){ ELEMENT(struct gnttab_setup_table),
                                                 .refuse = refuse_setup_table, .act = setup_table },
                         NULL);
}

static int get_status_frames(const struct hv_call *c, void *element, void *state)
{
    const struct gnttab_get_status_frames *op = element;
    struct hv_domain *d;
    int rc = find_table(c, op->dom, &d);

    (void)state;
    if (rc)
        return rc;
    if (op->nr_frames > d->gt.nr_status)
        return GNTST_general_error;
    return write_frame_numbers(c, (uintptr_t)op->frame_list.p, d, op->nr_frames, true);
}

static long refuse_status_frames(const struct hv_call *c, const void *op)
{
    return call_array_okay(c,
                           (uintptr_t)((const struct gnttab_get_status_frames *)op)->frame_list.p)
             ? 0
             : -EFAULT;
}

long gnttab_get_status_frames(const struct hv_call *c, uint64_t uop, unsigned count)
{
    return call_elements(c, uop, count,
                         &(struct element_kind){ ELEMENT(struct gnttab_get_status_frames),
                                                 .refuse = refuse_status_frames,
                                                 .act = get_status_frames },
                         NULL);
}

static int query_size(const struct hv_call *c, void *element, void *state)
{
    struct gnttab_query_size *op = element;
    struct hv_domain *d;
    int status = find_table(c, op->dom, &d);

    (void)state;
    if (!status) {
        op->nr_frames = d->gt.nr_frames;
        op->max_nr_frames = d->gt.max_frames;
    }
    return status;
}

long gnttab_query_size(const struct hv_call *c, uint64_t uop, unsigned count)
{
    return call_elements(c, uop, count,
                         &(struct element_kind){ ELEMENT(struct gnttab_query_size), .answers = true,
                                                 .act = query_size },
                         NULL);
}

long gnttab_get_version(const struct hv_call *c, uint64_t uop, unsigned count)
{
    struct gnttab_get_version op;
    struct hv_domain *d;

    (void)count;
    if (call_from_guest(c, &op, uop, sizeof op))
        return -EFAULT;
    switch (find_table(c, op.dom, &d)) {
    case GNTST_bad_domain:
        return -ESRCH;
    case GNTST_permission_denied:
        return -EPERM;
    }
    op.version = d->gt.version;
    return call_to_guest(c, uop + offsetof(struct gnttab_get_version, version), &op.version,
                         sizeof op.version);
}
