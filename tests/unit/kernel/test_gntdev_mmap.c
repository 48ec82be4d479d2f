/* SPDX-License-Identifier: MIT */
/* gntdev's mappings: checks, protections, failures, and what happens when they go, on both kinds of guests. */
#include "harness.h"

static struct file *a, *g;
static struct vma *pages;
static uint32_t refs[4];

/* Domain 0 shares four pages with domain 1, which has gntdev open. */
static void up(void)
{
    world_up();
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    pages = share(a, 1, 4, refs);
    for (unsigned i = 0; i < 4; i++)
        *at(pages, i, 0) = (uint8_t)(0xa0 + i);
}

static void down(void)
{
    if (pages)
        do_munmap(pages);
    close_dev(a);
    close_dev(g);
    EQ(info(1).maptrack_in_use, 0);
    world_down();
}

static uint64_t new_map(uint32_t count)
{
    uint64_t index;

    EQ(map_refs(g, 0, refs, count, &index), 0);
    return index;
}

/* Handles that one mapped page needs. */
static unsigned handles(void)
{
    return IS_PV ? 2 : 1;
}

/* ---- Checks ----------------------------------------------------------------------------------- */

static void which_mmaps_are_refused(void)
{
    struct vma *vma;
    uint64_t index;

    up();
    index = new_map(3);
    EQ(do_mmap(g, index, PAGE, RW, MAP_SHARED, &vma), -EINVAL);
    EQ(do_mmap(g, index, 4 * PAGE, RW, MAP_SHARED, &vma), -EINVAL);
    EQ(do_mmap(g, index + 0x100000, 3 * PAGE, RW, MAP_SHARED, &vma), -EINVAL);
    EQ(do_mmap(g, index + PAGE, 2 * PAGE, RW, MAP_SHARED, &vma), -EINVAL);
    EQ(do_mmap(g, index, 3 * PAGE, RW, MAP_PRIVATE, &vma), -EINVAL);
    EQ(do_mmap(g, index, 3 * PAGE, PROT_WRITE, MAP_PRIVATE, &vma), -EINVAL);
    EQ(do_mmap(g, index, 2 * PAGE + 1, RW, MAP_SHARED, &vma), 0);      /* rounded up */
    EQ(*at(vma, 2, 0), 0xa2);
    EQ(do_mmap(g, index, 3 * PAGE, RW, MAP_SHARED, &(struct vma *){ NULL }), -EINVAL);
    unmap_grants(g, vma);
    down();
}

static void once_in_a_maps_life(void)
{
    struct vma *vma, *again;
    uint64_t index;

    up();
    index = new_map(1);
    EQ(do_mmap(g, index, PAGE, PROT_READ, MAP_SHARED, &vma), 0);
    do_munmap(vma);
    EQ(do_mmap(g, index, PAGE, PROT_READ, MAP_SHARED, &again), -EINVAL);
    EQ(unmap_index(g, index, 1), 0);
    /* A failed attempt counts, too. */
    refs[1] = 400;
    EQ(map_refs(g, 0, refs + 1, 1, &index), 0);
    EQ(do_mmap(g, index, PAGE, RW, MAP_SHARED, &vma), -EINVAL);
    EQ(do_mmap(g, index, PAGE, RW, MAP_SHARED, &vma), -EINVAL);
    EQ(unmap_index(g, index, 1), 0);
    /* Adjacent maps are not one. */
    EQ(new_map(1), 0);
    EQ(new_map(1), PAGE);
    EQ(do_mmap(g, 0, 2 * PAGE, RW, MAP_SHARED, &vma), -EINVAL);
    down();
}

static void protections(void)
{
    static const struct {
        unsigned prot, flags;
        bool writable;
    } rows[] = {
        { PROT_READ, MAP_SHARED, false },
        { PROT_READ, MAP_PRIVATE, false },
        { PROT_READ | PROT_WRITE, MAP_SHARED, true },
        { PROT_WRITE, MAP_SHARED, true },
        { PROT_NONE, MAP_SHARED, false },
        { PROT_READ | PROT_EXEC, MAP_SHARED, false },
        { PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED_VALIDATE, true },
    };
    struct vma *vma;
    uint64_t index;

    up();
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        index = new_map(1);
        EQ(do_mmap(g, index, PAGE, rows[i].prot, rows[i].flags, &vma), 0);
        EQ(entry_flags(0, refs[0]) & GTF_writing, rows[i].writable ? GTF_writing : 0);
        OK(entry_flags(0, refs[0]) & GTF_reading);
        EQ(vma->map_prot, rows[i].prot | (IS_PV ? PROT_READ : 0));
        EQ(vma->may_write, rows[i].writable);
        EQ(vma->dont_copy, IS_PV);
        unmap_grants(g, vma);
    }
    down();
}

static void access_of_the_descriptor(void)
{
    struct file *r;
    struct vma *vma;
    uint64_t index;

    up();
    r = open_as(1, "gntdev", O_RDONLY);
    EQ(map_refs(r, 0, refs, 1, &index), 0);
    EQ(do_mmap(r, index, PAGE, RW, MAP_SHARED, &vma), -EACCES);
    EQ(do_mmap(r, index, PAGE, RW, MAP_PRIVATE, &vma), -EINVAL);
    EQ(do_mmap(r, index, PAGE, PROT_READ, MAP_SHARED, &vma), 0);
    OK(!vma->may_write);
    unmap_grants(r, vma);
    close_dev(r);
    down();
}

static void readonly_grants(void)
{
    struct vma *vma;
    uint64_t index, gindex;
    uint32_t ro;
    long rc;

    up();
    EQ(alloc_grefs(a, 1, 0, 1, &gindex, &ro), 0);
    OK(map_grants(g, 0, &ro, 1, RW, &rc) == NULL);
    EQ(rc, -EINVAL);
    OK(!in_use(0, ro));
    vma = map_grants(g, 0, &ro, 1, PROT_READ, &rc);
    OK(vma != NULL);
    EQ(map_refs(g, 0, &ro, 1, &index), 0);
    EQ(do_mmap(g, index, PAGE, RW, MAP_SHARED, &(struct vma *){ NULL }), -EINVAL);
    EQ(unmap_index(g, index, 1), 0);
    unmap_grants(g, vma);
    EQ(dealloc(a, gindex, 1), 0);
    down();
}

static void what_cannot_be_mapped(void)
{
    static const struct {
        domid_t from;
        uint32_t ref;
    } rows[] = {
        { 0, 0 }, { 0, 7 }, { 0, 400 }, { 0, 100000 }, { 0, UINT32_MAX }, { 9, 8 }, { 1, 8 }, { DOMID_SELF, 8 },
        { DOMID_IO, 8 }, { DOMID_XEN, 8 }, { 0x7fff, 8 }, { 0xffff, 8 },
    };
    struct vma *mine;
    struct file *a1;
    uint32_t to0, ref;
    long rc;

    up();
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        OK(map_grants(g, rows[i].from, &rows[i].ref, 1, RW, &rc) == NULL);
        EQ(rc, -EINVAL);
    }
    /* Granted to somebody else; to DOMID_SELF, which is nobody. */
    a1 = open_dev(1, "gntalloc");
    mine = share(a1, 0, 1, &to0);
    OK(map_grants(g, 1, &to0, 1, RW, &rc) == NULL);
    do_munmap(mine);
    mine = share(a1, DOMID_SELF, 1, &to0);
    OK(map_grants(g, 1, &to0, 1, RW, &rc) == NULL);
    do_munmap(mine);
    close_dev(a1);
    /* Only 16 bits of the domain count. */
    {
        struct ioctl_gntdev_map_grant_ref op = { .count = 1, .refs = { { .domid = 0x10000, .ref = refs[0] } } };
        struct vma *vma;

        EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &op), 0);
        EQ(do_mmap(g, op.index, PAGE, RW, MAP_SHARED, &vma), 0);
        unmap_grants(g, vma);
    }
    ref = refs[3];
    do_munmap(pages);
    pages = NULL;
    OK(map_grants(g, 0, &ref, 1, RW, &rc) == NULL);
    audit_clean();
    down();
}

static void one_bad_among_many(void)
{
    uint32_t mixed[4];
    struct vma *vma;
    uint64_t index;

    up();
    for (unsigned bad = 0; bad < 4; bad++) {
        memcpy(mixed, refs, sizeof mixed);
        mixed[bad] = 5000;
        EQ(map_refs(g, 0, mixed, 4, &index), 0);
        EQ(do_mmap(g, index, 4 * PAGE, RW, MAP_SHARED, &vma), -EINVAL);
        /* PV undoes it at once; elsewhere the good ones stay until the map goes. */
        for (unsigned i = 0; i < 4; i++)
            EQ(in_use(0, refs[i]), !IS_PV && i != bad);
        audit_clean();
        EQ(unmap_index(g, index, 4), 0);
        for (unsigned i = 0; i < 4; i++)
            OK(!in_use(0, refs[i]));
    }
    down();
}

static void handles_run_out(void)
{
    struct vma *vma, *map;
    uint64_t index;
    long rc;

    world_empty(w.profile, 16384);
    boot(0, w.profile);
    boot_with(1, w.profile, 0, -1, 1);         /* 255 handles */
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    {
        static uint32_t many[300];

        pages = share(a, 1, 300, many);
        EQ(map_refs(g, 0, many, 300, &index), 0);
        EQ(do_mmap(g, index, 300 * PAGE, RW, MAP_SHARED, &vma), -EINVAL);
        EQ(info(1).maptrack_in_use, IS_PV ? 0 : 255);
        EQ(unmap_index(g, index, 300), 0);
        EQ(info(1).maptrack_in_use, 0);
        map = map_grants(g, 0, many, 255 / handles(), RW, &rc);
        MUST(map != NULL);
        OK(map_grants(g, 0, many, 2, RW, &rc) == NULL);
        unmap_grants(g, map);
    }
    down();
}

static void scattered_references(void)
{
    static const unsigned orders[][4] = { { 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 1, 1, 1, 1 }, { 0, 2, 0, 3 } };
    static const size_t runs[] = { 1, 4, 4, 4 };
    uint32_t shuffled[4];
    struct vma *vma;
    long rc;

    up();
    for (unsigned o = 0; o < 4; o++) {
        for (unsigned i = 0; i < 4; i++)
            shuffled[i] = refs[orders[o][i]];
        vma = map_grants(g, 0, shuffled, 4, RW, &rc);
        MUST(vma != NULL);
        EQ(vma->nr_runs, runs[o]);
        for (unsigned i = 0; i < 4; i++)
            EQ(*at(vma, i, 0), 0xa0 + orders[o][i]);
        EQ(info(1).maptrack_in_use, 4 * handles());
        unmap_grants(g, vma);
    }
    down();
}

static void a_thousand(void)
{
    static uint32_t many[1000];
    struct vma *thousand, *vma;
    long rc;

    up();
    thousand = share(a, 1, 1000, many);
    vma = map_grants(g, 0, many, 1000, RW, &rc);
    MUST(vma != NULL);
    EQ(vma->nr_runs, 1);
    for (unsigned i = 0; i < 1000; i++)
        *at(vma, i, 1) = (uint8_t)i;
    EQ(*at(thousand, 999, 1), 999 & 0xff);
    audit_clean();
    unmap_grants(g, vma);
    do_munmap(thousand);
    down();
}

static void of_oneself(void)
{
    struct file *g0;
    struct vma *own, *x, *y;
    uint32_t ref;
    long rc;

    up();
    g0 = open_dev(0, "gntdev");
    own = share(a, 0, 1, &ref);
    x = map_grants(g0, 0, &ref, 1, RW, &rc);
    MUST(x != NULL);
    y = map_grants(g0, 0, &ref, 1, PROT_READ, &rc);
    MUST(y != NULL);
    *at(x, 0, 5) = 0x11;
    EQ(*at(y, 0, 5), 0x11);
    EQ(*at(own, 0, 5), 0x11);
    unmap_grants(g0, x);
    EQ(*at(y, 0, 5), 0x11);
    unmap_grants(g0, y);
    do_munmap(own);
    close_dev(g0);
    down();
}

/* ---- In-kernel retries ------------------------------------------------------------------------ */

static void paged_out_and_back(void)
{
    struct call call;
    uint64_t index;

    up();
    page_out(pages, 2);
    index = new_map(4);
    EQ(start_mmap(g, index, 4 * PAGE, RW, MAP_SHARED, &call), KERNEL_PENDING);
    OK(call.vma != NULL);
    /* It is in use now, whatever comes of it; signals do not interrupt it. */
    EQ(do_mmap(g, index, 4 * PAGE, RW, MAP_SHARED, &(struct vma *){ NULL }), -EINVAL);
    kernel_cancel(&call.req);
    advance(10 * MS);
    OK(!call.done);
    page_in(pages, 2);
    advance(5 * MS);
    OK(call.done);
    EQ(call.result, 0);
    EQ(*at(call.vma, 2, 0), 0xa2);
    unmap_grants(g, call.vma);
    down();
}

static void paged_out_for_good(void)
{
    struct call call;
    uint64_t index;

    up();
    page_out(pages, 0);
    index = new_map(2);
    EQ(start_mmap(g, index, 2 * PAGE, RW, MAP_SHARED, &call), KERNEL_PENDING);
    advance(32640 * MS - 1);
    OK(!call.done);
    advance(1);
    OK(call.done);
    EQ(call.result, -EINVAL);
    close_dev(g);                              /* the failed mapping's reference */
    EQ(do_mmap(g, index, 2 * PAGE, RW, MAP_SHARED, &(struct vma *){ NULL }), -EINVAL);
    EQ(in_use(0, refs[1]), !IS_PV);
    page_in(pages, 0);
    EQ(unmap_index(g, index, 2), 0);
    OK(!in_use(0, refs[1]));
    down();
}

static void given_up_by_the_file_meanwhile(void)
{
    struct call call;
    uint64_t index;

    up();
    page_out(pages, 0);
    index = new_map(1);
    EQ(start_mmap(g, index, PAGE, RW, MAP_SHARED, &call), KERNEL_PENDING);
    EQ(unmap_index(g, index, 1), 0);
    EQ(new_map(1), index);                     /* its offset is free at once */
    page_in(pages, 0);
    advance(1 * MS);
    OK(call.done && call.result == 0);
    EQ(*at(call.vma, 0, 0), 0xa0);
    do_munmap(call.vma);
    OK(!in_use(0, refs[0]));
    EQ(unmap_index(g, index, 1), 0);
    down();
}

/* ---- The end of mappings ---------------------------------------------------------------------- */

static void unmap_ioctl_with_the_mapping_in_place(void)
{
    struct vma *vma, *other;
    uint64_t index;

    up();
    index = new_map(3);
    EQ(do_mmap(g, index, 3 * PAGE, RW, MAP_SHARED, &vma), 0);
    EQ(unmap_index(g, index, 3), 0);
    EQ(*at(vma, 0, 0), 0xa0);
    OK(in_use(0, refs[0]));
    EQ(unmap_index(g, index, 3), -ENOENT);
    EQ(map_refs(g, 0, refs + 3, 1, &index), 0);
    EQ(index, 0);
    EQ(do_mmap(g, index, PAGE, RW, MAP_SHARED, &other), 0);
    EQ(*at(other, 0, 0), 0xa3);
    unmap_grants(g, other);
    do_munmap(vma);
    OK(!in_use(0, refs[0]));
    down();
}

static void close_with_the_mapping_in_place(void)
{
    struct vma *vma;
    uint64_t index;

    up();
    index = new_map(2);
    EQ(do_mmap(g, index, 2 * PAGE, RW, MAP_SHARED, &vma), 0);
    close_dev(g);                              /* the mapping still holds the file */
    *at(vma, 1, 9) = 0x66;
    EQ(*at(pages, 1, 9), 0x66);
    OK(in_use(0, refs[1]));
    do_munmap(vma);
    OK(!in_use(0, refs[1]));
    g = open_dev(1, "gntdev");
    down();
}

static void close_with_everything(void)
{
    uint64_t index;

    up();
    for (unsigned i = 0; i < 5; i++)
        index = new_map(1 + i % 3);
    (void)index;
    close_dev(g);
    g = open_dev(1, "gntdev");
    EQ(new_map(1), 0);
    down();
}

static void pinned_pages(void)
{
    struct kernel_pin *pin, *second;
    struct vma *vma;
    uint64_t index;

    up();
    index = new_map(3);
    EQ(do_mmap(g, index, 3 * PAGE, RW, MAP_SHARED, &vma), 0);
    EQ(kernel_vma_pin(vma, 3, &pin), -EFAULT);
    EQ(kernel_vma_pin(vma, 1, &pin), 0);
    EQ(kernel_vma_pin(vma, 1, &second), 0);
    /* munmap and the ioctl return at once; the unmapping comes when the I/O is done: 5, 15, 30 ms … */
    unmap_grants(g, vma);
    OK(in_use(0, refs[0]) && in_use(0, refs[1]));
    advance(4 * MS);
    kernel_unpin(pin);
    advance(20 * MS);
    OK(in_use(0, refs[1]));
    kernel_unpin(second);
    audit_clean();
    advance(5 * MS);
    OK(in_use(0, refs[1]));
    advance(1 * MS);
    OK(!in_use(0, refs[0]) && !in_use(0, refs[1]));
    down();
}

static void pinned_at_the_end(void)
{
    struct kernel_pin *pin, *page;
    struct vma *vma;
    uint64_t index;

    up();
    index = new_map(1);
    EQ(do_mmap(g, index, PAGE, RW, MAP_SHARED, &vma), 0);
    EQ(kernel_vma_pin(vma, 0, &pin), 0);
    EQ(kernel_vma_pin(pages, 3, &page), 0);
    do_munmap(vma);
    destroy_domain(1);
    kernel_unpin(pin);
    OK(!in_use(0, refs[0]));
    do_munmap(pages);
    pages = NULL;
    EQ(info(0).tot_pages, 1);                  /* held */
    kernel_unpin(page);
    EQ(info(0).tot_pages, 0);
    close_dev(a);
    close_dev(g);
    world_down();
}

static void pinned_page_of_a_dead_granter(void)
{
    struct kernel_pin *page;

    up();
    EQ(kernel_vma_pin(pages, 3, &page), 0);
    destroy_domain(0);
    do_munmap(pages);
    pages = NULL;
    kernel_unpin(page);
    down();
}

static void mapper_dies(void)
{
    struct vma *vma;
    long rc;

    up();
    vma = map_grants(g, 0, refs, 4, RW, &rc);
    destroy_domain(1);
    for (unsigned i = 0; i < 4; i++)
        OK(!in_use(0, refs[i]));
    do_munmap(vma);
    close_dev(g);
    do_munmap(pages);
    EQ(gnttab_nr_deferred(w.k[0]), 0);
    close_dev(a);
    world_down();
}

static const struct test_case cases[] = {
    { "mmap wants exactly a map's offset and size, shared if writable", which_mmaps_are_refused },
    { "a map is mmapped once in its life, failed attempts included", once_in_a_maps_life },
    { "the protection decides whether the grant is mapped for writing", protections },
    { "a descriptor without write access maps read-only", access_of_the_descriptor },
    { "a read-only grant can be mapped read-only only, and a failed attempt harms nobody", readonly_grants },
    { "a bad reference, a wrong domain or a grant to somebody else is EINVAL at mmap", what_cannot_be_mapped },
    { "one bad reference fails the whole mmap, and after the ioctl nothing is mapped", one_bad_among_many },
    { "without maptrack handles mmap is EINVAL and gives back what it took", handles_run_out },
    { "references in any order, also repeated, are pages in that order", scattered_references },
    { "a thousand references are one run", a_thousand },
    { "a domain maps its own grants", of_oneself },
    { "a paged-out grant makes mmap wait in the kernel until the page is back", paged_out_and_back },
    { "a page that stays out is EINVAL after 32.64 s", paged_out_for_good },
    { "a map whose index is given up while mmap waits ends with its mapping", given_up_by_the_file_meanwhile },
    { "UNMAP with the mapping in place succeeds, and munmap ends the grants", unmap_ioctl_with_the_mapping_in_place },
    { "close with the mapping in place changes nothing until munmap", close_with_the_mapping_in_place },
    { "close drops all maps", close_with_everything },
    { "pages under I/O are unmapped when it is done", pinned_pages },
    { "I/O may outlive the kernel", pinned_at_the_end },
    { "I/O on a shared page may outlive the granter", pinned_page_of_a_dead_granter },
    { "a mapping domain that is destroyed holds nothing any more", mapper_dies },
    { NULL, NULL },
};
const struct test_suite suite_gntdev_mmap = { "gntdev-mmap", "pv pvh", cases };

/* ---- PV --------------------------------------------------------------------------------------- */

static void pv_munmap_ends_the_grants(void)
{
    struct vma *vma;
    uint64_t index;

    up();
    index = new_map(4);
    EQ(do_mmap(g, index, 4 * PAGE, RW, MAP_SHARED, &vma), 0);
    EQ(info(1).maptrack_in_use, 8);            /* the user's entries and the kernel's pages */
    do_munmap(vma);
    for (unsigned i = 0; i < 4; i++)
        OK(!in_use(0, refs[i]));
    EQ(info(1).maptrack_in_use, 0);
    EQ(unmap_index(g, index, 4), 0);
    down();
}

static void pv_partial_munmap(void)
{
    struct vma *vma;
    long rc;

    up();
    vma = map_grants(g, 0, refs, 4, RW, &rc);
    do_munmap_part(vma, 1, 2);
    OK(in_use(0, refs[0]) && !in_use(0, refs[1]) && !in_use(0, refs[2]) && in_use(0, refs[3]));
    audit_clean();
    EQ(kernel_vma_pin(vma, 1, &(struct kernel_pin *){ NULL }), -EFAULT);
    do_munmap_part(vma, 0, 3);                 /* over a hole */
    do_munmap_part(vma, 0, 0);
    OK(!in_use(0, refs[0]) && in_use(0, refs[3]));
    *at(vma, 3, 0) = 0x12;
    EQ(*at(pages, 3, 0), 0x12);
    unmap_grants(g, vma);
    OK(!in_use(0, refs[3]));
    down();
}

static void pv_pages_are_reached_by_registered_addresses_only(void)
{
    static const uint64_t addrs[] = { 0, 0x1000, 0xffff880000000000, 0xffff880000001000, 0x0000010000000000, UINT64_MAX - 4095 };
    struct gnttab_map_grant_ref op;
    struct gnttab_unmap_and_replace replace;
    struct gnttab_pages *place, *other;
    struct gnttab_unmap_grant_ref unmap;
    grant_handle_t handle, handle2;

    up();
    /* Nobody else's address is a place for a mapping. */
    for (unsigned i = 0; i < 6; i++) {
        op = (struct gnttab_map_grant_ref){ .host_addr = addrs[i], .flags = GNTMAP_host_map, .ref = refs[0], .dom = 0 };
        EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_map_grant_ref, &op, 1), 0);
        EQ(op.status, GNTST_general_error);
        op.flags |= GNTMAP_contains_pte;
        EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_map_grant_ref, &op, 1), 0);
        EQ(op.status, GNTST_general_error);
    }
    EQ(gnttab_alloc_pages(w.k[1], 1, &place), 0);
    EQ(gnttab_alloc_pages(w.k[1], 1, &other), 0);
    op = (struct gnttab_map_grant_ref){ .host_addr = gnttab_page_addr(w.k[1], place, 0), .flags = GNTMAP_host_map,
                                        .ref = refs[0], .dom = 0 };
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_map_grant_ref, &op, 1), 0);
    EQ(op.status, GNTST_okay);
    handle = op.handle;
    /* Taken. */
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_map_grant_ref, &op, 1), 0);
    EQ(op.status, GNTST_general_error);
    op.host_addr++;
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_map_grant_ref, &op, 1), 0);
    EQ(op.status, GNTST_general_error);
    /* A mapping at another address of the kernel can take its place. */
    op.host_addr = gnttab_page_addr(w.k[1], other, 0);
    op.ref = refs[1];
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_map_grant_ref, &op, 1), 0);
    EQ(op.status, GNTST_okay);
    handle2 = op.handle;
    replace = (struct gnttab_unmap_and_replace){ .host_addr = gnttab_page_addr(w.k[1], place, 0), .new_addr = 0x5000,
                                                 .handle = handle };
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_unmap_and_replace, &replace, 1), 0);
    EQ(replace.status, GNTST_general_error);
    replace.new_addr = gnttab_page_addr(w.k[1], other, 0);
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_unmap_and_replace, &replace, 1), 0);
    EQ(replace.status, GNTST_okay);
    OK(!in_use(0, refs[0]));
    unmap = (struct gnttab_unmap_grant_ref){ .host_addr = gnttab_page_addr(w.k[1], other, 0), .handle = handle2 };
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_unmap_grant_ref, &unmap, 1), 0);
    EQ(unmap.status, GNTST_general_error);
    unmap.host_addr = gnttab_page_addr(w.k[1], place, 0);
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_unmap_grant_ref, &unmap, 1), 0);
    EQ(unmap.status, GNTST_okay);
    gnttab_free_pages(w.k[1], place);
    gnttab_free_pages(w.k[1], other);
    down();
}

static unsigned third_pages;

/* A PV kernel maps each page twice, with a batch each: the third page of the second batch is paged out meanwhile. */
static enum hv_verdict out_in_the_second_batch(void *ctx, const struct hv_point *point, long *value)
{
    (void)ctx;
    if (!point->element || point->cmd != GNTTABOP_map_grant_ref || point->index != 2 || ++third_pages != 2)
        return HV_GO_ON;
    *value = GNTST_eagain;
    return HV_STATUS;
}

static void pv_own_view_can_fail(void)
{
    struct vma *vma;
    uint64_t index;
    bool retries;

    up();
    retries = w.profile->map_eagain == KERNEL_EAGAIN_RETRY;
    index = new_map(4);
    third_pages = 0;
    hv_set_inject(w.hv, out_in_the_second_batch);
    EQ(do_mmap(g, index, 4 * PAGE, RW, MAP_SHARED, &vma), retries ? -EINVAL : -EAGAIN);
    hv_set_inject(w.hv, NULL);
    EQ(info(1).maptrack_in_use, 0);
    EQ(unmap_index(g, index, 4), 0);
    down();
}

static const struct test_case pv_cases[] = {
    { "a page is mapped twice, and munmap alone ends both", pv_munmap_ends_the_grants },
    { "a partial munmap ends the grants of its range at once", pv_partial_munmap },
    { "only addresses that the kernel registered take a mapping", pv_pages_are_reached_by_registered_addresses_only },
    { "a page that is out when the kernel maps it for itself makes mmap fail, and nothing stays mapped", pv_own_view_can_fail },
    { NULL, NULL },
};
const struct test_suite suite_gntdev_pv = { "gntdev-pv", "pv legacy", pv_cases };

/* ---- Auto-translated -------------------------------------------------------------------------- */

static void pvh_munmap_ends_nothing(void)
{
    struct vma *vma;
    uint64_t index;

    up();
    index = new_map(4);
    EQ(do_mmap(g, index, 4 * PAGE, RW, MAP_SHARED, &vma), 0);
    EQ(info(1).maptrack_in_use, 4);
    do_munmap_part(vma, 0, 3);
    OK(in_use(0, refs[0]));
    do_munmap(vma);
    for (unsigned i = 0; i < 4; i++)
        OK(in_use(0, refs[i]));
    EQ(unmap_index(g, index, 4), 0);
    for (unsigned i = 0; i < 4; i++)
        OK(!in_use(0, refs[i]));
    down();
}

static void pvh_close_ends_what_munmap_left(void)
{
    struct vma *vma;
    uint64_t index;

    up();
    index = new_map(2);
    EQ(do_mmap(g, index, 2 * PAGE, RW, MAP_SHARED, &vma), 0);
    do_munmap(vma);
    OK(in_use(0, refs[1]));
    close_dev(g);
    OK(!in_use(0, refs[1]));
    g = open_dev(1, "gntdev");
    down();
}

static void pvh_loopback_takes_the_page_away(void)
{
    struct file *g0;
    struct vma *own, *x;
    uint32_t ref;
    long rc;

    up();
    g0 = open_dev(0, "gntdev");
    own = share(a, 0, 1, &ref);
    x = map_grants(g0, 0, &ref, 1, RW, &rc);
    MUST(x != NULL);
    unmap_grants(g0, x);
    /* A real hypervisor moves the frame from its old gfn to the mapping's; the kernel cannot give it back then. */
    do_munmap(own);
    OK(logged("is gone"));
    close_dev(g0);
    down();
}

static void pvh_loopback_leaves_the_place_the_kernels(void)
{
    struct file *g0;
    struct vma *own, *other, *x;
    uint32_t ref, other_ref;
    long rc;

    up();
    g0 = open_dev(0, "gntdev");
    own = share(a, 0, 1, &ref);
    x = map_grants(g0, 0, &ref, 1, RW, &rc);
    MUST(x != NULL);
    unmap_grants(g0, x);
    /* Nothing is where the page was, but nothing else may come there either while the kernel has not given it back. */
    other = share(a, 0, 1, &other_ref);
    x = map_grants(g0, 0, &ref, 1, RW, &rc);
    OK(x == NULL);
    EQ(rc, -EINVAL);
    do_munmap(own);
    x = map_grants(g0, 0, &other_ref, 1, RW, &rc);
    MUST(x != NULL);
    unmap_grants(g0, x);
    do_munmap(other);
    close_dev(g0);
    down();
}

static const struct test_case pvh_cases[] = {
    { "munmap, whole or in part, ends nothing; the ioctl after it does", pvh_munmap_ends_nothing },
    { "close ends what munmap left", pvh_close_ends_what_munmap_left },
    { "mapping one's own page takes it from its old place, which the kernel survives", pvh_loopback_takes_the_page_away },
    { "... and the old place is nobody else's until the kernel gives the page back", pvh_loopback_leaves_the_place_the_kernels },
    { NULL, NULL },
};
const struct test_suite suite_gntdev_pvh = { "gntdev-pvh", "pvh", pvh_cases };
