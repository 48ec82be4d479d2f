/* SPDX-License-Identifier: MIT */
/* A domain's grant table: shared entries, their active state, and the domain's own mappings. */
#ifndef GNTSIM_HV_GNTTAB_I_H
#define GNTSIM_HV_GNTTAB_I_H

#include <assert.h>
#include <gntsim/hv.h>

#include "ops_i.h"

#define INITIAL_NR_GRANT_FRAMES 1u
#define V1_PER_FRAME (HV_PAGE_SIZE / sizeof(grant_entry_v1_t))
#define V2_PER_FRAME (HV_PAGE_SIZE / sizeof(grant_entry_v2_t))
#define STATUS_PER_FRAME (HV_PAGE_SIZE / sizeof(grant_status_t))
#define MAPTRACK_PER_FRAME 256u
#define NO_HANDLE UINT32_MAX

static_assert(sizeof(grant_entry_v1_t) == 8 && sizeof(grant_entry_v2_t) == 16, "entry layouts");
static_assert(sizeof(struct gnttab_map_grant_ref) == 32, "ABI");
static_assert(sizeof(struct gnttab_unmap_grant_ref) == 24, "ABI");
static_assert(sizeof(struct gnttab_copy) == 40 && sizeof(struct gnttab_setup_table) == 24, "ABI");

struct hv_call;
struct hv_domain;

/* Four counters of 8 bits; 128 is the most that one may reach. */
#define PIN_HOST_WRITE 0x00000001u
#define PIN_HOST_READ  0x00000100u
#define PIN_DEV_WRITE  0x00010000u
#define PIN_DEV_READ   0x01000000u
#define PIN_WRITE_MASK 0x00ff00ffu
/* The bits that say that a counter raised by incr is at its limit. */
#define PIN_OVERFLOW(incr) ((incr) << 7)

/* Xen keeps a range's start in 15 bits, but compares all 16 when a use is to become a write. */
#define ACTIVE_START_MASK 0x7fffu

/* The hypervisor's own copy of an entry in use. Valid while pin is not 0. */
struct active_entry {
    uint32_t pin;
    uint32_t mfn;
    uint32_t trans_ref;       /* of the frame: this entry, or a transitive grant's inner one */
    domid_t trans_domid;
    domid_t domid;            /* who uses it */
    uint16_t start, length;   /* the range granted */
    bool is_sub_page;         /* only for copies */
};

struct grant_frame {
    void *shared;
    uint32_t mfn;
    struct active_entry *active;   /* V1_PER_FRAME of them, whatever the version */
};
struct status_frame {
    grant_status_t *status;
    uint32_t mfn;
};

struct grant_table {
    unsigned version, max_version;
    unsigned nr_frames, max_frames, nr_status;
    unsigned nr_v2_ops, nr_mapped; /* pins by sub-page and transitive copies; parts of mappings */
    struct grant_frame *frames;
    struct status_frame *status;
    uint32_t moved[GNTTAB_NR_RESERVED_ENTRIES]; /* by swaps: where entry i is, xor i */
};

/* One mapping made by the domain. Free ones form a FIFO through ref. */
struct maptrack_entry {
    uint32_t ref;
    uint16_t flags;                  /* GNTMAP_*; 0: free */
    domid_t domid;
};
struct maptrack {
    struct maptrack_entry **frames;
    unsigned nr_frames, max_frames;
    uint32_t head, tail;
    unsigned in_use;
};

static inline unsigned entries_per_frame(const struct grant_table *gt)
{
    return gt->version == 1 ? V1_PER_FRAME : V2_PER_FRAME;
}
static inline uint64_t nr_grant_entries(const struct grant_table *gt)
{
    return (uint64_t)gt->nr_frames * entries_per_frame(gt);
}
static inline bool grant_ref_okay(const struct grant_table *gt, uint32_t ref)
{
    return (gt->version == 1 ? ref / V1_PER_FRAME : ref / V2_PER_FRAME) < gt->nr_frames;
}
static inline unsigned status_frames_for(unsigned grant_frames)
{
    return (grant_frames + 7) / 8;
}
static inline grant_entry_v1_t *shared_v1(const struct grant_table *gt, uint32_t ref)
{
    return (grant_entry_v1_t *)gt->frames[ref / V1_PER_FRAME].shared + ref % V1_PER_FRAME;
}
static inline grant_entry_v2_t *shared_v2(const struct grant_table *gt, uint32_t ref)
{
    return (grant_entry_v2_t *)gt->frames[ref / V2_PER_FRAME].shared + ref % V2_PER_FRAME;
}
static inline grant_status_t *status_word(const struct grant_table *gt, uint32_t ref)
{
    return gt->status[ref / STATUS_PER_FRAME].status + ref % STATUS_PER_FRAME;
}
/* By frame of V1_PER_FRAME references: an active entry stays put when the version changes. */
static inline struct active_entry *active_entry(const struct grant_table *gt, uint32_t ref)
{
    return &gt->frames[ref / V1_PER_FRAME].active[ref % V1_PER_FRAME];
}
static inline struct maptrack_entry *maptrack_entry(const struct maptrack *mt, uint32_t handle)
{
    return &mt->frames[handle / MAPTRACK_PER_FRAME][handle % MAPTRACK_PER_FRAME];
}
static inline unsigned maptrack_limit(const struct maptrack *mt)
{
    return mt->nr_frames * MAPTRACK_PER_FRAME;
}
/* A handle that was taken goes to the end of the free ones. */
static inline void maptrack_give(struct maptrack *mt, uint32_t handle)
{
    assert(handle < maptrack_limit(mt) && mt->in_use > 0);
    *maptrack_entry(mt, handle) = (struct maptrack_entry){ .ref = NO_HANDLE };
    maptrack_entry(mt, mt->tail)->ref = handle;
    mt->tail = handle;
    mt->in_use--;
}

/* gnttab.c: the table itself. */
int gnttab_init(struct hv_domain *d, const struct hv_domain_config *config);
void gnttab_destroy(struct hv_domain *d);
int gnttab_grow(struct hv_domain *d, unsigned nr_frames);
/* Frame idx of the table, which grows. 0, -EINVAL. idx has XENMAPIDX_grant_table_status, too. */
int gnttab_get_shared_frame(struct hv_domain *d, uint64_t idx, uint64_t *mfn);
int gnttab_get_status_frame(struct hv_domain *d, uint64_t idx, uint64_t *mfn);
int gnttab_get_frame(struct hv_domain *d, uint64_t idx, uint64_t *mfn);
/* gnttab_version.c: status frames for nr_frames grant frames. -ENOMEM changes nothing. */
int gnttab_add_status_frames(struct hv_domain *d, unsigned nr_frames);
void gnttab_drop_status_frames(struct hv_domain *d, unsigned down_to);

/* maptrack.c */
int maptrack_init(struct hv_domain *d, const struct hv_domain_config *config);
void maptrack_destroy(struct hv_domain *d);
uint32_t maptrack_add_frame(struct hv_domain *d);           /* maptrack_take's last resort */

/* gnttab_entry.c: the protocol with the entry's owner; gnttab_entry_i.h has the rest. */
/* What of a shared entry names its frame, read once. */
struct grant_frame_ref {
    uint64_t frame;
    uint16_t start, length;
    bool is_sub_page;
};
uint16_t gnttab_header_flags(const struct grant_table *gt, uint32_t ref);
/* accept_transfer -> committed: 0 or -EINVAL. */
int gnttab_prepare_transfer(struct hv_domain *rd, uint32_t ref, domid_t from);
uint64_t gnttab_transfer_frame(const struct grant_table *gt, uint32_t ref);
/* Writes the frame (unless HV_INVALID_MFN) and marks the transfer completed. */
void gnttab_complete_transfer(const struct grant_table *gt, uint32_t ref, uint64_t frame);

/* gnttab_map.c: everything that a dying domain maps is released. */
void gnttab_release_mappings(struct hv_domain *d);

/* Handlers of the operations: array address, count; result as the guest sees it. */
typedef long gnttab_handler(const struct hv_call *call, uint64_t uop, unsigned count);
#define ROW(op, ...) gnttab_handler gnttab_##op;
HV_GNTTAB_OPS(ROW)
#undef ROW

#endif
