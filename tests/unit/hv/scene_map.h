/* SPDX-License-Identifier: MIT */
/* What the tests of map_grant_ref share. */
#ifndef GNTSIM_TEST_HV_SCENE_MAP_H
#define GNTSIM_TEST_HV_SCENE_MAP_H

#include "harness.h"

#define HOST GNTMAP_host_map
#define DEV GNTMAP_device_map
#define RO GNTMAP_readonly

/* An element that fails leaves handle and bus address as they came in. */
static inline int refused(domid_t ld, domid_t rd, uint32_t ref, uint32_t flags, uint64_t addr)
{
    struct gnttab_map_grant_ref op = map_op(ld, rd, ref, flags, addr);

    EQ(op.handle, 0x77);
    EQ(op.dev_bus_addr, 0x99);
    audit_clean();
    return op.status;
}

#endif
