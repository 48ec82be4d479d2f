/* SPDX-License-Identifier: MIT */
/* IOCTL_GNTDEV_GRANT_COPY: checks, statuses, batches, and the caller's own memory on one side. */
#include "harness.h"

SUITE("copy", "pv pvh");

#define UNTOUCHED 77

typedef struct ioctl_gntdev_grant_copy_segment segment;

static struct file *a, *g;
static struct vma *pages, *ropage;
static uint32_t refs[3], ro;
static uint8_t local[4 * PAGE] __attribute__((aligned(4096)));
static segment v[64];

/* Domain 0 shares three pages (bytes i*7) and a read-only one with domain 1, which copies. */
static void up(void)
{
    uint64_t index;

    world_up();
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    pages = share(a, 1, 3, refs);
    for (unsigned i = 0; i < 3 * PAGE; i++)
        *at(pages, i / PAGE, i % PAGE) = (uint8_t)(i * 7);
    EQ(alloc_grefs(a, 1, 0, 1, &index, &ro), 0);
    EQ(do_mmap(a, index, PAGE, RW, MAP_SHARED, &ropage), 0);
    memset((void *)(uintptr_t)at(ropage, 0, 0), 0x5c, PAGE);
    memset(local, 0, sizeof local);
}

static void down(void)
{
    for (unsigned i = 0; i < 3; i++)
        OK(!in_use(0, refs[i]));
    do_munmap(pages);
    do_munmap(ropage);
    close_dev(a);
    close_dev(g);
    world_down();
}

static segment g2l(domid_t dom, uint32_t ref, unsigned offset, void *to, unsigned len)
{
    return (segment){ .source.foreign = { .ref = ref, .offset = (uint16_t)offset, .domid = dom },
                      .dest.virt = to,
                      .len = (uint16_t)len, .flags = GNTCOPY_source_gref, .status = UNTOUCHED };
}

static segment l2g(void *from, domid_t dom, uint32_t ref, unsigned offset, unsigned len)
{
    return (segment){ .dest.foreign = { .ref = ref, .offset = (uint16_t)offset, .domid = dom },
                      .source.virt = from,
                      .len = (uint16_t)len, .flags = GNTCOPY_dest_gref, .status = UNTOUCHED };
}

static segment g2g(uint32_t from, unsigned foff, uint32_t to, unsigned toff, unsigned len)
{
    return (segment){ .source.foreign = { .ref = from, .offset = (uint16_t)foff, .domid = 0 },
                      .dest.foreign = { .ref = to, .offset = (uint16_t)toff, .domid = 0 },
                      .len = (uint16_t)len, .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref,
                      .status = UNTOUCHED };
}

static long copy(uint32_t count)
{
    struct ioctl_gntdev_grant_copy op = { count, v };

    return do_ioctl(g, IOCTL_GNTDEV_GRANT_COPY, &op);
}

/* One segment: the ioctl's result, and its status. */
static void one(segment seg, long rc, int status)
{
    v[0] = seg;
    EQ(copy(1), rc);
    EQ(v[0].status, status);
}

static uint8_t shared(unsigned page, unsigned offset)
{
    return *at(pages, page, offset);
}

TEST("bytes move between grants and local memory, also across local pages")
{
    up();
    one(g2l(0, refs[0], 10, local, 100), 0, 0);
    for (unsigned i = 0; i < 100; i++)
        EQ(local[i], shared(0, 10 + i));
    EQ(local[100], 0);
    memset(local, 0x3d, sizeof local);
    one(l2g(local + 5, 0, refs[1], 20, 50), 0, 0);
    EQ(shared(1, 19), (uint8_t)((PAGE + 19) * 7));
    EQ(shared(1, 20), 0x3d);
    EQ(shared(1, 69), 0x3d);
    EQ(shared(1, 70), (uint8_t)((PAGE + 70) * 7));
    one(g2g(refs[0], 0, refs[2], 4000, 96), 0, 0);
    for (unsigned i = 0; i < 96; i++)
        EQ(shared(2, 4000 + i), shared(0, i));
    one(g2g(refs[0], 0, refs[0], 100, 50), 0, 0);
    one(g2l(0, refs[0], 0, local, PAGE), 0, 0);
    OK(!memcmp(local, (const void *)(uintptr_t)at(pages, 0, 0), PAGE));
    /* The local side may cross a page. */
    one(g2l(0, refs[0], 0, local + 100, PAGE), 0, 0);
    OK(!memcmp(local + 100, (const void *)(uintptr_t)at(pages, 0, 0), PAGE));
    for (unsigned i = 0; i < 2 * PAGE; i++)
        local[i] = (uint8_t)(i * 3);
    one(l2g(local + 4090, 0, refs[0], 0, PAGE), 0, 0);
    OK(!memcmp(local + 4090, (const void *)(uintptr_t)at(pages, 0, 0), PAGE));
    one(g2l(0, refs[0], 4095, local, 1), 0, 0);
    down();
}

TEST("ranges beyond a granted page and local to local are EINVAL with the status untouched")
{
    up();
    one(g2l(0, refs[0], 4095, local, 2), -EINVAL, UNTOUCHED);
    one(g2l(0, refs[0], 4096, local, 0), 0, 0);
    one(g2l(0, refs[0], 4096, local, 1), -EINVAL, UNTOUCHED);
    one(g2l(0, refs[0], 0, local, 4097), -EINVAL, UNTOUCHED);
    one(g2l(0, refs[0], 65535, local, 65535), -EINVAL, UNTOUCHED);
    one(g2l(0, refs[0], 1, local, 4096), -EINVAL, UNTOUCHED);
    one(l2g(local, 0, refs[0], 1, 4096), -EINVAL, UNTOUCHED);
    one(g2g(refs[0], 0, refs[1], 1, 4096), -EINVAL, UNTOUCHED);
    one(g2l(0, refs[0], 0, NULL, 0), 0, 0);
    one(g2l(0, 5000, 0, local, 0), 0, 0);
    EQ(copy(0), 0);
    v[0] = g2l(0, refs[0], 0, local, 8);
    v[0].flags = 0;
    EQ(copy(1), -EINVAL);
    EQ(v[0].status, UNTOUCHED);
    v[0].flags = GNTCOPY_source_gref | 4;
    EQ(copy(1), 0);
    EQ(v[0].status, 0);
    down();
}

TEST("the ioctl succeeds and the status says what the hypervisor answered")
{
    struct vma *other;
    uint32_t to_other, gone;

    up();
    one(g2l(0, 5000, 0, local, 8), 0, GNTST_bad_gntref);
    one(l2g(local, 0, 5000, 0, 8), 0, GNTST_bad_gntref);
    one(g2l(0, UINT32_MAX, 0, local, 8), 0, GNTST_bad_gntref);
    one(g2l(0, 400, 0, local, 8), 0, GNTST_general_error);
    one(g2l(9, refs[0], 0, local, 8), 0, GNTST_bad_domain);
    one(g2l(DOMID_IO, refs[0], 0, local, 8), 0, GNTST_bad_domain);
    one(g2l(DOMID_SELF, 400, 0, local, 8), 0, GNTST_general_error);
    other = share(a, 9, 1, &to_other);
    one(g2l(0, to_other, 0, local, 8), 0, GNTST_general_error);
    do_munmap(other);
    one(g2l(0, ro, 0, local, 8), 0, 0);
    EQ(local[7], 0x5c);
    one(l2g(local, 0, ro, 0, 8), 0, GNTST_general_error);
    one(g2g(refs[0], 0, ro, 0, 8), 0, GNTST_general_error);
    EQ(*at(ropage, 0, 0), 0x5c);
    gone = to_other;
    one(g2l(0, gone, 0, local, 8), 0, GNTST_general_error);
    /* A failing operation writes nothing to the destination. */
    memset(local, 0x11, 16);
    one(g2l(0, 400, 0, local, 16), 0, GNTST_general_error);
    EQ(local[0], 0x11);
    EQ(local[15], 0x11);
    down();
}

TEST("local memory that faults is EFAULT after the status was set to 0")
{
    up();
    proc_hole(local, PAGE, PROT_READ);
    one(g2l(0, refs[0], 0, local, 8), -EFAULT, 0);
    one(l2g(local, 0, refs[0], 0, 8), 0, 0);
    proc_reset();
    proc_hole(local, PAGE, 0);
    one(g2l(0, refs[0], 0, local, 8), -EFAULT, 0);
    one(l2g(local, 0, refs[0], 0, 8), -EFAULT, 0);
    proc_reset();
    one(g2l(0, refs[0], 0, NULL, 8), -EFAULT, 0);
    one(g2l(0, refs[0], 0, (void *)(UINTPTR_MAX - 100), 8), -EFAULT, 0);
    /* Whatever the hypervisor says about the grant, the caller's fault comes first. */
    proc_hole(local, PAGE, PROT_READ);
    one(g2l(0, 5000, 0, local, 8), -EFAULT, 0);
    proc_reset();
    one(g2l(0, 5000, 0, local, 8), 0, GNTST_bad_gntref);
    /* The second of two pages is not there: nothing of the batch is run. */
    memset(local, 0x22, sizeof local);
    proc_hole(local + PAGE, PAGE, 0);
    one(g2l(0, refs[0], 0, local + PAGE - 4, 8), -EFAULT, 0);
    EQ(local[PAGE - 4], 0x22);
    proc_reset();
    down();
}

TEST("segments that cannot be read or written are EFAULT, and what was queued is not run")
{
    static segment list[3];
    struct ioctl_gntdev_grant_copy op = { 3, list };

    up();
    for (unsigned i = 0; i < 3; i++)
        list[i] = g2l(0, refs[0], 0, local + 64 * i, 16);
    memset(local, 0, sizeof local);
    proc_hole(&list[2], sizeof *list, 0);
    EQ(do_ioctl(g, IOCTL_GNTDEV_GRANT_COPY, &op), -EFAULT);
    proc_reset();
    EQ(list[0].status, 0);
    EQ(list[1].status, 0);
    EQ(local[1], 0);                           /* queued, not run */
    proc_hole(&list[0].status, 2, PROT_READ);
    EQ(do_ioctl(g, IOCTL_GNTDEV_GRANT_COPY, &op), -EFAULT);
    proc_reset();
    op.segments = NULL;
    EQ(do_ioctl(g, IOCTL_GNTDEV_GRANT_COPY, &op), -EFAULT);
    op.segments = list;
    EQ(do_ioctl(g, IOCTL_GNTDEV_GRANT_COPY, &op), 0);
    EQ(local[1], 7);
    down();
}

/* ---- Several segments ------------------------------------------------------------------------ */

TEST("each segment has its own status")
{
    up();
    for (unsigned i = 0; i < 4; i++)
        v[i] = g2l(0, i == 1 ? 5000 : refs[0], 0, local + i * 64, 16);
    EQ(copy(4), 0);
    for (unsigned i = 0; i < 4; i++) {
        EQ(v[i].status, i == 1 ? GNTST_bad_gntref : GNTST_okay);
        EQ(local[i * 64 + 1], i == 1 ? 0 : 7);
    }
    for (unsigned i = 0; i < 4; i++)
        v[i] = g2l(i == 3 ? 9 : 0, refs[0], 0, local + i * 64, 16);
    v[1] = l2g(local, 0, ro, 0, 16);
    EQ(copy(4), 0);
    EQ(v[0].status, 0);
    EQ(v[1].status, GNTST_general_error);
    EQ(v[2].status, 0);
    EQ(v[3].status, GNTST_bad_domain);
    down();
}

TEST("an invalid segment ends the ioctl: full batches were run, the rest was not")
{
    up();
    for (unsigned i = 0; i < 4; i++)
        v[i] = g2l(0, refs[0], i == 2 ? 4095 : 0, local + i * 64, 16);
    EQ(copy(4), -EINVAL);
    for (unsigned i = 0; i < 4; i++) {
        EQ(v[i].status, i < 2 ? 0 : UNTOUCHED);
        EQ(local[i * 64 + 1], 0);
    }
    /* Batches that were full have been run. */
    for (unsigned i = 0; i < 20; i++)
        v[i] = g2l(0, refs[0], i == 19 ? 4096 : i, local + i * 16, 1);
    EQ(copy(20), -EINVAL);
    for (unsigned i = 0; i < 16; i++)
        EQ(local[i * 16], (uint8_t)(i * 7));
    EQ(local[16 * 16], 0);
    down();
}

TEST("more than 16 operations are several batches, and a segment may span them")
{
    up();
    for (unsigned i = 0; i < 60; i++)
        v[i] = g2l(0, refs[0], i, local + i * 16, 1);
    EQ(copy(60), 0);
    for (unsigned i = 0; i < 60; i++) {
        EQ(v[i].status, 0);
        EQ(local[i * 16], (uint8_t)(i * 7));
    }
    /* A segment whose pieces are in two batches. */
    for (unsigned i = 0; i < 15; i++)
        v[i] = g2l(0, refs[0], i, local + i, 1);
    v[15] = g2l(0, refs[1], 0, local + 2 * PAGE - 8, 16);
    EQ(copy(16), 0);
    EQ(v[15].status, 0);
    for (unsigned i = 0; i < 16; i++)
        EQ(local[2 * PAGE - 8 + i], shared(1, i));
    /* Its first failure is its status, and its other pieces are copied all the same. */
    v[15] = l2g(local + 2 * PAGE - 8, 0, ro, 0, 16);
    EQ(copy(16), 0);
    EQ(v[15].status, GNTST_general_error);
    down();
}

static void a_changed_status_is_kept(void *arg)
{
    ((segment *)arg)->status = -99;
}

TEST("only a status that is still 0 is filled in")
{
    up();
    v[0] = l2g(local, 0, 400, 0, 8);
    /* Somebody writes the status while the operation runs: the driver only fills in a status that
     * is 0. Accesses: the
     * ioctl's structure, the segment, its status, the data, then the look at the status. */
    p.at = 5;
    p.during = a_changed_status_is_kept;
    p.during_arg = &v[0];
    EQ(copy(1), 0);
    EQ(v[0].status, -99);
    down();
}

/* ---- Grants as local memory, retries --------------------------------------------------------- */

TEST("local memory may be a shared page, but not a mapped grant: bad_page")
{
    struct vma *map;
    long rc;

    up();
    map = map_grants(g, 0, refs + 1, 1, RW, &rc);
    *at(pages, 0, 0) = 0x77;
    p.vmas[0].vma = map;
    p.vmas[0].addr = (uintptr_t)at(map, 0, 0);
    /* A mapped grant is another domain's frame, in which the hypervisor copies nothing. */
    one(g2l(0, refs[0], 0, (void *)(uintptr_t)at(map, 0, 0), 8), 0, GNTST_bad_page);
    EQ(shared(1, 0), 0);
    one(l2g((void *)(uintptr_t)at(map, 0, 0), 0, refs[0], 0, 8), 0, GNTST_bad_page);
    p.vmas[0].vma = NULL;
    one(g2l(0, refs[0], 0, (void *)(uintptr_t)at(pages, 2, 0), 8), 0, 0);
    EQ(shared(2, 1), 7);
    unmap_grants(g, map);
    down();
}

TEST("a paged-out grant is retried in the kernel, batch by batch")
{
    struct ioctl_gntdev_grant_copy op = { 40, v };
    struct call call;

    up();
    page_out(pages, 0);
    page_out(pages, 2);
    for (unsigned i = 0; i < 40; i++)
        v[i] = g2l(0, refs[i == 3 ? 0 : i == 30 ? 2 : 1], i, local + i * 16, 1);
    EQ(start_ioctl(g, IOCTL_GNTDEV_GRANT_COPY, &op, &call), KERNEL_PENDING);
    advance(20 * MS);
    OK(!call.done);
    EQ(v[4].status, 0);
    EQ(local[0], 0);                           /* the batch is not through */
    page_in(pages, 0);
    advance(10 * MS);
    OK(!call.done);                            /* now it waits in the second batch */
    EQ(local[3 * 16], 3 * 7);
    page_in(pages, 2);
    advance(100 * MS);
    OK(call.done);
    EQ(call.result, 0);
    for (unsigned i = 0; i < 40; i++)
        EQ(v[i].status, 0);
    EQ(local[30 * 16], shared(2, 30));
    down();
}

TEST("a grant that stays paged out has the status bad_page in the end")
{
    struct ioctl_gntdev_grant_copy op = { 2, v };
    struct call call;

    up();
    page_out(pages, 0);
    v[0] = g2l(0, refs[0], 0, local, 8);
    v[1] = g2l(0, refs[1], 0, local + 64, 8);
    EQ(start_ioctl(g, IOCTL_GNTDEV_GRANT_COPY, &op, &call), KERNEL_PENDING);
    kernel_cancel(&call.req);
    advance(32640 * MS);
    OK(call.done);
    EQ(call.result, 0);
    EQ(v[0].status, GNTST_bad_page);
    EQ(v[1].status, 0);
    EQ(local[64], shared(1, 0));
    page_in(pages, 0);
    down();
}

/* ---- Memory that goes away meanwhile --------------------------------------------------------- */

static void unmap_local(void *arg)
{
    (void)arg;
    proc_hole(local, PAGE, 0);
}

TEST("a destination that is unmapped in between loses the data, as with a pinned page")
{
    up();
    v[0] = g2l(0, refs[0], 0, local, 8);
    v[1] = g2l(0, refs[0], 0, local + PAGE, 8);
    /* Accesses: the ioctl's structure, per segment itself, its status and a look at the destination
     * (2), the data. */
    p.at = 10;
    p.during = unmap_local;
    EQ(copy(2), 0);
    EQ(v[0].status, 0);
    EQ(v[1].status, 0);
    EQ(local[1], 0);
    EQ(local[PAGE + 1], 7);
    down();
}

static void end_domain(void *arg)
{
    (void)arg;
    EQ(hv_domain_destroy(w.hv, 1), 0);
    kernel_destroy(w.k[1]);
    w.k[1] = NULL;
}

TEST("a domain destroyed in the middle of a copy is ENODEV at any access")
{
    for (unsigned access = 1; access <= 8; access++) {
        up();
        for (unsigned i = 0; i < 2; i++)
            v[i] = i ? l2g(local, 0, refs[0], 0, 8) : g2l(0, refs[0], 0, local, 8);
        p.at = access;
        p.during = end_domain;
        EQ(copy(2), -ENODEV);
        down();
    }
}

static void kill_domain(void *arg)
{
    (void)arg;
    EQ(hv_domain_destroy(w.hv, 1), 0);
}

TEST("a domain destroyed in the middle, and its kernel only later, is ENODEV, too")
{
    for (unsigned access = 1; access <= 8; access++) {
        up();
        for (unsigned i = 0; i < 2; i++)
            v[i] = i ? l2g(local, 0, refs[0], 0, 8) : g2l(0, refs[0], 0, local, 8);
        p.at = access;
        p.during = kill_domain;
        EQ(copy(2), -ENODEV);
        kernel_destroy(w.k[1]);
        w.k[1] = NULL;
        down();
    }
}

TEST("without a page to copy through the ioctl is ENOMEM")
{
    struct kernel_page *taken[64];
    unsigned nr = 0;

    world_empty(w.profile, 64);
    boot(0, w.profile);
    g = open_dev(0, "gntdev");
    while ((taken[nr] = kernel_page_alloc(w.k[0])))
        nr++;
    v[0] = l2g(local, 0, 8, 0, 8);
    EQ(copy(1), -ENOMEM);
    kernel_page_put(w.k[0], taken[--nr]);
    EQ(copy(1), 0);
    EQ(v[0].status, GNTST_general_error);
    while (nr)
        kernel_page_put(w.k[0], taken[--nr]);
    close_dev(g);
    world_down();
}
