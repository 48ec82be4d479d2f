/* SPDX-License-Identifier: MIT */
/* The path that everything else takes: one domain shares pages, the other maps them, both see each
 * other's writes. */
#include "harness.h"

SUITE("smoke", "pv pvh legacy");

TEST("four shared pages are mapped in another order by the other domain, and both see each other's "
     "writes")
{
    struct file *a, *g;
    struct vma *pages, *map;
    uint32_t refs[4], shuffled[4];
    long rc;

    world_up();
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    pages = share(a, 1, 4, refs);
    EQ(refs[0], 8);
    EQ(refs[3], 11);
    for (unsigned i = 0; i < 4; i++)
        *at(pages, i, 7) = (uint8_t)(0xa0 + i);
    shuffled[0] = refs[2];
    shuffled[1] = refs[0];
    shuffled[2] = refs[3];
    shuffled[3] = refs[1];
    map = map_grants(g, 0, shuffled, 4, RW, &rc);
    MUST(map != NULL);
    EQ(*at(map, 0, 7), 0xa2);
    EQ(*at(map, 3, 7), 0xa1);
    *at(map, 1, 9) = 0x55;
    EQ(*at(pages, 0, 9), 0x55);
    OK(in_use(0, refs[0]));
    audit_clean();
    unmap_grants(g, map);
    OK(!in_use(0, refs[0]));
    do_munmap(pages);
    EQ(entry_flags(0, refs[0]), 0);
    EQ(info(0).tot_pages, 0);
    close_dev(a);
    close_dev(g);
    world_down();
}

TEST("unmapping with a notification clears the byte and sends one event")
{
    struct file *a, *g, *e0, *e1;
    struct vma *page, *map;
    uint32_t ref, p0, p1;
    uint64_t index;

    world_up();
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    e0 = open_dev(0, "evtchn");
    e1 = open_dev(1, "evtchn");
    connect(e0, 0, e1, 1, &p0, &p1);
    page = share(a, 1, 1, &ref);
    memset((void *)(uintptr_t)at(page, 0, 0), 0xff, PAGE);
    EQ(map_refs(g, 0, &ref, 1, &index), 0);
    EQ(do_mmap(g, index, PAGE, RW, MAP_SHARED, &map), 0);
    if (w.profile->map_eagain == KERNEL_EAGAIN_RETRY)
        EQ(set_notify(g, index + 5, UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT, 63),
           -EINVAL);
    EQ(set_notify(g, index + 5, UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT, p1), 0);
    unmap_grants(g, map);
    EQ(*at(page, 0, 5), 0);
    EQ(*at(page, 0, 4), 0xff);
    EQ(next_event(e0), p0);
    EQ(next_event(e0), 0);
    do_munmap(page);
    close_dev(a);
    close_dev(g);
    close_dev(e0);
    close_dev(e1);
    world_down();
}
