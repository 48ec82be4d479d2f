/* SPDX-License-Identifier: MIT */
/* The state of a domain's event channels. */
#ifndef GNTSIM_HV_EVTCHN_I_H
#define GNTSIM_HV_EVTCHN_I_H

#include <gntsim/hv.h>

#define EVTCHNS_PER_BUCKET 64u
#define MAX_EVTCHNS_2L 4096u

struct hv_call;
struct hv_domain;

enum evtchn_state { ECS_FREE, ECS_RESERVED, ECS_UNBOUND, ECS_INTERDOMAIN, ECS_VIRQ, ECS_IPI };

struct evtchn {
    uint8_t state;             /* enum evtchn_state */
    uint8_t consumer;          /* 0: the domain; else Xen, for its ring of the kind consumer - 1 */
    domid_t remote_dom;        /* UNBOUND: who may bind; INTERDOMAIN: whose port the peer is */
    uint32_t remote_port;
    uint32_t virq;
    uint32_t notify_vcpu;
};

struct evtchns {
    struct evtchn *buckets[MAX_EVTCHNS_2L / EVTCHNS_PER_BUCKET];
    unsigned valid;            /* port numbers below this one are valid */
    unsigned max;              /* port numbers below this one may be allocated */
    unsigned lowest;           /* no free valid port below this one */
    unsigned in_use;
    uint32_t virq_to_port[NR_VIRQS];
};

static inline bool port_is_valid(const struct evtchns *ev, uint32_t port)
{
    return port < ev->valid;
}
static inline struct evtchn *evtchn(const struct evtchns *ev, uint32_t port)
{
    return &ev->buckets[port / EVTCHNS_PER_BUCKET][port % EVTCHNS_PER_BUCKET];
}

int evtchn_init(struct hv_domain *d, const struct hv_domain_config *config);
/* Closes every port, highest first. */
void evtchn_close_all(struct hv_domain *d);
void evtchn_destroy(struct hv_domain *d);
/* Raises a virq whose handler is the hardware domain (domain 0). */
void evtchn_send_global_virq(struct hv *hv, uint32_t virq);

/* A port of d that remote may bind, and that Xen serves for the ring of that kind; or an errno. */
int evtchn_alloc_xen(struct hv_domain *d, domid_t remote, unsigned kind);
void evtchn_close_xen(struct hv_domain *d, uint32_t port);
/* Sends an event to whoever bound it. */
void evtchn_notify_xen(struct hv_domain *d, uint32_t port);

/* evtchn_2l.c: the bits that a guest sees. */
void evtchn_2l_set_pending(struct hv_domain *d, uint32_t port);
void evtchn_2l_clear_pending(struct hv_domain *d, uint32_t port);
void evtchn_2l_unmask(struct hv_domain *d, uint32_t port);
bool evtchn_2l_is_pending(const struct hv_domain *d, uint32_t port);
bool evtchn_2l_is_masked(const struct hv_domain *d, uint32_t port);

long evtchn_hypercall(struct hv_call *call, const uint64_t args[5]);

#endif
