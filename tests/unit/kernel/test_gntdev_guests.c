/* SPDX-License-Identifier: MIT */
/* gntdev's mappings on one kind of guest only: what a PV kernel does at munmap, and an
 * auto-translated one does not. */
#include "scene_gntdev.h"

SUITE("gntdev-pv", "pv legacy");

/* ---- PV -------------------------------------------------------------------------------------- */

TEST("a page is mapped twice, and munmap alone ends both")
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

TEST("a partial munmap ends the grants of its range at once")
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

TEST("only addresses that the kernel registered take a mapping")
{
    static const uint64_t addrs[] = { 0, 0x1000, 0xffff880000000000, 0xffff880000001000,
                                      0x0000010000000000, UINT64_MAX - 4095 };
    struct gnttab_map_grant_ref op;
    struct gnttab_unmap_and_replace replace;
    struct gnttab_pages *place, *other;
    struct gnttab_unmap_grant_ref unmap;
    grant_handle_t handle, handle2;

    up();
    /* Nobody else's address is a place for a mapping. */
    for (unsigned i = 0; i < 6; i++) {
        op = (struct gnttab_map_grant_ref){ .host_addr = addrs[i], .flags = GNTMAP_host_map,
                                            .ref = refs[0], .dom = 0 };
        EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_map_grant_ref, &op, 1), 0);
        EQ(op.status, GNTST_general_error);
        op.flags |= GNTMAP_contains_pte;
        EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_map_grant_ref, &op, 1), 0);
        EQ(op.status, GNTST_general_error);
    }
    EQ(gnttab_alloc_pages(w.k[1], 1, &place), 0);
    EQ(gnttab_alloc_pages(w.k[1], 1, &other), 0);
    op = (struct gnttab_map_grant_ref){ .host_addr = gnttab_page_addr(w.k[1], place, 0),
                                        .flags = GNTMAP_host_map,
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
    replace = (struct gnttab_unmap_and_replace){ .host_addr = gnttab_page_addr(w.k[1], place, 0),
                                                 .new_addr = 0x5000,
                                                 .handle = handle };
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_unmap_and_replace, &replace, 1), 0);
    EQ(replace.status, GNTST_general_error);
    replace.new_addr = gnttab_page_addr(w.k[1], other, 0);
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_unmap_and_replace, &replace, 1), 0);
    EQ(replace.status, GNTST_okay);
    OK(!in_use(0, refs[0]));
    unmap = (struct gnttab_unmap_grant_ref){ .host_addr = gnttab_page_addr(w.k[1], other, 0),
                                             .handle = handle2 };
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

/* A PV kernel maps each page twice, with a batch each: the third page of the second batch is paged
 * out meanwhile. */
static enum hv_verdict out_in_the_second_batch(void *ctx, struct hv_point *point, long *value)
{
    (void)ctx;
    if (!point->element || point->cmd != GNTTABOP_map_grant_ref || point->index != 2 ||
        ++third_pages != 2)
        return HV_GO_ON;
    *value = GNTST_eagain;
    return HV_STATUS;
}

TEST("a page that is out when the kernel maps it for itself makes mmap fail, and nothing stays "
     "mapped")
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

/* ---- Auto-translated ------------------------------------------------------------------------- */

SUITE("gntdev-pvh", "pvh");

TEST("munmap, whole or in part, ends nothing; the ioctl after it does")
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

TEST("close ends what munmap left")
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

TEST("mapping one's own page takes it from its old place, which the kernel survives")
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
    /* A real hypervisor moves the frame from its old gfn to the mapping's; the kernel cannot give
     * it back then. */
    do_munmap(own);
    OK(logged("is gone"));
    close_dev(g0);
    down();
}

TEST("... and the old place is nobody else's until the kernel gives the page back")
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
    /* Nothing is where the page was, but nothing else may come there either while the kernel has
     * not given it back. */
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
