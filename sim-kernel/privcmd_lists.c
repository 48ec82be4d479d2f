/* SPDX-License-Identifier: MIT */
/*
 * Knows which memory of the caller an operation reads or writes beside its argument: lists of
 * frames, extents and domains, and a page's contents.
 */
#include "privcmd_i.h"

#include <gntsim/ops.h>

/* More elements than this no list has, whatever a domain was created with. */
#define MAX_LIST 65536u

/* One that is too long is none: the hypervisor's first access faults. */
static struct privcmd_list list_of(uint64_t addr, uint64_t nr, size_t size, bool in, bool out)
{
    return (struct privcmd_list){
        .addr = addr, .size = nr <= MAX_LIST ? nr * size : 0, .in = in, .out = out
    };
}
#define AT(handle) ((uintptr_t)(handle).p)

/* ---- Grant tables ---------------------------------------------------------------------------- */

/* Only what will be written: nothing, if more frames are asked for than there can be. */
static struct privcmd_list frames(struct kernel *k, domid_t dom, uint64_t addr, uint32_t nr,
                                  unsigned frames_per_entry)
{
    struct gnttab_query_size query = { .dom = dom };

    if (kernel_grant_table_op(k, GNTTABOP_query_size, &query, 1) || query.status != GNTST_okay ||
        nr > (query.max_nr_frames + frames_per_entry - 1) / frames_per_entry)
        nr = 0;
    return list_of(addr, nr, sizeof(uint64_t), false, true);
}

static void setup_table(struct kernel *k, const void *arg, struct privcmd_list *lists)
{
    const struct gnttab_setup_table *op = arg;

    lists[0] = frames(k, op->dom, AT(op->frame_list), op->nr_frames, 1);
}

/* A status frame is enough for the entries of eight grant frames. */
static void get_status_frames(struct kernel *k, const void *arg, struct privcmd_list *lists)
{
    const struct gnttab_get_status_frames *op = arg;

    lists[0] = frames(k, op->dom, AT(op->frame_list), op->nr_frames, 8);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void reservation(struct kernel *k, const void *arg, struct privcmd_list *lists)
{
    const struct xen_memory_reservation *op = arg;

    (void)k;
    lists[0] = list_of(AT(op->extent_start), op->nr_extents, sizeof(xen_pfn_t), true, true);
}

static void page_contents(struct kernel *k, const void *arg, struct privcmd_list *lists)
{
    const struct xen_mem_paging_op *op = arg;

    (void)k;
    if (op->op == XENMEM_paging_op_prep && AT(op->buffer))
        lists[0] = list_of(AT(op->buffer), 1, HV_PAGE_SIZE, true, false);
}

static void accesses(struct kernel *k, const void *arg, struct privcmd_list *lists)
{
    const struct xen_mem_access_op *op = arg;

    (void)k;
    if (op->op != XENMEM_access_op_set_access_multi)
        return;
    lists[0] = list_of(AT(op->pfn_list), op->nr, sizeof(uint64_t), true, false);
    lists[1] = list_of(AT(op->access_list), op->nr, sizeof(uint8_t), true, false);
}

static void resource(struct kernel *k, const void *arg, struct privcmd_list *lists)
{
    const struct xen_mem_acquire_resource *op = arg;

    (void)k;
    if (AT(op->frame_list))
        lists[0] = list_of(AT(op->frame_list), op->nr_frames, sizeof(xen_pfn_t), true, true);
}

/* ---- Toolstack ------------------------------------------------------------------------------- */

static struct privcmd_list map_of(const struct xenctl_bitmap *map)
{
    return list_of(AT(map->bitmap), (map->nr_bits + 7ull) / 8, 1, false, true);
}

static void domctl(struct kernel *k, const void *arg, struct privcmd_list *lists)
{
    const struct xen_domctl *op = arg;

    (void)k;
    if (op->cmd == XEN_DOMCTL_getpageframeinfo3)
        lists[0] = list_of(AT(op->u.getpageframeinfo3.array), op->u.getpageframeinfo3.num,
                           sizeof(xen_pfn_t), true, true);
    if (op->cmd != XEN_DOMCTL_getvcpuaffinity)
        return;
    if (op->u.vcpuaffinity.flags & XEN_VCPUAFFINITY_HARD)
        lists[0] = map_of(&op->u.vcpuaffinity.cpumap_hard);
    if (op->u.vcpuaffinity.flags & XEN_VCPUAFFINITY_SOFT)
        lists[1] = map_of(&op->u.vcpuaffinity.cpumap_soft);
}

static void sysctl(struct kernel *k, const void *arg, struct privcmd_list *lists)
{
    const struct xen_sysctl *op = arg;

    (void)k;
    if (op->cmd == XEN_SYSCTL_getdomaininfolist)
        lists[0] = list_of(AT(op->u.getdomaininfolist.buffer), op->u.getdomaininfolist.max_domains,
                           sizeof(struct xen_domctl_getdomaininfo), false, true);
    if (op->cmd == XEN_SYSCTL_cputopoinfo && AT(op->u.cputopoinfo.cputopo))
        lists[0] = list_of(AT(op->u.cputopoinfo.cputopo), op->u.cputopoinfo.num_cpus,
                           sizeof(struct xen_sysctl_cputopo), false, true);
    if (op->cmd == XEN_SYSCTL_numainfo && AT(op->u.numainfo.meminfo))
        lists[0] = list_of(AT(op->u.numainfo.meminfo), op->u.numainfo.num_nodes,
                           sizeof(struct xen_sysctl_meminfo), false, true);
    if (op->cmd == XEN_SYSCTL_numainfo && AT(op->u.numainfo.distance))
        lists[1] = list_of(AT(op->u.numainfo.distance),
                           (uint64_t)op->u.numainfo.num_nodes * op->u.numainfo.num_nodes,
                           sizeof(uint32_t), false, true);
    if (op->cmd == XEN_SYSCTL_pcitopoinfo)
        lists[0] = list_of(AT(op->u.pcitopoinfo.nodes), op->u.pcitopoinfo.num_devs,
                           sizeof(uint32_t), false, true);
    if (op->cmd == XEN_SYSCTL_cpupool_op)
        lists[0] = map_of(&op->u.cpupool_op.cpumap);
}

void privcmd_find_lists(struct kernel *k, unsigned nr, const struct hv_op *op, const void *arg,
                        struct privcmd_list lists[PRIVCMD_LISTS])
{
    static const struct {
        unsigned nr, cmd;
        void (*find)(struct kernel *k, const void *arg, struct privcmd_list *lists);
    } finders[] = {
        { __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, setup_table },
        { __HYPERVISOR_grant_table_op, GNTTABOP_get_status_frames, get_status_frames },
        { __HYPERVISOR_memory_op, XENMEM_decrease_reservation, reservation },
        { __HYPERVISOR_memory_op, XENMEM_populate_physmap, reservation },
        { __HYPERVISOR_memory_op, XENMEM_paging_op, page_contents },
        { __HYPERVISOR_memory_op, XENMEM_access_op, accesses },
        { __HYPERVISOR_memory_op, XENMEM_acquire_resource, resource },
        { __HYPERVISOR_domctl, 0, domctl },
        { __HYPERVISOR_sysctl, 0, sysctl },
    };

    for (size_t i = 0; i < sizeof finders / sizeof *finders; i++)
        if (finders[i].nr == nr && finders[i].cmd == op->cmd)
            finders[i].find(k, arg, lists);
}
