/* SPDX-License-Identifier: MIT */
/* References to frames. Every mapping and copy needs them, so they are inline. */
#ifndef GNTSIM_HV_FRAME_REFS_I_H
#define GNTSIM_HV_FRAME_REFS_I_H

#include "hv_i.h"

static inline struct frame *frame_of(const struct hv *hv, uint64_t mfn)
{
    assert(mfn < hv->nr_frames);
    return &hv->frames[mfn];
}
static inline void *frame_data(const struct hv *hv, uint64_t mfn)
{
    assert(mfn < hv->nr_frames);
    return hv->memory + mfn * HV_PAGE_SIZE;
}

/* The live frame of that number, if it is owner's and can have nr more references; else NULL. */
static inline struct frame *frame_for(const struct hv *hv, uint64_t mfn, domid_t owner, unsigned nr)
{
    struct frame *f;

    if (mfn >= hv->nr_frames)
        return NULL;
    f = &hv->frames[mfn];
    return f->refs && f->refs <= UINT32_MAX - nr && f->owner == owner ? f : NULL;
}
/* The same if it is owner's, or was before it was shared. */
static inline struct frame *frame_shown(const struct hv *hv, uint64_t mfn, domid_t owner,
                                        unsigned nr)
{
    struct frame *f = frame_for(hv, mfn, owner, nr);

    return f ? f : frame_for(hv, mfn, DOMID_COW, nr);
}
/* Takes a reference if owner owns a live frame of that number. */
static inline bool frame_get(const struct hv *hv, uint64_t mfn, domid_t owner)
{
    struct frame *f = frame_for(hv, mfn, owner, 1);

    if (f)
        f->refs++;
    return f;
}
static inline void frame_put_refs(struct hv *hv, uint64_t mfn, unsigned nr)
{
    struct frame *f = frame_of(hv, mfn);

    assert(f->refs >= nr);
    f->refs -= nr;
    if (f->refs == 0 || f->flags & FRAME_XENHEAP)
        frame_was_put(hv, mfn);
}
static inline void frame_put(struct hv *hv, uint64_t mfn) { frame_put_refs(hv, mfn, 1); }
/* So many of the references are as a writable page. Always possible: no page is a page table. */
static inline void frame_get_types(struct frame *f, unsigned nr)
{
    assert(f->refs - f->types >= nr);
    f->types += nr;
}
static inline void frame_put_types(struct frame *f, unsigned nr)
{
    assert(f->types >= nr);
    f->types -= nr;
}

#endif
