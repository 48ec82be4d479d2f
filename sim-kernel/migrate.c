/* SPDX-License-Identifier: MIT */
/*
 * Carries a kernel on after its domain was saved and restored. Memory, files and mappings stay.
 * Entries, handles and event channels went with the old hypervisor state. This file tells
 * everything that used them, once.
 */
#include "kernel_i.h"
#include "xenbus_i.h"

#include <assert.h>

void kernel_migrated(struct kernel *k, domid_t domid, unsigned grant_version)
{
    assert(!k->depth && !k->destroyed);
    k->domid = domid;
    k->generation++;
    if (grant_version)
        k->config.grant_version = grant_version;
    kernel_enter(k);
    if (k->space)
        pv_space_forget(k->space);
    pages_migrated(k);
    hooks_migrated(k);
    events_migrated(k);
    evtchn_migrated(k);
    gnttab_map_migrated(k);
    gnttab_migrated(k);
    gntdev_migrated(k);
    gntalloc_migrated(k);
    xenbus_migrated(k);
    kernel_leave(k);
}
