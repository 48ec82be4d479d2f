/* SPDX-License-Identifier: MIT */
/*
 * Where the steps are carried out: on a real Xen (backend_xen.c, a program of its dom0) or on the
 * hypervisor model (backend_sim.c). A program has one of them.
 */
#ifndef GNTSIM_CONFORMANCE_BACKEND_H
#define GNTSIM_CONFORMANCE_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include <gntsim/xen.h>

#include "layout.h"

enum who { WHO_DOM0, WHO_A, WHO_B, WHO_C, NR_WHO };

#define MAX_GRANT_FRAMES 8u        /* of a domain here, at most */
#define MAX_STATUS_FRAMES 1u
#define ROOM 4u                    /* pages that a domain can have more than it is created with */

struct guest_config {
    int32_t max_grant_frames, max_maptrack_frames;     /* -1: the hypervisor's default */
    uint32_t max_grant_version, max_evtchn_port;
};

/* Stuck: a hypercall of its does not end. */
enum guest_state { GUEST_NONE, GUEST_ALIVE, GUEST_DYING, GUEST_CRASHED, GUEST_STUCK };

/* A guest as the steps see it. What is mapped here is the guest's own memory. */
struct guest {
    enum guest_state state;
    domid_t domid;
    uint64_t pool[NR_POOL];        /* machine frames of p0, p1 … */
    uint64_t shared_mfn;
    uint8_t *arg, *list;
    struct shared_info *shared;
    unsigned nr_grant, nr_status;  /* frames of the table */
    uint64_t grant_mfn[MAX_GRANT_FRAMES], status_mfn[MAX_STATUS_FRAMES];
    uint8_t *grant[MAX_GRANT_FRAMES], *status[MAX_STATUS_FRAMES];
};

struct backend;
struct backend *backend_open(void);
void backend_close(struct backend *b);
struct guest *backend_guest(struct backend *b, enum who who);
void backend_create(struct backend *b, enum who who, domid_t domid,
                    const struct guest_config *config);
void backend_destroy(struct backend *b, enum who who);
/* Fills state, nr_grant … anew. */
void backend_refresh(struct backend *b, enum who who);
/* By the guest, or by dom0: then arg and list are those of dom0's own guest record. */
long backend_hypercall(struct backend *b, enum who who, unsigned nr, const uint64_t args[5]);
/* Where arg and list are for the caller. */
uint64_t backend_arg_address(struct backend *b, enum who who);
uint64_t backend_list_address(struct backend *b, enum who who);
/* A memory access of the guest: 0 or -1 for a fault. */
int backend_access(struct backend *b, enum who who, uint64_t address, unsigned size,
                   uint64_t *value, bool write);
/* page_sum() of what is at an address of the guest; -1 where it cannot read. */
int backend_sum(struct backend *b, enum who who, uint64_t address, uint64_t *sum);
/* update_va_mapping: flags are those of the page-table entry, 0 for none. */
long backend_set_page(struct backend *b, enum who who, uint64_t address, uint64_t mfn,
                      unsigned flags);
/* Machine address of the page-table entry of an address of the guest. */
uint64_t backend_pte(struct backend *b, enum who who, uint64_t address);

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
