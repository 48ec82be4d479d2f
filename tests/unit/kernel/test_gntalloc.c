/* SPDX-License-Identifier: MIT */
/* /dev/xen/gntalloc: offsets, limit, mmap, and when a page is really given up. */
#include "harness.h"

SUITE("gntalloc", "pv pvh legacy");

static struct file *a;

static void up(void)
{
    world_up();
    a = open_dev(0, "gntalloc");
}

static void down(void)
{
    close_dev(a);
    EQ(info(0).tot_pages, 0);
    world_down();
}

static uint64_t new_pages(uint32_t count, uint32_t *refs)
{
    uint64_t index;

    EQ(alloc_grefs(a, 1, GNTALLOC_FLAG_WRITABLE, count, &index, refs), 0);
    return index;
}

static long mmap_pages(uint64_t index, uint32_t count, struct vma **vma)
{
    return do_mmap(a, index, count * PAGE, RW, MAP_SHARED, vma);
}

TEST("offsets rise by the pages allocated and are never reused")
{
    uint64_t index;

    up();
    EQ(new_pages(0, NULL), 0);
    EQ(new_pages(1, NULL), 0);
    EQ(new_pages(3, NULL), 0x1000);
    EQ(new_pages(1, NULL), 0x4000);
    EQ(new_pages(0, NULL), 0x5000);
    EQ(dealloc(a, 0, 5), 0);
    EQ(new_pages(1, NULL), 0x5000);
    /* A request beyond the limit leaves no gap. */
    EQ(alloc_grefs(a, 1, 1, 1025, &index, NULL), -ENOSPC);
    EQ(new_pages(1, NULL), 0x6000);
    close_dev(a);
    a = open_dev(0, "gntalloc");
    EQ(new_pages(1, NULL), 0);
    down();
}

TEST("references come in the order of pages and go back in it")
{
    uint32_t refs[6];
    struct vma *vma, *two;

    up();
    vma = share(a, 1, 6, refs);
    for (unsigned i = 0; i < 6; i++)
        EQ(refs[i], 8 + i);
    do_munmap(vma);
    /* Freed page by page, so they come out in reversed order. */
    vma = share(a, 1, 6, refs);
    for (unsigned i = 0; i < 6; i++)
        EQ(refs[i], 13 - i);
    two = share(a, 1, 2, refs);
    EQ(refs[0], 14);
    do_munmap(two);
    do_munmap(vma);
    EQ(new_pages(2, refs), 0xe000);
    EQ(refs[0], 8);
    EQ(refs[1], 9);
    EQ(dealloc(a, 0xe000, 2), 0);
    down();
}

TEST("the grant is for any 16-bit domain, writable if bit 0 says so")
{
    static const struct {
        unsigned flags;
        bool writable;
    } rows[] = { { 0, false }, { 1, true }, { 2, false }, { 0xffff, true } };
    static const domid_t domids[] = { 0, 1, 999, DOMID_SELF, DOMID_IO, DOMID_XEN, DOMID_INVALID,
                                      0xffff };
    struct hv_entry_info entry;
    uint64_t index;
    uint32_t ref;

    up();
    for (unsigned i = 0; i < 4; i++) {
        EQ(alloc_grefs(a, 1, rows[i].flags, 1, &index, &ref), 0);
        EQ(entry_flags(0, ref), GTF_permit_access | (rows[i].writable ? 0 : GTF_readonly));
    }
    for (unsigned i = 0; i < 8; i++) {
        EQ(alloc_grefs(a, domids[i], 1, 1, &index, &ref), 0);
        EQ(hv_entry_info(w.hv, 0, ref, &entry), 0);
        EQ(entry.domid, domids[i]);
    }
    EQ(info(0).tot_pages, 12);
    down();
}

TEST("the limit counts all files' pages, ENOSPC beyond, and the sum does not wrap")
{
    static const uint32_t huge[] = { 1025, 4000, 0x100001, 0x40000000, 0x7fffffff, 0x80000000,
                                     UINT32_MAX };
    struct file *other;
    uint64_t index;
    uint32_t before;

    up();
    other = open_dev(0, "gntalloc");
    for (unsigned i = 0; i < sizeof huge / sizeof *huge; i++) {
        index = 0x1234;
        EQ(alloc_grefs(a, 1, 1, huge[i], &index, NULL), -ENOSPC);
        EQ(index, 0);
    }
    EQ(new_pages(1024, NULL), 0);
    EQ(alloc_grefs(a, 1, 1, 1, &index, NULL), -ENOSPC);
    EQ(alloc_grefs(other, 1, 1, 1, &index, NULL), -ENOSPC);
    /* the sum does not wrap */
    EQ(alloc_grefs(other, 1, 1, UINT32_MAX - 1023, &index, NULL), -ENOSPC);
    EQ(alloc_grefs(other, 1, 1, 0, &index, NULL), 0);
    EQ(dealloc(a, 0, 1), 0);
    EQ(alloc_grefs(other, 1, 1, 1, &index, NULL), 0);
    /* The parameter acts at the next call. */
    EQ(kernel_param_set(w.k[0], "xen_gntalloc/limit", 1026), 0);
    EQ(alloc_grefs(other, 1, 1, 3, &index, NULL), -ENOSPC);
    EQ(alloc_grefs(other, 1, 1, 2, &index, NULL), 0);
    EQ(kernel_param_set(w.k[0], "xen_gntalloc/limit", 4), 0);
    EQ(alloc_grefs(other, 1, 1, 0, &index, NULL), -ENOSPC);
    /* A negative one is none, practically: then memory for the answer is the bound. */
    EQ(kernel_param_set(w.k[0], "xen_gntalloc/limit", -1), 0);
    EQ(alloc_grefs(other, 1, 1, 0x100001, &index, NULL), -ENOMEM);
    EQ(alloc_grefs(other, 1, 1, UINT32_MAX, &index, NULL), -ENOMEM);
    EQ(alloc_grefs(other, 1, 1, 8, &index, NULL), 0);
    before = (uint32_t)info(0).tot_pages;
    EQ(before, 1023 + 1 + 2 + 8);
    close_dev(other);
    down();
}

TEST("a failure half-way gives everything back but the offsets")
{
    uint64_t index, next;
    uint32_t refs[3];

    /* No references: 504 of them, and 600 pages wanted. */
    world_empty(w.profile, 16384);
    boot_with(0, w.profile, 0, 1, -1);
    a = open_dev(0, "gntalloc");
    next = new_pages(2, NULL);
    EQ(next, 0);
    EQ(alloc_grefs(a, 1, 1, 600, &index, NULL), -ENOSPC);
    EQ(info(0).tot_pages, 2);
    EQ(new_pages(1, refs), 602ull * PAGE);     /* the offsets are lost */
    EQ(alloc_grefs(a, 1, 1, 501, &index, NULL), 0);
    EQ(alloc_grefs(a, 1, 1, 1, &index, NULL), -ENOSPC);
    EQ(info(0).tot_pages, 504);
    audit_clean();
    down();
    /* No memory. */
    world_empty(w.profile, 64);
    boot(0, w.profile);
    a = open_dev(0, "gntalloc");
    EQ(alloc_grefs(a, 1, 1, 100, &index, NULL), -ENOMEM);
    EQ(info(0).tot_pages, 0);
    EQ(new_pages(3, refs), 100ull * PAGE);
    EQ(refs[0], 8);
    audit_clean();
    down();
}

TEST("an answer that cannot be written is EFAULT and leaves the pages")
{
    static union {
        struct ioctl_gntalloc_alloc_gref op;
        uint32_t words[40];
    } u;

    up();
    for (unsigned i = 0; i < 2; i++) {
        u.op = (struct ioctl_gntalloc_alloc_gref){ .domid = 1, .flags = 1, .count = 8 };
        proc_reset();
        if (i)
            proc_hole(&u.words[10], 4, PROT_READ);
        else
            proc_hole(&u, 24, PROT_READ);
        EQ(do_ioctl(a, IOCTL_GNTALLOC_ALLOC_GREF, &u), -EFAULT);
        proc_reset();
        /* The pages are there, for who guesses their offsets, until the file is closed. */
        EQ(info(0).tot_pages, 8 * (i + 1));
    }
    EQ(dealloc(a, 0, 8), 0);
    EQ(info(0).tot_pages, 8);
    down();
}

/* ---- mmap ------------------------------------------------------------------------------------ */

TEST("mmap must be shared (EINVAL) and of the file's pages (ENOENT)")
{
    struct file *r;
    struct vma *vma;
    uint64_t index;

    up();
    new_pages(3, NULL);
    EQ(do_mmap(a, 0, 3 * PAGE, RW, MAP_PRIVATE, &vma), -EINVAL);
    EQ(do_mmap(a, 0, 3 * PAGE, PROT_READ, MAP_PRIVATE, &vma), -EINVAL);
    OK(logged("must be shared"));
    EQ(mmap_pages(0x100000, 3, &vma), -ENOENT);
    EQ(mmap_pages(0, 4, &vma), -ENOENT);
    EQ(mmap_pages(2 * PAGE, 2, &vma), -ENOENT);
    EQ(do_mmap(a, 1ull << 62, PAGE, RW, MAP_SHARED, &vma), -ENOENT);
    r = open_as(0, "gntalloc", O_RDONLY);
    EQ(alloc_grefs(r, 1, 1, 1, &index, NULL), 0);
    EQ(do_mmap(r, index, PAGE, RW, MAP_SHARED, &vma), -EACCES);
    EQ(do_mmap(r, index, PAGE, PROT_READ, MAP_SHARED, &vma), -EINVAL);
    EQ(do_mmap(r, index, PAGE, PROT_READ, MAP_PRIVATE, &vma), -EINVAL);
    close_dev(r);
    down();
}

TEST("any run of pages can be mmapped, any number of times")
{
    struct vma *one, *tail, *all, *ro, *across;

    up();
    new_pages(3, NULL);
    new_pages(2, NULL);
    EQ(mmap_pages(0, 1, &one), 0);
    EQ(mmap_pages(PAGE, 2, &tail), 0);
    EQ(mmap_pages(0, 3, &all), 0);
    EQ(mmap_pages(2 * PAGE, 3, &across), 0);   /* over two allocations */
    EQ(do_mmap(a, 0, PAGE, PROT_READ, MAP_SHARED, &ro), 0);
    EQ(all->nr_runs, 1);
    *at(one, 0, 0) = 1;
    *at(tail, 0, 0) = 2;
    *at(tail, 1, 0) = 3;
    EQ(*at(all, 0, 0), 1);
    EQ(*at(all, 1, 0), 2);
    EQ(*at(all, 2, 0), 3);
    EQ(*at(across, 0, 0), 3);
    EQ(*at(ro, 0, 0), 1);
    EQ(ro->map_prot, PROT_READ);
    OK(ro->may_write && !ro->dont_copy);
    EQ(all->map_prot, RW);
    EQ(dealloc(a, 3 * PAGE, 1), 0);
    EQ(mmap_pages(2 * PAGE, 3, &(struct vma *){ NULL }), -ENOENT);       /* a gap */
    do_munmap(one);
    do_munmap(tail);
    do_munmap(all);
    do_munmap(ro);
    do_munmap(across);
    EQ(mmap_pages(0, 3, &all), 0);             /* still the file's */
    do_munmap(all);
    down();
}

TEST("fresh pages are zero")
{
    struct vma *vma;
    uint32_t refs[8];

    up();
    for (unsigned round = 0; round < 3; round++) {
        vma = share(a, 1, 8, refs);
        for (unsigned i = 0; i < 8 * PAGE; i++)
            if (*at(vma, i / PAGE, i % PAGE))
                CU_FAIL("a page is not zero");
        memset((void *)(uintptr_t)at(vma, 0, 0), 0xff, PAGE);
        do_munmap(vma);
    }
    down();
}

/* ---- Giving up ------------------------------------------------------------------------------- */

TEST("DEALLOC wants consecutive pages of the file, else EINVAL")
{
    up();
    new_pages(3, NULL);
    new_pages(1, NULL);
    EQ(dealloc(a, 0x1000000, 1), -EINVAL);
    EQ(dealloc(a, 5, 1), -EINVAL);
    EQ(dealloc(a, 0, 0), -EINVAL);
    EQ(dealloc(a, 0, 5), -EINVAL);
    EQ(dealloc(a, 0, UINT32_MAX), -EINVAL);
    EQ(dealloc(a, PAGE, 1), 0);                /* one out of the middle */
    EQ(dealloc(a, PAGE, 1), -EINVAL);
    EQ(dealloc(a, 0, 2), -EINVAL);
    EQ(dealloc(a, 2 * PAGE, 2), 0);            /* over two allocations */
    EQ(info(0).tot_pages, 1);
    down();
}

TEST("a mapping keeps its pages, whole until its last piece is gone")
{
    struct vma *vma, *second, *map;
    struct file *g;
    uint32_t refs[2];
    long rc;

    up();
    g = open_dev(1, "gntdev");
    new_pages(2, refs);
    EQ(mmap_pages(0, 2, &vma), 0);
    EQ(mmap_pages(0, 1, &second), 0);
    *at(vma, 0, 3) = 0x42;
    EQ(dealloc(a, 0, 2), 0);
    EQ(mmap_pages(0, 1, &(struct vma *){ NULL }), -ENOENT);
    EQ(entry_flags(0, refs[0]), GTF_permit_access);
    map = map_grants(g, 0, refs, 1, RW, &rc);
    MUST(map != NULL);
    EQ(*at(map, 0, 3), 0x42);
    unmap_grants(g, map);
    /* Part of a mapping gives up nothing. */
    do_munmap_part(vma, 1, 1);
    EQ(entry_flags(0, refs[1]), GTF_permit_access);
    do_munmap(vma);
    EQ(entry_flags(0, refs[1]), 0);
    EQ(entry_flags(0, refs[0]), GTF_permit_access);
    EQ(info(0).tot_pages, 1);
    do_munmap(second);
    EQ(entry_flags(0, refs[0]), 0);
    EQ(info(0).tot_pages, 0);
    close_dev(g);
    down();
}

TEST("the peer can map before the owner mmaps, and the owner's close is not the end")
{
    struct vma *vma, *map;
    struct file *g;
    uint32_t ref;
    long rc;

    up();
    g = open_dev(1, "gntdev");
    new_pages(1, &ref);
    map = map_grants(g, 0, &ref, 1, RW, &rc);
    MUST(map != NULL);
    *at(map, 0, 0) = 0x3c;
    EQ(mmap_pages(0, 1, &vma), 0);
    EQ(*at(vma, 0, 0), 0x3c);
    do_munmap(vma);
    EQ(mmap_pages(0, 1, &vma), 0);
    EQ(*at(vma, 0, 0), 0x3c);
    unmap_grants(g, map);
    /* close(fd) with the mapping in place. */
    close_dev(a);
    EQ(entry_flags(0, ref), GTF_permit_access);
    do_munmap(vma);
    EQ(entry_flags(0, ref), 0);
    a = open_dev(0, "gntalloc");
    close_dev(g);
    down();
}

TEST("close gives up all pages of the file and no other's")
{
    struct file *b;
    uint32_t refs[4];

    up();
    b = open_dev(0, "gntalloc");
    new_pages(3, refs);
    EQ(alloc_grefs(b, 1, 1, 1, &(uint64_t){ 0 }, refs + 3), 0);
    close_dev(a);
    EQ(info(0).tot_pages, 1);
    EQ(entry_flags(0, refs[2]), 0);
    EQ(entry_flags(0, refs[3]), GTF_permit_access);
    a = open_dev(0, "gntalloc");
    new_pages(1, refs);
    EQ(refs[0], 10);
    close_dev(b);
    down();
}

TEST("a mapping over two allocations gives up its own pages")
{
    struct file *b;
    struct vma *vma;
    uint32_t refs[3];

    up();
    b = open_dev(0, "gntalloc");
    new_pages(1, &refs[0]);
    EQ(alloc_grefs(b, 1, 1, 1, &(uint64_t){ 0 }, &refs[1]), 0);
    new_pages(1, &refs[2]);
    EQ(mmap_pages(0, 2, &vma), 0);
    EQ(dealloc(a, 0, 2), 0);
    do_munmap(vma);
    /* The pages of the mapping go, not whichever came next in the order of allocation. */
    EQ(entry_flags(0, refs[0]), 0);
    EQ(entry_flags(0, refs[1]), GTF_permit_access);
    EQ(entry_flags(0, refs[2]), 0);
    close_dev(b);
    down();
}

TEST("SET_UNMAP_NOTIFY checks the page, then the action, then the port")
{
    struct file *e;
    struct ioctl_evtchn_bind_unbound_port unbound = { 1 };
    uint32_t port;
    bool checks;

    up();
    checks = w.profile->notify_checks_port;
    e = open_dev(0, "evtchn");
    port = (uint32_t)do_ioctl(e, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &unbound);
    new_pages(2, NULL);
    EQ(set_notify(a, 0x100000, 1, 0), -ENOENT);
    EQ(set_notify(a, 0x100000, 8, 0), -ENOENT);           /* first the page, then the action */
    EQ(set_notify(a, 2 * PAGE, 1, 0), -ENOENT);
    EQ(set_notify(a, 0, 4, 0), -EINVAL);
    EQ(set_notify(a, 0, 0, 0), 0);
    EQ(set_notify(a, 2 * PAGE - 1, 1, 0), 0);
    EQ(set_notify(a, 0, 2, 0), checks ? -EINVAL : 0);
    EQ(set_notify(a, 0, 2, 1000000), checks ? -EINVAL : 0);
    EQ(set_notify(a, 0, 2, port), 0);
    EQ(set_notify(a, 5, 3, port), 0);
    EQ(set_notify(a, PAGE, 2, port), 0);
    EQ(set_notify(a, 0, 0, 0), 0);
    EQ(dealloc(a, 0, 2), 0);
    EQ(set_notify(a, 0, 0, 0), -ENOENT);
    close_dev(e);
    EQ(info(0).nr_ports, 0);
    down();
}

/* ---- Old kernels ----------------------------------------------------------------------------- */

SUITE("gntalloc-deferred", "pv pvh");

TEST("a page that the peer maps does not count against the limit and is given up by the timer")
{
    struct vma *vma, *map, *again;
    struct file *g;
    uint32_t ref, other;
    uint64_t index;
    long rc;

    up();
    EQ(kernel_param_set(w.k[0], "xen_gntalloc/limit", 1), 0);
    g = open_dev(1, "gntdev");
    vma = share(a, 1, 1, &ref);
    *at(vma, 0, 0) = 0x41;
    map = map_grants(g, 0, &ref, 1, RW, &rc);
    do_munmap(vma);
    /* It does not count any more, but is not given away either: the peer reads, writes and maps it
     * anew. */
    EQ(gnttab_nr_deferred(w.k[0]), 1);
    EQ(alloc_grefs(a, 1, 1, 1, &index, &other), 0);
    OK(other != ref);
    EQ(*at(map, 0, 0), 0x41);
    *at(map, 0, 0) = 0x42;
    again = map_grants(g, 0, &ref, 1, RW, &rc);
    MUST(again != NULL);
    EQ(*at(again, 0, 0), 0x42);
    unmap_grants(g, map);
    advance(3000 * MS);
    EQ(gnttab_nr_deferred(w.k[0]), 1);
    EQ(info(0).tot_pages, 2);
    unmap_grants(g, again);
    advance(1000 * MS);
    EQ(gnttab_nr_deferred(w.k[0]), 0);
    EQ(info(0).tot_pages, 1);
    OK(map_grants(g, 0, &ref, 1, RW, &rc) == NULL);
    EQ(dealloc(a, index, 1), 0);
    close_dev(g);
    down();
}

SUITE("gntalloc-legacy", "legacy");

TEST("pages that the peer still maps count against the limit until the next ALLOC or DEALLOC finds "
     "them free")
{
    struct vma *vma, *map, *again;
    struct file *g, *b;
    uint32_t refs[2], other;
    uint64_t index;
    long rc;

    up();
    b = open_dev(0, "gntalloc");
    EQ(kernel_param_set(w.k[0], "xen_gntalloc/limit", 2), 0);
    g = open_dev(1, "gntdev");
    vma = share(a, 1, 2, refs);
    map = map_grants(g, 0, refs, 1, RW, &rc);
    do_munmap(vma);
    EQ(entry_flags(0, refs[1]), 0);
    EQ(alloc_grefs(b, 1, 1, 2, &index, NULL), -ENOSPC);
    EQ(alloc_grefs(b, 1, 1, 1, &index, &other), 0);
    /* No timer looks after it. */
    EQ(kernel_next_timer(w.k[0]), UINT64_MAX);
    again = map_grants(g, 0, refs, 1, RW, &rc);
    OK(again != NULL);
    unmap_grants(g, again);
    unmap_grants(g, map);
    EQ(entry_flags(0, refs[0]), GTF_permit_access);
    advance(10000 * MS);
    EQ(entry_flags(0, refs[0]), GTF_permit_access);
    /* The next DEALLOC, by whomever and even if it fails, does. */
    EQ(dealloc(b, 0x700000, 1), -EINVAL);
    EQ(entry_flags(0, refs[0]), 0);
    EQ(alloc_grefs(b, 1, 1, 1, &index, NULL), 0);
    audit_clean();
    close_dev(g);
    close_dev(b);
    down();
}

TEST("ALLOC cleans up before it looks at the limit")
{
    struct vma *vma, *map;
    struct file *g;
    uint32_t refs[3];
    uint64_t index;
    long rc;

    up();
    EQ(kernel_param_set(w.k[0], "xen_gntalloc/limit", 3), 0);
    g = open_dev(1, "gntdev");
    vma = share(a, 1, 3, refs);
    map = map_grants(g, 0, refs, 3, RW, &rc);
    do_munmap(vma);
    EQ(info(0).tot_pages, 3);
    EQ(alloc_grefs(a, 1, 1, 1, &index, NULL), -ENOSPC);
    unmap_grants(g, map);
    EQ(alloc_grefs(a, 1, 1, 3, &index, refs), 0);
    EQ(info(0).tot_pages, 3);
    /* Cleaned up in the order of allocation. */
    EQ(refs[0], 10);
    close_dev(g);
    down();
}

TEST("a file can be closed while its pages are busy")
{
    struct vma *map;
    struct file *g;
    uint32_t refs[2];
    long rc;

    up();
    g = open_dev(1, "gntdev");
    new_pages(2, refs);
    map = map_grants(g, 0, refs + 1, 1, RW, &rc);
    close_dev(a);
    EQ(info(0).tot_pages, 1);
    audit_clean();
    unmap_grants(g, map);
    a = open_dev(0, "gntalloc");
    new_pages(0, NULL);
    EQ(info(0).tot_pages, 0);
    close_dev(g);
    down();
}
