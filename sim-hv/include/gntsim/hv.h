/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor model: a machine, its frames, its domains and their hypercalls.
 *
 * The model has no clock, thread, randomness or I/O of its own: the sequence of calls is its only
 * input. It is not thread-safe: its embedder makes one call at a time per machine. Guests may write
 * their grant entries and shared pages at any instant, from any thread or process, as on a real
 * machine. The model follows the hypervisor's own protocol against that.
 *
 * Behaviour follows Xen's public headers (xen/grant_table.h, xen/event_channel.h, xen/memory.h) and
 * the hypervisor release that the machine's profile names. docs/modelled.md has it row by row.
 *
 * Words used here: a frame is HV_PAGE_SIZE bytes of the machine's memory, and an mfn is its number.
 * A gfn is the number of a page in one domain. A ref is the index of a grant entry. Functions
 * return 0, or a number >= 0 where the comment says so, or a negative errno. Guests see GNTST_*
 * statuses.
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

/* ---- The machine ----------------------------------------------------------------------------- */

/* What differs between hypervisor releases, as data. */
struct hv_profile {
    const char *name;                  /* xen-MAJOR.MINOR */
    const char *extraversion;          /* what xen_version tells after these two */
    bool copy_len0_is_okay;            /* GNTTABOP_copy with len 0 looks at nothing else */
    bool cache_flush_on_x86;           /* GNTTABOP_cache_flush exists */
    bool global_virq_needs_handler;    /* bind_virq of a global virq by a stranger: -EBUSY */
    uint32_t max_grant_frames;         /* default limit of a domain, in frames */
    uint32_t max_maptrack_frames;      /* default limit of a domain, in frames of 256 handles */
    bool limits_are_upper_bounds;      /* creation with a larger limit: -EINVAL */
};
extern const struct hv_profile hv_profile_xen_4_17;    /* the default, confirmed on a real Xen */
extern const struct hv_profile hv_profile_xen_4_20;    /* its grants, confirmed on a real Xen */
extern const struct hv_profile hv_profile_xen_4_23;
extern const struct hv_profile *const hv_profiles[];   /* all, the default first; ends with NULL */

/* The profile of that name; NULL if there is none. */
const struct hv_profile *hv_profile_find(const char *name);

/*
 * A point that a hypercall passes: the call itself, before the model looks at anything of it, or
 * one element of its array. An operation that takes a single structure with a status has that
 * structure as its only element. Event channel, memory and version operations have no elements.
 */
struct hv_point {
    domid_t caller;
    bool element;
    unsigned op, cmd;                  /* __HYPERVISOR_* and its command (GNTTABOP_*, EVTCHNOP_*,
                                        * XENMEM_*) */
    uint32_t index, count;             /* of the element; for the call itself 0, and the count as
                                        * given */
    const void *arg;                   /* the element as read, in trace as answered, in the layout
                                        * of the public headers; a finished event channel
                                        * operation's argument; else NULL. The model's memory, valid
                                        * during the hook */
    size_t size;                       /* of arg, in bytes */
    /* What the element says, if the operation has such a thing: */
    domid_t peer;                      /* DOMID_INVALID: none */
    uint32_t ref;                      /* UINT32_MAX: none */
    bool writable;
    uint64_t tag;                      /* the hooks' own: trace finds it next */
};

/* What inject may answer. */
enum hv_verdict {
    HV_GO_ON,
    HV_STATUS,                         /* element: not executed, its status is *value (GNTST_*) */
    HV_ERRNO,                          /* the call ends here with *value (negative); elements before
                                        * this one stay done */
    HV_PAGE_OUT,                       /* element: the page that it names in the other domain is
                                        * paged out first, if it can be */
    HV_DESTROY,                        /* domain *value is destroyed first. If it is the caller, the
                                        * call ends with -ESRCH, and crashed reports it */
};

/* Calls out of the model. Every pointer may be NULL. They must not call back into the model. */
struct hv_hooks {
    /* A vCPU of dom must look at its event channels: evtchn_upcall_pending was raised. */
    void (*upcall)(void *ctx, domid_t dom);
    /*
     * dom sent an event to a port to which nobody is bound. Whoever serves the other end without a
     * domain of its own is told so, and answers with hv_port_raise.
     */
    void (*unheard)(void *ctx, domid_t dom, uint32_t port);
    /* An event came to a port of dom that its kernel has masked: it waits to be unmasked. */
    void (*masked)(void *ctx, domid_t dom, uint32_t port);
    /*
     * dom made a hypercall that the model has not, and gets -ENOSYS. cmd: its command, also of
     * those that have it in their argument. what: a static string, the only thing that a command
     * asked for in vain, which gets -EOPNOTSUPP; NULL: all of the command.
     */
    void (*unmodelled)(void *ctx, domid_t dom, unsigned op, uint32_t cmd, const char *what);
    /* The hypervisor crashed dom because of what it did. why: a static string. */
    void (*crashed)(void *ctx, domid_t dom, const char *why);
    /* A hypercall of another domain destroyed dom. */
    void (*destroyed)(void *ctx, domid_t dom);
    /* nr frames from mfn on became free. Nobody reads their contents again: punch a hole. */
    void (*frames_freed)(void *ctx, uint64_t mfn, uint64_t nr);
    /*
     * The model will use frames below nr_frames, more than ever before, and memory that is a sparse
     * file needs room for them now. Returns 0, or anything else for "no room": then the caller that
     * wanted a frame gets -ENOMEM.
     */
    int (*memory_grows)(void *ctx, uint64_t nr_frames);
    /* An access of dom or of another domain met a gfn that hv_page_out paged out, and there is no
     * ring of a pager: bring it back by hv_page_in. */
    void (*populate)(void *ctx, domid_t dom, uint64_t gfn);
    /*
     * Processes that see pages of dom (hv_frame_get). follows: the page at gfn, in frame mfn, is to
     * be shared; can the embedder do what shows asks for, with every process that sees it as dom's
     * own? NULL or false: the page is not shared, and the caller gets -E2BIG.
     */
    bool (*follows)(void *ctx, domid_t dom, uint64_t gfn, uint64_t mfn);
    /*
     * From now on these processes see frame to at gfn, not frame from; they may be the same.
     * Without writable their writes must wait until hv_page_write has returned 0. If it returns
     * -ENOENT, nothing is at gfn (hv_frame_lost): what they write is lost, and they read ones.
     */
    void (*shows)(void *ctx, domid_t dom, uint64_t gfn, uint64_t from, uint64_t to, bool writable);
    /* dom, which is auto-translated, mapped its own page, and so took it away from gfn. */
    void (*took_own)(void *ctx, domid_t dom, uint64_t gfn);
    /* A helper answered: what hv_page_write refused with -ENOMEM or -EAGAIN is worth a try. */
    void (*goes_on)(void *ctx, domid_t dom);
    /* Faults: asked at every point. *value: see enum hv_verdict. */
    enum hv_verdict (*inject)(void *ctx, struct hv_point *point, long *value);
    /*
     * Trace: told after every point, except for hypercalls that only carried out elements and ended
     * well. result: an element's GNTST_* status, or what the hypercall returns.
     */
    void (*trace)(void *ctx, const struct hv_point *point, long result);
};

struct hv_config {
    void *memory;                      /* nr_frames * HV_PAGE_SIZE zeroed bytes, page aligned,
                                        * MAP_SHARED where guests are processes; stays the
                                        * caller's */
    uint64_t nr_frames;                /* 16 .. 2^32-1; frame 0 is never handed out */
    const struct hv_profile *profile;  /* NULL: hv_profile_xen_4_17 */
    struct hv_hooks hooks;
    void *hook_ctx;                    /* the hooks' first argument */
};

/*
 * Creates a machine without domains. The caller owns *out, frees it with hv_destroy, and keeps the
 * memory until then. -EINVAL (no or unaligned memory, nr_frames out of range), -ENOMEM.
 */
int hv_create(struct hv **out, const struct hv_config *config);
/* Ends all domains and frees the model, but not the memory. Calls no hook. NULL is fine. */
void hv_destroy(struct hv *hv);
/* The profile that hv was created with. */
const struct hv_profile *hv_profile(const struct hv *hv);
/*
 * Replace the hooks inject and trace, between two calls. NULL switches one off; then it costs one
 * predicted branch.
 */
void hv_set_inject(struct hv *hv,
                   enum hv_verdict (*inject)(void *ctx, struct hv_point *point, long *value));
void hv_set_trace(struct hv *hv,
                  void (*trace)(void *ctx, const struct hv_point *point, long result));

/* The address of frame mfn in hv_config.memory; NULL if the number is out of range. */
void *hv_frame(const struct hv *hv, uint64_t mfn);

/* ---- Domains --------------------------------------------------------------------------------- */

/*
 * A PV domain's address space, which the kernel model or a test owns: where its host mappings go.
 *
 * host_addr is what the guest put into GNTTABOP_map_grant_ref; with GNTMAP_contains_pte it is the
 * address of a page-table entry. Each function returns 0, or any negative value for "refused",
 * which the guest sees as GNTST_general_error. Without these functions (NULL) the model keeps a
 * table host_addr -> frame of its own, where each page-aligned address works once.
 *
 * They must not call back into the model. When the domain dies the model unmaps nothing: the
 * address space goes as a whole.
 */
struct hv_pv_ops {
    int (*map)(void *ctx, uint64_t host_addr, uint32_t gntmap_flags, uint64_t mfn);
    /*
     * new_addr is not 0 for GNTTABOP_unmap_and_replace: the mapping at new_addr moves to host_addr.
     */
    int (*unmap)(void *ctx, uint64_t host_addr, uint32_t gntmap_flags, uint64_t mfn,
                 uint64_t new_addr);
};

struct hv_domain_config {
    bool auto_translated;          /* PVH or HVM; false: PV */
    bool privileged;               /* a control domain, which may name other domains */
    bool is_hvm;                   /* auto-translated, and said to have emulated devices */
    bool keeps_frames;             /* its kernel knows its pages by their frames: what a pager
                                    * evicts stays in its frame, which nobody else gets */
    uint64_t nr_pages;             /* memory at start: gfns 0 .. nr_pages-1 */
    uint64_t max_pages;            /* that it can have at once; 0: nr_pages + 1024 */
    int32_t max_grant_frames;      /* -1: the profile's default */
    int32_t max_maptrack_frames;   /* in frames of 256 handles; -1: the profile's default */
    uint32_t max_grant_version;    /* 1 or 2; 0: 2 */
    uint32_t max_evtchn_port;      /* highest permitted port; 0: the ABI's limit */
    const struct hv_pv_ops *pv_ops;    /* NULL: the model's own table. Both must outlive the
                                        * domain */
    void *pv_ctx;
};
/* Sets the defaults: PV, unprivileged, no pages, the profile's limits. */
void hv_domain_config_init(struct hv_domain_config *config);

/*
 * Creates domain id, 0 .. DOMID_FIRST_RESERVED-1. -EEXIST (the id is taken, perhaps by a dead
 * domain whose frames others still map), -EINVAL (id; limits, as Xen's grant_table_init checks
 * them; more pages than max_pages or the machine has), -ENOMEM. On an error nothing is left.
 */
int hv_domain_create(struct hv *hv, domid_t id, const struct hv_domain_config *config);
/*
 * Kills a domain as Xen's domain_kill does: releases its mappings, closes its ports, then gives up
 * its memory. Frames that others still map keep it as a dead domain until their last unmap. 0 (also
 * if it is dead already), -ESRCH.
 */
int hv_domain_destroy(struct hv *hv, domid_t id);
/*
 * A kernel begins in a domain that XEN_DOMCTL_createdomain made; pv_ops and pv_ctx are those of
 * struct hv_domain_config. -ESRCH (no such domain, or it is dying), -EEXIST (it has a kernel),
 * -EAGAIN (it is paused, or has no vCPU yet). hv_domain_halt: that kernel could not begin.
 */
int hv_domain_boot(struct hv *hv, domid_t id, const struct hv_pv_ops *pv_ops, void *pv_ctx);
void hv_domain_halt(struct hv *hv, domid_t id);
/*
 * An HVM parameter of an auto-translated domain, as a toolstack reads and sets it; 0: it is not
 * set. -ESRCH, -EINVAL (a PV domain, or index is none).
 */
int hv_domain_param(const struct hv *hv, domid_t id, unsigned index, uint64_t *value);
int hv_domain_set_param(struct hv *hv, domid_t id, unsigned index, uint64_t value);
/*
 * Changes the limits of a living domain, in frames; -1 leaves one as it is. -EBUSY (fewer grant
 * frames than the table has, or fewer maptrack frames than there are handles for), -EINVAL (0 grant
 * frames, below -1, or more than the profile allows), -ESRCH (no such domain, or it is dying).
 */
int hv_domain_set_limits(struct hv *hv, domid_t id, int32_t max_grant_frames,
                         int32_t max_maptrack_frames);
/* 0: alive. 1: dying, or dead and still holding frames. -ESRCH. */
int hv_domain_state(const struct hv *hv, domid_t id);
/*
 * Soft reset (Xen's domain_soft_reset): the domain starts over with its memory. Closes all its
 * event channels. Its grant table, the mappings of its grants and its own mappings stay. -ESRCH,
 * -EINVAL (dying).
 */
int hv_domain_soft_reset(struct hv *hv, domid_t id);
/*
 * Suspends a domain and resumes it under another id, as a save and restore does.
 *
 * Creates domain to with from's configuration, moves from's memory to the same gfns, and destroys
 * from. So to has a new grant table of version 1, no handles and no event channels. Frames that
 * others still map stay with from, which they keep as a dead domain; to gets a copy of such a page
 * in a frame of its own. All other frames move, so processes of the domain (hv_frame_get) still see
 * its memory. pv_ops and pv_ctx are from's. For a kernel of the kernel model, call kernel_migrated
 * then (gntsim/kernel.h).
 *
 * -ESRCH, -EINVAL (from is dying), -EBUSY (a page is with a pager, or shared), and the errors of
 * hv_domain_create; then from goes on unchanged.
 */
int hv_domain_migrate(struct hv *hv, domid_t from, domid_t to);
/*
 * The lowest existing id >= from, dead domains included; -1: none. Walks domains in ascending
 * order.
 */
int hv_domain_next(const struct hv *hv, int from);

/* ---- A domain's memory ----------------------------------------------------------------------- */

/*
 * Gives the domain a zeroed page at the lowest free gfn (XENMEM_populate_physmap). Returns the gfn,
 * and the frame's number in *mfn, which may be NULL. -ENOMEM (the machine, or max_pages), -ESRCH,
 * -EINVAL (dying).
 */
int64_t hv_page_alloc(struct hv *hv, domid_t dom, uint64_t *mfn);
/*
 * The same for nr pages with consecutive gfns and frames. Returns the first gfn. Errors as above;
 * -EINVAL also for nr 0.
 */
int64_t hv_page_alloc_run(struct hv *hv, domid_t dom, uint64_t nr, uint64_t *first_mfn);
/*
 * Takes the page at gfn from the domain (XENMEM_decrease_reservation). A frame that others map
 * lives on until their unmap. If a transfer took a gfn's page, no allocation uses that gfn before
 * this call. -ESRCH, -EINVAL (nothing there), -ENXIO (a grant mapping).
 */
int hv_page_free(struct hv *hv, domid_t dom, uint64_t gfn);
/*
 * What xen_version answers domain dom: for files that its kernel shows, so it is no hypercall that
 * hooks see. arg is in this process's memory. A result, or -ESRCH and the hypercall's errors.
 */
long hv_version(struct hv *hv, domid_t dom, unsigned cmd, void *arg);
/* *mfn: the frame behind gfn. 0, -ESRCH, -ENOENT (a hole), -EAGAIN (paged out). */
int hv_gfn_to_mfn(const struct hv *hv, domid_t dom, uint64_t gfn, uint64_t *mfn);
/*
 * *frame: the number that dom writes into a grant entry for its page at gfn. That is the gfn itself
 * if dom is auto-translated, and the mfn if it is PV, even while the page is out. 0, -ESRCH,
 * -ENOENT (a hole).
 */
int hv_grant_frame_number(const struct hv *hv, domid_t dom, uint64_t gfn, uint64_t *frame);

/*
 * Page a page out and in, as a control verb. While it is out, other domains' operations on it
 * answer GNTST_eagain. The model counts the page as gone (paged_pages, tot_pages) but keeps frame
 * and contents. So a process of the domain itself, whose accesses a real pager would serve on the
 * fly, goes on unharmed. Real Xen pages auto-translated guests only. The model also pages PV
 * domains, so that tests can use the default kernel profile.
 *
 * hv_page_out: -EBUSY (a grant or foreign mapping refers to it, it is not plain RAM, or it is out
 * already), -ESRCH, -ENOENT (a hole). hv_page_in: -ENOENT (it is not out), -ESRCH.
 */
int hv_page_out(struct hv *hv, domid_t dom, uint64_t gfn);
int hv_page_in(struct hv *hv, domid_t dom, uint64_t gfn);

/*
 * Hold a frame that is not free, so that it is not reused although no mapping is left. A server of
 * mappings holds one while a process may still see the frame. The put of the last hold frees an
 * otherwise unused frame. These holds do not hinder paging and transfers, since no guest knows of
 * them.
 */
void hv_frame_get(struct hv *hv, uint64_t mfn);
void hv_frame_put(struct hv *hv, uint64_t mfn);

/*
 * Whether the frame is a page that its own auto-translated domain mapped as a grant and unmapped
 * again. *gfn: where it was, and where nothing is now. On a real machine reads of nothing give
 * ones, and so the frame is full of ones.
 */
bool hv_frame_lost(const struct hv *hv, uint64_t mfn, uint64_t *gfn);

/*
 * A process of dom writes to its page at gfn, of which hooks.shows said that writes must wait. 0:
 * it may, when what hooks.shows said meanwhile is done. -ENOMEM: there is no memory for a copy, and
 * a helper was asked for some; -EAGAIN: its ring is full. Both until hooks.goes_on. -ESRCH: dom is
 * dying or unknown; also if it was crashed, because nobody can be asked for memory. -ENOENT:
 * nothing is there.
 */
int hv_page_write(struct hv *hv, domid_t dom, uint64_t gfn);
/*
 * The same of a program, which waits for a page that is out as well: -ENOMEM, the pager was asked;
 * -EAGAIN, its ring is full. The kernel itself (hv_page_write) does not wait: it works in the frame
 * that such a page keeps.
 */
int hv_page_touch(struct hv *hv, domid_t dom, uint64_t gfn);

/*
 * Maps a frame of dom without a grant, as a control domain does in its address space. The mapping
 * holds a reference until hv_foreign_unmap or the caller's end.
 *
 * frame is dom's own name for it: a gfn if dom is auto-translated, else an mfn. With HV_FOREIGN_MFN
 * it is always an mfn, and may be one of the hypervisor's frames for dom, which
 * XENMEM_acquire_resource names. Returns a handle for hv_foreign_unmap, and the frame in *mfn.
 * -ESRCH (caller or dom), -EPERM (neither its own frame nor a privileged caller), -ENOENT (paged
 * out; the pager was asked), -EINVAL (no such frame of dom), -ENOMEM. Unmapping an unknown handle
 * does nothing.
 */
#define HV_FOREIGN_WRITE 1u
#define HV_FOREIGN_MFN   2u
int64_t hv_foreign_map(struct hv *hv, domid_t caller, domid_t dom, uint64_t frame, unsigned flags,
                       uint64_t *mfn);
void hv_foreign_unmap(struct hv *hv, domid_t caller, uint32_t handle);

/* ---- Hypercalls ------------------------------------------------------------------------------ */

/*
 * How the hypervisor reaches the caller's memory. Both functions copy size bytes and return 0, or
 * copy nothing and return -EFAULT. They must not call back into the model. Addresses are the
 * guest's. The model itself refuses a PV caller's array that starts where no guest memory can be
 * (2^47 up to the end of Xen's own part) with -EFAULT.
 */
struct hv_guest_memory {
    int (*copy_from)(void *ctx, void *to, uint64_t from, size_t size);
    int (*copy_to)(void *ctx, uint64_t to, const void *from, size_t size);
    void *ctx;
};
/* Guest addresses are pointers of this process: for embedding and for the kernel model. */
extern const struct hv_guest_memory hv_plain_memory;

/*
 * Makes one hypercall of domain caller. op is __HYPERVISOR_grant_table_op,
 * __HYPERVISOR_event_channel_op, __HYPERVISOR_memory_op, __HYPERVISOR_hvm_op,
 * __HYPERVISOR_domctl or __HYPERVISOR_sysctl (xen/xen.h), with the operations that gntsim/ops.h
 * has. args are the registers.
 *
 * Returns what the guest sees in its return register: >= 0 or a negative Xen errno. -ENOSYS:
 * another op. -ESRCH: the caller does not exist, is dead or crashed. Each element's GNTST_* status
 * is in the caller's memory.
 */
long hv_hypercall(struct hv *hv, domid_t caller, unsigned op, const uint64_t args[5],
                  const struct hv_guest_memory *mem);

/* The same with pointers of this process: count elements of cmd's structure, or one argument. */
long hv_grant_table_op(struct hv *hv, domid_t caller, unsigned cmd, void *array, unsigned count);
long hv_event_channel_op(struct hv *hv, domid_t caller, unsigned cmd, void *arg);

/* ---- What a guest sees without a hypercall --------------------------------------------------- */

/*
 * The guest's grant frame i or status frame i in memory; NULL beyond the present size, or if dom is
 * unknown. A grant frame stays until the domain is gone. Status frames also go when the table
 * changes to version 1.
 */
void *hv_grant_frame(const struct hv *hv, domid_t dom, unsigned i);
void *hv_status_frame(const struct hv *hv, domid_t dom, unsigned i);
/* The mfn of the same frame; HV_INVALID_MFN where these are NULL. */
uint64_t hv_grant_frame_mfn(const struct hv *hv, domid_t dom, unsigned i);
uint64_t hv_status_frame_mfn(const struct hv *hv, domid_t dom, unsigned i);
/* The present number of grant frames; 0 for an unknown domain. */
unsigned hv_nr_grant_frames(const struct hv *hv, domid_t dom);
/*
 * The shared info page with the 2-level event bits (struct shared_info, 64-bit layout): its address
 * or NULL, and its mfn or HV_INVALID_MFN, if the domain is unknown.
 */
void *hv_shared_info(const struct hv *hv, domid_t dom);
uint64_t hv_shared_info_mfn(const struct hv *hv, domid_t dom);

/* ---- Looking inside -------------------------------------------------------------------------- */

struct hv_domain_info {
    domid_t id;
    bool auto_translated, privileged, dying, crashed;
    unsigned grant_version, nr_grant_frames, max_grant_frames, nr_status_frames;   /* in frames */
    unsigned maptrack_limit, max_maptrack_frames, maptrack_in_use;   /* handles, frames, handles */
    uint64_t tot_pages, max_pages;                                   /* in pages */
    int64_t paged_pages;             /* as Xen counts them, which can come below 0 */
    uint64_t shared_pages;
    uint64_t max_gfn;                /* the highest that was ever used */
    unsigned nr_ports;               /* event channels that are not free */
    bool is_bare;                    /* made by XEN_DOMCTL_createdomain, and no kernel runs in it */
};
/* Fills *out. 0, -ESRCH. */
int hv_domain_info(const struct hv *hv, domid_t dom, struct hv_domain_info *out);

struct hv_entry_info {
    uint32_t ref;
    uint16_t flags, domid;           /* the shared entry as the guest sees it; v2: flags | status */
    uint64_t frame;
    unsigned pin_host_write, pin_host_read, pin_dev_write, pin_dev_read;
    uint16_t pinned_by;              /* the mapper; valid while a pin is not 0 */
    uint64_t mfn;                    /* the mapped frame; valid while a pin is not 0 */
};
/* Fills *out from entry ref. 0, -ESRCH, -EINVAL (ref is out of range). */
int hv_entry_info(const struct hv *hv, domid_t dom, uint32_t ref, struct hv_entry_info *out);

struct hv_mapping_info {
    uint32_t handle;
    domid_t granter;
    uint32_t ref;
    uint16_t gntmap_flags;
};
/*
 * Fills *out from dom's own mapping with the lowest handle >= from. 0, -ESRCH, -ENOENT (no more).
 */
int hv_mapping_next(const struct hv *hv, domid_t dom, uint32_t from, struct hv_mapping_info *out);

struct hv_frame_info {
    uint64_t mfn, gfn;               /* gfn in the owner, UINT64_MAX if none */
    int owner;                       /* a domid; -1: free; -2: the hypervisor's own */
    uint32_t refs, writable_types;   /* guests' references, the owner's own one included */
    uint32_t held;                   /* holds by hv_frame_get */
    bool allocated;                  /* the owner's own reference is still there */
};
/* Fills *out. 0, -EINVAL (mfn is out of range). */
int hv_frame_info(const struct hv *hv, uint64_t mfn, struct hv_frame_info *out);
/* The frames of the machine, and the free ones among them. */
uint64_t hv_nr_frames(const struct hv *hv);
uint64_t hv_nr_free_frames(const struct hv *hv);
/* The hypercalls made so far, refused ones included. */
uint64_t hv_nr_hypercalls(const struct hv *hv);

struct hv_port_info {
    uint32_t port;
    unsigned status;                 /* EVTCHNSTAT_* */
    domid_t remote_dom;
    uint32_t remote_port;
    uint32_t virq;
    bool pending, masked;
};
/*
 * Fills *out from the channel with the lowest port >= from that is not free. 0, -ESRCH, -ENOENT (no
 * more).
 */
int hv_port_next(const struct hv *hv, domid_t dom, uint32_t from, struct hv_port_info *out);

/*
 * Gives dom an unbound port for domain remote, as a toolstack does before dom runs: no hook is
 * asked. 0, -ESRCH, -EINVAL (dying), -ENOSPC, -ENOMEM.
 */
int hv_port_alloc(struct hv *hv, domid_t dom, domid_t remote, uint32_t *port);
/*
 * Raises an event on a port of dom to which nobody is bound, as the domain that may bind to it
 * would. 0, -ESRCH, -EINVAL (no such port, or it is bound).
 */
int hv_port_raise(struct hv *hv, domid_t dom, uint32_t port);

/*
 * Checks every invariant of the machine: pins against maptrack, entry flags, frame references and
 * p2m, in both directions; status frames; pairs of event channels; nothing owned by nobody. Writes
 * a line per violation to out, or only counts (NULL). Returns the number of violations.
 */
unsigned hv_audit(const struct hv *hv, FILE *out);
/*
 * The same without what a guest can make untrue by writing into its own shared frames (GTF_reading
 * and GTF_writing of its entries): it finds nothing, whatever guests do.
 */
unsigned hv_audit_hostile(const struct hv *hv, FILE *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
