/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor model: a machine, its frames, its domains and their hypercalls.
 *
 * The model has no clock, thread, randomness or I/O of its own: the sequence of calls is its whole
 * input. It is not thread-safe: whoever embeds it makes one call at a time per machine. Guests, on
 * the other hand, may write their grant entries and shared pages at any instant, from any thread or
 * process, as on a real machine; the model uses the hypervisor's own protocol against that.
 *
 * Behaviour follows Xen's public headers (xen/grant_table.h, xen/event_channel.h) and the hypervisor
 * version named by the machine's profile.
 */
#ifndef GNTSIM_HV_H
#define GNTSIM_HV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <gntsim/xen.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)    /* all else in the library is hidden */

struct hv;

#define HV_PAGE_SIZE 4096u
#define HV_INVALID_MFN UINT64_MAX

/* ---- The machine ------------------------------------------------------------------------------ */

/* What differs between hypervisor releases, as data. */
struct hv_profile {
    const char *name;                  /* "xen-4.17", "xen-4.23" */
    bool copy_len0_is_okay;            /* GNTTABOP_copy with len 0 looks at nothing else */
    bool cache_flush_on_x86;           /* GNTTABOP_cache_flush exists */
    bool global_virq_needs_handler;    /* bind_virq of a global virq by a stranger: -EBUSY */
    uint32_t max_grant_frames;         /* default limit of a domain, in frames */
    uint32_t max_maptrack_frames;      /* default limit of a domain, in frames of 256 handles */
    bool limits_are_upper_bounds;      /* creation with a larger limit: -EINVAL */
};
extern const struct hv_profile hv_profile_xen_4_17;    /* the default, confirmed on a real Xen */
extern const struct hv_profile hv_profile_xen_4_23;

/*
 * A point that a hypercall passes: the hypercall itself, before anything of it is looked at, or one element of its array (the
 * only one of an operation that takes a single structure with a status). Event channel, memory and version operations have no
 * elements.
 */
struct hv_point {
    domid_t caller;
    bool element;
    unsigned op, cmd;                  /* __HYPERVISOR_* and its command (GNTTABOP_*, EVTCHNOP_*, XENMEM_*) */
    uint32_t index, count;             /* of the element; the hypercall: 0 and the count as given */
    const void *arg;                   /* the element as read (in trace: as it was answered), in the layout of the public headers;
                                        * the argument of a finished event channel operation; else NULL */
    size_t size;                       /* of it */
    /* What the element says, where the operation has such a thing: */
    domid_t peer;                      /* DOMID_INVALID: none */
    uint32_t ref;                      /* UINT32_MAX: none */
    bool writable;
};

/* What inject may answer. */
enum hv_verdict {
    HV_GO_ON,
    HV_STATUS,                         /* an element: it is not executed, its status is *value (GNTST_*) */
    HV_ERRNO,                          /* the hypercall ends here with *value (negative); elements before stay done */
    HV_PAGE_OUT,                       /* an element: the page that it names in the other domain is paged out first, if it can be */
    HV_DESTROY,                        /* domain *value is destroyed first; if it is the caller, the call ends with -ESRCH and it
                                        * is reported as crashed */
};

/* Calls out of the model. Every pointer may be NULL. They must not call back into the model. */
struct hv_hooks {
    /* A vCPU of the domain must look at its event channels (evtchn_upcall_pending was raised). */
    void (*upcall)(void *ctx, domid_t dom);
    /* A domain was crashed by the hypervisor because of what it did. why: a static string. */
    void (*crashed)(void *ctx, domid_t dom, const char *why);
    /* nr frames from mfn on became free: their contents will never be read again (punch a hole). */
    void (*frames_freed)(void *ctx, uint64_t mfn, uint64_t nr);
    /* Frames below nr_frames are about to be used, more than ever before: memory that is a sparse file needs room for them now. Anything
     * but 0: there is none, and whoever wanted a frame gets -ENOMEM. */
    int (*memory_grows)(void *ctx, uint64_t nr_frames);
    /* A foreign or own access hit a paged-out gfn: a pager would now be asked to bring it back. */
    void (*populate)(void *ctx, domid_t dom, uint64_t gfn);
    /* Faults: asked at every point. */
    enum hv_verdict (*inject)(void *ctx, const struct hv_point *point, long *value);
    /* Trace: told after every point but those of hypercalls that only carry out elements and end well. result: a GNTST_*
     * of an element, what a hypercall returns. */
    void (*trace)(void *ctx, const struct hv_point *point, long result);
};

struct hv_config {
    void *memory;                      /* nr_frames * HV_PAGE_SIZE zeroed bytes, page aligned, MAP_SHARED
                                        * where guests are processes; stays the caller's */
    uint64_t nr_frames;                /* frame 0 is never handed out */
    const struct hv_profile *profile;  /* NULL: hv_profile_xen_4_17 */
    struct hv_hooks hooks;
    void *hook_ctx;
};

/* Returns 0 and *out, or -EINVAL (no memory, fewer than 16 frames) or -ENOMEM. */
int hv_create(struct hv **out, const struct hv_config *config);
/* Frees the model (not the memory). NULL is fine. */
void hv_destroy(struct hv *hv);
const struct hv_profile *hv_profile(const struct hv *hv);
/* Changes the hooks inject and trace; NULL is off, and costs nothing to speak of. Between calls only. */
void hv_set_inject(struct hv *hv, enum hv_verdict (*inject)(void *ctx, const struct hv_point *point, long *value));
void hv_set_trace(struct hv *hv, void (*trace)(void *ctx, const struct hv_point *point, long result));

/* Address of a frame in the hypervisor's mapping of the memory; NULL for a number out of range. */
void *hv_frame(const struct hv *hv, uint64_t mfn);

/* ---- Domains ---------------------------------------------------------------------------------- */

/*
 * Where the host mappings of a PV domain's grants go: its address space, which the kernel model or a
 * test owns. host_addr is what the guest put into GNTTABOP_map_grant_ref (with GNTMAP_contains_pte
 * the address of a page-table entry). Both return 0, or any negative value for "refused", which the
 * guest sees as GNTST_general_error. Without these (NULL) the model keeps a plain table
 * host_addr -> frame of its own: any page-aligned address works, once.
 * They must not call back into the model. Nothing is unmapped when the domain dies: its address space goes as a whole.
 */
struct hv_pv_ops {
    int (*map)(void *ctx, uint64_t host_addr, uint32_t gntmap_flags, uint64_t mfn);
    /* new_addr != 0: GNTTABOP_unmap_and_replace; the mapping found at new_addr moves to host_addr. */
    int (*unmap)(void *ctx, uint64_t host_addr, uint32_t gntmap_flags, uint64_t mfn, uint64_t new_addr);
};

struct hv_domain_config {
    bool auto_translated;          /* PVH/HVM; false: PV */
    bool privileged;               /* control domain: may name other domains */
    uint64_t nr_pages;             /* memory at start, gfn 0 .. nr_pages-1 */
    uint64_t max_pages;            /* that it can have at once; 0: nr_pages + 1024 */
    int32_t max_grant_frames;      /* -1: the profile's default */
    int32_t max_maptrack_frames;   /* -1: the profile's default */
    uint32_t max_grant_version;    /* 1 or 2; 0: 2 */
    uint32_t max_evtchn_port;      /* highest permitted port; 0: the ABI's limit */
    const struct hv_pv_ops *pv_ops;
    void *pv_ctx;
};
/* Defaults: PV, unprivileged, 0 pages. */
void hv_domain_config_init(struct hv_domain_config *config);

/*
 * Creates domain id (0 .. DOMID_FIRST_RESERVED-1). -EEXIST: the id is taken (also by a dead domain whose
 * frames are still mapped elsewhere); -EINVAL: bad id or limits (spec: grant_table_init); -ENOMEM.
 */
int hv_domain_create(struct hv *hv, domid_t id, const struct hv_domain_config *config);
/*
 * Kills a domain: its mappings are released, then its ports closed, then its memory given up (domain_kill).
 * Frames that others still map keep it as a dead domain until the last unmap. -ESRCH.
 */
int hv_domain_destroy(struct hv *hv, domid_t id);
/*
 * Changes the limits of a living domain, in frames; -1: as it is. Grant frames that are there stay: -EBUSY for fewer, or for fewer
 * maptrack frames than handles are made for. -EINVAL (0, or more than the profile allows), -ESRCH.
 */
int hv_domain_set_limits(struct hv *hv, domid_t id, int32_t max_grant_frames, int32_t max_maptrack_frames);
/* 0 alive, 1 dying or dead but still holding frames, -ESRCH. */
int hv_domain_state(const struct hv *hv, domid_t id);
/*
 * Soft reset: the domain starts over with its memory. All its event channels are closed; its grant table, the mappings
 * that others made from it and those that it made stay. -ESRCH, -EINVAL (dying).
 */
int hv_domain_soft_reset(struct hv *hv, domid_t id);
/*
 * Suspend and resume, as a save and restore does it: domain to is created with from's configuration, has from's memory at
 * the same gfns, and from is destroyed. So to has a fresh grant table of version 1 and no handles and no event channels. What
 * others still map of from stays as it is and keeps that as a dead domain; to has a copy of such a page in a frame of its own.
 * All other frames move, so that processes of the domain (hv_frame_get) go on to see its memory. pv_ops and pv_ctx are from's.
 * A kernel of the kernel model that goes on in to: kernel_migrated (gntsim/kernel.h).
 * -ESRCH, -EINVAL (from is dying), and as hv_domain_create; on failure from goes on.
 */
int hv_domain_migrate(struct hv *hv, domid_t from, domid_t to);
/* The next domain with an id >= from, -1 if none. Walks in ascending order, dead ones included. */
int hv_domain_next(const struct hv *hv, int from);

/* ---- A domain's memory ------------------------------------------------------------------------ */

/*
 * Gives the domain a zeroed page at the lowest free gfn (populate_physmap). Returns the gfn, or -ENOMEM (machine or
 * max_pages), -ESRCH, -EINVAL (dying). *mfn (may be NULL) is the frame behind it.
 */
int64_t hv_page_alloc(struct hv *hv, domid_t dom, uint64_t *mfn);
/* As hv_page_alloc for nr pages with consecutive frames; returns the first gfn, gfns are consecutive too. */
int64_t hv_page_alloc_run(struct hv *hv, domid_t dom, uint64_t nr, uint64_t *first_mfn);
/* Takes the page out of the domain (decrease_reservation). A frame mapped by others lives on until
 * their unmap. A gfn whose page went elsewhere is given to nobody before this. -ESRCH, -EINVAL (nothing there), -ENXIO (a grant
 * mapping). */
int hv_page_free(struct hv *hv, domid_t dom, uint64_t gfn);
/* Frame behind a gfn. 0, -ESRCH, -ENOENT (hole), -EAGAIN (paged out). */
int hv_gfn_to_mfn(const struct hv *hv, domid_t dom, uint64_t gfn, uint64_t *mfn);
/* The number this domain writes into a grant entry for its own gfn: the gfn itself when auto-translated,
 * the machine frame when PV. Errors as hv_gfn_to_mfn; a paged-out gfn of a PV domain is still named by
 * the number it had. */
int hv_grant_frame_number(const struct hv *hv, domid_t dom, uint64_t gfn, uint64_t *frame);

/*
 * Paging, as a control verb. While a page is out, operations of others that need it answer GNTST_eagain. The
 * model counts it as gone (paged_pages, tot_pages) but keeps frame and contents in place, so that a process
 * of the domain itself, whose accesses a real pager would serve on the fly, goes on unharmed. Real Xen pages only
 * auto-translated guests; the verb works on PV domains too, so that the default kernel profile can be tested.
 * page_out: -EBUSY (referenced by a grant or foreign mapping, not plain RAM, already out), -ESRCH, -ENOENT.
 * page_in: -ENOENT (not out), -ESRCH.
 */
int hv_page_out(struct hv *hv, domid_t dom, uint64_t gfn);
int hv_page_in(struct hv *hv, domid_t dom, uint64_t gfn);

/*
 * Extra references that keep a frame from being reused although no mapping is left: whoever serves
 * mappings to processes holds one while a process may still see the frame. hv_frame_put on the last
 * reference frees the frame.
 */
void hv_frame_get(struct hv *hv, uint64_t mfn);
void hv_frame_put(struct hv *hv, uint64_t mfn);

/*
 * A mapping of a frame of dom without a grant, as a control domain has them in its address space: a reference of its own until
 * hv_foreign_unmap or the caller's end. frame is what dom calls it itself (a gfn if auto-translated, else the machine frame);
 * with HV_FOREIGN_MFN always the machine frame, which may be one of the hypervisor's for dom, as XENMEM_acquire_resource names them.
 * Returns a handle, or -ESRCH, -EPERM (only the domain itself and a privileged one may), -ENOENT (paged out: the pager was asked),
 * -EINVAL (no such frame of dom), -ENOMEM. *mfn is the frame.
 */
#define HV_FOREIGN_WRITE 1u
#define HV_FOREIGN_MFN   2u
int64_t hv_foreign_map(struct hv *hv, domid_t caller, domid_t dom, uint64_t frame, unsigned flags, uint64_t *mfn);
void hv_foreign_unmap(struct hv *hv, domid_t caller, uint32_t handle);

/* ---- Hypercalls ------------------------------------------------------------------------------- */

/* How the hypervisor reaches the caller's memory. Both return 0 or -EFAULT, and copy all or nothing. They must not call
 * back into the model. The addresses are the guest's: an array of a PV caller that starts where no guest memory can be
 * (2^47 up to the end of Xen's own part) is refused with -EFAULT before they are asked. */
struct hv_guest_memory {
    int (*copy_from)(void *ctx, void *to, uint64_t from, size_t size);
    int (*copy_to)(void *ctx, uint64_t to, const void *from, size_t size);
    void *ctx;
};
/* Guest addresses are plain pointers of this process: for embedding and for the kernel model. */
extern const struct hv_guest_memory hv_plain_memory;

/*
 * One hypercall of domain caller: op is __HYPERVISOR_grant_table_op, __HYPERVISOR_event_channel_op or, for
 * XENMEM_add_to_physmap and XENMEM_acquire_resource of grant frames, __HYPERVISOR_memory_op (xen/xen.h), args as in
 * registers. Returns what the guest would see in its return register (>= 0 or a negative Xen errno); -ENOSYS for any
 * other op. -ESRCH if the caller does not exist, is dead or was crashed.
 */
long hv_hypercall(struct hv *hv, domid_t caller, unsigned op, const uint64_t args[5],
                  const struct hv_guest_memory *mem);

/* The same with plain pointers. */
long hv_grant_table_op(struct hv *hv, domid_t caller, unsigned cmd, void *array, unsigned count);
long hv_event_channel_op(struct hv *hv, domid_t caller, unsigned cmd, void *arg);

/* ---- What a guest sees without a hypercall ---------------------------------------------------- */

/* Grant frame i / status frame i as the guest maps it; NULL beyond the present size. */
void *hv_grant_frame(const struct hv *hv, domid_t dom, unsigned i);
void *hv_status_frame(const struct hv *hv, domid_t dom, unsigned i);
/* Machine frame of grant frame i, HV_INVALID_MFN beyond the present size. */
uint64_t hv_grant_frame_mfn(const struct hv *hv, domid_t dom, unsigned i);
uint64_t hv_status_frame_mfn(const struct hv *hv, domid_t dom, unsigned i);
/* Present number of grant frames, 0 for an unknown domain. */
unsigned hv_nr_grant_frames(const struct hv *hv, domid_t dom);
/* The shared info page with the 2-level event bits (struct shared_info, 64-bit layout); NULL if unknown. */
void *hv_shared_info(const struct hv *hv, domid_t dom);
uint64_t hv_shared_info_mfn(const struct hv *hv, domid_t dom);   /* HV_INVALID_MFN if unknown */

/* ---- Looking inside --------------------------------------------------------------------------- */

struct hv_domain_info {
    domid_t id;
    bool auto_translated, privileged, dying, crashed;
    unsigned grant_version, nr_grant_frames, max_grant_frames, nr_status_frames;
    unsigned maptrack_limit, max_maptrack_frames, maptrack_in_use;   /* handles, frames, handles */
    uint64_t tot_pages, max_pages, paged_pages;
    unsigned nr_ports;               /* event channels not free */
};
int hv_domain_info(const struct hv *hv, domid_t dom, struct hv_domain_info *out);   /* 0, -ESRCH */

struct hv_entry_info {
    uint32_t ref;
    uint16_t flags, domid;           /* shared entry, as the guest sees it; v2: flags | status */
    uint64_t frame;
    unsigned pin_host_write, pin_host_read, pin_dev_write, pin_dev_read;
    uint16_t pinned_by;              /* valid while a pin is not 0 */
    uint64_t mfn;                    /* same */
};
/* Entry ref. 0, -ESRCH, -EINVAL (ref out of range). */
int hv_entry_info(const struct hv *hv, domid_t dom, uint32_t ref, struct hv_entry_info *out);

struct hv_mapping_info {
    uint32_t handle;
    domid_t granter;
    uint32_t ref;
    uint16_t gntmap_flags;
};
/* The mapping with the lowest handle >= from: 0, -ESRCH, -ENOENT (no more). */
int hv_mapping_next(const struct hv *hv, domid_t dom, uint32_t from, struct hv_mapping_info *out);

struct hv_frame_info {
    uint64_t mfn, gfn;               /* gfn in the owner, UINT64_MAX if none */
    int owner;                       /* domid, -1 free, -2 the hypervisor's own */
    uint32_t refs, writable_types;   /* guests' references, the owner's own one included */
    uint32_t held;                   /* hv_frame_get: neither a guest's nor in the way of paging and transfer */
    bool allocated;                  /* the owner's own reference is still there */
};
int hv_frame_info(const struct hv *hv, uint64_t mfn, struct hv_frame_info *out);     /* 0, -EINVAL */
uint64_t hv_nr_frames(const struct hv *hv);
uint64_t hv_nr_free_frames(const struct hv *hv);
uint64_t hv_nr_hypercalls(const struct hv *hv);     /* made so far, refused ones included */

struct hv_port_info {
    uint32_t port;
    unsigned status;                 /* EVTCHNSTAT_* */
    domid_t remote_dom;
    uint32_t remote_port;
    uint32_t virq;
    bool pending, masked;
};
/* The channel with the lowest port >= from that is not free: 0, -ESRCH, -ENOENT (no more). */
int hv_port_next(const struct hv *hv, domid_t dom, uint32_t from, struct hv_port_info *out);

/*
 * Checks every invariant of the machine: pins against maptrack against entry flags against frame references
 * against p2m, in both directions; status frames; event-channel pairs; nothing owned by nobody. Writes a line
 * per violation to out (NULL: only counts). Returns the number of violations.
 */
unsigned hv_audit(const struct hv *hv, FILE *out);
/* The same without what a guest can make untrue by writing into its own shared frames (GTF_reading and GTF_writing
 * of its entries): whatever guests do, this one finds nothing. */
unsigned hv_audit_hostile(const struct hv *hv, FILE *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
