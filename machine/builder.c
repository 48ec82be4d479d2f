/* SPDX-License-Identifier: MIT */
/*
 * Builds what a toolstack puts into a new domain before its kernel runs: the pages, ports and
 * reserved grants of its console and its store.
 */
#include "builder.h"

#include <errno.h>

#include "machine.h"

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
    uint64_t frame;
    int rc = hv_grant_frame_number(hv, d->id, gfn, &frame);

    if (rc || !entries)
        return rc ? rc : -ESRCH;
    entries[ref].domid = SERVER;
    entries[ref].frame = (uint32_t)frame;
    __atomic_store_n(&entries[ref].flags, GTF_permit_access, __ATOMIC_RELEASE);
    return 0;
}

int builder_restore(struct domain *d)
{
    int rc = alloc_port(d, &d->store_port);

    if (rc || !has_console(d))
        return rc;
    rc = alloc_port(d, &d->console_port);
    if (!rc)
        rc = grant(d, GNTTAB_RESERVED_CONSOLE, d->console_gfn);
    if (!rc)
        rc = grant(d, GNTTAB_RESERVED_XENSTORE, d->store_gfn);
    return rc;
}

int builder_build(struct domain *d)
{
    int64_t gfn;

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
