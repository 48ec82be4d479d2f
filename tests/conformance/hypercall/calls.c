/* SPDX-License-Identifier: MIT */
/* The table of hypercalls that a step can make, with the fields of their arguments. */
#include "calls.h"

#include <stddef.h>
#include <string.h>

#include <gntsim/xen.h>

#define F(type, member, kind, out)                                                            \
    {                                                                                         \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member), kind, out \
    }
#define N(type, as, member, kind, out)                                                   \
    {                                                                                    \
        as, offsetof(struct type, member), sizeof(((struct type *)0)->member), kind, out \
    }

static const struct field map_fields[] = {
    F(gnttab_map_grant_ref, dom, FIELD_DOMAIN, 0), F(gnttab_map_grant_ref, ref, FIELD_NUMBER, 0),
    F(gnttab_map_grant_ref, flags, FIELD_NUMBER, 0),
    N(gnttab_map_grant_ref, "at", host_addr, FIELD_ADDRESS, 0),
    F(gnttab_map_grant_ref, status, FIELD_SIGNED, 1),
    F(gnttab_map_grant_ref, handle, FIELD_NUMBER, 1),
    N(gnttab_map_grant_ref, "bus", dev_bus_addr, FIELD_BUS, 1),
};
static const struct field unmap_fields[] = {
    F(gnttab_unmap_grant_ref, handle, FIELD_HANDLE, 0),
    N(gnttab_unmap_grant_ref, "at", host_addr, FIELD_ADDRESS, 0),
    N(gnttab_unmap_grant_ref, "bus", dev_bus_addr, FIELD_BUS, 0),
    F(gnttab_unmap_grant_ref, status, FIELD_SIGNED, 1),
};
static const struct field replace_fields[] = {
    F(gnttab_unmap_and_replace, handle, FIELD_HANDLE, 0),
    N(gnttab_unmap_and_replace, "at", host_addr, FIELD_ADDRESS, 0),
    N(gnttab_unmap_and_replace, "new", new_addr, FIELD_ADDRESS, 0),
    F(gnttab_unmap_and_replace, status, FIELD_SIGNED, 1),
};
static const struct field setup_fields[] = {
    F(gnttab_setup_table, dom, FIELD_DOMAIN, 0),
    N(gnttab_setup_table, "nr", nr_frames, FIELD_NUMBER, 0),
    N(gnttab_setup_table, "list", frame_list, FIELD_ADDRESS, 0),
    F(gnttab_setup_table, status, FIELD_SIGNED, 1),
};
static const struct field dump_fields[] = {
    F(gnttab_dump_table, dom, FIELD_DOMAIN, 0), F(gnttab_dump_table, status, FIELD_SIGNED, 1),
};
static const struct field transfer_fields[] = {
    N(gnttab_transfer, "frame", mfn, FIELD_FRAME, 0),
    N(gnttab_transfer, "dom", domid, FIELD_DOMAIN, 0),
    F(gnttab_transfer, ref, FIELD_NUMBER, 0), F(gnttab_transfer, status, FIELD_SIGNED, 1),
};
static const struct field copy_fields[] = {
    N(gnttab_copy, "sframe", source.u.gmfn, FIELD_FRAME, 0),
    N(gnttab_copy, "sref", source.u.ref, FIELD_NUMBER, 0),
    N(gnttab_copy, "sdom", source.domid, FIELD_DOMAIN, 0),
    N(gnttab_copy, "soff", source.offset, FIELD_NUMBER, 0),
    N(gnttab_copy, "dframe", dest.u.gmfn, FIELD_FRAME, 0),
    N(gnttab_copy, "dref", dest.u.ref, FIELD_NUMBER, 0),
    N(gnttab_copy, "ddom", dest.domid, FIELD_DOMAIN, 0),
    N(gnttab_copy, "doff", dest.offset, FIELD_NUMBER, 0),
    F(gnttab_copy, len, FIELD_NUMBER, 0), F(gnttab_copy, flags, FIELD_NUMBER, 0),
    F(gnttab_copy, status, FIELD_SIGNED, 1),
};
static const struct field size_fields[] = {
    F(gnttab_query_size, dom, FIELD_DOMAIN, 0),
    N(gnttab_query_size, "nr", nr_frames, FIELD_NUMBER, 1),
    N(gnttab_query_size, "max", max_nr_frames, FIELD_NUMBER, 1),
    F(gnttab_query_size, status, FIELD_SIGNED, 1),
};
static const struct field set_version_fields[] =
    { F(gnttab_set_version, version, FIELD_NUMBER, 1) };
static const struct field status_frames_fields[] = {
    F(gnttab_get_status_frames, dom, FIELD_DOMAIN, 0),
    N(gnttab_get_status_frames, "nr", nr_frames, FIELD_NUMBER, 0),
    N(gnttab_get_status_frames, "list", frame_list, FIELD_ADDRESS, 0),
    F(gnttab_get_status_frames, status, FIELD_SIGNED, 1),
};
static const struct field get_version_fields[] = {
    F(gnttab_get_version, dom, FIELD_DOMAIN, 0), F(gnttab_get_version, version, FIELD_NUMBER, 1),
};
static const struct field swap_fields[] = {
    N(gnttab_swap_grant_ref, "a", ref_a, FIELD_NUMBER, 0),
    N(gnttab_swap_grant_ref, "b", ref_b, FIELD_NUMBER, 0),
    F(gnttab_swap_grant_ref, status, FIELD_SIGNED, 1),
};
static const struct field flush_fields[] = {
    N(gnttab_cache_flush, "bus", a.dev_bus_addr, FIELD_BUS, 0),
    F(gnttab_cache_flush, offset, FIELD_NUMBER, 0),
    N(gnttab_cache_flush, "len", length, FIELD_NUMBER, 0),
    F(gnttab_cache_flush, op, FIELD_NUMBER, 0),
};

static const struct field bind_interdomain_fields[] = {
    N(evtchn_bind_interdomain, "dom", remote_dom, FIELD_DOMAIN, 0),
    N(evtchn_bind_interdomain, "rport", remote_port, FIELD_NUMBER, 0),
    N(evtchn_bind_interdomain, "port", local_port, FIELD_NUMBER, 1),
};
static const struct field bind_virq_fields[] = {
    F(evtchn_bind_virq, virq, FIELD_NUMBER, 0), F(evtchn_bind_virq, vcpu, FIELD_NUMBER, 0),
    F(evtchn_bind_virq, port, FIELD_NUMBER, 1),
};
static const struct field bind_pirq_fields[] = {
    F(evtchn_bind_pirq, pirq, FIELD_NUMBER, 0), F(evtchn_bind_pirq, flags, FIELD_NUMBER, 0),
    F(evtchn_bind_pirq, port, FIELD_NUMBER, 1),
};
static const struct field port_fields[] = { F(evtchn_close, port, FIELD_NUMBER, 0) };
static const struct field status_fields[] = {
    F(evtchn_status, dom, FIELD_DOMAIN, 0), F(evtchn_status, port, FIELD_NUMBER, 0),
    F(evtchn_status, status, FIELD_NUMBER, 1),
    F(evtchn_status, vcpu, FIELD_NUMBER, 1), N(evtchn_status, "remote", u.interdomain.dom,
                                               FIELD_DOMAIN, 1),
    N(evtchn_status, "rport", u.interdomain.port, FIELD_NUMBER, 1),
};
static const struct field alloc_unbound_fields[] = {
    F(evtchn_alloc_unbound, dom, FIELD_DOMAIN, 0),
    N(evtchn_alloc_unbound, "remote", remote_dom, FIELD_DOMAIN, 0),
    F(evtchn_alloc_unbound, port, FIELD_NUMBER, 1),
};
static const struct field bind_ipi_fields[] =
    { F(evtchn_bind_ipi, vcpu, FIELD_NUMBER, 0), F(evtchn_bind_ipi, port, FIELD_NUMBER, 1) };
static const struct field bind_vcpu_fields[] =
    { F(evtchn_bind_vcpu, port, FIELD_NUMBER, 0), F(evtchn_bind_vcpu, vcpu, FIELD_NUMBER, 0) };
static const struct field reset_fields[] = { F(evtchn_reset, dom, FIELD_DOMAIN, 0) };
static const struct field priority_fields[] = {
    F(evtchn_set_priority, port, FIELD_NUMBER, 0),
    F(evtchn_set_priority, priority, FIELD_NUMBER, 0),
};

#define GRANT(name, op, type, shape, fields) \
    { name, GNTTABOP_##op, sizeof(struct type), shape, sizeof(fields) / sizeof(*fields), fields }
#define EVENT(name, op, type, fields) \
    { name, EVTCHNOP_##op, sizeof(struct type), CALL_EVTCHN, sizeof(fields) / sizeof(*fields), \
      fields }

static const struct call calls[] = {
    GRANT("map", map_grant_ref, gnttab_map_grant_ref, CALL_ARRAY, map_fields),
    GRANT("unmap", unmap_grant_ref, gnttab_unmap_grant_ref, CALL_ARRAY, unmap_fields),
    GRANT("replace", unmap_and_replace, gnttab_unmap_and_replace, CALL_ARRAY, replace_fields),
    GRANT("setup_table", setup_table, gnttab_setup_table, CALL_ONE, setup_fields),
    GRANT("dump_table", dump_table, gnttab_dump_table, CALL_ONE, dump_fields),
    GRANT("transfer", transfer, gnttab_transfer, CALL_ARRAY, transfer_fields),
    GRANT("copy", copy, gnttab_copy, CALL_ARRAY, copy_fields),
    GRANT("query_size", query_size, gnttab_query_size, CALL_ONE, size_fields),
    GRANT("set_version", set_version, gnttab_set_version, CALL_ONE, set_version_fields),
    GRANT("get_status_frames", get_status_frames, gnttab_get_status_frames, CALL_ONE,
          status_frames_fields),
    GRANT("get_version", get_version, gnttab_get_version, CALL_ONE, get_version_fields),
    GRANT("swap", swap_grant_ref, gnttab_swap_grant_ref, CALL_ARRAY, swap_fields),
    GRANT("cache_flush", cache_flush, gnttab_cache_flush, CALL_ARRAY, flush_fields),
    EVENT("bind_interdomain", bind_interdomain, evtchn_bind_interdomain, bind_interdomain_fields),
    EVENT("bind_virq", bind_virq, evtchn_bind_virq, bind_virq_fields),
    EVENT("bind_pirq", bind_pirq, evtchn_bind_pirq, bind_pirq_fields),
    EVENT("close", close, evtchn_close, port_fields),
    EVENT("send", send, evtchn_send, port_fields),
    EVENT("status", status, evtchn_status, status_fields),
    EVENT("alloc_unbound", alloc_unbound, evtchn_alloc_unbound, alloc_unbound_fields),
    EVENT("bind_ipi", bind_ipi, evtchn_bind_ipi, bind_ipi_fields),
    EVENT("bind_vcpu", bind_vcpu, evtchn_bind_vcpu, bind_vcpu_fields),
    EVENT("unmask", unmask, evtchn_unmask, port_fields),
    EVENT("reset", reset, evtchn_reset, reset_fields),
    EVENT("set_priority", set_priority, evtchn_set_priority, priority_fields),
};

const struct call *find_call(const char *name)
{
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(calls[i].name, name))
            return &calls[i];
    return NULL;
}
