/* SPDX-License-Identifier: MIT */
/* Random calls from two domains, the same ones for the same seed; after each run nothing is left
 * behind. */
#include "harness.h"

SUITE("fuzz", "pv pvh legacy");

#define NR_FILES 6
#define NR_VMAS 24
#define NR_PINS 4
#define NR_RANGES 4            /* as many as the harness's process has places for */

static struct file *gntdev[2][NR_FILES], *gntalloc[2][NR_FILES], *evtchn[2];
static struct {
    struct vma *vma;
    bool pending;
    struct call call;
    struct file *file;
} maps[NR_VMAS];
static struct kernel_pin *pins[NR_PINS];
static struct file *privcmd[2], *busy;
static uint64_t state;
static const uint8_t *bytes, *bytes_end;
static uint8_t buffer[2 * PAGE] __attribute__((aligned(4096)));

void fuzz_seed(uint64_t seed)
{
    state = seed;
    bytes = bytes_end = NULL;
}

void fuzz_bytes(const uint8_t *data, size_t size)
{
    state = 1;
    bytes = data;
    bytes_end = data + size;
}

static bool used_up(void)
{
    return bytes && bytes == bytes_end;
}

static uint32_t rnd(uint32_t below)
{
    if (bytes) {
        uint32_t value = bytes < bytes_end ? *bytes++ : 0;

        if (below > 256 && bytes < bytes_end)
            value |= (uint32_t)*bytes++ << 8;
        state = state << 8 ^ value;
        return value % below;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % below;
}

/* What the two domains are called now. */
static domid_t ids[2];

/* Mostly a sensible number, sometimes any. */
static uint32_t number(uint32_t sensible)
{
    return rnd(20) ? rnd(sensible) : rnd(2) ? UINT32_MAX - rnd(3) : (uint32_t)state;
}

static void toggle_file(struct file **slot, unsigned dom, const char *name)
{
    if (*slot) {
        close_dev(*slot);
        *slot = NULL;
    } else {
        *slot = open_as(ids[dom], name, rnd(8) ? O_RDWR : O_RDONLY);
    }
}

static struct file *some_file(unsigned dom, bool alloc)
{
    struct file **slot = &(alloc ? gntalloc : gntdev)[dom][rnd(NR_FILES)];

    if (!*slot || !rnd(30))
        toggle_file(slot, dom, alloc ? "gntalloc" : "gntdev");
    return *slot;
}

static void step_alloc(unsigned dom)
{
    struct file *f = some_file(dom, true);
    uint64_t index;

    if (!f)
        return;
    switch (rnd(4)) {
    case 0:
        alloc_grefs(f, ids[rnd(10) ? 1 - dom : dom], rnd(3), rnd(5), &index, NULL);
        break;
    case 1:
        dealloc(f, rnd(16) * PAGE, rnd(4));
        break;
    case 2:
        set_notify(f, rnd(16) * PAGE + rnd(PAGE), rnd(5), number(8));
        break;
    default:
        break;
    }
}

static void step_map(unsigned dom)
{
    struct file *f = some_file(dom, false);
    uint32_t refs[4];
    uint64_t index;

    if (!f)
        return;
    for (unsigned i = 0; i < 4; i++)
        refs[i] = 8 + number(12);
    switch (rnd(4)) {
    case 0:
    case 1:
        map_refs(f, ids[rnd(10) ? 1 - dom : dom], refs, rnd(4), &index);
        break;
    case 2:
        unmap_index(f, rnd(12) * PAGE, rnd(4));
        break;
    default:
        set_notify(f, rnd(12) * PAGE + rnd(PAGE), rnd(5), number(8));
    }
}

static void step_mmap(unsigned dom)
{
    struct file *f = some_file(dom, rnd(2));
    unsigned i = rnd(NR_VMAS);
    long rc;

    if (maps[i].vma && !maps[i].pending) {
        uint64_t first = rnd((uint32_t)maps[i].vma->nr_pages);

        if (rnd(3)) {
            do_munmap(maps[i].vma);
            maps[i].vma = NULL;
        } else {
            do_munmap_part(maps[i].vma, first, rnd((uint32_t)(maps[i].vma->nr_pages - first) + 1));
        }
        return;
    }
    if (!f || maps[i].pending)
        return;
    rc = start_mmap(f, rnd(14) * PAGE, (1 + rnd(4)) * PAGE, rnd(4) ? RW : PROT_READ,
                    rnd(8) ? MAP_SHARED : MAP_PRIVATE, &maps[i].call);
    maps[i].vma = maps[i].call.vma;
    maps[i].file = f;
    maps[i].pending = rc == KERNEL_PENDING;
}

/* Mappings whose mmap was answered later. */
static void collect(void)
{
    for (unsigned i = 0; i < NR_VMAS; i++) {
        if (!maps[i].pending || !maps[i].call.done)
            continue;
        maps[i].pending = false;
        if (maps[i].call.result) {
            maps[i].vma = NULL;
            close_dev(maps[i].file);
        }
    }
}

static void step_events(unsigned dom)
{
    uint32_t port = number(8), remote[2] = { rnd(2), number(8) };

    switch (rnd(6)) {
    case 0:
        do_ioctl(evtchn[dom], IOCTL_EVTCHN_BIND_UNBOUND_PORT, remote);
        break;
    case 1:
        do_ioctl(evtchn[dom], IOCTL_EVTCHN_BIND_INTERDOMAIN, remote);
        break;
    case 2:
        do_ioctl(evtchn[dom], IOCTL_EVTCHN_UNBIND, &port);
        break;
    case 3:
        do_ioctl(evtchn[dom], IOCTL_EVTCHN_NOTIFY, &port);
        break;
    case 4:
        port = take_event(evtchn[dom]);
        if (port && rnd(4))
            ack_event(evtchn[dom], port);
        break;
    default:
        ack_event(evtchn[dom], port);
    }
}

static void step_paging(void)
{
    domid_t dom = ids[rnd(2)];
    uint64_t gfn = rnd(24);

    if (rnd(2))
        hv_page_out(w.hv, dom, gfn);
    else
        hv_page_in(w.hv, dom, gfn);
}

static void step_pins(void)
{
    unsigned i = rnd(NR_PINS), m = rnd(NR_VMAS);

    if (pins[i]) {
        kernel_unpin(pins[i]);
        pins[i] = NULL;
    } else if (maps[m].vma && !maps[m].pending && kernel_vma_pin(maps[m].vma, rnd(3), &pins[i])) {
        pins[i] = NULL;
    }
}

static void step_copy(unsigned dom)
{
    static struct ioctl_gntdev_grant_copy_segment segs[20];
    struct ioctl_gntdev_grant_copy op = { rnd(20), segs };
    struct file *f = some_file(dom, false);
    static struct call call;
    long rc;

    if (!f)
        return;
    for (unsigned i = 0; i < op.count; i++) {
        segs[i] = (struct ioctl_gntdev_grant_copy_segment){ .len = (uint16_t)rnd(PAGE),
                                                            .flags = (uint16_t)(1 + rnd(3)) };
        if (segs[i].flags & GNTCOPY_source_gref) {
            segs[i].source.foreign.ref = 8 + number(12);
            segs[i].source.foreign.domid = (domid_t)rnd(2);
        } else {
            segs[i].source.virt = buffer + rnd(PAGE);
        }
        if (segs[i].flags & GNTCOPY_dest_gref) {
            segs[i].dest.foreign.ref = 8 + number(12);
            segs[i].dest.foreign.domid = (domid_t)rnd(2);
        } else {
            segs[i].dest.virt = buffer + rnd(PAGE);
        }
    }
    rc = start_ioctl(f, IOCTL_GNTDEV_GRANT_COPY, &op, &call);
    while (rc == KERNEL_PENDING && !call.done)
        advance(32640 * MS);
}

/* ---- Any ioctl with any bytes, and ranges of privcmd ----------------------------------------- */

static const unsigned long commands[] = {
    IOCTL_GNTDEV_MAP_GRANT_REF, IOCTL_GNTDEV_UNMAP_GRANT_REF, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR,
    IOCTL_GNTDEV_SET_UNMAP_NOTIFY, IOCTL_GNTDEV_GRANT_COPY, IOCTL_GNTALLOC_ALLOC_GREF,
    IOCTL_GNTALLOC_DEALLOC_GREF,
    IOCTL_EVTCHN_BIND_VIRQ, IOCTL_EVTCHN_BIND_INTERDOMAIN, IOCTL_EVTCHN_BIND_UNBOUND_PORT,
    IOCTL_EVTCHN_UNBIND,
    IOCTL_EVTCHN_NOTIFY, IOCTL_EVTCHN_RESET, IOCTL_EVTCHN_RESTRICT_DOMID, IOCTL_PRIVCMD_HYPERCALL,
    IOCTL_PRIVCMD_DM_OP,
    IOCTL_PRIVCMD_RESTRICT, IOCTL_PRIVCMD_MMAP, IOCTL_PRIVCMD_MMAPBATCH, IOCTL_PRIVCMD_MMAPBATCH_V2,
    IOCTL_PRIVCMD_MMAP_RESOURCE,
};
#define NR_COMMANDS (sizeof commands / sizeof *commands)
#define RANGE_AT(i) (0x7e8000000000ull + (i) * 0x1000000ull)

static uint64_t *const words = (uint64_t *)(void *)buffer;
#define NR_WORDS (sizeof buffer / sizeof *words)

static uint64_t any_word(void)
{
    switch (rnd(6)) {
    case 0: return rnd(8);
    case 1: return (uint64_t)rnd(8) << 32 | rnd(8);
    case 2: return (uintptr_t)buffer + rnd(2 * PAGE);
    case 3: return RANGE_AT(rnd(NR_RANGES)) + rnd(5) * PAGE;
    case 4: return UINT64_MAX - rnd(64);
    default: return state;
    }
}

static void drop_range(unsigned i)
{
    struct vma *vma = p.vmas[i].vma;

    p.vmas[i].vma = NULL;
    if (vma)
        do_munmap(vma);
}

/* What another thread of the process does while the kernel reads or writes the process's memory. */
static void meddle(void *arg)
{
    unsigned i = rnd(NR_FILES), dom = rnd(2);

    (void)arg;
    switch (rnd(4)) {
    case 0:
        drop_range(rnd(NR_RANGES));
        break;
    case 1:
        /* Not the file that the call is about: the server holds that one. */
        if (gntdev[dom][i] && gntdev[dom][i] != busy)
            toggle_file(&gntdev[dom][i], dom, "gntdev");
        break;
    case 2:
        if (gntalloc[dom][i] && gntalloc[dom][i] != busy)
            toggle_file(&gntalloc[dom][i], dom, "gntalloc");
        break;
    default:
        words[rnd(NR_WORDS)] = any_word();
    }
}

/* Hypercalls that change nothing that the kernel counts on: queries and copies. */
static void harmless_hypercall(uint64_t *call)
{
    static const uint64_t harmless[] = { GNTTABOP_query_size, GNTTABOP_get_version, GNTTABOP_copy,
                                         GNTTABOP_setup_table, 99 };

    call[0] = rnd(4) ? __HYPERVISOR_grant_table_op : 40 + rnd(20);
    call[1] = harmless[rnd(5)];
    call[3] = rnd(3);
}

static struct file *file_for(unsigned dom, unsigned long cmd)
{
    /* Sometimes a device that does not know it. */
    switch (rnd(10) ? (int)(cmd >> 8 & 0xff) : "GEP"[rnd(3)]) {
    case 'E': return evtchn[dom];
    case 'P': return privcmd[dom];
    default: return some_file(dom, (cmd & 0xff) >= 5 && (cmd & 0xff) <= 7 ? rnd(4) : !rnd(4));
    }
}

static void step_raw(unsigned dom)
{
    unsigned long cmd = rnd(30) ? commands[rnd(NR_COMMANDS)] : state;
    unsigned at = rnd(4) ? rnd(3) : rnd(NR_WORDS);
    static struct call call;
    struct file *f;
    long rc;

    for (unsigned i = 0; i < 16; i++)
        words[i] = any_word();
    if (cmd == IOCTL_PRIVCMD_HYPERCALL) {
        at %= 3;
        harmless_hypercall(words + at);
    }
    f = file_for(dom, cmd);
    /* A restricted file is of little use later. */
    if (!f || (!rnd(2) && (cmd == IOCTL_PRIVCMD_RESTRICT || cmd == IOCTL_EVTCHN_RESTRICT_DOMID)))
        return;
    busy = f;
    p.only_from = (uintptr_t)buffer;
    p.only_to = (uintptr_t)buffer + sizeof buffer;
    if (!rnd(4))
        proc_hole(&words[rnd(NR_WORDS)], 8 * rnd(64), rnd(2) ? PROT_READ : 0);
    /* A hypercall's arguments must stay harmless. */
    if (!rnd(4) && cmd != IOCTL_PRIVCMD_HYPERCALL) {
        p.during = meddle;
        p.at = 1 + rnd(5);
    }
    rc = start_ioctl(f, cmd, words + at, &call);
    while (rc == KERNEL_PENDING && !call.done)
        advance(32640 * MS);
    p.during = NULL;
    p.only_to = 0;
    memset(p.holes, 0, sizeof p.holes);
    busy = NULL;
    if (f == privcmd[dom] && cmd == IOCTL_PRIVCMD_RESTRICT) {
        close_dev(f);
        privcmd[dom] = open_dev(ids[dom], "privcmd");
    }
}

/* A range comes, is filled, loses pages, goes. */
static void step_range(unsigned dom)
{
    unsigned i = rnd(NR_RANGES), nr = 1 + rnd(4);
    uint64_t frames[5];
    int errors[5];
    privcmd_mmapbatch_v2_t op = { .num = nr, .dom = (domid_t)rnd(3),
                                  .addr = RANGE_AT(i) + (rnd(4) ? 0 : rnd(4) * PAGE), .arr = frames,
                                  .err = errors };
    struct vma *vma = p.vmas[i].vma;

    for (unsigned n = 0; n < 5; n++)
        frames[n] = number(64);
    if (!vma) {
        if (!do_mmap(privcmd[dom], 0, nr * PAGE, rnd(2) ? RW : PROT_READ,
                     rnd(4) ? MAP_SHARED : MAP_PRIVATE, &vma)) {
            p.vmas[i].addr = RANGE_AT(i);
            p.vmas[i].vma = vma;
        }
        return;
    }
    switch (rnd(5)) {
    case 0:
        drop_range(i);
        break;
    case 1:
        do_munmap_part(vma, rnd((uint32_t)vma->nr_pages), 1);
        break;
    default:
        if (rnd(3))
            op.num = (unsigned)vma->nr_pages;
        if (op.num <= 5)
            do_ioctl(privcmd[dom], IOCTL_PRIVCMD_MMAPBATCH_V2, &op);
    }
}

/* The second domain goes on under another number, if there is one that no dead domain has. */
static void step_migrate(void)
{
    domid_t to = 1;

    while (to < NR_DOMAINS && hv_domain_state(w.hv, to) != -ESRCH)
        to++;
    if (to == NR_DOMAINS || !w.k[ids[1]])
        return;
    EQ(hv_domain_migrate(w.hv, ids[1], to), 0);
    w.k[to] = w.k[ids[1]];
    w.k[ids[1]] = NULL;
    kernel_migrated(w.k[to], to, rnd(3));
    ids[1] = to;
    settle();
    audit_clean();
}

void fuzz_run(unsigned steps, enum fuzz_fate fate)
{
    world_up();
    ids[0] = 0;
    ids[1] = 1;
    memset(gntdev, 0, sizeof gntdev);
    memset(gntalloc, 0, sizeof gntalloc);
    memset(maps, 0, sizeof maps);
    memset(pins, 0, sizeof pins);
    for (unsigned dom = 0; dom < 2; dom++) {
        evtchn[dom] = open_dev(ids[dom], "evtchn");
        privcmd[dom] = open_dev(ids[dom], "privcmd");
    }
    for (unsigned step = 0; step < steps && !used_up(); step++) {
        unsigned dom = rnd(2);

        switch (rnd(16)) {
        case 0: case 1: step_alloc(dom); break;
        case 2: case 3: case 4: step_map(dom); break;
        case 5: case 6: case 7: step_mmap(dom); break;
        case 8: step_events(dom); break;
        case 9: step_paging(); break;
        case 10: step_pins(); break;
        case 11: case 12: case 13: step_raw(dom); break;
        case 14: step_range(dom); break;
        default: rnd(3) ? advance(rnd(1500) * MS) : step_copy(dom);
        }
        if (fate == FUZZ_MIGRATES && !rnd(40))
            step_migrate();
        collect();
        if (step % 64 == 0)
            audit_clean();
    }
    if (fate == FUZZ_DIES) {
        destroy_domain(1);
        collect();
    }
    /* Everybody lets go, then time passes. */
    for (unsigned i = 0; i < NR_RANGES; i++)
        drop_range(i);
    for (unsigned i = 0; i < NR_PINS; i++)
        if (pins[i])
            kernel_unpin(pins[i]);
    advance(100000 * MS);
    collect();
    for (unsigned i = 0; i < NR_VMAS; i++) {
        OK(!maps[i].pending);
        if (maps[i].vma)
            do_munmap(maps[i].vma);
    }
    for (unsigned dom = 0; dom < 2; dom++) {
        for (unsigned i = 0; i < NR_FILES; i++) {
            if (gntdev[dom][i])
                close_dev(gntdev[dom][i]);
            if (gntalloc[dom][i])
                close_dev(gntalloc[dom][i]);
        }
        close_dev(evtchn[dom]);
        close_dev(privcmd[dom]);
    }
    advance(100000 * MS);
    if (w.profile->gntalloc_waits_for_peer) {
        /* Such a kernel gives up busy pages at the next call only. */
        for (unsigned dom = 0; dom < 2; dom++) {
            struct file *f = w.k[ids[dom]] ? open_dev(ids[dom], "gntalloc") : NULL;

            if (f) {
                dealloc(f, 0, 1);
                close_dev(f);
            }
        }
    }
    for (unsigned dom = 0; dom < 2; dom++) {
        if (!w.k[ids[dom]])
            continue;
        EQ(info(ids[dom]).maptrack_in_use, 0);
        EQ(info(ids[dom]).nr_ports, 0);
        EQ(gnttab_nr_deferred(w.k[ids[dom]]), 0);
    }
    world_down();
}

TEST("random calls of two domains keep all books right and leave nothing behind")
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        fuzz_seed(seed * 0x9e3779b97f4a7c15);
        fuzz_run(1500, FUZZ_LIVES);
    }
}

TEST("random calls and then the end of one domain leave nothing behind in the other")
{
    for (uint64_t seed = 101; seed <= 112; seed++) {
        fuzz_seed(seed * 0x9e3779b97f4a7c15);
        fuzz_run(600, FUZZ_DIES);
    }
}

TEST("random calls while one of them goes on under other numbers again and again keep all books "
     "right")
{
    for (uint64_t seed = 201; seed <= 212; seed++) {
        fuzz_seed(seed * 0x9e3779b97f4a7c15);
        fuzz_run(1500, FUZZ_MIGRATES);
    }
}
