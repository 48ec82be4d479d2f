/* SPDX-License-Identifier: MIT */
/* Each call on a domain that it cannot serve. */
#include "libxc_memory_i.h"

/* A call, on its own domain or on another one that is as it should be. */
struct call {
    const char *name;
    long (*make)(xc_interface *xc, uint32_t domid, uint32_t good);
};

static uint64_t handle;
static uint32_t port;
static char buffer[XC_PAGE_SIZE] __attribute__((aligned(XC_PAGE_SIZE)));
static xenmem_access_t access_of;
static uint8_t one_access = XENMEM_access_rw;
static uint64_t one_page = 5;

static long resume_monitor(xc_interface *xc, uint32_t domid)
{
    return xc_monitor_resume(xc, domid);
}

static long enable_monitor(xc_interface *xc, uint32_t domid)
{
    return xc_monitor_enable(xc, domid, &port) ? 0 : -1;
}

/* clang-format off */
#define CALLS(C) \
    C(memshr_control, "xc_memshr_control", xc_memshr_control(xc, domid, 1)) \
    C(ring_enable, "xc_memshr_ring_enable", xc_memshr_ring_enable(xc, domid, &port)) \
    C(ring_disable, "xc_memshr_ring_disable", xc_memshr_ring_disable(xc, domid)) \
    C(domain_resume, "xc_memshr_domain_resume", xc_memshr_domain_resume(xc, domid)) \
    C(nominate_gfn, "xc_memshr_nominate_gfn", xc_memshr_nominate_gfn(xc, domid, 5, &handle)) \
    C(nominate_gref, "xc_memshr_nominate_gref", \
      xc_memshr_nominate_gref(xc, domid, FIRST_REF, &handle)) \
    C(share_gfns, "xc_memshr_share_gfns, source", \
      xc_memshr_share_gfns(xc, domid, 5, 1, good, 5, 1)) \
    C(share_gfns_to, "xc_memshr_share_gfns, client", \
      xc_memshr_share_gfns(xc, good, 5, 1, domid, 5, 1)) \
    C(share_grefs, "xc_memshr_share_grefs, source", \
      xc_memshr_share_grefs(xc, domid, FIRST_REF, 1, good, FIRST_REF, 1)) \
    C(share_grefs_to, "xc_memshr_share_grefs, client", \
      xc_memshr_share_grefs(xc, good, FIRST_REF, 1, domid, FIRST_REF, 1)) \
    C(add, "xc_memshr_add_to_physmap, source", \
      xc_memshr_add_to_physmap(xc, domid, 5, 1, good, HOLE)) \
    C(add_to, "xc_memshr_add_to_physmap, client", \
      xc_memshr_add_to_physmap(xc, good, 5, 1, domid, HOLE)) \
    C(range, "xc_memshr_range_share, source", xc_memshr_range_share(xc, domid, good, 5, 6)) \
    C(range_to, "xc_memshr_range_share, client", xc_memshr_range_share(xc, good, domid, 5, 6)) \
    C(debug_gfn, "xc_memshr_debug_gfn", xc_memshr_debug_gfn(xc, domid, 5)) \
    C(debug_gref, "xc_memshr_debug_gref", xc_memshr_debug_gref(xc, domid, FIRST_REF)) \
    C(fork, "xc_memshr_fork, parent", xc_memshr_fork(xc, domid, good, false, false)) \
    C(fork_to, "xc_memshr_fork, child", xc_memshr_fork(xc, good, domid, false, false)) \
    C(reset, "xc_memshr_fork_reset", xc_memshr_fork_reset(xc, domid, true, true)) \
    C(paging_enable, "xc_mem_paging_enable", xc_mem_paging_enable(xc, domid, &port)) \
    C(paging_disable, "xc_mem_paging_disable", xc_mem_paging_disable(xc, domid)) \
    C(paging_resume, "xc_mem_paging_resume", xc_mem_paging_resume(xc, domid)) \
    C(nominate, "xc_mem_paging_nominate", xc_mem_paging_nominate(xc, domid, 5)) \
    C(evict, "xc_mem_paging_evict", xc_mem_paging_evict(xc, domid, 5)) \
    C(prep, "xc_mem_paging_prep", xc_mem_paging_prep(xc, domid, 5)) \
    C(load, "xc_mem_paging_load", xc_mem_paging_load(xc, domid, 5, buffer)) \
    C(monitor_enable, "xc_monitor_enable", enable_monitor(xc, domid)) \
    C(monitor_disable, "xc_monitor_disable", xc_monitor_disable(xc, domid)) \
    C(monitor_resume, "xc_monitor_resume", resume_monitor(xc, domid)) \
    C(set_access, "xc_set_mem_access", xc_set_mem_access(xc, domid, XENMEM_access_rw, 5, 1)) \
    C(set_accesses, "xc_set_mem_access_multi", \
      xc_set_mem_access_multi(xc, domid, &one_access, &one_page, 1)) \
    C(get_access, "xc_get_mem_access", xc_get_mem_access(xc, domid, 5, &access_of))
/* clang-format on */

#define FUNCTION(name, text, expression) \
    static long make_##name(xc_interface *xc, uint32_t domid, uint32_t good) \
    { \
        (void)good; \
        return expression; \
    }
CALLS(FUNCTION)

static const struct call calls[] = {
#define LINE(name, text, expression) { text, make_##name },
    CALLS(LINE)
#undef LINE
};

void domain_rows(const struct scene *s, const char *when, uint32_t domid, uint32_t good)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        ROW(calls[i].name, when, calls[i].make(s->xc, domid, good));
    ROW("xc_memshr_audit", when, xc_memshr_audit(s->xc));
    ROW("xc_sharing_freed_pages", when, xc_sharing_freed_pages(s->xc));
    ROW("xc_sharing_used_frames", when, xc_sharing_used_frames(s->xc));
}
