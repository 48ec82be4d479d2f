/* SPDX-License-Identifier: MIT */
/* Two domains in one process: domain 1 grants a page, domain 2 maps it, copies from it and unmaps it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>


#include <gntsim/hv.h>

int main(void)
{
    struct hv_config machine = { .memory = aligned_alloc(4096, 64 * 4096), .nr_frames = 64 };
    struct hv_domain_config config;
    struct hv *hv;
    uint64_t frame, own;

    memset(machine.memory, 0, 64 * 4096);
    assert(hv_create(&hv, &machine) == 0);
    hv_domain_config_init(&config);
    config.nr_pages = 4;
    assert(hv_domain_create(hv, 1, &config) == 0 && hv_domain_create(hv, 2, &config) == 0);

    /* Domain 1 writes into its page 0, and grants it with entry 8 of its table, as its kernel would. */
    assert(hv_gfn_to_mfn(hv, 1, 0, &frame) == 0);
    strcpy(hv_frame(hv, frame), "hello");
    grant_entry_v1_t *entry = (grant_entry_v1_t *)hv_grant_frame(hv, 1, 0) + 8;
    *entry = (grant_entry_v1_t){ .flags = GTF_permit_access, .domid = 2, .frame = (uint32_t)frame };

    /* Domain 2 maps it at an address of its choice: now it is in use, and both see the same frame. */
    struct gnttab_map_grant_ref map = { .host_addr = 0x100000, .flags = GNTMAP_host_map, .ref = 8, .dom = 1 };
    assert(hv_grant_table_op(hv, 2, GNTTABOP_map_grant_ref, &map, 1) == 0 && map.status == GNTST_okay);
    assert(entry->flags == (GTF_permit_access | GTF_reading | GTF_writing));
    assert(strcmp(hv_frame(hv, map.dev_bus_addr / 4096), "hello") == 0);

    /* It has the hypervisor copy six bytes to its own page 0, and unmaps. */
    assert(hv_grant_frame_number(hv, 2, 0, &own) == 0);
    struct gnttab_copy copy = { .source = { .u.ref = 8, .domid = 1 }, .dest = { .u.gmfn = own, .domid = DOMID_SELF },
                                .len = 6, .flags = GNTCOPY_source_gref };
    assert(hv_grant_table_op(hv, 2, GNTTABOP_copy, &copy, 1) == 0 && copy.status == GNTST_okay);
    struct gnttab_unmap_grant_ref unmap = { .host_addr = map.host_addr, .handle = map.handle };
    assert(hv_grant_table_op(hv, 2, GNTTABOP_unmap_grant_ref, &unmap, 1) == 0 && unmap.status == GNTST_okay);
    assert(entry->flags == GTF_permit_access && hv_audit(hv, stderr) == 0);
    hv_destroy(hv);
    free(machine.memory);
}
