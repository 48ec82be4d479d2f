/* SPDX-License-Identifier: MIT */
/* Callers that change things while a call touches their memory, guess what is not theirs, or die in
 * the middle. */
#include "harness.h"

SUITE("hostile", "pv pvh");

static struct file *a, *g, *e;
static struct vma *pages;
static uint32_t refs[4];

static void up(void)
{
    world_up();
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    e = open_dev(1, "evtchn");
    pages = share(a, 1, 4, refs);
}

static void down(void)
{
    do_munmap(pages);
    close_dev(a);
    close_dev(g);
    close_dev(e);
    world_down();
}

static void during(unsigned access, void (*fn)(void *), void *arg)
{
    p.at = access;
    p.during = fn;
    p.during_arg = arg;
}

/* ---- Calls in between ------------------------------------------------------------------------ */

static uint64_t between_index;

static void map_in_between(void *arg)
{
    (void)arg;
    EQ(map_refs(g, 0, refs, 2, &between_index), 0);
}

TEST("two maps made at the same time are two maps")
{
    struct vma *one, *two;
    uint64_t index;

    for (unsigned access = 1; access <= 3; access++) {
        struct ioctl_gntdev_map_grant_ref op = { .count = 1, .refs = { { .ref = refs[3] } } };

        up();
        op.refs[0].ref = refs[3];
        during(access, map_in_between, NULL);
        EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &op), 0);
        index = op.index;
        OK(index != between_index);
        EQ(do_mmap(g, index, PAGE, RW, MAP_SHARED, &one), 0);
        EQ(do_mmap(g, between_index, 2 * PAGE, RW, MAP_SHARED, &two), 0);
        unmap_grants(g, one);
        unmap_grants(g, two);
        audit_clean();
        down();
    }
}

static void unmap_in_between(void *arg)
{
    EQ(unmap_index(g, *(uint64_t *)arg, 0), 0);
}

TEST("a map that another thread removes before its index is told is gone")
{
    struct ioctl_gntdev_map_grant_ref op = { .count = 1 };
    uint64_t index = 0;

    up();
    op.refs[0].ref = refs[0];
    during(3, unmap_in_between, &index);
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &op), 0);
    EQ(op.index, 0);
    EQ(unmap_index(g, 0, 1), -ENOENT);
    down();
}

TEST("of two UNMAPs at the same time one finds the map")
{
    struct ioctl_gntdev_unmap_grant_ref op = { .count = 1 };
    uint64_t index;

    up();
    EQ(map_refs(g, 0, refs, 1, &index), 0);
    during(1, unmap_in_between, &index);
    EQ(do_ioctl(g, IOCTL_GNTDEV_UNMAP_GRANT_REF, &op), -ENOENT);
    down();
}

static void change_count(void *arg)
{
    ((struct ioctl_gntdev_map_grant_ref *)arg)->count = 60000;
}

TEST("a structure that changes while it is read counts as it was first")
{
    struct ioctl_gntdev_map_grant_ref op = { .count = 1 };

    up();
    op.refs[0].ref = refs[0];
    during(2, change_count, &op);
    EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &op), 0);
    EQ(op.count, 1);                           /* what was read first counts, and is written back */
    EQ(unmap_index(g, op.index, 1), 0);
    down();
}

static void restrict_in_between(void *arg)
{
    struct ioctl_evtchn_restrict_domid op = { 1 };

    (void)arg;
    EQ(do_ioctl(e, IOCTL_EVTCHN_RESTRICT_DOMID, &op), 0);
}

TEST("a file restricted while it binds does not bind")
{
    static const unsigned long cmds[] = { IOCTL_EVTCHN_BIND_UNBOUND_PORT, IOCTL_EVTCHN_BIND_VIRQ,
                                          IOCTL_EVTCHN_RESTRICT_DOMID };

    for (unsigned i = 0; i < 3; i++) {
        uint32_t arg = 1;

        up();
        during(1, restrict_in_between, NULL);
        EQ(do_ioctl(e, cmds[i], &arg), -EACCES);
        down();
    }
}

static void dealloc_in_between(void *arg)
{
    (void)arg;
    EQ(dealloc(a, 4 * PAGE, 2), 0);
}

TEST("pages that another thread gives up before their references are told are gone")
{
    for (unsigned access = 2; access <= 3; access++) {
        union {
            struct ioctl_gntalloc_alloc_gref op;
            uint32_t words[6];
        } u = { .op = { .domid = 1, .flags = 1, .count = 2 } };

        up();
        during(access, dealloc_in_between, NULL);
        EQ(do_ioctl(a, IOCTL_GNTALLOC_ALLOC_GREF, &u), 0);
        EQ(u.op.index, 4 * PAGE);
        EQ(dealloc(a, 4 * PAGE, 2), -EINVAL);
        down();
    }
}

static void events_come_while_a_caller_faults(void *arg)
{
    uint32_t *ports = arg;
    struct ioctl_evtchn_bind_unbound_port unbound = { 1 };
    struct ioctl_evtchn_bind_interdomain inter = { .remote_domain = 1 };

    /* A channel within the domain: the binder's event comes although another call into this kernel
     * has not returned. */
    ports[0] = inter.remote_port = (uint32_t)do_ioctl(e, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &unbound);
    ports[1] = (uint32_t)do_ioctl(e, IOCTL_EVTCHN_BIND_INTERDOMAIN, &inter);
    EQ(next_event(e), ports[1]);
}

TEST("events reach others while a caller's memory faults")
{
    struct ioctl_gntdev_map_grant_ref op = { .count = 1 };
    uint32_t ports[2] = { 0 };

    for (unsigned access = 1; access <= 3; access++) {
        up();
        op.count = 1;
        op.refs[0].ref = refs[0];
        during(access, events_come_while_a_caller_faults, ports);
        EQ(do_ioctl(g, IOCTL_GNTDEV_MAP_GRANT_REF, &op), 0);
        OK(ports[0] && ports[1]);
        EQ(unmap_index(g, op.index, 1), 0);
        down();
    }
}

/* ---- The domain goes in the middle ----------------------------------------------------------- */

static void end_domain_0(void *arg)
{
    (void)arg;
    EQ(hv_domain_destroy(w.hv, 0), 0);
    kernel_destroy(w.k[0]);
    w.k[0] = NULL;
}

static void end_domain_1(void)
{
    EQ(hv_domain_destroy(w.hv, 1), 0);
    kernel_destroy(w.k[1]);
    w.k[1] = NULL;
}

TEST("a domain destroyed at any access of an ioctl is ENODEV")
{
    static union {
        struct ioctl_gntdev_map_grant_ref map;
        struct ioctl_gntalloc_alloc_gref alloc;
        uint32_t words[32];
    } u;
    static const struct {
        const char *dev;
        unsigned long cmd;
        uint32_t words[6];
        unsigned accesses;
    } rows[] = {
        { "gntdev", IOCTL_GNTDEV_MAP_GRANT_REF, { 2 }, 3 },
        { "gntdev", IOCTL_GNTDEV_UNMAP_GRANT_REF, { 0 }, 1 },
        { "gntdev", IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, { 0 }, 1 },
        { "gntdev", IOCTL_GNTDEV_SET_UNMAP_NOTIFY, { 0 }, 1 },
        { "gntalloc", IOCTL_GNTALLOC_ALLOC_GREF, { 1, 2 }, 3 },
        { "gntalloc", IOCTL_GNTALLOC_DEALLOC_GREF, { 0 }, 1 },
        { "gntalloc", IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, { 0 }, 1 },
        { "evtchn", IOCTL_EVTCHN_BIND_UNBOUND_PORT, { 1 }, 1 },
        { "evtchn", IOCTL_EVTCHN_BIND_INTERDOMAIN, { 1 }, 1 },
        { "evtchn", IOCTL_EVTCHN_BIND_VIRQ, { 1 }, 1 },
        { "evtchn", IOCTL_EVTCHN_UNBIND, { 1 }, 1 },
        { "evtchn", IOCTL_EVTCHN_NOTIFY, { 1 }, 1 },
        { "evtchn", IOCTL_EVTCHN_RESTRICT_DOMID, { 1 }, 1 },
        { "privcmd", IOCTL_PRIVCMD_RESTRICT, { 1 }, 1 },
        { "privcmd", IOCTL_PRIVCMD_DM_OP, { 1 }, 1 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (unsigned access = 1; access <= rows[i].accesses; access++) {
            struct file *f;

            world_up();
            f = open_dev(0, rows[i].dev);
            memset(&u, 0, sizeof u);
            memcpy(&u, rows[i].words, sizeof rows[i].words);
            during(access, end_domain_0, NULL);
            EQ(do_ioctl(f, rows[i].cmd, &u), -ENODEV);
            EQ(do_ioctl(f, rows[i].cmd, &u), -ENODEV);
            close_dev(f);
            world_down();
        }
    }
}

TEST("a domain destroyed while mappings are looked up is ENODEV")
{
    struct ioctl_gntdev_get_offset_for_vaddr op = { .vaddr = 0x100000 };
    struct vma *vma;
    long rc;

    up();
    vma = map_grants(g, 0, refs, 1, RW, &rc);
    p.vmas[0].vma = vma;
    p.vmas[0].addr = 0x100000;
    EQ(do_ioctl(g, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &op), 0);
    p.in_find_vma = end_domain_1;
    EQ(do_ioctl(g, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &op), -ENODEV);
    do_munmap(vma);
    down();
}

/* ---- Foreign and guessed --------------------------------------------------------------------- */

TEST("nobody uses another file's indexes or another domain's grants")
{
    struct file *g2, *a2, *e2;
    struct vma *vma, *stolen;
    uint32_t p0, p1;
    uint64_t index;

    up();
    g2 = open_dev(1, "gntdev");
    a2 = open_dev(0, "gntalloc");
    e2 = open_dev(0, "evtchn");
    connect(e2, 0, e, 1, &p0, &p1);
    EQ(map_refs(g, 0, refs, 4, &index), 0);
    /* Another file of the same domain has none of the first one's indexes. */
    EQ(unmap_index(g2, index, 4), -ENOENT);
    EQ(do_mmap(g2, index, 4 * PAGE, RW, MAP_SHARED, &stolen), -EINVAL);
    EQ(set_notify(g2, index, 1, 0), -ENOENT);
    EQ(dealloc(a2, 0, 4), -EINVAL);
    EQ(do_mmap(a2, 0, PAGE, RW, MAP_SHARED, &stolen), -ENOENT);
    EQ(set_notify(a2, 0, 1, 0), -ENOENT);
    EQ(do_mmap(g, index, 4 * PAGE, RW, MAP_SHARED, &vma), 0);
    /* A third domain cannot map what was granted to the second, whatever it tries. */
    boot(2, w.profile);
    {
        struct file *g3 = open_dev(2, "gntdev");
        long rc;

        for (uint32_t ref = 0; ref < 600; ref++)
            OK(map_grants(g3, 0, &ref, 1, PROT_READ, &rc) == NULL);
        close_dev(g3);
    }
    unmap_grants(g, vma);
    close_dev(g2);
    close_dev(a2);
    close_dev(e2);
    down();
}

TEST("an entry changed by others is the audit's business only")
{
    struct vma *vma;
    grant_entry_v1_t *entry;
    long rc;

    up();
    entry = (grant_entry_v1_t *)hv_grant_frame(w.hv, 0, 0) + refs[0];
    vma = map_grants(g, 0, refs, 1, RW, &rc);
    MUST(vma != NULL);
    /* Somebody with access to the granter's table changes the entry while it is mapped. */
    entry->domid = 55;
    entry->frame = 0;
    unmap_grants(g, vma);
    EQ(kernel_audit(w.k[0], NULL), 1);
    down();
}

TEST("thousands of maps in one file work")
{
    static uint64_t index[3000];

    up();
    for (unsigned i = 0; i < 3000; i++)
        EQ(map_refs(g, 0, refs, 1 + i % 3, &index[i]), 0);
    for (unsigned i = 0; i < 3000; i += 2)
        EQ(unmap_index(g, index[i], 0), 0);
    for (unsigned i = 0; i < 3000; i += 2)
        EQ(map_refs(g, 0, refs, 1, &index[i]), 0);
    audit_clean();
    down();
}

TEST("many files mapping the same grants are torn down in any order")
{
    struct file *files[40];
    struct vma *vmas[40];
    uint64_t index;

    up();
    for (unsigned i = 0; i < 40; i++) {
        files[i] = open_dev(1, "gntdev");
        EQ(map_refs(files[i], 0, refs, 1 + i % 4, &index), 0);
        EQ(do_mmap(files[i], index, (1 + i % 4) * PAGE, i % 2 ? RW : PROT_READ, MAP_SHARED,
                   &vmas[i]), 0);
    }
    audit_clean();
    for (unsigned i = 0; i < 40; i++)
        close_dev(files[i]);
    for (unsigned i = 0; i < 40; i++)
        do_munmap(vmas[(i * 7) % 40]);
    EQ(info(1).maptrack_in_use, 0);
    down();
}
