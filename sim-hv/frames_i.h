/* SPDX-License-Identifier: MIT */
/* Machine frames: the owner of each, the references to it, and the pool of free frames. */
#ifndef GNTSIM_HV_FRAMES_I_H
#define GNTSIM_HV_FRAMES_I_H

#include <gntsim/hv.h>

struct hv_domain;

#define NO_GFN UINT64_MAX
#define NO_OWNER DOMID_INVALID

enum {
    FRAME_ALLOCATED = 1, /* the owner's own reference is among refs */
    FRAME_XENHEAP = 2,   /* the hypervisor's, shown to its owner: grant frames, shared info */
    FRAME_PAGED = 4,     /* paged out: counted as gone, contents kept */
    FRAME_DIRTY = 8,     /* was handed out before: zero it before the next time */
    FRAME_SHARED = 16,   /* DOMID_COW's, and several gfns show it: shared says which */
};

struct shared_page;

struct frame {
    uint32_t refs;         /* general references */
    uint32_t types;        /* references as a writable page */
    /* hv_frame_get: not a guest's reference, only keeps the frame from reuse */
    uint32_t held;
    uint32_t next, prev;   /* owner's list of pages; 0 ends it (frame 0 is never handed out) */
    domid_t owner;         /* NO_OWNER: nobody; means nothing without references */
    uint8_t flags;
    union {
        uint64_t gfn;               /* where the owner has it as memory, NO_GFN if nowhere */
        struct shared_page *shared; /* of a shared one */
    };
};

/* A set of free frames. A summary bit per word lets few words tell the lowest. */
struct frame_pool {
    uint64_t *free;        /* bit per frame */
    uint64_t *some;        /* bit per word of free: not zero */
    uint64_t words, some_words;
    uint64_t nr_free;
    uint64_t top;          /* frames from here on were never used */
};

int frames_init(struct hv *hv);
void frames_destroy(struct hv *hv);

/* Zeroed frames with one reference, owned by nobody. -ENOMEM. */
int frame_alloc(struct hv *hv, uint64_t *mfn);
int frame_alloc_run(struct hv *hv, uint64_t nr, uint64_t *first);
/* Makes d the owner of ordinary memory (counted, listed), or of a frame of the hypervisor's. */
void frame_assign(struct hv_domain *d, uint64_t mfn);
void frame_assign_xenheap(struct hv_domain *d, uint64_t mfn);
/* Takes an ordinary frame from its owner, which keeps nothing of it. The caller owns its refs. */
void frame_unassign(struct hv *hv, uint64_t mfn);
/* An ordinary frame, whoever refers to it, becomes DOMID_COW's, or comes back from there. */
void frame_to_cow(struct hv *hv, uint64_t mfn, struct shared_page *shared);
void frame_from_cow(struct hv_domain *d, uint64_t mfn, uint64_t gfn);
/* frame_put, frame_get and the types are in hv_i.h: inline, every mapping and copy needs them. This
 * is frame_put's rest. */
void frame_was_put(struct hv *hv, uint64_t mfn);
/* Drops the owner's own reference, if it is still there. */
void frame_drop_allocated(struct hv *hv, uint64_t mfn);
/* Reports what became free since to hooks.frames_freed. */
void frames_flush_freed(struct hv *hv);
bool frame_is_free(const struct hv *hv, uint64_t mfn);

#endif
