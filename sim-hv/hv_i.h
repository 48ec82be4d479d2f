/* SPDX-License-Identifier: MIT */
/* The model's central structures: the machine, a domain, and a hypercall in progress. */
#ifndef GNTSIM_HV_I_H
#define GNTSIM_HV_I_H

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <gntsim/hv.h>

#include "elements_i.h"
#include "evtchn_i.h"
#include "frames_i.h"
#include "gnttab_i.h"
#include "guest_i.h"
#include "hostmap_i.h"
#include "p2m_i.h"
#include "vm_event_i.h"

#define DOMID_DIR_BITS 8
#define DOMID_DIR_SIZE (1u << DOMID_DIR_BITS)
#define ELEMENT_MAX 5u        /* 64-bit words of the largest element, the copy's */
#define MAX_FRAMES UINT64_C(0xffffffff)      /* frame numbers are kept in 32 bits */

enum domain_life { DOMAIN_ALIVE, DOMAIN_DYING, DOMAIN_DEAD };

struct hv_domain {
    struct hv *hv;
    const struct guest_ops *guest;
    domid_t id;
    uint8_t life;                   /* enum domain_life */
    bool privileged;
    bool crashed, wants_slot;  /* it found a ring of events full */
    bool reap_queued;
    struct maptrack maptrack;
    struct hostmap hostmap;
    struct grant_table gt;
    const struct hv_pv_ops *pv_ops;
    void *pv_ctx;

    struct p2m p2m;
    uint32_t pages;                 /* list of owned ordinary frames */
    uint64_t nr_owned;              /* length of that list; tot_pages is this less the kept ones */
    uint64_t kept_pages;            /* paged out, but with their frames: FRAME_PAGED */
    int64_t paged_pages;            /* as Xen counts them: below 0 in the end, if it forgot some */
    uint64_t max_pages;
    uint64_t shared_pages; /* gfns that are P2M_RAM_SHARED */

    bool is_bare;                 /* a toolstack made it, and it does not run */
    struct hv_domain *parent;     /* it is a fork of that one, which stays until it ends */
    bool sharing, lost_shared;    /* it is on; a shared gfn was taken away without a word */
    bool guest_requests, access_required; /* a monitor wants them; it must be there */
    uint32_t nr_vcpus, max_vcpus; /* that there are, that may be */
    struct xen_arch_domainconfig arch;
    uint32_t pauses, nr_forks;    /* by control domains; of it, by XENMEM_sharing_op_fork */
    uint32_t event_pauses;        /* vCPU 0's, for which an event must be answered */
    xen_domain_handle_t handle;
    uint64_t params[HVM_NR_PARAMS];
    struct vm_event events[NR_VM_EVENTS];
    uint64_t shared_info_mfn;
    struct shared_info *shared_info;
    struct evtchns evtchns;
    struct foreign_maps {
        struct foreign_map *maps;   /* by handle */
        uint32_t capacity, in_use, free;
    } foreign;
    struct hv_domain *next_reap;
    struct hv_domain_config config;
};

struct hv {
    uint8_t *memory;
    uint64_t nr_frames;
    const struct hv_profile *profile;
    struct hv_hooks hooks;
    void *hook_ctx;
    uint64_t nr_hypercalls;
    struct hv_point point;                      /* the present element, for them */
    uint64_t seen[ELEMENT_MAX];                           /* what it is */
    struct frame *frames;
    struct frame_pool pool;
    uint64_t freed_first, freed_nr;             /* run not yet reported to hooks.frames_freed */
    struct hv_domain **domains[DOMID_FIRST_RESERVED / DOMID_DIR_SIZE + 1];
    struct hv_domain *reap;                     /* dead, and lost a frame: maybe their last */
    domid_t last_created;                       /* by XEN_DOMCTL_createdomain */
    uint64_t last_handle;                       /* of a shared page */
    uint64_t nr_shared, nr_saved;               /* shared frames, and the ones that they spare */
    long fail_alloc;                            /* tests: which one fails, or < 0 */
    void (*race)(void *ctx);                    /* tests: in the middle of our write */
    void *race_ctx;
};

static inline bool hv_is_hooked(const struct hv *hv)
{
    return hv->hooks.inject || hv->hooks.trace;
}

/* A hypercall being executed. */
struct hv_call {
    struct hv *hv;
    struct hv_domain *d;                        /* caller */
    const struct hv_guest_memory *mem;
    uint32_t opaque;                            /* the command's upper bits: where it goes on */
    unsigned op, cmd;                           /* for the hooks, as count */
    uint32_t count;
    bool traced;                                /* the operation has told its result itself */
};

static inline struct hv_domain *domain_lookup(const struct hv *hv, domid_t id)
{
    struct hv_domain **dir;

    if (id >= DOMID_FIRST_RESERVED)
        return NULL;
    dir = hv->domains[id >> DOMID_DIR_BITS];
    return dir ? dir[id % DOMID_DIR_SIZE] : NULL;
}
/* DOMID_SELF too. */
static inline struct hv_domain *domain_lookup_any(const struct hv_domain *self, domid_t id)
{
    return id == DOMID_SELF ? (struct hv_domain *)self : domain_lookup(self->hv, id);
}
static inline bool domain_dying(const struct hv_domain *d) { return d->life != DOMAIN_ALIVE; }
static inline uint64_t domain_tot_pages(const struct hv_domain *d)
{
    return d->nr_owned - d->kept_pages;
}
/* May d name target in an operation on target's own tables? */
static inline bool domain_may_control(const struct hv_domain *d, const struct hv_domain *target)
{
    return d == target || d->privileged;
}

/* domain.c */
void domain_crash(struct hv_domain *d, const char *why);
/* Kills a living domain; hv_reap frees what is left of it. */
void domain_kill(struct hv_domain *d);
/* Its two halves: it gives back what it has mapped; then its ports, map and memory. */
void domain_kill_begin(struct hv_domain *d);
void domain_kill_end(struct hv_domain *d);
/* A dead domain lost a reference to one of its frames. */
void domain_queue_reap(struct hv_domain *d);
/* Frees the dead domains of which nothing is left, after whatever may drop a reference. */
void hv_reap(struct hv *hv);

/* machine.c: zeroed memory, NULL when there is none; tests make the n-th call fail. */
void *hv_alloc(struct hv *hv, size_t nr, size_t size);
/* Room for one more element: the array grows by doubling. NULL: no memory, array untouched. */
void *hv_grow(struct hv *hv, void *array, size_t old_nr, size_t new_nr, size_t size);

/* The hypercalls' handlers: memory_op.c, hvm.c, domctl.c, sysctl.c, version.c. */
long memory_hypercall(struct hv_call *call, const uint64_t args[5]);
long hvm_hypercall(struct hv_call *call, const uint64_t args[5]);
long domctl_hypercall(struct hv_call *call, const uint64_t args[5]);
long sysctl_hypercall(struct hv_call *call, const uint64_t args[5]);
long version_hypercall(struct hv_call *call, const uint64_t args[5]);

/* memory.c */
bool domain_may_grow(const struct hv_domain *d, uint64_t nr);
/*
 * Something else will be where d has e, which is no grant: after it p2m_set cannot fail. Ordinary
 * memory stays d's, out of its sight. 0, -ENOMEM, -EINVAL (no such gfn).
 */
int memory_make_room(struct hv_domain *d, uint64_t gfn, struct p2m_entry e);

/* info.c: as a toolstack sees it. */
void domain_describe(const struct hv_domain *d, struct xen_domctl_getdomaininfo *info);

/* foreign.c: its domain dies. */
void foreign_release_all(struct hv_domain *d);
/* The handle >= from of a mapping, -1: no more. */
int foreign_next(const struct hv_domain *d, uint32_t from, uint64_t *mfn, bool *writable);

/* hooks.c: the points of a hypercall. left: elements of the array from the present one on. */
/* 0: go on; 1: *status is decided, skip the element; negative: the hypercall ends with it. */
int hook_inject_element(const struct hv_call *c, uint32_t left, const void *arg, int16_t *status);
/* arg: what the operation answers beside a status, or NULL. */
void hook_trace_element(const struct hv_call *c, const void *arg, int16_t status);
/* Around a whole hypercall of known commands. */
long hook_inject_call(const struct hv_call *c);
void hook_trace_call(const struct hv_call *c, const void *arg, size_t size, long rc);

/* The operation knows its argument. */
static inline void hook_call_done(struct hv_call *c, const void *arg, size_t size, long rc)
{
    if (hv_is_hooked(c->hv)) {
        hook_trace_call(c, arg, size, rc);
        c->traced = true;
    }
}

/* The caller's memory. */
static inline int call_from_guest(const struct hv_call *c, void *to, uint64_t from, size_t size)
{
    return c->mem->copy_from(c->mem->ctx, to, from, size) ? -EFAULT : 0;
}
static inline int call_to_guest(const struct hv_call *c, uint64_t to, const void *from, size_t size)
{
    return c->mem->copy_to(c->mem->ctx, to, from, size) ? -EFAULT : 0;
}
/*
 * Whether an array may begin there (guest_handle_okay): Xen refuses a PV caller's in Xen's own part
 * of the address space. Plain pointers of this process are no guest addresses.
 */
bool call_array_okay(const struct hv_call *c, uint64_t addr);

/* On the structures above. */
#include "frame_refs_i.h"

#endif
