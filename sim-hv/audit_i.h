/* SPDX-License-Identifier: MIT */
/*
 * What the checkers of the audit share. Each one recomputes a property from the raw structures and
 * compares it. It counts in arrays of its own, never in the model.
 */
#ifndef GNTSIM_HV_AUDIT_I_H
#define GNTSIM_HV_AUDIT_I_H

#include "hv_i.h"

/* Pins of one entry as the handles say it, and one of the handles to name. */
struct recount {
    uint16_t host_write, host_read, dev_write, dev_read;
    domid_t grantee;
    uint32_t handle;
};

struct hv_audit {
    const struct hv *hv;
    FILE *out;
    /* also check what a guest can make untrue by writing its own frames */
    bool trust_guests;
    unsigned violations;
    /* a structure cannot be walked, or there is no memory: the rest would be noise */
    bool broken;
    uint32_t *refs, *types;     /* per frame below pool.top: references that must be there */
    /* per frame: host mappings by handles, less those found; for one domain at a time */
    int32_t *placed;
    uint8_t *seen;              /* per frame: found through its owner */
    uint64_t nr_shared;         /* frames that are shared, and the gfns that show them */
    uint64_t shared_gfns, lost_gfns;
    uint64_t shown_less_listed; /* over the gfns that show a frame, less its users */
    struct recount **pins;      /* [domid]: per entry, NULL while no handle names that domain */
    unsigned nr_pins;           /* one more than the highest domid there is */
};

void audit_report(struct hv_audit *a, const char *format, ...) __attribute__((format(printf, 2,
                  3)));

static inline bool audit_mfn_okay(const struct hv_audit *a, uint64_t mfn)
{
    return mfn > 0 && mfn < a->hv->pool.top;
}

/* audit_frames.c */
void audit_ownership(struct hv_audit *a, const struct hv_domain *d);
void audit_p2m(struct hv_audit *a, const struct hv_domain *d);
void audit_foreign(struct hv_audit *a, const struct hv_domain *d);
void audit_rings(struct hv_audit *a, const struct hv_domain *d);
void audit_frames(struct hv_audit *a);
static inline bool audit_is_without_frame(const struct p2m_entry *e)
{
    return e->mfn == HV_INVALID_MFN && (e->type == P2M_RAM_PAGED || e->type == P2M_RAM_PAGING_IN);
}
/* audit_sharing.c */
void audit_shared_gfn(struct hv_audit *a, const struct hv_domain *d, uint64_t gfn, uint64_t mfn);
void audit_shared_frame(struct hv_audit *a, uint64_t mfn, const struct frame *f);
void audit_sharing(struct hv_audit *a);
/* audit_grants.c */
void audit_maptrack(struct hv_audit *a, const struct hv_domain *d);
void audit_placements(struct hv_audit *a, const struct hv_domain *d);
void audit_table(struct hv_audit *a, const struct hv_domain *d);
/* audit_evtchn.c */
void audit_evtchns(struct hv_audit *a, const struct hv_domain *d);

#endif
