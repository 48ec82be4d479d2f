/* SPDX-License-Identifier: MIT */
/* /dev/xen/gntdev's ioctls: the offset space, limits, GET_OFFSET_FOR_VADDR, SET_UNMAP_NOTIFY's
 * checks. */
#include "harness.h"

SUITE("gntdev", "pv pvh");

static struct file *g;
static const uint32_t some[16];

static void up(void)
{
    world_up();
    g = open_dev(0, "gntdev");
}

static void down(void)
{
    close_dev(g);
    world_down();
}

/* Offset of a new map of count pages, in pages. */
static uint64_t new_map(uint32_t count)
{
    uint64_t index;

    EQ(map_refs(g, 0, some, count, &index), 0);
    return index / PAGE;
}

static long drop(uint64_t page, uint32_t count)
{
    return unmap_index(g, page * PAGE, count);
}

TEST("offsets begin at 0, rise, and reuse holes that are larger than the map")
{
    up();
    EQ(new_map(1), 0);
    EQ(new_map(1), 1);
    EQ(new_map(1), 2);
    EQ(new_map(3), 3);
    EQ(new_map(1), 6);
    EQ(drop(1, 1), 0);
    /* A hole of just the size is not used, a larger one is, from its beginning. */
    EQ(new_map(1), 7);
    EQ(drop(2, 1), 0);
    EQ(new_map(1), 1);
    EQ(new_map(1), 8);
    EQ(drop(0, 1), 0);
    EQ(new_map(1), 9);
    EQ(drop(1, 1), 0);
    EQ(new_map(1), 0);
    EQ(new_map(1), 1);
    EQ(new_map(2), 10);
    /* Empty again: from 0. */
    for (unsigned i = 0; i < 12; i++)
        drop(i, 0);
    EQ(new_map(5), 0);
    down();
}

/* The rule as the specification words it, over a list. */
static uint64_t model_index(const uint64_t (*maps)[2], unsigned nr, uint64_t count, unsigned *at)
{
    uint64_t candidate = 0;

    for (*at = 0; *at < nr; (*at)++) {
        if (candidate + count < maps[*at][0])
            return candidate;
        candidate = maps[*at][0] + maps[*at][1];
    }
    return candidate;
}

TEST("offsets follow the rule through thousands of maps and unmaps")
{
    static uint64_t maps[64][2];
    unsigned nr = 0, at, seed = 12345;

    up();
    for (unsigned step = 0; step < 3000; step++) {
        seed = seed * 1103515245 + 12345;
        if (nr < 64 && (nr < 4 || (seed >> 16) % 100 < 52)) {
            uint64_t count = 1 + (seed >> 20) % 6,
                expected = model_index((const uint64_t (*)[2])maps, nr, count, &at);

            MUST(new_map((uint32_t)count) == expected);
            memmove(maps + at + 1, maps + at, (nr - at) * sizeof *maps);
            maps[at][0] = expected;
            maps[at][1] = count;
            nr++;
        } else {
            at = (seed >> 18) % nr;
            MUST(drop(maps[at][0], (uint32_t)maps[at][1]) == 0);
            nr--;
            memmove(maps + at, maps + at + 1, (nr - at) * sizeof *maps);
        }
    }
    audit_clean();
    down();
}

TEST("UNMAP wants a map's start and its size or 0, else ENOENT")
{
    up();
    EQ(new_map(1), 0);
    EQ(new_map(3), 1);
    EQ(new_map(1), 4);
    EQ(drop(100, 1), -ENOENT);
    EQ(drop(1, 2), -ENOENT);
    EQ(drop(1, 4), -ENOENT);
    EQ(drop(2, 1), -ENOENT);
    EQ(drop(2, 0), -ENOENT);
    EQ(unmap_index(g, UINT64_MAX, 0), -ENOENT);
    EQ(unmap_index(g, PAGE + 5, 3), 0);         /* the low bits do not matter */
    EQ(drop(1, 3), -ENOENT);
    EQ(drop(4, 0), 0);                          /* any size */
    EQ(drop(0, 1), 0);
    down();
}

TEST("the parameter limits one request, 0 and more are EINVAL")
{
    struct ioctl_gntdev_map_grant_ref op = { .index = 0x1234 };
    static const uint32_t bad[] = { 0, 65537, 0x7fffffff, 0x80000000, UINT32_MAX };
    uint64_t index;

    up();
    for (unsigned i = 0; i < 5; i++) {
        op.count = bad[i];
        EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &op), -EINVAL);
        EQ(op.index, 0x1234);
    }
    EQ(kernel_param_set(w.k[0], "xen_gntdev/limit", 2), 0);
    EQ(map_refs(g, 0, some, 3, &index), -EINVAL);
    EQ(map_refs(g, 0, some, 2, &index), 0);
    EQ(map_refs(g, 0, some, 2, &index), 0);     /* the limit is each request's, not a total */
    EQ(kernel_param_set(w.k[0], "xen_gntdev/limit", 0), 0);
    EQ(map_refs(g, 0, some, 1, &index), -EINVAL);
    /* A limit that lets through more than the address space for grants has. */
    EQ(kernel_param_set(w.k[0], "xen_gntdev/limit", UINT32_MAX), 0);
    op.count = UINT32_MAX;
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &op), -ENOMEM);
    down();
}

TEST("65536 references at once are accepted, and the address space for grants is bounded")
{
    struct ioctl_gntdev_map_grant_ref *op = calloc(1, 16 + 65536 * 8);

    up();
    op->count = 65536;
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, op), 0);
    EQ(op->index, 0);
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, op), 0);
    EQ(op->index, 65536ull * PAGE);
    /* So many that the address space for grants is used up; nothing is lost by the failure. */
    for (unsigned i = 2; i < 16; i++)
        EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, op), 0);
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, op), -ENOMEM);
    EQ(unmap_index(g, 0, 65536), 0);
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, op), 0);
    free(op);
    audit_clean();
    down();
}

TEST("references that cannot be read are EFAULT and leave nothing, an answer that cannot be "
     "written leaves the map")
{
    static struct {
        struct ioctl_gntdev_map_grant_ref op;
        struct ioctl_gntdev_grant_ref more[1023];
    } u;

    up();
    u.op.count = 1024;
    proc_hole(&u.more[700], sizeof u.more[700], 0);
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &u), -EFAULT);
    proc_reset();
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &u), 0);
    EQ(u.op.index, 0);
    /* The answer cannot be written: the caller knows of no map, but there is one until the file is
     * closed. */
    proc_hole(&u, 24, PROT_READ);
    u.op.count = 1;
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &u), -EFAULT);
    proc_reset();
    EQ(new_map(1), 1025);
    EQ(drop(1024, 1), 0);
    audit_clean();
    down();
}

TEST("each open file has its own maps")
{
    struct file *other;
    uint64_t index;

    up();
    other = open_dev(0, "gntdev");
    EQ(new_map(2), 0);
    EQ(map_refs(other, 0, some, 3, &index), 0);
    EQ(index, 0);
    EQ(unmap_index(other, 0, 2), -ENOENT);
    EQ(drop(0, 2), 0);
    EQ(unmap_index(other, 0, 3), 0);
    close_dev(other);
    down();
}

TEST("SET_MAX_GRANTS, the dma-buf ioctls and other devices' numbers are ENOTTY")
{
    struct ioctl_gntdev_set_max_grants max = { 5 };
    static const unsigned long cmds[] = {
        IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS, IOCTL_GNTDEV_DMABUF_EXP_WAIT_RELEASED,
        IOCTL_GNTDEV_DMABUF_IMP_TO_REFS,
        IOCTL_GNTDEV_DMABUF_IMP_RELEASE, IOCTL_GNTALLOC_ALLOC_GREF,
    };

    up();
    EQ(do_ioctl(g, IOCTL_GNTDEV_SET_MAX_GRANTS, &max), -ENOTTY);
    for (unsigned i = 0; i < 5; i++)
        EQ(do_ioctl(g, cmds[i], &max), -ENOTTY);
    down();
}

/* ---- GET_OFFSET_FOR_VADDR -------------------------------------------------------------------- */

static long get_offset(uint64_t vaddr, uint64_t *offset, uint32_t *count)
{
    struct ioctl_gntdev_get_offset_for_vaddr op = { .vaddr = vaddr };
    long rc = do_ioctl(g, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &op);

    *offset = op.offset;
    *count = op.count;
    return rc;
}

TEST("GET_OFFSET_FOR_VADDR answers for the mapping at or above an address")
{
    struct file *a, *other;
    struct vma *pages, *one, *two, *foreign;
    uint32_t refs[4], count;
    uint64_t offset;
    long rc;

    up();
    a = open_dev(0, "gntalloc");
    other = open_dev(0, "gntdev");
    pages = share(a, 0, 4, refs);
    one = map_grants(g, 0, refs, 1, RW, &rc);
    two = map_grants(g, 0, refs + 1, 2, RW, &rc);
    foreign = map_grants(other, 0, refs + 3, 1, RW, &rc);
    MUST(one && two && foreign);
    EQ(get_offset(0x10000, &offset, &count), -EINVAL);
    p.vmas[0].vma = pages;
    p.vmas[0].addr = 0x100000;
    p.vmas[1].vma = two;
    p.vmas[1].addr = 0x200000;
    p.vmas[2].vma = foreign;
    p.vmas[2].addr = 0x300000;
    EQ(get_offset(0x200000, &offset, &count), 0);
    EQ(offset, PAGE);
    EQ(count, 2);
    EQ(get_offset(0x201fff, &offset, &count), 0);
    EQ(offset, PAGE);
    /* The hole below is taken for the mapping above it; beyond the end is the next mapping. */
    EQ(get_offset(0x1f0000, &offset, &count), 0);
    EQ(offset, PAGE);
    EQ(get_offset(0x202000, &offset, &count), 0);
    EQ(offset, 0);
    EQ(count, 1);
    EQ(get_offset(0x100000, &offset, &count), -EINVAL);      /* gntalloc's */
    EQ(get_offset(0, &offset, &count), -EINVAL);
    EQ(get_offset(0x301000, &offset, &count), -EINVAL);
    EQ(get_offset(UINT64_MAX, &offset, &count), -EINVAL);
    /* It works as long as the mapping is there, whatever the offset stands for now. */
    EQ(unmap_index(g, PAGE, 2), 0);
    EQ(get_offset(0x200001, &offset, &count), 0);
    EQ(offset, PAGE);
    EQ(count, 2);
    {
        static struct ioctl_gntdev_get_offset_for_vaddr op = { .vaddr = 0x200000 };

        proc_hole(&op, sizeof op, PROT_READ);
        EQ(do_ioctl(g, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &op), -EFAULT);
    }
    proc_reset();
    do_munmap(two);
    unmap_grants(g, one);
    unmap_grants(other, foreign);
    do_munmap(pages);
    close_dev(a);
    close_dev(other);
    down();
}

/* ---- SET_UNMAP_NOTIFY ------------------------------------------------------------------------ */

TEST("SET_UNMAP_NOTIFY checks action, port and place in this order and keeps no port after a "
     "failure")
{
    struct file *e = NULL;
    struct ioctl_evtchn_bind_unbound_port unbound = { 0 };
    uint32_t port;
    bool checks;

    up();
    checks = w.profile->notify_checks_port;
    e = open_dev(0, "evtchn");
    port = (uint32_t)do_ioctl(e, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &unbound);
    EQ(new_map(2), 0);
    EQ(set_notify(g, 0, 4, 0), -EINVAL);
    EQ(set_notify(g, 0, 0x80000001, 0), -EINVAL);
    EQ(set_notify(g, 0, 0, 0), 0);
    EQ(set_notify(g, 2 * PAGE - 1, UNMAP_NOTIFY_CLEAR_BYTE, 0), 0);
    EQ(set_notify(g, 2 * PAGE, UNMAP_NOTIFY_CLEAR_BYTE, 0), -ENOENT);
    EQ(set_notify(g, 2 * PAGE, 0, 0), -ENOENT);
    EQ(set_notify(g, UINT64_MAX, UNMAP_NOTIFY_CLEAR_BYTE, 0), -ENOENT);
    EQ(set_notify(g, 0, UNMAP_NOTIFY_SEND_EVENT, 0), checks ? -EINVAL : 0);
    EQ(set_notify(g, 0, UNMAP_NOTIFY_SEND_EVENT, port + 1), checks ? -EINVAL : 0);
    EQ(set_notify(g, 0, UNMAP_NOTIFY_SEND_EVENT, 1000000), checks ? -EINVAL : 0);
    EQ(set_notify(g, 0, UNMAP_NOTIFY_SEND_EVENT, port), 0);
    /* What is asked first decides: the action, then the port, then the place. */
    EQ(set_notify(g, 100 * PAGE, 8, 1000000), -EINVAL);
    EQ(set_notify(g, 100 * PAGE, UNMAP_NOTIFY_SEND_EVENT, 1000000), checks ? -EINVAL : -ENOENT);
    EQ(set_notify(g, 100 * PAGE, UNMAP_NOTIFY_SEND_EVENT, port), -ENOENT);
    EQ(set_notify(g, 0, 0, 0), 0);
    close_dev(e);
    EQ(info(0).nr_ports, 0);                   /* no reference to the port is left over */
    down();
}

/* ---- Old kernels ----------------------------------------------------------------------------- */

SUITE("gntdev-legacy", "legacy");

TEST("the limit is a total of the domain: ENOMEM beyond")
{
    struct file *other;
    struct ioctl_gntdev_map_grant_ref op = { .count = 0x80000000 };
    uint64_t index;

    up();
    other = open_dev(0, "gntdev");
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &op), -EINVAL);
    op.count = 0;
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &op), -EINVAL);
    op.count = 0x7fffffff;
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &op), -ENOMEM);
    EQ(kernel_param_set(w.k[0], "xen_gntdev/limit", 4), 0);
    EQ(new_map(3), 0);
    EQ(map_refs(other, 0, some, 2, &index), -ENOMEM);
    EQ(map_refs(other, 0, some, 1, &index), 0);
    EQ(map_refs(g, 0, some, 1, &index), -ENOMEM);
    EQ(drop(0, 3), 0);
    EQ(map_refs(other, 0, some, 3, &index), 0);
    close_dev(other);
    down();
}

TEST("there is no grant copy")
{
    struct ioctl_gntdev_grant_copy op = { 0, NULL };

    up();
    EQ(do_ioctl(g, IOCTL_GNTDEV_GRANT_COPY, &op), -ENOTTY);
    down();
}

/* Domain 0 shares, domain 1 (old) maps. */
static struct file *a, *g1;
static struct vma *pages;
static uint32_t refs[3];

static void up_sharing(const struct kernel_profile *profile)
{
    world_up_with(profile);
    a = open_dev(0, "gntalloc");
    g1 = open_dev(1, "gntdev");
    pages = share(a, 1, 3, refs);
}

static void down_sharing(void)
{
    do_munmap(pages);
    close_dev(a);
    close_dev(g1);
    world_down();
}

TEST("mmap of a paged-out grant is EAGAIN, leaves nothing mapped and can be repeated")
{
    struct kernel_profile translated = kernel_profile_legacy;
    struct vma *vma;
    uint64_t index;

    translated.auto_translated = true;
    for (unsigned kind = 0; kind < 2; kind++) {
        up_sharing(kind ? &translated : &kernel_profile_legacy);
        page_out(pages, 1);
        EQ(map_refs(g1, 0, refs, 3, &index), 0);
        for (unsigned i = 0; i < 5; i++) {
            EQ(do_mmap(g1, index, 3 * PAGE, RW, MAP_SHARED, &vma), -EAGAIN);
            OK(!in_use(0, refs[0]));           /* nothing stays mapped meanwhile */
        }
        EQ(kernel_next_timer(w.k[1]), UINT64_MAX);
        page_in(pages, 1);
        EQ(do_mmap(g1, index, 3 * PAGE, RW, MAP_SHARED, &vma), 0);
        OK(in_use(0, refs[1]));
        audit_clean();
        unmap_grants(g1, vma);
        down_sharing();
    }
}

TEST("a bad grant among paged-out ones is EINVAL")
{
    struct vma *vma;
    uint64_t index;
    uint32_t mixed[3];

    up_sharing(&kernel_profile_legacy);
    page_out(pages, 0);
    mixed[0] = refs[0];
    mixed[1] = 500;
    mixed[2] = refs[2];
    EQ(map_refs(g1, 0, mixed, 3, &index), 0);
    EQ(do_mmap(g1, index, 3 * PAGE, RW, MAP_SHARED, &vma), -EINVAL);
    OK(!in_use(0, refs[2]));
    page_in(pages, 0);
    EQ(unmap_index(g1, index, 3), 0);
    down_sharing();
}

TEST("a PV map can be mmapped again when its mapping is gone, with the rights of the first time")
{
    struct vma *vma, *second;
    uint64_t index;

    up_sharing(&kernel_profile_legacy);
    EQ(map_refs(g1, 0, refs, 3, &index), 0);
    EQ(do_mmap(g1, index, 3 * PAGE, PROT_READ, MAP_SHARED, &vma), 0);
    EQ(do_mmap(g1, index, 3 * PAGE, PROT_READ, MAP_SHARED, &second), -EINVAL);
    do_munmap(vma);
    OK(!in_use(0, refs[0]));
    /* The first mmap made it read-only for good. */
    EQ(do_mmap(g1, index, 3 * PAGE, RW, MAP_SHARED, &second), -EINVAL);
    EQ(do_mmap(g1, index, 3 * PAGE, PROT_READ, MAP_SHARED, &second), 0);
    OK(in_use(0, refs[0]));
    unmap_grants(g1, second);
    down_sharing();
}

TEST("an auto-translated map can be mmapped several times at once")
{
    struct kernel_profile translated = kernel_profile_legacy;
    struct vma *vma, *second;
    uint64_t index;

    translated.auto_translated = true;
    up_sharing(&translated);
    EQ(map_refs(g1, 0, refs, 3, &index), 0);
    EQ(do_mmap(g1, index, 3 * PAGE, RW, MAP_SHARED, &vma), 0);
    EQ(do_mmap(g1, index, 3 * PAGE, PROT_READ, MAP_SHARED, &second), 0);
    *at(vma, 2, 1) = 0x31;
    EQ(*at(second, 2, 1), 0x31);
    do_munmap(vma);
    OK(in_use(0, refs[0]));
    EQ(*at(second, 2, 1), 0x31);
    do_munmap(second);
    OK(in_use(0, refs[0]));
    EQ(unmap_index(g1, index, 3), 0);
    OK(!in_use(0, refs[0]));
    /* Failed half-way: what was mapped stays until the map goes, and it cannot be mmapped. */
    refs[1] = 500;
    EQ(map_refs(g1, 0, refs, 3, &index), 0);
    EQ(do_mmap(g1, index, 3 * PAGE, RW, MAP_SHARED, &vma), -EINVAL);
    OK(in_use(0, refs[0]));
    EQ(do_mmap(g1, index, 3 * PAGE, RW, MAP_SHARED, &vma), -EINVAL);
    EQ(unmap_index(g1, index, 3), 0);
    OK(!in_use(0, refs[0]));
    down_sharing();
}
