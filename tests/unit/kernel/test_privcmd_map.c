/* SPDX-License-Identifier: MIT */
/* /dev/xen/privcmd: mapping other domains' frames and resources. */
#include "harness.h"

#include <xen/memory.h>

SUITE("privcmd-map", "pv pvh legacy");

#define WHERE 0x7e8000000000ull

static struct file *v;
/* of domain 1's pages, as it calls them and as they are */
static uint64_t frames[8], mfns[8];
static struct vma *shared;

static void up(void)
{
    struct file *gntalloc;
    uint32_t refs[8];

    world_up();
    v = open_dev(0, "privcmd");
    gntalloc = open_dev(1, "gntalloc");
    shared = share(gntalloc, 0, 8, refs);
    close_dev(gntalloc);
    for (unsigned i = 0; i < 8; i++) {
        struct hv_entry_info entry;

        MUST(hv_entry_info(w.hv, 1, refs[i], &entry) == 0);
        frames[i] = entry.frame;
        mfns[i] = (uint64_t)((const char *)at(shared, i, 0) - (const char *)w.memory) / PAGE;
    }
}

static void down(void)
{
    do_munmap(shared);
    close_dev(v);
    world_down();
}

/* A range for frames, at WHERE. */
static struct vma *range(uint64_t pages, unsigned prot, unsigned flags)
{
    struct vma *vma;

    MUST(do_mmap(v, 0, pages * PAGE, prot, flags, &vma) == 0);
    p.vmas[0].addr = WHERE;
    p.vmas[0].vma = vma;
    return vma;
}

static void drop(struct vma *vma)
{
    p.vmas[0].vma = NULL;
    do_munmap(vma);
}

static long batch(uint64_t addr, domid_t dom, const void *arr, unsigned num, int *err)
{
    privcmd_mmapbatch_v2_t op = { .num = num, .dom = dom, .addr = addr, .arr = arr, .err = err };

    return do_ioctl(v, IOCTL_PRIVCMD_MMAPBATCH_V2, &op);
}

static uint32_t refs_of(uint64_t mfn)
{
    struct hv_frame_info frame;

    MUST(hv_frame_info(w.hv, mfn, &frame) == 0);
    return frame.refs;
}

/* ---- MMAPBATCH ------------------------------------------------------------------------------- */

TEST("an mmap gives a range with nothing in it")
{
    struct vma *vma;

    up();
    vma = range(3, RW, MAP_SHARED);
    EQ(vma->nr_runs, 1);
    EQ(vma->runs[0].mfn, HV_INVALID_MFN);
    OK(vma->dont_copy && vma->may_write && !vma->is_private);
    drop(vma);
    vma = range(1, PROT_READ, MAP_PRIVATE);
    OK(vma->is_private);
    drop(vma);
    EQ(do_mmap(v, 12345 * PAGE, PAGE, PROT_NONE, MAP_SHARED, &vma), 0);       /* any offset */
    do_munmap(vma);
    EQ(do_mmap(v, 0, 1ull << 40, RW, MAP_SHARED, &vma), -ENOMEM);
    down();
}

TEST("frames appear in the order named")
{
    uint64_t order[4] = { frames[2], frames[0], frames[1], frames[7] };
    int err[4] = { 1, 2, 3, 4 };
    struct kernel_pin *pin;
    struct vma *vma;

    up();
    memcpy(order, (uint64_t[4]){ frames[2], frames[0], frames[1], frames[7] }, sizeof order);
    vma = range(4, RW, MAP_SHARED);
    EQ(batch(WHERE, 1, order, 4, err), 0);
    EQ(p.filled_first, 0);
    EQ(p.filled_nr, 4);
    for (unsigned i = 0; i < 4; i++)
        EQ(err[i], 0);
    *at(shared, 2, 5) = 55;
    EQ(*at(vma, 0, 5), 55);
    *at(vma, 3, 6) = 66;
    EQ(*at(shared, 7, 6), 66);
    EQ(refs_of(mfns[2]), 2);
    EQ(refs_of(mfns[3]), 1);
    EQ(kernel_vma_pin(vma, 0, &pin), -EFAULT);
    audit_clean();
    EQ(batch(WHERE, 1, order, 4, err), -EINVAL);         /* no hole any more */
    EQ(batch(WHERE + PAGE, 1, order, 1, err), -EINVAL);
    drop(vma);
    EQ(refs_of(mfns[2]), 1);
    down();
}

TEST("a frame that is none leaves a hole, which can be filled later")
{
    uint64_t order[4];
    int err[4];
    struct vma *vma;

    up();
    memcpy(order, (uint64_t[4]){ frames[2], 1ull << 40, frames[1], UINT64_MAX }, sizeof order);
    vma = range(4, RW, MAP_SHARED);
    EQ(batch(WHERE, 1, order, 4, err), 0);
    EQ(err[0], 0);
    EQ(err[1], -EINVAL);
    EQ(err[2], 0);
    EQ(err[3], -EINVAL);
    EQ(vma->nr_runs, 4);
    EQ(vma->runs[1].mfn, HV_INVALID_MFN);
    /* A hole can be filled later. */
    EQ(batch(WHERE + PAGE, 1, frames, 1, err), 0);
    EQ(p.filled_first, 1);
    EQ(p.filled_nr, 1);
    EQ(refs_of(mfns[0]), 2);
    EQ(batch(WHERE + 3 * PAGE, 1, frames, 2, err), -EINVAL);        /* beyond the end */
    drop(vma);
    vma = range(1, RW, MAP_SHARED);
    EQ(batch(WHERE, 999, frames, 1, err), 0);
    EQ(err[0], -ESRCH);
    EQ(batch(WHERE, 0, frames, 1, err), 0);
    EQ(err[0], -ESRCH);                                /* itself, by number */
    drop(vma);
    down();
}

TEST("a page that is out is ENOENT, and can be tried again")
{
    privcmd_mmapbatch_t op = { .num = 2, .dom = 1, .addr = WHERE };
    uint64_t order[2];
    int err[2];
    struct vma *vma;

    up();
    page_out(shared, 1);
    vma = range(2, RW, MAP_SHARED);
    EQ(batch(WHERE, 1, frames, 2, err), -ENOENT);
    EQ(p.filled_nr, 2);
    EQ(err[0], 0);
    EQ(err[1], -ENOENT);
    page_in(shared, 1);
    EQ(batch(WHERE + PAGE, 1, frames + 1, 1, err), 0);
    EQ(vma->runs[vma->nr_runs - 1].mfn + vma->runs[vma->nr_runs - 1].nr - 1, mfns[1]);
    drop(vma);
    page_out(shared, 1);
    /* Version 1 puts bits into the frame numbers. */
    memcpy(order, (uint64_t[2]){ frames[1], 1u << 27 }, sizeof order);
    op.arr = order;
    vma = range(2, RW, MAP_SHARED);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAPBATCH, &op), -ENOENT);
    EQ(order[0], frames[1] | PRIVCMD_MMAPBATCH_PAGED_ERROR);
    EQ(order[1], 1u << 27 | PRIVCMD_MMAPBATCH_MFN_ERROR);
    page_in(shared, 1);
    drop(vma);
    down();
}

TEST("arguments are checked in Linux' order")
{
    privcmd_mmapbatch_v2_t op = { .num = 1, .dom = 1, .addr = WHERE, .arr = frames };
    privcmd_mmapbatch_t old = { .num = -1, .dom = 1, .addr = WHERE, .arr = frames };
    domid_t domid = 5;
    int err[2];
    struct vma *vma;

    up();
    EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAPBATCH_V2, NULL), -EFAULT);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAPBATCH, NULL), -EFAULT);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAPBATCH, &old), -EINVAL);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAPBATCH_V2, &op), -EFAULT);          /* nowhere to put errors */
    EQ(batch(WHERE, 1, frames, 0, err), -EINVAL);
    EQ(batch(WHERE, 1, NULL, 1, err), -EFAULT);
    EQ(batch(WHERE, 1, frames, INT32_MAX, err), -ENOMEM);
    EQ(batch(WHERE, 1, frames, 1, err), -EINVAL);                       /* no range */
    vma = range(2, RW, MAP_SHARED);
    /* the first one must fill it */
    EQ(batch(WHERE, 1, frames, 1, err), -EINVAL);
    EQ(batch(WHERE + PAGE, 1, frames, 1, err), -EINVAL);
    EQ(batch(WHERE + 1, 1, frames, 2, err), -EINVAL);
    EQ(batch(WHERE - PAGE, 1, frames, 2, err), -EINVAL);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_RESTRICT, &domid), 0);
    EQ(batch(WHERE, 1, NULL, 0, NULL), -EPERM);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAPBATCH, &old), -EPERM);
    EQ(batch(WHERE, 5, frames, 2, err), 0);
    EQ(err[1], -ESRCH);
    drop(vma);
    /* Another device's mapping is none of privcmd's. */
    p.vmas[0].addr = WHERE;
    p.vmas[0].vma = shared;
    EQ(batch(WHERE, 5, frames, 8, (int[8]){ 0 }), -EINVAL);
    p.vmas[0].vma = NULL;
    down();
}

TEST("an unprivileged domain maps nobody")
{
    struct file *u;
    int err = 0;
    struct vma *vma;
    privcmd_mmapbatch_v2_t op = { .num = 1, .dom = 0, .addr = WHERE, .arr = frames, .err = &err };

    up();
    u = open_dev(1, "privcmd");
    MUST(do_mmap(u, 0, PAGE, RW, MAP_SHARED, &vma) == 0);
    p.vmas[0].addr = WHERE;
    p.vmas[0].vma = vma;
    if (w.profile->privcmd_restricted) {
        EQ(do_ioctl(u, IOCTL_PRIVCMD_MMAPBATCH_V2, &op), -EPERM);
    } else {
        EQ(do_ioctl(u, IOCTL_PRIVCMD_MMAPBATCH_V2, &op), 0);
        EQ(err, -EPERM);
    }
    drop(vma);
    close_dev(u);
    down();
}

TEST("pages that leave the address space")
{
    int err[4];
    struct vma *vma;

    up();
    vma = range(4, RW, MAP_SHARED);
    EQ(batch(WHERE, 1, frames, 4, err), 0);
    do_munmap_part(vma, 1, 2);
    EQ(refs_of(mfns[1]), IS_PV ? 1 : 2);            /* elsewhere they go with the whole */
    EQ(refs_of(mfns[3]), 2);
    EQ(batch(WHERE + PAGE, 1, frames, 1, err), -EINVAL);
    drop(vma);
    EQ(refs_of(mfns[3]), 1);
    vma = range(4, RW, MAP_SHARED);
    do_munmap_part(vma, 1, 1);
    EQ(batch(WHERE, 1, frames, 4, err), -EINVAL);   /* not whole any more */
    drop(vma);
    down();
}

static struct vma *victim;

static void vanish(void *arg)
{
    (void)arg;
    p.vmas[0].vma = NULL;
    do_munmap(victim);
}

TEST("a range that vanishes during the call gets nothing")
{
    int err[2];

    up();
    for (unsigned at = 1; at <= 4; at++) {
        victim = range(2, RW, MAP_SHARED);
        p.during = vanish;
        p.at = at;
        EQ(batch(WHERE, 1, (uint64_t[2]){ frames[0], 1ull << 40 }, 2, err), -EINVAL);
        EQ(refs_of(mfns[0]), 1);
        OK(!p.during);
    }
    audit_clean();
    down();
}

TEST("a dead target's frames stay while mapped, and a dead mapper's go")
{
    int err[2];
    struct vma *vma;

    up();
    vma = range(2, RW, MAP_SHARED);
    EQ(batch(WHERE, 1, frames, 2, err), 0);
    destroy_domain(1);
    EQ(hv_domain_state(w.hv, 1), 1);
    *at(vma, 0, 0) = 1;
    drop(vma);
    do_munmap(shared);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    close_dev(v);
    world_down();

    up();
    vma = range(2, RW, MAP_SHARED);
    EQ(batch(WHERE, 1, frames, 2, err), 0);
    destroy_domain(0);
    EQ(refs_of(mfns[0]), 1);
    drop(vma);
    down();
}

/* ---- MMAP ------------------------------------------------------------------------------------ */

static long map_entries(const void *entries, int num)
{
    privcmd_mmap_t op = { .num = num, .dom = 1,
                          .entry = (privcmd_mmap_entry_t *)(uintptr_t)entries };

    return do_ioctl(v, IOCTL_PRIVCMD_MMAP, &op);
}

TEST("MMAP fills a range with runs, on PV")
{
    privcmd_mmap_entry_t entries[3];
    domid_t domid = 5;
    struct vma *vma;

    up();
    if (!IS_PV) {
        EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAP, NULL), -ENOSYS);
        down();
        return;
    }
    memcpy(entries, (privcmd_mmap_entry_t[3]){ { WHERE, mfns[0], 2 },
                                               { WHERE + 2 * PAGE, mfns[5], 1 },
                                               { WHERE + 3 * PAGE, 1ull << 40, 1 } },
           sizeof entries);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAP, NULL), -EFAULT);
    EQ(map_entries(entries, 0), 0);
    EQ(map_entries(NULL, 1), -EFAULT);
    EQ(map_entries(entries, -1), -ENOMEM);
    EQ(map_entries(entries, 2), -EINVAL);               /* no range */
    vma = range(4, RW, MAP_SHARED);
    EQ(map_entries(entries + 1, 1), -EINVAL);            /* not its beginning */
    EQ(map_entries((privcmd_mmap_entry_t[2]){ entries[0], entries[0] }, 2), -EINVAL);
    EQ(map_entries((privcmd_mmap_entry_t[1]){ { WHERE, mfns[0], UINT64_MAX } }, 1), -EINVAL);
    EQ(map_entries((privcmd_mmap_entry_t[1]){ { WHERE, mfns[0], 5 } }, 1), -EINVAL);
    EQ(map_entries(entries, 2), 0);
    EQ(p.filled_nr, 3);
    *at(shared, 5, 1) = 51;
    EQ(*at(vma, 2, 1), 51);
    EQ(map_entries(entries, 2), -EINVAL);                /* once */
    drop(vma);
    vma = range(4, RW, MAP_SHARED);
    /* the last frame is none; what comes before it stays */
    EQ(map_entries(entries, 3), -EINVAL);
    EQ(p.filled_nr, 4);
    EQ(refs_of(mfns[5]), 2);
    drop(vma);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_RESTRICT, &domid), 0);
    EQ(map_entries(entries, 0), -EPERM);
    down();
}

/* ---- MMAP_RESOURCE --------------------------------------------------------------------------- */

static long resource(domid_t dom, unsigned type, unsigned id, unsigned idx, uint64_t num,
                     uint64_t addr)
{
    privcmd_mmap_resource_t op = { .dom = dom, .type = type, .id = id, .idx = idx, .num = num,
                                   .addr = addr };

    return do_ioctl(v, IOCTL_PRIVCMD_MMAP_RESOURCE, &op);
}

TEST("MMAP_RESOURCE maps a grant table")
{
    privcmd_mmap_resource_t op = { .dom = 1 , .type = XENMEM_resource_grant_table };
    domid_t domid = 5;
    struct vma *vma;

    up();
    EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAP_RESOURCE, NULL), -EFAULT);
    EQ(resource(1, 1, 0, 0, 1, 0), -EINVAL);
    EQ(resource(1, 1, 0, 0, 0, WHERE), -EINVAL);
    EQ(resource(1, 1, 0, 0, 1, WHERE), -EINVAL);             /* no range */
    vma = range(2, RW, MAP_SHARED);
    if (!IS_PV) {
        /* Xen gives a translated domain nothing. */
        EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAP_RESOURCE, &op), -EACCES);
        EQ(resource(1, 1, 0, 0, 1, WHERE), -EACCES);
        drop(vma);
        down();
        return;
    }
    EQ(do_ioctl(v, IOCTL_PRIVCMD_MMAP_RESOURCE, &op), 0);
    EQ(op.num, 64);
    EQ(resource(1, 77, 0, 0, 1, WHERE), -EINVAL);
    EQ(resource(999, 1, 0, 0, 1, WHERE), -ESRCH);
    EQ(resource(1, 1, 0, 0, 3, WHERE), -EINVAL);             /* longer than the range */
    EQ(resource(1, 1, 0, 0, UINT64_MAX, WHERE), -EINVAL);
    EQ(resource(1, 1, 0, 0, 2, WHERE), 0);
    EQ(vma->runs[0].mfn, hv_grant_frame_mfn(w.hv, 1, 0));
    EQ(p.filled_nr, 2);
    audit_clean();
    EQ(resource(1, 1, 0, 0, 1, WHERE), -EINVAL);
    drop(vma);
    EQ(do_ioctl(v, IOCTL_PRIVCMD_RESTRICT, &domid), 0);
    EQ(resource(1, 1, 0, 0, 1, 0), -EPERM);
    down();
}
