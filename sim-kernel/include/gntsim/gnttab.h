/* SPDX-License-Identifier: MIT */
/*
 * The guest kernel's own grant API: what a driver inside the kernel calls, for C code that models one (a network or
 * block front- or backend). gntdev and gntalloc are written on it. Names and rules are those of Linux' grant-table.c.
 *
 * The rules of kernel.h hold: one call at a time per machine, negative errno, nothing sleeps. What a real kernel waits
 * for ends in a callback. kernel_destroy calls every callback that is still owed with -ENODEV; in there a driver gives back
 * its pages and references for the last time (no hypercall is made any more), afterwards the kernel is gone.
 */
#ifndef GNTSIM_GNTTAB_H
#define GNTSIM_GNTTAB_H

#include <gntsim/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)    /* all else in the library is hidden */

/* Something to do at a later machine time. Zeroed: not armed. */
struct ktimer {
    uint64_t deadline;
    void (*fn)(struct ktimer *timer);
    struct ktimer *next, **pprev;      /* pprev NULL: not armed */
};

/* ---- Pages of the domain's own memory --------------------------------------------------------- */

/* A page from the kernel's allocator, with a reference count; the last put gives it back. */
struct kernel_page;

/* A zeroed page with one reference; NULL: out of memory. */
struct kernel_page *kernel_page_alloc(struct kernel *k);
/* nr pages; their frames are consecutive where the machine has such a run. 0 or -ENOMEM, then none. */
int kernel_pages_alloc(struct kernel *k, uint64_t nr, struct kernel_page **pages);
void kernel_page_get(struct kernel_page *page);
/* k NULL: the kernel is gone. */
void kernel_page_put(struct kernel *k, struct kernel_page *page);
/* The kernel's own mapping of the page. */
void *kernel_page_address(struct kernel *k, const struct kernel_page *page);
uint64_t kernel_page_mfn(const struct kernel_page *page);
/* The number that names the page in a grant entry. */
uint64_t kernel_page_frame(const struct kernel_page *page);

/* ---- References ------------------------------------------------------------------------------- */

#define INVALID_GRANT_REF ((grant_ref_t)-1)

/* A private chain of count references. 0, -ENOSPC. */
int gnttab_alloc_grant_references(struct kernel *k, uint16_t count, grant_ref_t *head);
/* The chain's next reference, or -ENOSPC when it is empty. */
int64_t gnttab_claim_grant_reference(struct kernel *k, grant_ref_t *head);
/* Puts a reference at the front of the chain. */
void gnttab_release_grant_reference(struct kernel *k, grant_ref_t *head, grant_ref_t ref);
bool gnttab_empty_grant_references(const grant_ref_t *head);
void gnttab_free_grant_references(struct kernel *k, grant_ref_t head);
void gnttab_free_grant_reference(struct kernel *k, grant_ref_t ref);
/* count consecutive references. 0, -ENOSPC. */
int gnttab_alloc_grant_reference_seq(struct kernel *k, unsigned count, grant_ref_t *first);
void gnttab_free_grant_reference_seq(struct kernel *k, grant_ref_t first, unsigned count);

/* fn runs once, as soon as count references are free: possibly inside this call. A record in the queue is not queued
 * twice. fn may request again (it runs at a later free then). */
struct gnttab_free_callback {
    struct gnttab_free_callback *next;
    void (*fn)(void *arg);
    void *arg;
    uint16_t count;
    bool queued;
};
void gnttab_request_free_callback(struct kernel *k, struct gnttab_free_callback *callback, void (*fn)(void *), void *arg,
                                  uint16_t count);
void gnttab_cancel_free_callback(struct kernel *k, struct gnttab_free_callback *callback);

/* Changes the layout of the table, as a kernel does at boot and after a resume: every entry but the reserved ones is gone.
 * The version that the table has now, or the hypercall's error (-EBUSY: a grant is in use). */
int gnttab_request_version(struct kernel *k, unsigned version);

/* ---- Granting and ending access --------------------------------------------------------------- */

/* Allocates a reference and fills its entry. The reference or -ENOSPC. */
int64_t gnttab_grant_foreign_access(struct kernel *k, domid_t domid, uint64_t frame, bool readonly);
/* Fills a claimed reference. */
void gnttab_grant_foreign_access_ref(struct kernel *k, grant_ref_t ref, domid_t domid, uint64_t frame, bool readonly);
/* True: access ended, the reference is still the caller's. False: in use, nothing changed for the caller (a v2 entry
 * admits no new mapping any more). */
bool gnttab_end_foreign_access_ref(struct kernel *k, grant_ref_t ref);
/* The same; on true the reference is freed, too. */
bool gnttab_try_end_foreign_access(struct kernel *k, grant_ref_t ref);
/* Ends access and gives back reference and page, now or when the peer has let go of it. page may be NULL: then the
 * granted frame is looked up and held until then. */
void gnttab_end_foreign_access(struct kernel *k, grant_ref_t ref, struct kernel_page *page);
/* Is the grant in use by the peer (old kernels' question)? */
bool gnttab_query_foreign_access(struct kernel *k, grant_ref_t ref);
/* Deferred ends that still wait for the peer. */
uint64_t gnttab_nr_deferred(const struct kernel *k);

/* ---- Mapping other domains' grants ------------------------------------------------------------ */

/* A run of page addresses without memory of their own, where grants can be mapped. */
struct gnttab_pages;
/* 0, -ENOMEM. */
int gnttab_alloc_pages(struct kernel *k, unsigned nr, struct gnttab_pages **out);
/* None may be mapped or held any more. NULL is fine. */
void gnttab_free_pages(struct kernel *k, struct gnttab_pages *pages);
/* What to put into host_addr for the kernel's mapping of page i. */
uint64_t gnttab_page_addr(const struct kernel *k, const struct gnttab_pages *pages, unsigned i);
/* The mapped memory, NULL while nothing is mapped there. */
void *gnttab_page_data(const struct kernel *k, const struct gnttab_pages *pages, unsigned i);
/* A further holder of the page (I/O in flight): unmapping waits for it. */
int gnttab_page_hold(struct gnttab_pages *pages, unsigned i);     /* 0, -ENOMEM */
void gnttab_page_release(struct gnttab_pages *pages, unsigned i);

/* Hypercall batches whose entries are retried 1, 2 .. 255 ms apart while they answer GNTST_eagain; what still does so
 * then gets GNTST_bad_page. The memory stays the caller's and must stay until done. */
struct gnttab_batch {
    struct kernel *k;
    unsigned cmd;
    void *ops;
    unsigned nr;
    /* KERNEL_PENDING was returned: called when all entries have a final status; result as of the function called. */
    void (*done)(struct gnttab_batch *batch, int result);
    void *owner;
    /* the batch's: */
    unsigned current, delay;
    bool no_retry;
    struct ktimer timer;
    struct gnttab_map_grant_ref *kops;
    struct gnttab_pages *pages;
    struct gnttab_batch *next, **pprev;
};
/*
 * Maps nr grants with one hypercall, ops being struct gnttab_map_grant_ref, then with another one the kernel's own view
 * of them, kops (PV user mappings; else NULL), and takes note in pages. 0 (look at each status), the hypercall's error, or
 * KERNEL_PENDING.
 */
long gnttab_map_refs(struct gnttab_batch *batch, struct gnttab_map_grant_ref *kops, struct gnttab_pages *pages);
/* Copies, ops being struct gnttab_copy. Results as above. */
long gnttab_batch_copy(struct gnttab_batch *batch);

/* Unmaps pages first .. first+nr-1 that ops (and kops, or NULL) describe. 0 or the hypercall's error. */
int gnttab_unmap_refs(struct kernel *k, struct gnttab_unmap_grant_ref *ops, struct gnttab_unmap_grant_ref *kops,
                      struct gnttab_pages *pages, unsigned first, unsigned nr);
/* The same, but waits 5, 10, 15 … ms while a page has a further holder. done is called always, maybe before this returns. */
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
    struct gnttab_unmap *next, **pprev;
};
void gnttab_unmap_refs_async(struct gnttab_unmap *unmap);

/* A stack of single pages to map at, for a driver that needs one now and then. Zeroed: empty. */
struct gnttab_page_cache {
    struct gnttab_pages *pages;
    unsigned nr;
};
/* 0, -ENOMEM. */
int gnttab_page_cache_get(struct kernel *k, struct gnttab_page_cache *cache, struct gnttab_pages **page);
void gnttab_page_cache_put(struct gnttab_page_cache *cache, struct gnttab_pages *page);
void gnttab_page_cache_shrink(struct kernel *k, struct gnttab_page_cache *cache, unsigned keep);

/* How many 4 KiB pieces len bytes from start on touch, and each of them in turn: one call per grant. */
unsigned gnttab_count_grant(uint64_t start, uint64_t len);
void gnttab_foreach_grant_in_range(uint64_t start, uint64_t len,
                                   void (*fn)(uint64_t page, unsigned offset, unsigned len, void *arg), void *arg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
