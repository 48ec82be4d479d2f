/* SPDX-License-Identifier: MIT */
/* The table of functions in which PV and auto-translated domains differ. */
#ifndef GNTSIM_HV_GUEST_I_H
#define GNTSIM_HV_GUEST_I_H

#include <gntsim/hv.h>

struct hv_domain;

struct guest_ops {
    /* GNTMAP_* flags that a caller of this kind may not use. */
    uint32_t refused_map_flags;
    /* Whether others' writable host mappings of this granter's frames hold the writable type. */
    bool granter_keeps_type;
    /*
     * The frame that the guest means by a frame number, with a reference taken. own: the caller
     * asks for its own. write: to write to it, so that it must not be shared. GNTST_okay,
     * GNTST_eagain (paged out, now asked for; or shared, and no memory for a copy) or
     * GNTST_bad_page.
     */
    int (*get_frame)(struct hv_domain *d, uint64_t number, bool own, bool write, uint64_t *mfn);
    /* Puts a frame of rd into / takes it out of d's address space. 0 or a negative errno. */
    int (*host_map)(struct hv_domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn);
    int (*host_unmap)(struct hv_domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn,
                      uint64_t new_addr);
    /* The number under which the guest knows a frame of the hypervisor's. */
    uint64_t (*frame_number)(const struct hv_domain *d, uint64_t mfn);
    /* Transfer: takes the frame from d (GNTST_*; on okay it is nobody's, with one reference) ... */
    int (*steal)(struct hv_domain *d, uint64_t number, uint64_t *mfn);
    /* ... and shows it to its new owner at the wanted frame number. 0 or a negative errno. */
    int (*place)(struct hv_domain *d, uint64_t wanted, uint64_t mfn);
    /* The number to write into the receiver's entry: HV_INVALID_MFN for none. */
    uint64_t (*transferred_number)(uint64_t mfn);
};
extern const struct guest_ops guest_pv, guest_translated;

#endif
