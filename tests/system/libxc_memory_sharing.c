/* SPDX-License-Identifier: MIT */
/* The calls for sharing, in the states of a page, of its handle and of the ring. */
#include "libxc_memory_i.h"

/* Two domains whose pages are shared with each other. */
struct pair {
    const struct scene *s;
    uint32_t a, b;
};

static uint64_t nominate(const struct pair *p, uint32_t domid, unsigned long gfn)
{
    uint64_t handle = 0;

    xc_memshr_nominate_gfn(p->s->xc, domid, gfn, &handle);
    return handle;
}

/* ---- Control and ring ------------------------------------------------------------------------ */

static void use_up_ports(const struct scene *s, uint32_t domid)
{
    while (xc_evtchn_alloc_unbound(s->xc, domid, 0) >= 0)
        ;
}

static void ring_rows(const struct pair *p)
{
    xc_interface *xc = p->s->xc;
    uint32_t port;

    ROW("xc_memshr_ring_enable", "port is NULL", xc_memshr_ring_enable(xc, p->a, NULL));
    ROW("xc_memshr_ring_enable", "no parameter says where the ring is",
        xc_memshr_ring_enable(xc, p->a, &port));
    xc_hvm_param_set(xc, p->a, HVM_PARAM_SHARING_RING_PFN, HOLE);
    ROW("xc_memshr_ring_enable", "the ring's gfn is not populated",
        xc_memshr_ring_enable(xc, p->a, &port));
    ROW("xc_memshr_domain_resume", "there is no ring", xc_memshr_domain_resume(xc, p->a));
    ROW("xc_memshr_ring_disable", "there is no ring", xc_memshr_ring_disable(xc, p->a));
    prepare_ring(p->s, p->a, HVM_PARAM_SHARING_RING_PFN);
    ROW("xc_memshr_ring_enable", "all is there", xc_memshr_ring_enable(xc, p->a, &port));
    ROW("xc_memshr_ring_enable", "there is a ring", xc_memshr_ring_enable(xc, p->a, &port));
    ROW("xc_memshr_domain_resume", "there is a ring", xc_memshr_domain_resume(xc, p->a));
    ROW("xc_memshr_ring_disable", "there is a ring", xc_memshr_ring_disable(xc, p->a));
    use_up_ports(p->s, p->a);
    ROW("xc_memshr_ring_enable", "the domain has no event channel left",
        xc_memshr_ring_enable(xc, p->a, &port));
}

/* The page of the ring is shared, and the domain may have no page for its copy. */
static void shared_ring_rows(const struct pair *p)
{
    uint64_t source = nominate(p, p->a, 40), client = nominate(p, p->b, 40);
    uint32_t port;

    xc_memshr_share_gfns(p->s->xc, p->a, 40, source, p->b, 40, client);
    xc_hvm_param_set(p->s->xc, p->b, HVM_PARAM_SHARING_RING_PFN, 40);
    xc_domain_setmaxmem(p->s->xc, p->b, 4);
    ROW("xc_memshr_ring_enable", "the ring's gfn is shared, and there is no page for a copy",
        xc_memshr_ring_enable(p->s->xc, p->b, &port));
    xc_domain_setmaxmem(p->s->xc, p->b, (PAGES + 64) * 4);
}

/* ---- Nominate -------------------------------------------------------------------------------- */

static void nominate_rows(const struct pair *p)
{
    xc_interface *xc = p->s->xc;
    uint64_t first = 0, again = 0;
    void *page;

    ROW("xc_memshr_nominate_gfn", "the page is private",
        xc_memshr_nominate_gfn(xc, p->a, 5, &first));
    ROW("xc_memshr_nominate_gfn", "the page is nominated",
        xc_memshr_nominate_gfn(xc, p->a, 5, &again));
    ROW("xc_memshr_nominate_gfn", "the two handles, compared", first != again);
    ROW("xc_memshr_nominate_gfn", "nothing is at the gfn",
        xc_memshr_nominate_gfn(xc, p->a, HOLE, &again));
    page = map_page(p->s, p->a, 6, PROT_READ);
    ROW("xc_memshr_nominate_gfn", "a program of the caller maps the page to read",
        xc_memshr_nominate_gfn(xc, p->a, 6, &again));
    unmap_page(p->s, page);
    page = map_page(p->s, p->a, 6, PROT_READ | PROT_WRITE);
    ROW("xc_memshr_nominate_gfn", "a program of the caller maps the page to write",
        xc_memshr_nominate_gfn(xc, p->a, 6, &again));
    unmap_page(p->s, page);
    write_page(p->s, p->a, 5);
    xc_memshr_nominate_gfn(xc, p->a, 5, &again);
    ROW("xc_memshr_nominate_gfn", "the handle of a page that was written since, compared",
        first != again);
    ROW("xc_memshr_nominate_gref", "the page is private",
        xc_memshr_nominate_gref(xc, p->a, FIRST_REF, &again));
    nominate(p, p->a, FIRST_REF);
    ROW("xc_memshr_nominate_gref", "the page is nominated",
        xc_memshr_nominate_gref(xc, p->a, FIRST_REF, &again));
    ROW("xc_memshr_nominate_gref", "the reference is beyond the table",
        xc_memshr_nominate_gref(xc, p->a, NO_REF, &again));
    ROW("xc_memshr_nominate_gref", "the reference grants nothing",
        xc_memshr_nominate_gref(xc, p->a, UNUSED_REF, &again));
}

/* ---- Share ----------------------------------------------------------------------------------- */

static void share_rows(const struct pair *p)
{
    xc_interface *xc = p->s->xc;
    uint64_t source = nominate(p, p->a, 12), client = nominate(p, p->b, 12);

    ROW("xc_memshr_share_gfns", "the source's handle is wrong",
        xc_memshr_share_gfns(xc, p->a, 12, source + 99, p->b, 12, client));
    ROW("xc_memshr_share_gfns", "the client's handle is wrong",
        xc_memshr_share_gfns(xc, p->a, 12, source, p->b, 12, client + 99));
    ROW("xc_memshr_share_gfns", "the source is not nominated",
        xc_memshr_share_gfns(xc, p->a, 13, source, p->b, 12, client));
    ROW("xc_memshr_share_gfns", "the client is not nominated",
        xc_memshr_share_gfns(xc, p->a, 12, source, p->b, 13, client));
    ROW("xc_memshr_debug_gfn", "the page is nominated", xc_memshr_debug_gfn(xc, p->a, 12));
    ROW("xc_memshr_share_gfns", "both are nominated",
        xc_memshr_share_gfns(xc, p->a, 12, source, p->b, 12, client));
    ROW("xc_memshr_share_gfns", "they are shared already",
        xc_memshr_share_gfns(xc, p->a, 12, source, p->b, 12, client));
    ROW("xc_memshr_debug_gfn", "two pages share the frame", xc_memshr_debug_gfn(xc, p->b, 12));
    ROW("xc_memshr_debug_gfn", "the page is private", xc_memshr_debug_gfn(xc, p->a, 14));
    ROW("xc_memshr_debug_gfn", "nothing is at the gfn", xc_memshr_debug_gfn(xc, p->a, HOLE));
    ROW("xc_memshr_debug_gref", "two pages share the frame", xc_memshr_debug_gref(xc, p->b, 12));
    ROW("xc_memshr_debug_gref", "the page is private", xc_memshr_debug_gref(xc, p->a, 14));
    ROW("xc_memshr_debug_gref", "the reference is beyond the table",
        xc_memshr_debug_gref(xc, p->a, NO_REF));
    ROW("xc_memshr_debug_gref", "the reference grants nothing",
        xc_memshr_debug_gref(xc, p->a, UNUSED_REF));
    ROW("xc_sharing_used_frames", "two pages share one of four frames",
        xc_sharing_used_frames(xc));
    ROW("xc_sharing_freed_pages", "two pages share one frame", xc_sharing_freed_pages(xc));
    ROW("shr_pages", "their sum, less both counters", equation(p->s));
    write_page(p->s, p->b, 12);
    ROW("xc_memshr_debug_gfn", "the other page was written", xc_memshr_debug_gfn(xc, p->a, 12));
    ROW("xc_sharing_freed_pages", "one of the two was written", xc_sharing_freed_pages(xc));
    client = nominate(p, p->b, 12);
    write_page(p->s, p->a, 12);
    nominate(p, p->a, 12);
    ROW("xc_memshr_share_gfns", "the source was written since it was nominated",
        xc_memshr_share_gfns(xc, p->a, 12, source, p->b, 12, client));
}

static void gref_rows(const struct pair *p)
{
    xc_interface *xc = p->s->xc;
    uint64_t source = nominate(p, p->a, 20), client = nominate(p, p->b, 20);

    ROW("xc_memshr_share_grefs", "the source's handle is wrong",
        xc_memshr_share_grefs(xc, p->a, 20, source + 99, p->b, 20, client));
    ROW("xc_memshr_share_grefs", "the client's handle is wrong",
        xc_memshr_share_grefs(xc, p->a, 20, source, p->b, 20, client + 99));
    ROW("xc_memshr_share_grefs", "a reference is beyond the table",
        xc_memshr_share_grefs(xc, p->a, NO_REF, source, p->b, 20, client));
    ROW("xc_memshr_share_grefs", "a reference grants nothing",
        xc_memshr_share_grefs(xc, p->a, 20, source, p->b, UNUSED_REF, client));
    ROW("xc_memshr_share_grefs", "both are nominated",
        xc_memshr_share_grefs(xc, p->a, 20, source, p->b, 20, client));
}

static void add_rows(const struct pair *p)
{
    xc_interface *xc = p->s->xc;
    uint64_t source = nominate(p, p->a, 21), pool = 0;

    ROW("xc_memshr_add_to_physmap", "the source's handle is wrong",
        xc_memshr_add_to_physmap(xc, p->a, 21, source + 99, p->b, HOLE));
    ROW("xc_memshr_add_to_physmap", "a page is at the client's gfn",
        xc_memshr_add_to_physmap(xc, p->a, 21, source, p->b, 21));
    ROW("xc_memshr_add_to_physmap", "nothing is at the client's gfn",
        xc_memshr_add_to_physmap(xc, p->a, 21, source, p->b, HOLE));
    ROW("xc_memshr_debug_gfn", "the page was added", xc_memshr_debug_gfn(xc, p->b, HOLE));
    /* The smallest pool that the domain can have: no room for a gfn far away. */
    while (xc_set_paging_mempool_size(xc, p->b, pool += XC_PAGE_SIZE))
        ;
    ROW("xc_memshr_add_to_physmap", "the client's pool has no memory for its physmap",
        xc_memshr_add_to_physmap(xc, p->a, 21, source, p->b, 1 << 30));
    xc_set_paging_mempool_size(xc, p->b, 2 << 20);
    ROW("shr_pages", "their sum, less both counters, then", equation(p->s));
}

static void range_rows(const struct pair *p)
{
    xc_interface *xc = p->s->xc;

    ROW("xc_memshr_range_share", "four pages", xc_memshr_range_share(xc, p->a, p->b, 30, 33));
    ROW("xc_memshr_debug_gfn", "the last of a range", xc_memshr_debug_gfn(xc, p->b, 33));
    ROW("xc_memshr_range_share", "beyond a domain's highest gfn",
        xc_memshr_range_share(xc, p->a, p->b, 30, 1 << 20));
    xc_domain_unpause(xc, p->a);
    ROW("xc_memshr_range_share", "the source is not paused",
        xc_memshr_range_share(xc, p->a, p->b, 34, 35));
    xc_domain_pause(xc, p->a);
    xc_memshr_control(xc, p->b, 0);
    ROW("xc_memshr_range_share", "sharing is off in the client",
        xc_memshr_range_share(xc, p->a, p->b, 34, 35));
    xc_memshr_control(xc, p->b, 1);
}

/* ---- Fork, and what is left ------------------------------------------------------------------ */

static void fork_rows(const struct scene *s)
{
    uint32_t parent = make_domain(s, 1), child = make_domain(s, 1), other = make_domain(s, 2);

    ROW("xc_memshr_fork_reset", "it is no fork", xc_memshr_fork_reset(s->xc, child, true, true));
    ROW("xc_memshr_fork", "the child has more vCPUs",
        xc_memshr_fork(s->xc, parent, other, false, false));
    xc_domain_unpause(s->xc, child);
    ROW("xc_memshr_fork", "the child is not paused",
        xc_memshr_fork(s->xc, parent, child, false, false));
    xc_domain_pause(s->xc, child);
    ROW("xc_memshr_fork", "the child is paused",
        xc_memshr_fork(s->xc, parent, child, false, false));
    ROW("xc_memshr_fork_reset", "neither state nor memory",
        xc_memshr_fork_reset(s->xc, child, false, false));
    ROW("xc_memshr_fork_reset", "state and memory",
        xc_memshr_fork_reset(s->xc, child, true, true));
    end_domain(s, child);
    end_domain(s, other);
    end_domain(s, parent);
}

void sharing_rows(const struct scene *s)
{
    struct pair p = { s, make_domain(s, 1), make_domain(s, 1) };

    ROW("xc_memshr_nominate_gfn", "sharing was never enabled",
        nominate(&p, p.a, 50) ? 0 : -1);
    ROW("xc_memshr_share_gfns", "sharing was never enabled in the client",
        xc_memshr_share_gfns(s->xc, p.a, 50, 1, p.b, 50, 1));
    ROW("xc_memshr_control", "on", xc_memshr_control(s->xc, p.b, 1));
    ROW("xc_memshr_control", "on again", xc_memshr_control(s->xc, p.b, 1));
    nominate_rows(&p);
    share_rows(&p);
    gref_rows(&p);
    add_rows(&p);
    range_rows(&p);
    shared_ring_rows(&p);
    ring_rows(&p);
    ROW("xc_memshr_control", "off, with shared pages", xc_memshr_control(s->xc, p.a, 0));
    ROW("xc_memshr_debug_gfn", "sharing was turned off since",
        xc_memshr_debug_gfn(s->xc, p.b, HOLE));
    ROW("xc_memshr_audit", "all is well", xc_memshr_audit(s->xc));
    end_domain(s, p.a);
    end_domain(s, p.b);
    ROW("xc_sharing_used_frames", "the domains are gone", xc_sharing_used_frames(s->xc));
    ROW("xc_sharing_freed_pages", "the domains are gone", xc_sharing_freed_pages(s->xc));
    fork_rows(s);
}
