/* SPDX-License-Identifier: MIT */
/*
 * The guest kernel's grant API: what a driver inside the kernel calls. It is for C code that models
 * such a driver, like a network or block front end; gntdev and gntalloc are written on it. Names
 * and rules are those of Linux' grant-table.c.
 *
 * The rules of kernel.h hold: one call at a time per machine, negative errno, nothing sleeps. Where
 * a real kernel waits, a callback comes instead. kernel_destroy calls every callback that is still
 * owed with -ENODEV. In there a driver gives back its pages and references for the last time,
 * without a hypercall. Afterwards the kernel is gone.
 */
#ifndef GNTSIM_GNTTAB_H
#define GNTSIM_GNTTAB_H

#include <gntsim/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)    /* all else in the library is hidden */

/* A timer of the kernel. All zero: not armed. */
struct ktimer {
    uint64_t deadline;                 /* in nanoseconds of the machine's time */
    void (*fn)(struct ktimer *timer);
    struct kernel *kernel;             /* NULL: not armed */
    struct ktimer *prev, *next;
};

/* ---- Pages of the domain's own memory -------------------------------------------------------- */

/* A page of 4 KiB from the kernel's allocator, with a reference count. The last put frees it. */
struct kernel_page;

/* Returns a zeroed page with one reference, which the caller owns. NULL: out of memory. */
struct kernel_page *kernel_page_alloc(struct kernel *k);
/*
 * Fills pages with nr pages as above; their frames are consecutive where the machine has such a
 * run. 0, or -ENOMEM and none.
 */
int kernel_pages_alloc(struct kernel *k, uint64_t nr, struct kernel_page **pages);
/* Takes a further reference to the page. */
void kernel_page_get(struct kernel_page *page);
/* Drops a reference. k is NULL if the kernel is gone. */
void kernel_page_put(struct kernel *k, struct kernel_page *page);
/*
 * Before somebody writes to the page: a shared one (memory sharing) becomes a copy. 0; -ENOMEM or
 * -EAGAIN: there is no memory for it; -ESRCH: so that the domain was crashed.
 */
int kernel_page_own(struct kernel *k, const struct kernel_page *page);
/* The kernel's own mapping of the page; it ends with the page. Of one that is shared (memory
 * sharing) the kernel gets a copy. NULL: there is no memory for it. */
void *kernel_page_address(struct kernel *k, const struct kernel_page *page);
/* The number of the machine frame behind the page. */
uint64_t kernel_page_mfn(const struct kernel_page *page);
/* The number that names the page in a grant entry: a gfn or, on PV, an mfn. */
uint64_t kernel_page_frame(const struct kernel_page *page);

/* ---- References ------------------------------------------------------------------------------ */

#define INVALID_GRANT_REF ((grant_ref_t)-1)

/*
 * Takes count references into a private chain that begins at *head. The caller frees it. 0,
 * -ENOSPC.
 */
int gnttab_alloc_grant_references(struct kernel *k, uint16_t count, grant_ref_t *head);
/* Takes the next reference out of the chain and returns it. -ENOSPC: the chain is empty. */
int64_t gnttab_claim_grant_reference(struct kernel *k, grant_ref_t *head);
/* Puts a claimed reference back at the front of the chain. */
void gnttab_release_grant_reference(struct kernel *k, grant_ref_t *head, grant_ref_t ref);
/* Whether the chain is empty. */
bool gnttab_empty_grant_references(const grant_ref_t *head);
/* Free a whole chain, or one reference whose access has ended. */
void gnttab_free_grant_references(struct kernel *k, grant_ref_t head);
void gnttab_free_grant_reference(struct kernel *k, grant_ref_t ref);
/* Takes count consecutive references, from *first on; its counterpart frees them. 0, -ENOSPC. */
int gnttab_alloc_grant_reference_seq(struct kernel *k, unsigned count, grant_ref_t *first);
void gnttab_free_grant_reference_seq(struct kernel *k, grant_ref_t first, unsigned count);

/*
 * A request to run fn once, as soon as count references are free, perhaps inside the call that
 * makes it. A record that is queued already is not queued again. fn may make a new request, which a
 * later free serves. The caller owns the record until fn runs or the request is cancelled.
 */
struct gnttab_free_callback {
    struct gnttab_free_callback *next;
    void (*fn)(void *arg);
    void *arg;
    uint16_t count;
    bool queued;
};
void gnttab_request_free_callback(struct kernel *k, struct gnttab_free_callback *callback,
                                  void (*fn)(void *), void *arg,
                                  uint16_t count);
void gnttab_cancel_free_callback(struct kernel *k, struct gnttab_free_callback *callback);

/*
 * Switches the table to version 1 or 2, as a kernel does at boot and after a resume. Every entry
 * but the reserved ones is lost. Returns the version that the table has now, or the hypercall's
 * error (-EBUSY: a grant is in use).
 */
int gnttab_request_version(struct kernel *k, unsigned version);

/* ---- Granting and ending access -------------------------------------------------------------- */

/*
 * Grants domain domid access to frame, the number of kernel_page_frame. Returns the new reference,
 * or -ENOSPC.
 */
int64_t gnttab_grant_foreign_access(struct kernel *k, domid_t domid, uint64_t frame, bool readonly);
/* The same with a reference that the caller has claimed. */
void gnttab_grant_foreign_access_ref(struct kernel *k, grant_ref_t ref, domid_t domid,
                                     uint64_t frame, bool readonly);
/*
 * Ends access. True: it has ended, and the reference is still the caller's. False: the peer uses
 * it, and nothing changed for the caller; an entry of version 2 admits no new mapping any more.
 */
bool gnttab_end_foreign_access_ref(struct kernel *k, grant_ref_t ref);
/* The same, but frees the reference if access has ended. */
bool gnttab_try_end_foreign_access(struct kernel *k, grant_ref_t ref);
/*
 * Ends access and frees reference and page, now or when the peer has let go. page NULL: holds the
 * granted frame until then.
 */
void gnttab_end_foreign_access(struct kernel *k, grant_ref_t ref, struct kernel_page *page);
/* Whether the peer uses the grant, a question of old kernels: the answer may be stale at once. */
bool gnttab_query_foreign_access(struct kernel *k, grant_ref_t ref);
/* The number of ended grants that still wait for their peers. */
uint64_t gnttab_nr_deferred(const struct kernel *k);

/* ---- Mapping other domains' grants ----------------------------------------------------------- */

/* A run of page addresses without memory of their own, where the kernel maps grants. */
struct gnttab_pages;
/* Allocates nr such pages in *out, which the caller owns. 0, -ENOMEM. */
int gnttab_alloc_pages(struct kernel *k, unsigned nr, struct gnttab_pages **out);
/* Frees them. None may be mapped or held. NULL is fine. */
void gnttab_free_pages(struct kernel *k, struct gnttab_pages *pages);
/* The host_addr of the kernel's mapping of page i, for GNTTABOP_map_grant_ref. */
uint64_t gnttab_page_addr(const struct kernel *k, const struct gnttab_pages *pages, unsigned i);
/* The memory that is mapped at page i; NULL: nothing is. */
void *gnttab_page_data(const struct kernel *k, const struct gnttab_pages *pages, unsigned i);
/*
 * Add and drop a holder of page i, like I/O in flight: gnttab_unmap_refs_async waits for it. 0,
 * -ENOMEM.
 */
int gnttab_page_hold(struct gnttab_pages *pages, unsigned i);
void gnttab_page_release(struct gnttab_pages *pages, unsigned i);

/*
 * A batch of one hypercall. The kernel retries its GNTST_eagain entries after 1, 2 .. 255 ms; what
 * still answers so then gets GNTST_bad_page. The caller owns the memory and keeps it until done.
 */
struct gnttab_batch {
    struct kernel *k;
    unsigned cmd;                      /* GNTTABOP_*, set by the functions below */
    void *ops;
    unsigned nr;                       /* of ops */
    /*
     * After KERNEL_PENDING: called when all entries have a final status, with the function's
     * result.
     */
    void (*done)(struct gnttab_batch *batch, int result);
    void *owner;
    /* the batch's: */
    unsigned current, delay;
    bool no_retry;
    struct ktimer timer;
    struct gnttab_map_grant_ref *kops;
    struct gnttab_pages *pages;
    struct gnttab_batch *prev, *next;
};
/*
 * Maps nr grants with one hypercall, ops being struct gnttab_map_grant_ref. A second hypercall maps
 * the kernel's own view of them (kops, for user mappings of a PV kernel; else NULL). Takes note in
 * pages. 0: look at each entry's status. Else the hypercall's error, or KERNEL_PENDING.
 */
long gnttab_map_refs(struct gnttab_batch *batch, struct gnttab_map_grant_ref *kops,
                     struct gnttab_pages *pages);
/* Copies nr pieces, ops being struct gnttab_copy. Results as above. */
long gnttab_batch_copy(struct gnttab_batch *batch);

/*
 * Unmaps pages first .. first+nr-1, which ops (and kops, or NULL) describe. 0: look at each status.
 * Else the hypercall's error.
 */
int gnttab_unmap_refs(struct kernel *k, struct gnttab_unmap_grant_ref *ops,
                      struct gnttab_unmap_grant_ref *kops,
                      struct gnttab_pages *pages, unsigned first, unsigned nr);
/*
 * The same, but waits 5, 10, 15 … ms while a page has a holder. done is always called, perhaps
 * before gnttab_unmap_refs_async returns; the caller keeps the memory until then.
 */
struct gnttab_unmap {
    struct kernel *k;
    struct gnttab_unmap_grant_ref *ops, *kops;
    struct gnttab_pages *pages;
    unsigned first, nr;
    void (*done)(struct gnttab_unmap *unmap, int result);
    void *owner;
    /* the unmapping's: */
    unsigned age;
    bool gone;                         /* a migration ended what was mapped */
    struct ktimer timer;
    struct gnttab_unmap *prev, *next;
};
void gnttab_unmap_refs_async(struct gnttab_unmap *unmap);

/* A stack of single pages to map at, for a driver that needs one now and then. All zero: empty. */
struct gnttab_page_cache {
    struct gnttab_pages *pages;
    unsigned nr;
};
/* Take a page from the cache or a new one; give it back; free all pages but keep. 0, -ENOMEM. */
int gnttab_page_cache_get(struct kernel *k, struct gnttab_page_cache *cache,
                          struct gnttab_pages **page);
void gnttab_page_cache_put(struct gnttab_page_cache *cache, struct gnttab_pages *page);
void gnttab_page_cache_shrink(struct kernel *k, struct gnttab_page_cache *cache, unsigned keep);

/*
 * Count the 4 KiB pages that len bytes from start on touch, and call fn for each of them in turn:
 * one call per grant.
 */
unsigned gnttab_count_grant(uint64_t start, uint64_t len);
void gnttab_foreach_grant_in_range(uint64_t start, uint64_t len,
                                   void (*fn)(uint64_t page, unsigned offset, unsigned len,
                                              void *arg), void *arg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
