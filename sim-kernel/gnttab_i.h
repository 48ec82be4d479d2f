/* SPDX-License-Identifier: MIT */
/* The state of the kernel's own grant table. */
#ifndef GNTSIM_KERNEL_GNTTAB_I_H
#define GNTSIM_KERNEL_GNTTAB_I_H

#include <gntsim/gnttab.h>

/* End of a list of references. */
#define GREF_LIST_END INVALID_GRANT_REF

struct gnttab_deferred {
    grant_ref_t ref;
    struct kernel_page *page;        /* NULL: held_mfn instead */
    uint64_t held_mfn;               /* HV_INVALID_MFN: nothing */
    unsigned warn_delay;
    struct gnttab_deferred *prev, *next;
};

enum { REF_USED, REF_FREE, REF_UNBACKED /* free, but the table has no entry for it now */ };

/*
 * The free list is a stack of references that were in use before, linked through link[], on top of
 * the run fresh .. nr_refs-1 that nobody had since the table grew or the list was sorted.
 */
struct gnttab {
    unsigned version;
    unsigned max_frames;
    unsigned nr_frames;
    uint32_t nr_refs;
    uint32_t nr_backed;              /* of them with an entry in the table */
    grant_ref_t *link;               /* next in the free list or in a private chain */
    uint8_t *state;                  /* REF_* */
    grant_ref_t free_head;           /* of the stack */
    grant_ref_t fresh;
    uint32_t nr_free;
    struct gnttab_free_callback *callbacks;
    bool running_callbacks;
    struct gnttab_deferred *deferred;
    uint64_t nr_deferred;
    struct ktimer deferred_timer;
    int64_t free_per_iteration;
    struct gnttab_batch *batches;    /* waiting for a retry */
    struct gnttab_unmap *unmaps;     /* waiting for holders */
    bool wiped; /* user space changed the table's version: entries may be gone */
};

struct gnttab_pages {
    unsigned nr;
    struct gnttab_pages *prev_of_all, *next_of_all;
    struct gnttab_pages *next;       /* in a cache */
    uint32_t *slot;
    uint64_t *mfn;                   /* mapped there, HV_INVALID_MFN if none */
    unsigned *holders;               /* NULL: none since allocation */
};

int kernel_gnttab_init(struct kernel *k);
void kernel_gnttab_destroy(struct kernel *k);
/* Completes what waits for a retry or for holders, with -ENODEV. */
void gnttab_abort(struct kernel *k);
/* User space may have changed the table's version behind the kernel's back. */
void gnttab_reload_version(struct kernel *k);
/* After a migration: the table anew, without an entry; what is mapped, or about to be. */
void gnttab_migrated(struct kernel *k);
void gnttab_map_migrated(struct kernel *k);

/* Writing entries, by version. False where the table has no such entry (any more). */
bool grant_entry_write(struct kernel *k, grant_ref_t ref, domid_t domid, uint64_t frame,
                       uint16_t flags);
/* Atomically invalidates an entry; false: it is in use. */
bool grant_entry_end(struct kernel *k, grant_ref_t ref);
bool grant_entry_in_use(struct kernel *k, grant_ref_t ref);
struct grant_entry_view {
    uint16_t flags;
    domid_t domid;
    uint64_t frame;
};
bool grant_entry_read(const struct kernel *k, grant_ref_t ref, struct grant_entry_view *view);
unsigned grant_entries_per_frame(unsigned version);

/* User page-table entry of page i of a PV domain, for gntdev. */
uint64_t gnttab_page_pte(const struct gnttab_pages *pages, unsigned i);

#endif
