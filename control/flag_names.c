/* SPDX-License-Identifier: MIT */
/* The names of the bits in the arguments that traces show. */
#include "flag_names.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include <gntsim/kernel.h>
#include <gntsim/ops.h>

#include "json_add.h"
#include "points.h"

struct flag {
    const char *name; /* NULL: the end of the list */
    unsigned value;
};

/* Where two names share bits, the one with more of them comes first. */
static const struct flag map_flags[] = {
    { "host_map", GNTMAP_host_map },
    { "device_map", GNTMAP_device_map },
    { "readonly", GNTMAP_readonly },
    { "application_map", GNTMAP_application_map },
    { "contains_pte", GNTMAP_contains_pte },
    { .name = NULL },
};
static const struct flag copy_flags[] = {
    { "source_gref", GNTCOPY_source_gref },
    { "dest_gref", GNTCOPY_dest_gref },
    { .name = NULL },
};
static const struct flag grant_flags[] = {
    { "transitive", GTF_transitive },
    { "permit_access", GTF_permit_access },
    { "accept_transfer", GTF_accept_transfer },
    { "readonly", GTF_readonly },
    { "sub_page", GTF_sub_page },
    { .name = NULL },
};
static const struct flag prot_flags[] = {
    { "READ", PROT_READ }, { "WRITE", PROT_WRITE }, { "EXEC", PROT_EXEC }, { .name = NULL },
};
static const struct flag mmap_flags[] = {
    { "SHARED", MAP_SHARED },
    { "PRIVATE", MAP_PRIVATE },
    { "FIXED", MAP_FIXED },
    { .name = NULL },
};
static const struct flag open_flags[] = {
    { "RDWR", O_RDWR },
    { "WRONLY", O_WRONLY },
    { "NONBLOCK", O_NONBLOCK },
    { "CLOEXEC", O_CLOEXEC },
    { .name = NULL },
};

static void add(json_object *all, const char *op, const char *argument, const struct flag *flags)
{
    json_object *list = json_object_new_array();
    char key[64];

    for (; flags->name; flags++) {
        json_object *row = json_object_new_object();

        json_add_text(row, "name", flags->name);
        json_add_uint(row, "value", flags->value);
        json_object_array_add(list, row);
    }
    snprintf(key, sizeof key, "%s.%s", op, argument);
    json_object_object_add(all, key, list);
}

json_object *flag_names(void)
{
    json_object *all = json_object_new_object();
    const char *map = hv_op_find(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref)->name;
    const char *copy = hv_op_find(__HYPERVISOR_grant_table_op, GNTTABOP_copy)->name;
    const char *mmap = point_kernel_op_name(KERNEL_MMAP);

    add(all, map, "flags", map_flags);
    add(all, copy, "flags", copy_flags);
    add(all, "grant", "flags", grant_flags);
    add(all, mmap, "prot", prot_flags);
    add(all, mmap, "flags", mmap_flags);
    add(all, point_kernel_op_name(KERNEL_OPEN), "flags", open_flags);
    return all;
}
