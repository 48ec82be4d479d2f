/* SPDX-License-Identifier: MIT */
/* The calls for paging and for access, in the states of a page and of a ring. */
#include "libxc_memory_i.h"

#include <string.h>

static char buffer[XC_PAGE_SIZE] __attribute__((aligned(XC_PAGE_SIZE)));

/* ---- Paging ---------------------------------------------------------------------------------- */

static void paging_ring_rows(const struct scene *s, uint32_t domid)
{
    uint32_t port;

    ROW("xc_mem_paging_enable", "port is NULL", xc_mem_paging_enable(s->xc, domid, NULL));
    ROW("xc_mem_paging_enable", "no parameter says where the ring is",
        xc_mem_paging_enable(s->xc, domid, &port));
    xc_hvm_param_set(s->xc, domid, HVM_PARAM_PAGING_RING_PFN, HOLE);
    ROW("xc_mem_paging_enable", "the ring's gfn is not populated",
        xc_mem_paging_enable(s->xc, domid, &port));
    ROW("xc_mem_paging_nominate", "there is no ring", xc_mem_paging_nominate(s->xc, domid, 5));
    ROW("xc_mem_paging_resume", "there is no ring", xc_mem_paging_resume(s->xc, domid));
    ROW("xc_mem_paging_disable", "there is no ring", xc_mem_paging_disable(s->xc, domid));
    prepare_ring(s, domid, HVM_PARAM_PAGING_RING_PFN);
    ROW("xc_mem_paging_enable", "all is there", xc_mem_paging_enable(s->xc, domid, &port));
    ROW("xc_mem_paging_enable", "there is a ring", xc_mem_paging_enable(s->xc, domid, &port));
    ROW("xc_mem_paging_resume", "there is a ring", xc_mem_paging_resume(s->xc, domid));
}

static void nominate_rows(const struct scene *s, uint32_t domid)
{
    void *page = map_page(s, domid, 6, PROT_READ);

    ROW("xc_mem_paging_nominate", "a program of the caller maps the page",
        xc_mem_paging_nominate(s->xc, domid, 6));
    unmap_page(s, page);
    ROW("xc_mem_paging_nominate", "nothing is at the gfn",
        xc_mem_paging_nominate(s->xc, domid, HOLE));
    ROW("xc_mem_paging_evict", "the page is not nominated", xc_mem_paging_evict(s->xc, domid, 5));
    ROW("xc_mem_paging_prep", "the page is there", xc_mem_paging_prep(s->xc, domid, 5));
    ROW("xc_mem_paging_load", "the page is there", xc_mem_paging_load(s->xc, domid, 5, buffer));
    ROW("xc_mem_paging_nominate", "the page is there", xc_mem_paging_nominate(s->xc, domid, 5));
    ROW("xc_mem_paging_nominate", "the page is nominated",
        xc_mem_paging_nominate(s->xc, domid, 5));
    ROW("xc_mem_paging_prep", "the page is nominated", xc_mem_paging_prep(s->xc, domid, 5));
}

static void out_rows(const struct scene *s, uint32_t domid)
{
    void *page;

    ROW("xc_mem_paging_evict", "the page is nominated", xc_mem_paging_evict(s->xc, domid, 5));
    ROW("xc_mem_paging_evict", "the page is out", xc_mem_paging_evict(s->xc, domid, 5));
    ROW("xc_mem_paging_nominate", "the page is out", xc_mem_paging_nominate(s->xc, domid, 5));
    ROW("xc_mem_paging_prep", "the page is out", xc_mem_paging_prep(s->xc, domid, 5));
    ROW("xc_mem_paging_load", "buffer is NULL", xc_mem_paging_load(s->xc, domid, 5, NULL));
    xc_domain_setmaxmem(s->xc, domid, 4);
    ROW("xc_mem_paging_load", "the domain may have no page more",
        xc_mem_paging_load(s->xc, domid, 5, buffer));
    xc_domain_setmaxmem(s->xc, domid, (PAGES + 64) * 4);
    memset(buffer, 0x5a, sizeof buffer);
    ROW("xc_mem_paging_load", "the page is out", xc_mem_paging_load(s->xc, domid, 5, buffer));
    page = map_page(s, domid, 5, PROT_READ);
    ROW("xc_mem_paging_load", "what the domain has then, compared", memcmp(page, buffer, 4096));
    unmap_page(s, page);
}

/* Rings in pages that are out. */
static void ring_out_rows(const struct scene *s, uint32_t domid)
{
    uint32_t port;

    xc_hvm_param_set(s->xc, domid, HVM_PARAM_SHARING_RING_PFN, 7);
    xc_mem_paging_nominate(s->xc, domid, 7);
    xc_mem_paging_evict(s->xc, domid, 7);
    ROW("xc_memshr_ring_enable", "the ring's gfn is paged out",
        xc_memshr_ring_enable(s->xc, domid, &port));
    xc_mem_paging_load(s->xc, domid, 7, buffer);
}

void paging_rows(const struct scene *s)
{
    uint32_t domid = make_domain(s, 1);
    uint64_t handle;

    paging_ring_rows(s, domid);
    nominate_rows(s, domid);
    out_rows(s, domid);
    ring_out_rows(s, domid);
    xc_memshr_nominate_gfn(s->xc, domid, 10, &handle);
    ROW("xc_mem_paging_nominate", "the page is shared", xc_mem_paging_nominate(s->xc, domid, 10));
    xc_mem_paging_nominate(s->xc, domid, 11);
    ROW("xc_memshr_nominate_gfn", "a pager nominated the page",
        xc_memshr_nominate_gfn(s->xc, domid, 11, &handle));
    ROW("xc_mem_paging_disable", "there is a ring", xc_mem_paging_disable(s->xc, domid));
    end_domain(s, domid);
}

/* ---- Access ---------------------------------------------------------------------------------- */

static long get_access(const struct scene *s, uint32_t domid, uint64_t gfn)
{
    xenmem_access_t access = 99;

    return xc_get_mem_access(s->xc, domid, gfn, &access) ? -1 : (long)access;
}

static void set_access_rows(const struct scene *s, uint32_t domid)
{
    uint8_t accesses[] = { XENMEM_access_r, XENMEM_access_default + 1 };
    uint64_t gfns[] = { 20, 21 };

    ROW("xc_set_mem_access", "a range of pages",
        xc_set_mem_access(s->xc, domid, XENMEM_access_rw, 5, 3));
    ROW("xc_get_mem_access", "set to rw", get_access(s, domid, 7));
    ROW("xc_get_mem_access", "nobody set it", get_access(s, domid, 8));
    ROW("xc_get_mem_access", "nothing is at the gfn", get_access(s, domid, PAGES));
    ROW("xc_set_mem_access", "no such access",
        xc_set_mem_access(s->xc, domid, XENMEM_access_default + 1, 5, 1));
    ROW("xc_set_mem_access", "0 pages",
        xc_set_mem_access(s->xc, domid, XENMEM_access_rw, 5, 0));
    ROW("xc_set_mem_access", "beyond the highest gfn",
        xc_set_mem_access(s->xc, domid, XENMEM_access_rw, 1 << 20, 1));
    ROW("xc_get_mem_access", "beyond the highest gfn", get_access(s, domid, 1 << 20));
    ROW("xc_set_mem_access_multi", "two pages",
        xc_set_mem_access_multi(s->xc, domid, accesses, gfns, 1));
    ROW("xc_get_mem_access", "set to r with others", get_access(s, domid, 20));
    ROW("xc_set_mem_access_multi", "no such access",
        xc_set_mem_access_multi(s->xc, domid, accesses, gfns, 2));
    ROW("xc_set_mem_access", "the default",
        xc_set_mem_access(s->xc, domid, XENMEM_access_rx, ~UINT64_C(0), 0));
    ROW("xc_get_mem_access", "the default, set to rx", get_access(s, domid, ~UINT64_C(0)));
}

void access_rows(const struct scene *s)
{
    uint32_t domid = make_domain(s, 1), port = 0, capabilities = 0;
    void *ring;

    ROW("xc_set_mem_access", "there is no ring",
        xc_set_mem_access(s->xc, domid, XENMEM_access_rw, 5, 1));
    ROW("xc_monitor_resume", "there is no ring", xc_monitor_resume(s->xc, domid));
    ROW("xc_monitor_disable", "there is no ring", xc_monitor_disable(s->xc, domid));
    ROW("xc_monitor_enable", "port is NULL", xc_monitor_enable(s->xc, domid, NULL) ? 0 : -1);
    ROW("xc_monitor_enable", "no parameter says where the ring is",
        xc_monitor_enable(s->xc, domid, &port) ? 0 : -1);
    xc_hvm_param_set(s->xc, domid, HVM_PARAM_MONITOR_RING_PFN, RING);
    ring = xc_monitor_enable(s->xc, domid, &port);
    ROW("xc_monitor_enable", "all is there", ring ? 0 : -1);
    ROW("xc_monitor_enable", "there is a ring",
        xc_monitor_enable(s->xc, domid, &port) ? 0 : -1);
    ROW("xc_monitor_get_capabilities", "an HVM domain",
        xc_monitor_get_capabilities(s->xc, domid, &capabilities));
    set_access_rows(s, domid);
    ROW("xc_monitor_software_breakpoint", "no program runs",
        xc_monitor_software_breakpoint(s->xc, domid, true));
    ROW("xc_monitor_resume", "there is a ring", xc_monitor_resume(s->xc, domid));
    ROW("xc_monitor_disable", "there is a ring", xc_monitor_disable(s->xc, domid));
    if (ring)
        munmap(ring, XC_PAGE_SIZE);
    end_domain(s, domid);
}
