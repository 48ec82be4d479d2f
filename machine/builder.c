/* SPDX-License-Identifier: MIT */
/*
 * Builds what a toolstack puts into a new domain before its kernel runs: the pages, ports and
 * reserved grants of its console and its store.
 */
#include "builder.h"

#include <errno.h>

#include "machine.h"
#include "trace.h"

/* Whose programs serve the console and the store. */
#define SERVER 0

/* Domain 0's kernel makes a store page and a port of its own; its console is the hardware's. */
static bool has_console(const struct domain *d)
{
    return d->id != SERVER;
}

static int alloc_port(struct domain *d, evtchn_port_t *port)
{
    return hv_port_alloc(d->machine->hv, d->id, SERVER, port);
}

/* The entry of a reserved reference, which version 2 of the table takes over from version 1. */
static int grant(struct domain *d, grant_ref_t ref, uint64_t gfn)
{
    struct hv *hv = d->machine->hv;
    struct grant_entry_v1 *entries = hv_grant_frame(hv, d->id, 0);
    struct kernel_grant told = { .to = SERVER, .flags = GTF_permit_access };
    uint64_t frame;
    int rc = hv_grant_frame_number(hv, d->id, gfn, &frame);

    if (rc || !entries)
        return rc ? rc : -ESRCH;
    told.frame = frame;
    entries[ref].domid = SERVER;
    entries[ref].frame = (uint32_t)frame;
    __atomic_store_n(&entries[ref].flags, GTF_permit_access, __ATOMIC_RELEASE);
    trace_grant(d->machine, d->id, NULL, ref, &told);
    return 0;
}

/* Where a real toolstack places the rings of pagers and the like; these pages come with them. */
#define RING_GFN(n) (UINT64_C(0xfeff8) + (n))

/* What an auto-translated guest, and whoever serves it, asks the hypervisor for. */
static int set_params(const struct domain *d)
{
    const struct {
        unsigned index;
        uint64_t value;
    } params[] = {
        { HVM_PARAM_STORE_PFN, d->store_gfn },
        { HVM_PARAM_STORE_EVTCHN, d->store_port },
        { HVM_PARAM_CONSOLE_PFN, d->console_gfn },
        { HVM_PARAM_CONSOLE_EVTCHN, d->console_port },
        { HVM_PARAM_PAGING_RING_PFN, RING_GFN(0) },
        { HVM_PARAM_MONITOR_RING_PFN, RING_GFN(1) },
        { HVM_PARAM_SHARING_RING_PFN, RING_GFN(2) },
    };
    int rc = 0;

    for (size_t i = 0; i < sizeof params / sizeof *params && !rc; i++)
        rc = hv_domain_set_param(d->machine->hv, d->id, params[i].index, params[i].value);
    return rc;
}

int builder_restore(struct domain *d)
{
    int rc = alloc_port(d, &d->store_port);

    d->has_toolstack = false;
    if (rc || !has_console(d))
        return rc;
    rc = alloc_port(d, &d->console_port);
    if (!rc)
        rc = grant(d, GNTTAB_RESERVED_CONSOLE, d->console_gfn);
    if (!rc)
        rc = grant(d, GNTTAB_RESERVED_XENSTORE, d->store_gfn);
    if (!rc && d->profile->auto_translated)
        rc = set_params(d);
    return rc;
}

static uint64_t param(const struct domain *d, unsigned index)
{
    uint64_t value = 0;

    hv_domain_param(d->machine->hv, d->id, index, &value);
    return value;
}

/* Whether somebody else built it, who then serves its store, too. */
static bool is_built(struct domain *d)
{
    if (!d->options.is_made || !param(d, HVM_PARAM_STORE_PFN))
        return false;
    d->store_gfn = param(d, HVM_PARAM_STORE_PFN);
    d->store_port = (evtchn_port_t)param(d, HVM_PARAM_STORE_EVTCHN);
    d->console_gfn = param(d, HVM_PARAM_CONSOLE_PFN);
    d->console_port = (evtchn_port_t)param(d, HVM_PARAM_CONSOLE_EVTCHN);
    d->has_toolstack = true;
    return true;
}

int builder_build(struct domain *d)
{
    int64_t gfn;

    if (is_built(d))
        return 0;
    if (!d->options.store)
        return 0;
    if (has_console(d)) {
        gfn = hv_page_alloc(d->machine->hv, d->id, NULL);
        if (gfn < 0)
            return (int)gfn;
        d->console_gfn = (uint64_t)gfn;
    }
    gfn = hv_page_alloc(d->machine->hv, d->id, NULL);
    if (gfn < 0)
        return (int)gfn;
    d->store_gfn = (uint64_t)gfn;
    return builder_restore(d);
}
