/* SPDX-License-Identifier: MIT */
/*
 * A domain's kernel as a process of its own: the hypervisor's functions, for one domain of a
 * machine that is served elsewhere.
 *
 * This library implements the part of hv.h that a kernel needs, by asking the machine of `gntsim
 * serve`. It maps the machine's memory, so grant entries and event bits are written straight into
 * it. The kernel model (gntsim/kernel.h, gntsim/gnttab.h) links with it unchanged, instead of with
 * the hypervisor model.
 *
 * For the attached domain there are: hv_hypercall, hv_grant_table_op, hv_event_channel_op,
 * hv_domain_config_init, hv_domain_info, hv_domain_state, hv_frame, hv_frame_info and hv_frame_get
 * (of its own frames), hv_frame_put, hv_gfn_to_mfn, hv_grant_frame_number, hv_page_alloc,
 * hv_page_alloc_run, hv_page_free, hv_grant_frame, hv_status_frame, hv_nr_grant_frames,
 * hv_shared_info, hv_mapping_next, hv_port_next, hv_foreign_map and hv_foreign_unmap. For another
 * domain they answer -ESRCH. Everything else of hv.h is the machine's business and is not there.
 *
 * Make one call at a time, as with hv.h. The machine trusts such a kernel as it trusts itself: the
 * kernel has all of its memory.
 */
#ifndef GNTSIM_HV_REMOTE_H
#define GNTSIM_HV_REMOTE_H

#include <stddef.h>

#include <gntsim/hv.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)    /* all else in the library is hidden */

struct hv_remote_config {
    const char *dir;                   /* the machine's directory: gntsim serve --dir */
    domid_t domid;                     /* of the domain to create; 0 is the control domain */
    /*
     * The domain's kind, memory and limits; privileged is ignored. pv_ops are called in this
     * process, after the hypercall that made or ended the mapping.
     */
    struct hv_domain_config domain;
};

/*
 * Creates the domain and *out, which speaks for it; the caller ends both with hv_remote_detach.
 *
 * 0, -EEXIST (the id is taken), -EINVAL (limits), -ENOMEM, -ENOENT or -ECONNREFUSED (no machine
 * there), -EPROTO (a machine of another version). On any error a line for people is in error, of
 * size bytes; it may be NULL.
 */
int hv_remote_attach(struct hv **out, const struct hv_remote_config *config, char *error,
                     size_t size);
/*
 * Destroys the domain, as the process's end would, and frees hv. Pointers into the machine's memory
 * become invalid. NULL is fine.
 */
void hv_remote_detach(struct hv *hv);

/*
 * A descriptor that becomes readable when the domain must look at its event channels, or is gone.
 * Poll it, then call hv_remote_take_upcall and, if that is true, kernel_upcall. hv owns the
 * descriptor.
 */
int hv_remote_event_fd(const struct hv *hv);
/*
 * Whether an upcall came since the last call. False also if the domain is gone, which
 * hv_domain_state tells.
 */
bool hv_remote_take_upcall(struct hv *hv);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
