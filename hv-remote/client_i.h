/* SPDX-License-Identifier: MIT */
/* What the files of the remote kernel's library share: its side of the connection. */
#ifndef GNTSIM_HV_REMOTE_CLIENT_I_H
#define GNTSIM_HV_REMOTE_CLIENT_I_H

#include <gntsim/hv_remote.h>

#include "protocol_i.h"

/* A mapping with a place in this process' page tables (hv_pv_ops). flags 0: none. */
struct host_mapping {
    uint64_t host_addr, mfn;
    uint32_t flags;
};

/* Machine frames of a table, as far as they were asked for; HV_INVALID_MFN: not yet. */
struct known_frames {
    uint64_t *mfns;
    unsigned nr;
};

/* What hv.h calls the machine is this domain's connection to it. */
struct hv {
    int socket, event_fd;
    domid_t domid;
    bool gone;
    const struct hv_pv_ops *pv_ops;       /* NULL: auto-translated, or nobody to ask */
    void *pv_ctx;
    unsigned char *memory;
    uint64_t nr_frames, shared_info_mfn;
    struct known_frames grant, status;
    struct host_mapping *mappings;        /* by handle */
    uint32_t nr_mappings;
    struct {
        struct remote_request head;
        _Alignas(8) unsigned char data[REMOTE_MAX_DATA];
    } out;
    struct {
        struct remote_reply head;
        _Alignas(8) unsigned char data[REMOTE_MAX_DATA];
    } in;
};

/* One request and its reply, with size bytes of hv->out.data. -ESRCH: the domain is gone. */
int64_t remote_call(struct hv *hv, enum remote_call call, const uint64_t *args, unsigned nr_args,
                    uint32_t size);
void known_frames_forget(struct known_frames *known);

#endif
