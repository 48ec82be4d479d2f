/* SPDX-License-Identifier: MIT */
/*
 * pager DOMID FILE: pages a domain out to a file and in again when it is asked.
 *     out GFN      -> out GFN, or kept GFN if somebody uses the page
 *     nominate GFN -> nominated GFN, kept GFN
 *     evict GFN    -> out GFN, kept GFN: the second half of it
 *     hold         -> holding: lets requests lie in the ring
 *     serve        -> serves requests again
 * Requests: -> asked GFN for each one that lies in the ring, served N after some were taken
 */
#ifndef PAGER_H
#define PAGER_H

#include "sample.h"

#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xen/vm_event.h>

#define MAX_OUT 64u
#define RING_SLOTS 8u

struct pager {
    xc_interface *xc;
    xenforeignmemory_handle *memory;
    xenevtchn_handle *evtchn;
    evtchn_port_t port;
    uint32_t domid;
    int file;
    vm_event_back_ring_t ring;
    uint64_t out[MAX_OUT];      /* what is out, in the order in which it went */
    unsigned nr_out;
    RING_IDX seen;              /* requests that were told of */
    unsigned nr_served;
    bool holding;
};

/* Serves the ring's requests: what a pager does right or wrong. */
void serve(struct pager *pager);
/* Takes a request out of the ring: false if there is none. */
bool next_request(struct pager *pager, vm_event_request_t *request);
/* There is a pager's ring already, whose pager has died. */
void take_over(struct pager *pager);

bool is_out(const struct pager *pager, uint64_t gfn);
/* Loads a page that is out; finishes one that is only nominated. */
void bring_back(struct pager *pager, uint64_t gfn);
vm_event_response_t response_to(const vm_event_request_t *request);
void respond(struct pager *pager, const vm_event_response_t *response);

#endif
