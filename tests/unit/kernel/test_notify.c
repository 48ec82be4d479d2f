/* SPDX-License-Identifier: MIT */
/* Unmap notification: the kernel's part of the requirements on ring protocols (numbers N-…), on
 * both sides. */
#include "harness.h"

SUITE("notify", "pv pvh legacy");

#define BYTE UNMAP_NOTIFY_CLEAR_BYTE
#define EVENT UNMAP_NOTIFY_SEND_EVENT

/* Domain 0 is the granter, domain 1 the mapper; a channel between them. */
static struct file *a, *g, *e0, *e1;
static uint32_t p0, p1, refs[2];
static uint64_t gindex, mindex;
static struct vma *own, *map;
static const struct kernel_profile *special;      /* NULL: the suite's */

/* Two pages, allocated, mmapped and still in the granter's file; mapped by the mapper, still in its
 * file. */
static void up(void)
{
    if (special)
        world_up_with(special);
    else
        world_up();
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    e0 = open_dev(0, "evtchn");
    e1 = open_dev(1, "evtchn");
    connect(e0, 0, e1, 1, &p0, &p1);
    EQ(alloc_grefs(a, 1, GNTALLOC_FLAG_WRITABLE, 2, &gindex, refs), 0);
    EQ(do_mmap(a, gindex, 2 * PAGE, RW, MAP_SHARED, &own), 0);
    memset((void *)(uintptr_t)at(own, 0, 0), 0xff, 2 * PAGE);
    EQ(map_refs(g, 0, refs, 2, &mindex), 0);
    EQ(do_mmap(g, mindex, 2 * PAGE, RW, MAP_SHARED, &map), 0);
}

static void down(void)
{
    advance(1000 * MS);
    if (own)
        do_munmap(own);
    if (map)
        do_munmap(map);
    if (a)
        close_dev(a);
    if (g)
        close_dev(g);
    close_dev(e0);
    close_dev(e1);
    world_down();
}

static void granter_gives_up(void)
{
    EQ(dealloc(a, gindex, 2), 0);
    do_munmap(own);
    own = NULL;
}

static void mapper_gives_up(void)
{
    unmap_grants(g, map);
    map = NULL;
}

/* The page as domain 1 sees it. */
static uint8_t seen(uint64_t page, unsigned offset)
{
    return *at(map, page, offset);
}

/* ---- The granter's side ---------------------------------------------------------------------- */

TEST("N-3 N-30 N-31 N-37 N-39 N-56 N-61 N-62 N-63: the granter's end clears one byte and sends one "
     "event; the mapping goes on")
{
    up();
    EQ(set_notify(a, gindex + 21, BYTE | EVENT, p0), 0);
    EQ(dealloc(a, gindex, 2), 0);
    EQ(seen(0, 21), 0xff);
    EQ(next_event(e1), 0);
    do_munmap(own);
    own = NULL;
    /* N-30 N-31 N-37 N-39: one byte, one event, nothing else of the page. */
    EQ(next_event(e1), p1);
    EQ(next_event(e1), 0);
    for (unsigned i = 0; i < 64; i++)
        EQ(seen(0, i), i == 21 ? 0 : 0xff);
    EQ(seen(1, 21), 0xff);
    /* N-3 N-56 N-62: the mapper's mapping goes on until it unmaps by itself. */
    *at(map, 0, 5) = 0x31;
    EQ(seen(0, 5), 0x31);
    OK(in_use(0, refs[0]));
    /* N-61 N-63: only then the granter's kernel gets the page back. */
    advance(3000 * MS);
    EQ(info(0).tot_pages, 2);
    mapper_gives_up();
    down();
}

TEST("N-2 N-17 N-40: byte and event each work alone, on both sides, and action 0 cancels")
{
    static const unsigned actions[] = { BYTE, EVENT, BYTE | EVENT, 0 };

    for (unsigned side = 0; side < 2; side++) {
        for (unsigned i = 0; i < 4; i++) {
            up();
            EQ(set_notify(side ? g : a, (side ? mindex : gindex) + 3, BYTE | EVENT, side ? p1 : p0),
               0);
            EQ(set_notify(side ? g : a, (side ? mindex : gindex) + 3, actions[i], side ? p1 : p0),
               0);
            if (side)
                mapper_gives_up();
            else
                granter_gives_up();
            EQ(side ? *at(own, 0, 3) : seen(0, 3), actions[i] & BYTE ? 0 : 0xff);
            EQ(next_event(side ? e0 : e1), actions[i] & EVENT ? (side ? p0 : p1) : 0);
            EQ(next_event(side ? e0 : e1), 0);
            down();
        }
    }
}

TEST("N-5: gntalloc has one record per page, the latest")
{
    up();
    EQ(set_notify(a, gindex + 3, BYTE, 0), 0);
    EQ(set_notify(a, gindex + 4, BYTE, 0), 0);
    EQ(set_notify(a, gindex + PAGE + 5, BYTE, 0), 0);
    granter_gives_up();
    EQ(seen(0, 3), 0xff);
    EQ(seen(0, 4), 0);
    EQ(seen(1, 5), 0);
    down();
}

TEST("N-5: gntdev has one record per map, the latest")
{
    up();
    EQ(set_notify(g, mindex + 3, BYTE, 0), 0);
    EQ(set_notify(g, mindex + PAGE + 5, BYTE, 0), 0);
    mapper_gives_up();
    EQ(*at(own, 0, 3), 0xff);
    EQ(*at(own, 1, 5), 0);
    down();
}

TEST("N-32: it fires when the last of several mappings is gone")
{
    struct vma *second;

    up();
    EQ(set_notify(a, gindex + 3, BYTE | EVENT, p0), 0);
    EQ(do_mmap(a, gindex, PAGE, RW, MAP_SHARED, &second), 0);
    granter_gives_up();
    EQ(seen(0, 3), 0xff);
    EQ(next_event(e1), 0);
    do_munmap(second);
    EQ(seen(0, 3), 0);
    EQ(next_event(e1), p1);
    down();
}

TEST("N-32: munmap without DEALLOC fires nothing until close")
{
    up();
    EQ(set_notify(a, gindex + 3, BYTE | EVENT, p0), 0);
    do_munmap(own);
    own = NULL;
    EQ(seen(0, 3), 0xff);
    close_dev(a);
    a = NULL;
    EQ(seen(0, 3), 0);
    EQ(next_event(e1), p1);
    down();
}

TEST("N-30: a process that dies fires it")
{
    up();
    EQ(set_notify(a, gindex + 3, BYTE | EVENT, p0), 0);
    /* A process that dies: mappings first, descriptors after, in the order of their numbers. */
    do_munmap(own);
    own = NULL;
    close_dev(a);
    a = NULL;
    EQ(seen(0, 3), 0);
    EQ(next_event(e1), p1);
    down();
}

TEST("N-38: it fires once")
{
    up();
    EQ(set_notify(a, gindex + 3, BYTE | EVENT, p0), 0);
    granter_gives_up();
    EQ(next_event(e1), p1);
    *at(map, 0, 3) = 0x44;
    close_dev(a);
    a = NULL;
    advance(5000 * MS);
    mapper_gives_up();
    advance(5000 * MS);
    EQ(next_event(e1), 0);
    down();
}

TEST("N-6: a page that was never mmapped fires at DEALLOC")
{
    uint64_t index;
    uint32_t ref;
    struct vma *vma;
    long rc;

    up();
    EQ(alloc_grefs(a, 1, 1, 1, &index, &ref), 0);
    vma = map_grants(g, 0, &ref, 1, RW, &rc);
    *at(vma, 0, 9) = 0xff;
    EQ(set_notify(a, index + 9, BYTE | EVENT, p0), 0);
    EQ(dealloc(a, index, 1), 0);
    EQ(*at(vma, 0, 9), 0);
    EQ(next_event(e1), p1);
    unmap_grants(g, vma);
    down();
}

/* ---- The mapper's side ----------------------------------------------------------------------- */

TEST("N-6 N-36 N-65: the mapper's end clears one byte, unmaps, and sends one event")
{
    up();
    EQ(set_notify(g, mindex + 20, BYTE | EVENT, p1), 0);
    mapper_gives_up();
    EQ(next_event(e0), p0);
    EQ(next_event(e0), 0);
    for (unsigned i = 0; i < 64; i++)
        EQ(*at(own, 0, i), i == 20 ? 0 : 0xff);
    OK(!in_use(0, refs[0]));
    down();
}

TEST("N-33: close after munmap fires at the mapper")
{
    up();
    EQ(set_notify(g, mindex + 20, BYTE | EVENT, p1), 0);
    do_munmap(map);
    map = NULL;
    close_dev(g);
    g = NULL;
    EQ(*at(own, 0, 20), 0);
    EQ(next_event(e0), p0);
    down();
}

TEST("N-43: a map that was never mmapped fires its event but clears no byte")
{
    uint64_t index;

    up();
    EQ(map_refs(g, 0, refs, 1, &index), 0);
    EQ(set_notify(g, index + 3, BYTE | EVENT, p1), 0);
    EQ(unmap_index(g, index, 1), 0);
    /* N-43 */
    EQ(*at(own, 0, 3), 0xff);
    EQ(next_event(e0), p0);
    down();
}

TEST("N-16: no byte in a read-only mapping, whenever it was asked for")
{
    struct vma *vma;
    uint64_t index;

    up();
    EQ(map_refs(g, 0, refs, 1, &index), 0);
    EQ(do_mmap(g, index, PAGE, PROT_READ, MAP_SHARED, &vma), 0);
    EQ(set_notify(g, index + 3, BYTE, 0), -EINVAL);
    EQ(set_notify(g, index + 3, BYTE | EVENT, p1), -EINVAL);
    EQ(set_notify(g, index + 3, EVENT, p1), 0);
    unmap_grants(g, vma);
    EQ(*at(own, 0, 3), 0xff);
    EQ(next_event(e0), p0);
    /* Asked for before the mmap that turns out to be read-only: no byte of a page that may not be
     * written. */
    EQ(map_refs(g, 0, refs, 1, &index), 0);
    EQ(set_notify(g, index + 3, BYTE | EVENT, p1), 0);
    EQ(do_mmap(g, index, PAGE, PROT_READ, MAP_SHARED, &vma), 0);
    unmap_grants(g, vma);
    EQ(*at(own, 0, 3), 0xff);
    EQ(next_event(e0), p0);
    down();
}

TEST("a map whose mmap failed sends its event when it goes")
{
    struct vma *vma;
    uint64_t index;
    uint32_t bad[2];

    up();
    bad[0] = refs[0];
    bad[1] = 5000;
    EQ(map_refs(g, 0, bad, 2, &index), 0);
    EQ(set_notify(g, index + PAGE + 3, BYTE | EVENT, p1), 0);
    EQ(do_mmap(g, index, 2 * PAGE, RW, MAP_SHARED, &vma), -EINVAL);
    EQ(unmap_index(g, index, 2), 0);
    EQ(next_event(e0), p0);
    down();
}

/* ---- Ports ----------------------------------------------------------------------------------- */

TEST("N-18: the registration holds the port when it is unbound")
{
    bool checks;

    up();
    checks = w.profile->notify_checks_port;
    EQ(set_notify(a, gindex, EVENT, p0), 0);
    EQ(set_notify(a, gindex + PAGE, EVENT, p0), 0);
    EQ(set_notify(g, mindex, EVENT, p1), 0);
    EQ(do_ioctl(e0, IOCTL_EVTCHN_UNBIND, &p0), 0);
    EQ(info(0).nr_ports, checks ? 1 : 0);
    if (checks) {
        /* Nobody listens at p0 any more, but the channel is there, and its other end hears. */
        EQ(do_ioctl(e0, IOCTL_EVTCHN_NOTIFY, &p0), -ENOTCONN);
        EQ(set_notify(a, gindex, 0, 0), 0);
        EQ(info(0).nr_ports, 1);
        granter_gives_up();
        EQ(next_event(e1), p1);
        EQ(info(0).nr_ports, 0);
    }
    down();
}

TEST("N-18: the registration holds the port when its file is closed")
{
    up();
    EQ(set_notify(g, mindex, EVENT, p1), 0);
    close_dev(e1);
    EQ(info(1).nr_ports, w.profile->notify_checks_port ? 1 : 0);
    mapper_gives_up();
    EQ(next_event(e0), w.profile->notify_checks_port ? p0 : 0);
    EQ(info(1).nr_ports, 0);
    e1 = open_dev(1, "evtchn");
    down();
}

TEST("N-19: replacing a registration gives the old port back")
{
    uint32_t q0, q1;

    up();
    connect(e0, 0, e1, 1, &q0, &q1);
    EQ(set_notify(a, gindex, EVENT, p0), 0);
    EQ(set_notify(g, mindex, EVENT, p1), 0);
    EQ(do_ioctl(e0, IOCTL_EVTCHN_UNBIND, &p0), 0);
    EQ(do_ioctl(e1, IOCTL_EVTCHN_UNBIND, &p1), 0);
    EQ(set_notify(a, gindex, EVENT, q0), 0);
    EQ(set_notify(g, mindex, EVENT, q1), 0);
    EQ(info(0).nr_ports, 1);
    EQ(info(1).nr_ports, 1);
    granter_gives_up();
    EQ(next_event(e1), q1);
    mapper_gives_up();
    EQ(next_event(e0), q0);
    down();
}

TEST("N-41 N-44: an event to a closed port is lost, and nobody is held up")
{
    up();
    EQ(set_notify(a, gindex, EVENT, p0), 0);
    EQ(do_ioctl(e1, IOCTL_EVTCHN_UNBIND, &p1), 0);
    /* N-41 N-44 */
    granter_gives_up();
    EQ(next_event(e1), 0);
    down();
}

TEST("N-1 N-21: both sides may nominate the same byte")
{
    up();
    EQ(set_notify(a, gindex + 7, BYTE | EVENT, p0), 0);
    EQ(set_notify(g, mindex + 7, BYTE | EVENT, p1), 0);
    mapper_gives_up();
    EQ(*at(own, 0, 7), 0);
    EQ(next_event(e0), p0);
    EQ(next_event(e1), 0);
    *at(own, 0, 7) = 0x10;
    granter_gives_up();
    EQ(next_event(e1), p1);
    down();
}

TEST("a destroyed domain clears no byte and sends no event")
{
    up();
    EQ(set_notify(a, gindex + 7, BYTE | EVENT, p0), 0);
    destroy_domain(0);
    EQ(seen(0, 7), 0xff);
    EQ(next_event(e1), 0);
    down();
}

/* ---- What differs ---------------------------------------------------------------------------- */

SUITE("notify-pv", "pv legacy");

TEST("N-34: munmap clears the byte and unmaps at once, the event comes with the ioctl")
{
    up();
    EQ(set_notify(g, mindex + PAGE + 9, BYTE | EVENT, p1), 0);
    /* N-34: the byte goes with its page, at munmap; the event comes with the end of the map. */
    do_munmap_part(map, 0, 1);
    EQ(*at(own, 1, 9), 0xff);
    OK(!in_use(0, refs[0]) && in_use(0, refs[1]));
    do_munmap_part(map, 1, 1);
    EQ(*at(own, 1, 9), 0);
    OK(!in_use(0, refs[1]));
    EQ(next_event(e0), 0);
    do_munmap(map);
    map = NULL;
    EQ(next_event(e0), 0);
    EQ(unmap_index(g, mindex, 2), 0);
    EQ(next_event(e0), p0);
    down();
}

SUITE("notify-pvh", "pvh");

TEST("N-33: munmap alone fires nothing, the ioctl after it does")
{
    up();
    EQ(set_notify(g, mindex + 9, BYTE | EVENT, p1), 0);
    do_munmap(map);
    map = NULL;
    EQ(*at(own, 0, 9), 0xff);
    EQ(next_event(e0), 0);
    OK(in_use(0, refs[0]));
    EQ(unmap_index(g, mindex, 2), 0);
    EQ(*at(own, 0, 9), 0);
    EQ(next_event(e0), p0);
    OK(!in_use(0, refs[0]));
    down();
}

static void order_with_a_page_in_io(bool event_first)
{
    struct kernel_pin *pin;

    up();
    EQ(set_notify(g, mindex + 9, BYTE | EVENT, p1), 0);
    EQ(kernel_vma_pin(map, 0, &pin), 0);
    mapper_gives_up();
    /* The byte is cleared at once; the unmapping, and by N-36 the event after it, wait for the
     * I/O. */
    EQ(*at(own, 0, 9), 0);
    OK(in_use(0, refs[0]));
    EQ(next_event(e0), event_first ? p0 : 0);
    kernel_unpin(pin);
    advance(5 * MS);
    OK(!in_use(0, refs[0]));
    EQ(next_event(e0), event_first ? 0 : p0);
    down();
}

TEST("N-36: byte, then unmap, then event, also when the unmapping has to wait")
{
    order_with_a_page_in_io(false);
}

TEST("N-36: old auto-translated kernels send the event before (own profile)")
{
    struct kernel_profile old = kernel_profile_pvh;

    old.event_before_unmap = true;
    special = &old;
    order_with_a_page_in_io(true);
    special = NULL;
}
