/* SPDX-License-Identifier: MIT */
/*
 * A domain's kernel as a process of its own. This library offers the functions of hv.h that a kernel needs, for one domain, by asking
 * a machine that `gntsim serve` runs; memory is the machine's, mapped here, so grant entries and event bits are written
 * straight into it. The kernel model (gntsim/kernel.h, gntsim/gnttab.h) links with it unchanged, in place of the hypervisor model.
 *
 * hv.h's functions for one's own domain: hv_hypercall, hv_grant_table_op, hv_event_channel_op, hv_domain_config_init,
 * hv_domain_info, hv_domain_state, hv_frame, hv_frame_info and hv_frame_get (of its own frames), hv_frame_put, hv_gfn_to_mfn,
 * hv_grant_frame_number, hv_page_alloc, hv_page_alloc_run, hv_page_free, hv_grant_frame, hv_status_frame, hv_nr_grant_frames,
 * hv_shared_info, hv_mapping_next, hv_port_next, hv_foreign_map, hv_foreign_unmap. Everything else of hv.h is the machine's
 * business and not there. For another domain than the attached one they answer -ESRCH.
 *
 * As with hv.h, one call at a time. Such a kernel is trusted as the machine itself is: it has all of its memory.
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
    const char *dir;                   /* of the machine: gntsim serve --dir */
    domid_t domid;                     /* to be created; 0 is the control domain */
    /* What the domain is like; privileged is not looked at. pv_ops are called in this process, after the hypercall that
     * made or ended the mapping. */
    struct hv_domain_config domain;
};

/*
 * Creates the domain, and *out to speak for it. 0; -EEXIST (the id is taken), -EINVAL (limits), -ENOMEM; -ENOENT, -ECONNREFUSED
 * (no machine there), -EPROTO (of another version). Anything but 0 leaves a line for people in error (size bytes, may be NULL).
 */
int hv_remote_attach(struct hv **out, const struct hv_remote_config *config, char *error, size_t size);
/* Ends the domain, as the end of the process would: it is destroyed. Frees hv; pointers into the memory end. NULL is fine. */
void hv_remote_detach(struct hv *hv);

/* Readable when the domain must look at its event channels, or is gone: wait for it (poll), then call
 * hv_remote_take_upcall and, if that was true, kernel_upcall. */
int hv_remote_event_fd(const struct hv *hv);
/* Whether there was an upcall since the last call. False also if the domain is gone: ask hv_domain_state. */
bool hv_remote_take_upcall(struct hv *hv);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
