/* SPDX-License-Identifier: MIT */
/* gntdev's mappings: checks, protections, failures, and what happens when they go, on both kinds of
 * guests. */
#include "scene_gntdev.h"

SUITE("gntdev-mmap", "pv pvh");

/* Handles that one mapped page needs. */
static unsigned handles(void)
{
    return IS_PV ? 2 : 1;
}

/* ---- Checks ---------------------------------------------------------------------------------- */

TEST("mmap wants exactly a map's offset and size, shared if writable")
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

TEST("a map is mmapped once in its life, failed attempts included")
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

TEST("the protection decides whether the grant is mapped for writing")
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

TEST("a descriptor without write access maps read-only")
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

TEST("a read-only grant can be mapped read-only only, and a failed attempt harms nobody")
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

TEST("a bad reference, a wrong domain or a grant to somebody else is EINVAL at mmap")
{
    static const struct {
        domid_t from;
        uint32_t ref;
    } rows[] = {
        { 0, 0 }, { 0, 7 }, { 0, 400 }, { 0, 100000 }, { 0, UINT32_MAX }, { 9, 8 }, { 1, 8 },
        { DOMID_SELF, 8 },
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
        struct ioctl_gntdev_map_grant_ref op = { .count = 1,
                                                 .refs = { { .domid = 0x10000, .ref = refs[0] } } };
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

TEST("one bad reference fails the whole mmap, and after the ioctl nothing is mapped")
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

TEST("without maptrack handles mmap is EINVAL and gives back what it took")
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

TEST("references in any order, also repeated, are pages in that order")
{
    static const unsigned orders[][4] = { { 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 1, 1, 1, 1 },
                                          { 0, 2, 0, 3 } };
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

TEST("a thousand references are one run")
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

TEST("a domain maps its own grants")
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

/* ---- In-kernel retries ----------------------------------------------------------------------- */

TEST("a paged-out grant makes mmap wait in the kernel until the page is back")
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

TEST("a page that stays out is EINVAL after 32.64 s")
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

TEST("a map whose index is given up while mmap waits ends with its mapping")
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

/* ---- The end of mappings --------------------------------------------------------------------- */

TEST("UNMAP with the mapping in place succeeds, and munmap ends the grants")
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

TEST("close with the mapping in place changes nothing until munmap")
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

TEST("close drops all maps")
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

TEST("pages under I/O are unmapped when it is done")
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
    /* munmap and the ioctl return at once; the unmapping comes when the I/O is done: 5, 15, 30 ms
     * … */
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

TEST("I/O may outlive the kernel")
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

TEST("I/O on a shared page may outlive the granter")
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

TEST("a mapping domain that is destroyed holds nothing any more")
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
