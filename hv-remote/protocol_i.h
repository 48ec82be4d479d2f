/* SPDX-License-Identifier: MIT */
/*
 * The protocol between a machine and a kernel in a process of its own. One datagram
 * (SOCK_SEQPACKET) is one request, and the next one back is its reply. Numbers have the host's byte
 * order. Both ends have one version, and the attach request names it.
 */
#ifndef GNTSIM_HV_REMOTE_PROTOCOL_I_H
#define GNTSIM_HV_REMOTE_PROTOCOL_I_H

#include <stdint.h>

#define REMOTE_VERSION 1
/*
 * Elements of an array that go into one request; more are carried out in pieces. A whole number of
 * unmap's batches of 32.
 */
#define REMOTE_PIECE 1024u
#define REMOTE_MAX_DATA (REMOTE_PIECE * 64u)

enum remote_call {
    REMOTE_HYPERCALL,   /* op and the five registers; data: what the second register points at */
    REMOTE_DOMAIN_INFO, /* data back: struct hv_domain_info */
    REMOTE_FRAME_INFO,  /* mfn; data back: struct hv_frame_info. Of its own frames only */
    REMOTE_FRAME_GET,   /* mfn, one of its own */
    REMOTE_FRAME_PUT,   /* mfn, one that it got */
    REMOTE_GFN_TO_MFN,  /* gfn; value: mfn */
    REMOTE_GRANT_FRAME_NUMBER, /* gfn; value: number */
    REMOTE_PAGE_ALLOC,         /* number of pages; result: first gfn, value: first mfn */
    REMOTE_PAGE_FREE,          /* gfn */
    REMOTE_GRANT_FRAME,        /* index; value: mfn */
    REMOTE_STATUS_FRAME,       /* index; value: mfn */
    REMOTE_NR_GRANT_FRAMES,    /* result: the number */
    REMOTE_MAPPING_NEXT,       /* handle; data back: struct hv_mapping_info */
    REMOTE_PORT_NEXT,          /* port; data back: struct hv_port_info */
    REMOTE_FOREIGN_MAP,        /* domain, frame, flags; result: handle, value: mfn */
    REMOTE_FOREIGN_UNMAP,      /* handle */
    REMOTE_PAGE_WRITE,         /* gfn */
    REMOTE_NR_CALLS,
};

struct remote_request {
    uint32_t call;
    uint32_t size;              /* of the data behind it */
    uint64_t args[6];
};
struct remote_reply {
    int64_t result;
    uint64_t value;
    uint32_t size;              /* of the data behind it */
    uint32_t pad;
};
/* A hypercall's reply: its writes in order, each followed by its bytes, filled up to 8. */
struct remote_write {
    uint64_t addr;
    uint32_t size;
    uint32_t pad;
};

#endif
