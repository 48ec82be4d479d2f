/* SPDX-License-Identifier: MIT */
/* The rings over which a helper in another domain learns what happens to a domain's memory. */
#ifndef GNTSIM_HV_VM_EVENT_I_H
#define GNTSIM_HV_VM_EVENT_I_H

#include <stdbool.h>
#include <stdint.h>

#include <gntsim/xen.h>

struct hv_call;
struct hv_domain;

enum vm_event_kind { VM_EVENT_PAGING, VM_EVENT_MONITOR, VM_EVENT_SHARING, NR_VM_EVENTS };

/* One ring. Disabled: all zero. */
struct vm_event {
    vm_event_front_ring_t ring;
    uint64_t mfn;
    uint32_t port; /* the domain's, which Xen itself serves */
    uint64_t *dropped; /* gfns of which a pager is told when there is room (paging_forget) */
    uint32_t nr_dropped, max_dropped;
};

static inline bool vm_event_is_on(const struct vm_event *ev) { return ev->ring.sring; }

/* XEN_DOMCTL_vm_event_op. d NULL: the caller named nobody. */
long vm_event_control(const struct hv_call *c, struct hv_domain *d,
                      struct xen_domctl_vm_event_op *op);
/* Room for one request: 0, -EOPNOTSUPP (no ring), -EBUSY (the ring is full). */
int vm_event_claim(const struct hv_domain *d, enum vm_event_kind kind);
/*
 * Sends a request for which there is room, and an event. own: the domain itself caused it, and
 * waits for the answer; else somebody else did.
 */
void vm_event_send(struct hv_domain *d, enum vm_event_kind kind, vm_event_request_t *request,
                   bool own);
/* Takes the responses that are there. */
void vm_event_resume(struct hv_domain *d, enum vm_event_kind kind);
/* The domain dies. */
void vm_event_close_all(struct hv_domain *d);

#endif
