/* SPDX-License-Identifier: MIT */
/*
 * The operations of the hypercalls. A row here and a handler are all that a new one needs:
 * the dispatchers, points, traces, fault rules, sweeps, privcmd and remote kernels take what
 * they know from the rows (gntsim/ops.h).
 *
 * Columns: the operation as Xen's headers call it; HV_OP_*; of the grant table, what an
 * element names (describe_* in hooks.c); of event channels, the handler (op_* in evtchn.c);
 * what a sweep makes of it; the fields that a trace shows. The grant table's handlers are
 * gnttab_<name>. Memory and HVM operations have their argument's size only; their handlers are
 * memory_<name> (memory_i.h) and <name> in hvm.c.
 *
 * Fields: F(operation, member), NAMED(operation, "name", member), OKAY(…) if the status is
 * okay, and by the argument's flags IF(…, flag) and UNLESS(…, flag).
 *
 * Those of a toolstack (domctl, sysctl) have their command inside of their argument. Their handlers
 * are domctl_<name> in domctl.c, and <name> in sysctl.c.
 */
#ifndef GNTSIM_HV_OPS_I_H
#define GNTSIM_HV_OPS_I_H

#include <gntsim/ops.h>

#include "version_ops_i.h"

/* The hypercall, its word below, the mask of its command, a sweep's fault, its handler. */
#define HV_HYPERCALLS(ROW)                                             \
    ROW(grant_table_op, gnttab, GNTTAB_CMD_MASK, NULL, grant_table_op) \
    ROW(event_channel_op, evtchn, UINT32_MAX, NULL, evtchn_hypercall)  \
    ROW(memory_op, memory, MEMOP_CMD_MASK, "ENOMEM", memory_hypercall) \
    ROW(hvm_op, hvm, UINT32_MAX, NULL, hvm_hypercall)                  \
    ROW(domctl, domctl, 0, "ENOMEM", domctl_hypercall)                 \
    ROW(sysctl, sysctl, 0, NULL, sysctl_hypercall)                     \
    ROW(xen_version, version, UINT32_MAX, NULL, version_hypercall)

#define GNTTAB_CMD_MASK 0xfffu
#define MEMOP_EXTENT_SHIFT 6
#define MEMOP_CMD_MASK ((1u << MEMOP_EXTENT_SHIFT) - 1)

#define HV_GNTTAB_OPS(ROW) \
    ROW(map_grant_ref, HV_OP_ARRAY | HV_OP_STATUS, map, "bad_gntref", \
        F(map_grant_ref, flags) F(map_grant_ref, host_addr) \
        OKAY(map_grant_ref, "handle", handle) OKAY(map_grant_ref, "dev_bus_addr", dev_bus_addr)) \
    ROW(unmap_grant_ref, HV_OP_ARRAY | HV_OP_STATUS, unmap, NULL, \
        F(unmap_grant_ref, handle) F(unmap_grant_ref, host_addr) F(unmap_grant_ref, dev_bus_addr)) \
    ROW(setup_table, HV_OP_ONE | HV_OP_STATUS, table, "general_error", \
        NAMED(setup_table, "frames", nr_frames)) \
    ROW(dump_table, 0, none, NULL, ) \
    ROW(transfer, HV_OP_ARRAY | HV_OP_STATUS, transfer, "bad_gntref", \
        NAMED(transfer, "frame", mfn)) \
    ROW(copy, HV_OP_ARRAY | HV_OP_STATUS, copy, "bad_gntref", \
        F(copy, flags) F(copy, len) NAMED(copy, "source_domain", source.domid) \
        IF(copy, "source_ref", source.u.ref, GNTCOPY_source_gref) \
        UNLESS(copy, "source_frame", source.u.gmfn, GNTCOPY_source_gref) \
        NAMED(copy, "source_offset", source.offset) NAMED(copy, "dest_domain", dest.domid) \
        IF(copy, "dest_ref", dest.u.ref, GNTCOPY_dest_gref) \
        UNLESS(copy, "dest_frame", dest.u.gmfn, GNTCOPY_dest_gref) \
        NAMED(copy, "dest_offset", dest.offset)) \
    ROW(query_size, HV_OP_ONE | HV_OP_STATUS, table, "general_error", \
        OKAY(query_size, "frames", nr_frames) OKAY(query_size, "max_frames", max_nr_frames)) \
    ROW(unmap_and_replace, HV_OP_ARRAY | HV_OP_STATUS, unmap, NULL, \
        F(unmap_and_replace, handle) F(unmap_and_replace, host_addr) \
        NAMED(unmap_and_replace, "dev_bus_addr", new_addr)) \
    ROW(set_version, 0, none, "EPERM", ) \
    ROW(get_status_frames, HV_OP_ONE | HV_OP_STATUS, status_frames, "general_error", \
        NAMED(get_status_frames, "frames", nr_frames)) \
    ROW(get_version, 0, none, NULL, ) \
    ROW(swap_grant_ref, HV_OP_ARRAY | HV_OP_STATUS, swap, "bad_gntref", F(swap_grant_ref, ref_b)) \
    ROW(cache_flush, HV_OP_ARRAY, none, NULL, )

#define HV_EVTCHN_OPS(ROW) \
    ROW(bind_interdomain, HV_OP_OUT, bind_interdomain, "ENOSPC", \
        F(bind_interdomain, remote_dom) F(bind_interdomain, remote_port) \
        F(bind_interdomain, local_port)) \
    ROW(bind_virq, HV_OP_OUT, bind_virq, "ENOSPC", F(bind_virq, virq) F(bind_virq, port)) \
    ROW(bind_pirq, HV_OP_OUT, bind_pirq, NULL, ) \
    ROW(close, 0, close, NULL, F(close, port)) \
    ROW(send, 0, send, NULL, F(send, port)) \
    ROW(status, HV_OP_OUT, status, NULL, ) \
    ROW(alloc_unbound, HV_OP_OUT, alloc_unbound, "ENOSPC", \
        F(alloc_unbound, dom) F(alloc_unbound, remote_dom) F(alloc_unbound, port)) \
    ROW(bind_ipi, HV_OP_OUT, bind_ipi, NULL, ) \
    ROW(bind_vcpu, 0, bind_vcpu, NULL, ) \
    ROW(unmask, 0, unmask, NULL, F(unmask, port)) \
    ROW(reset, 0, reset, NULL, ) \
    ROW(init_control, HV_OP_OUT, fifo, NULL, ) \
    ROW(expand_array, 0, fifo, NULL, ) \
    ROW(set_priority, 0, set_priority, NULL, )

/* What an interrupted reset becomes. The header shows it to Xen alone; traces do not name it. */
#define RESET_CONT (EVTCHNOP_set_priority + 1)

#define HV_MEMORY_OPS(ROW)                                           \
    ROW(decrease_reservation, sizeof(struct xen_memory_reservation)) \
    ROW(current_reservation, sizeof(domid_t))                        \
    ROW(maximum_reservation, sizeof(domid_t))                        \
    ROW(populate_physmap, sizeof(struct xen_memory_reservation))     \
    ROW(add_to_physmap, sizeof(struct xen_add_to_physmap))           \
    ROW(maximum_gpfn, sizeof(domid_t))                               \
    ROW(remove_from_physmap, sizeof(struct xen_remove_from_physmap)) \
    ROW(get_sharing_freed_pages, 0)                                  \
    ROW(get_sharing_shared_pages, 0)                                 \
    ROW(paging_op, sizeof(struct xen_mem_paging_op))                 \
    ROW(access_op, sizeof(struct xen_mem_access_op))                 \
    ROW(sharing_op, sizeof(struct xen_mem_sharing_op))               \
    ROW(acquire_resource, sizeof(struct xen_mem_acquire_resource))

#define HV_HVM_OPS(ROW)                          \
    ROW(set_param, sizeof(struct xen_hvm_param)) \
    ROW(get_param, sizeof(struct xen_hvm_param)) \
    ROW(get_mem_type, sizeof(struct xen_hvm_get_mem_type))

/* A toolstack's, by their commands. */
#define HV_DOMCTLS(ROW)          \
    ROW(createdomain)            \
    ROW(destroydomain)           \
    ROW(pausedomain)             \
    ROW(unpausedomain)           \
    ROW(getdomaininfo)           \
    ROW(max_mem)                 \
    ROW(max_vcpus)               \
    ROW(setdomainhandle)         \
    ROW(getvcpuinfo)             \
    ROW(getvcpuaffinity)         \
    ROW(vm_event_op)             \
    ROW(mem_sharing_op)          \
    ROW(getpageframeinfo3)       \
    ROW(set_access_required)     \
    ROW(monitor_op)              \
    ROW(get_paging_mempool_size) \
    ROW(set_paging_mempool_size)

#define HV_SYSCTLS(ROW) \
    ROW(readconsole)    \
    ROW(physinfo)       \
    ROW(sched_id)       \
    ROW(cputopoinfo)    \
    ROW(numainfo)       \
    ROW(cpupool_op)     \
    ROW(pcitopoinfo)    \
    ROW(getdomaininfolist)

#define HV_STATUSES(ROW)                                                                  \
    ROW(okay)                                                                             \
    ROW(general_error) ROW(bad_domain) ROW(bad_gntref) ROW(bad_handle) ROW(bad_virt_addr) \
        ROW(bad_dev_addr) ROW(no_device_space) ROW(permission_denied) ROW(bad_page)       \
            ROW(bad_copy_arg) ROW(address_too_big) ROW(eagain) ROW(no_space)

#endif
