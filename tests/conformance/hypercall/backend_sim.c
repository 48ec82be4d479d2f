/* SPDX-License-Identifier: MIT */
/* The hypervisor model. Its guests' address spaces are here: what a PV guest's page tables would
 * hold. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend.h"
#include "hv_i.h"                  /* page tables hold references, which only the model itself can take */

#define NR_FRAMES 16384u
#define FIRST_FRAME 8192u          /* of guests: no small number that a step names is a frame of theirs */
#define PTE_PRESENT 1u
#define PTE_WRITE 2u
#define PTE_BASE UINT64_C(0x7ffff000000)       /* where the page table would be: no frame of the machine */

struct space {
    struct guest guest;
    struct backend *b;
    uint32_t peer_port;
    struct { uint64_t mfn; unsigned flags; bool own; } pte[NR_PAGES];      /* own: not by a grant */
};

struct backend {
    struct hv *hv;
    void *memory;
    struct space space[NR_WHO];
};

/* ---- Address spaces -------------------------------------------------------------------------- */

static int page_at(uint64_t address)
{
    uint64_t page = (address - GUEST_BASE) / HV_PAGE_SIZE;

    return address >= GUEST_BASE && page < NR_PAGES ? (int)page : -1;
}

/* Which page's entry a grant operation names: by its linear address, or by the address of the entry
 * itself. */
static int page_named(uint64_t host_addr, uint32_t flags)
{
    if (!(flags & GNTMAP_contains_pte))
        return page_at(host_addr);
    if (host_addr % 8 || host_addr < PTE_BASE || host_addr >= PTE_BASE + NR_PAGES * 8)
        return -1;
    return (int)((host_addr - PTE_BASE) / 8);
}

/* An own page in the page tables is a reference to it, and a writable one to its type. */
static void drop_own(struct space *s, int page)
{
    if (!s->pte[page].own)
        return;
    s->pte[page].own = false;
    if (s->pte[page].flags & PTE_WRITE)
        frame_put_types(frame_of(s->b->hv, s->pte[page].mfn), 1);
    frame_put(s->b->hv, s->pte[page].mfn);
}

static bool take_own(struct space *s, int page, uint64_t mfn, unsigned flags)
{
    if (!frame_get(s->b->hv, mfn, s->guest.domid))
        return false;
    if (flags & PTE_WRITE)
        frame_get_types(frame_of(s->b->hv, mfn), 1);
    s->pte[page].mfn = mfn;
    s->pte[page].flags = flags;
    s->pte[page].own = true;
    return true;
}

static unsigned pte_flags(uint32_t flags)
{
    return PTE_PRESENT | (flags & GNTMAP_readonly ? 0 : PTE_WRITE);
}

static int space_map(void *ctx, uint64_t host_addr, uint32_t flags, uint64_t mfn)
{
    struct space *s = ctx;
    int page = page_named(host_addr, flags);

    if (page < 0)
        return -EINVAL;
    drop_own(s, page);
    s->pte[page].mfn = mfn;
    s->pte[page].flags = pte_flags(flags);
    return 0;
}

static int space_unmap(void *ctx, uint64_t host_addr, uint32_t flags, uint64_t mfn,
                       uint64_t new_addr)
{
    struct space *s = ctx;
    int page = page_named(host_addr, flags), other = -1;

    unsigned stolen = 0;

    /* What is at new_addr is taken first, and lost if the rest fails. */
    if (new_addr) {
        if (flags & GNTMAP_contains_pte || (other = page_at(new_addr)) < 0)
            return -EINVAL;
        stolen = s->pte[other].flags;
        s->pte[other].flags = 0;
    }
    if (page < 0 || s->pte[page].mfn != mfn || s->pte[page].flags != pte_flags(flags)) {
        if (other >= 0) {
            s->pte[other].flags = stolen;
            drop_own(s, other);
            s->pte[other].flags = 0;
        }
        return -EINVAL;
    }
    drop_own(s, page);
    s->pte[page].flags = 0;
    if (other >= 0) {
        s->pte[page].mfn = s->pte[other].mfn;
        s->pte[page].flags = stolen;
        s->pte[page].own = s->pte[other].own;
        s->pte[other].own = false;
    }
    return 0;
}

static const struct hv_pv_ops space_ops = { .map = space_map, .unmap = space_unmap };

/* The bytes behind an address up to the end of its page; NULL where an access faults. */
static uint8_t *reach(struct space *s, uint64_t address, bool write)
{
    int page = page_at(address);

    if (page < 0 || !(s->pte[page].flags & PTE_PRESENT) ||
        (write && !(s->pte[page].flags & PTE_WRITE)))
        return NULL;
    return (uint8_t *)hv_frame(s->b->hv, s->pte[page].mfn) + address % HV_PAGE_SIZE;
}

static int copy(struct space *s, void *ours, uint64_t address, size_t size, bool write)
{
    for (size_t done = 0; done < size;) {
        size_t part = HV_PAGE_SIZE - (address + done) % HV_PAGE_SIZE;
        uint8_t *theirs = reach(s, address + done, write);

        if (part > size - done)
            part = size - done;
        if (!theirs)
            return -EFAULT;
        if (write)
            memcpy(theirs, (uint8_t *)ours + done, part);
        else
            memcpy((uint8_t *)ours + done, theirs, part);
        done += part;
    }
    return 0;
}

static int copy_from(void *ctx, void *to, uint64_t from, size_t size)
{
    return copy(ctx, to, from, size, false);
}

static int copy_to(void *ctx, uint64_t to, const void *from, size_t size)
{
    return copy(ctx, (void *)(uintptr_t)from, to, size, true);
}

/* dom0 is a program here as there: its two buffers are all it names. */
static int dom0_copy(struct space *s, void *ours, uint64_t address, size_t size, bool write)
{
    const struct {
        uint8_t *start;
        size_t size;
    } area[] = { { s->guest.arg, NR_ARG * HV_PAGE_SIZE }, { s->guest.list, HV_PAGE_SIZE } };

    for (unsigned i = 0; i < 2; i++) {
        uint64_t start = (uintptr_t)area[i].start;

        if (address < start || address - start > area[i].size ||
            size > area[i].size - (address - start))
            continue;
        if (write)
            memcpy((void *)(uintptr_t)address, ours, size);
        else
            memcpy(ours, (const void *)(uintptr_t)address, size);
        return 0;
    }
    return -EFAULT;
}

static int dom0_copy_from(void *ctx, void *to, uint64_t from, size_t size)
{
    return dom0_copy(ctx, to, from, size, false);
}

static int dom0_copy_to(void *ctx, uint64_t to, const void *from, size_t size)
{
    return dom0_copy(ctx, (void *)(uintptr_t)from, to, size, true);
}

/* ---- The machine ----------------------------------------------------------------------------- */

struct backend *backend_open(void)
{
    struct backend *b = calloc(1, sizeof *b);
    struct hv_config config = { .nr_frames = NR_FRAMES };
    struct hv_domain_config dom0;

    config.memory = mmap(NULL, NR_FRAMES * HV_PAGE_SIZE, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!b || config.memory == MAP_FAILED || hv_create(&b->hv, &config))
        die("cannot create the machine");
    b->memory = config.memory;
    hv_domain_config_init(&dom0);
    dom0.privileged = true;
    dom0.nr_pages = 16;
    if (hv_domain_create(b->hv, 0, &dom0))
        die("cannot create domain 0");
    dom0.privileged = false;
    dom0.nr_pages = FIRST_FRAME;
    if (hv_domain_create(b->hv, DOMID_FIRST_RESERVED - 1, &dom0))
        die("cannot create the domain that has the first frames");
    b->space[WHO_DOM0].guest = (struct guest){ .state = GUEST_ALIVE };
    b->space[WHO_DOM0].guest.arg = calloc(NR_ARG, HV_PAGE_SIZE);
    b->space[WHO_DOM0].guest.list = calloc(1, HV_PAGE_SIZE);
    if (!b->space[WHO_DOM0].guest.arg || !b->space[WHO_DOM0].guest.list)
        die("no memory");
    for (unsigned i = 0; i < NR_WHO; i++)
        b->space[i].b = b;
    return b;
}

void backend_close(struct backend *b)
{
    for (unsigned who = WHO_A; who < NR_WHO; who++)
        for (unsigned i = 0; i < NR_POOL && b->space[who].guest.pool[i]; i++)
            hv_frame_put(b->hv, b->space[who].guest.pool[i]);
    if (hv_audit_hostile(b->hv, stderr))
        die("the machine's audit found something");
    hv_destroy(b->hv);
    munmap(b->memory, NR_FRAMES * HV_PAGE_SIZE);
    free(b->space[WHO_DOM0].guest.arg);
    free(b->space[WHO_DOM0].guest.list);
    free(b);
}

struct guest *backend_guest(struct backend *b, enum who who)
{
    return &b->space[who].guest;
}

static uint8_t *page_of(struct space *s, unsigned page)
{
    return hv_frame(s->b->hv, s->pte[page].mfn);
}

static bool starts_mapped(unsigned page)
{
    return page < PAGE_ARG + NR_ARG || page == PAGE_LIST ||
        (page >= PAGE_POOL && page < PAGE_POOL + NR_POOL);
}

void backend_create(struct backend *b, enum who who, domid_t domid,
                    const struct guest_config *config)
{
    struct space *s = &b->space[who];
    struct hv_domain_config c;
    struct evtchn_alloc_unbound unbound = { .dom = domid, .remote_dom = 0 };
    struct evtchn_bind_interdomain bind = { .remote_dom = domid };

    for (unsigned i = 0; i < NR_POOL && s->guest.pool[i]; i++)
        hv_frame_put(b->hv, s->guest.pool[i]);
    *s = (struct space){ .b = b, .guest = { .state = GUEST_ALIVE, .domid = domid } };
    hv_domain_config_init(&c);
    c.nr_pages = NR_PAGES;
    c.max_pages = NR_PAGES + ROOM;
    c.max_grant_frames = config->max_grant_frames;
    c.max_maptrack_frames = config->max_maptrack_frames;
    c.max_grant_version = config->max_grant_version;
    c.max_evtchn_port = config->max_evtchn_port;
    c.pv_ops = &space_ops;
    c.pv_ctx = s;
    if (hv_domain_create(b->hv, domid, &c))
        die("cannot create domain %u", domid);
    for (unsigned page = 0; page < NR_PAGES; page++) {
        if (hv_gfn_to_mfn(b->hv, domid, page, &s->pte[page].mfn))
            die("domain %u has no page %u", domid, page);
        if (starts_mapped(page))
            take_own(s, (int)page, s->pte[page].mfn, PTE_PRESENT | PTE_WRITE);
    }
    /* Held, so that a page that a transfer loses is nobody else's later: on a real machine there
     * are many others. */
    for (unsigned i = 0; i < NR_POOL; i++)
        hv_frame_get(b->hv, s->guest.pool[i] = s->pte[PAGE_POOL + i].mfn);
    for (unsigned i = 0; i < NR_POOL; i++)
        for (unsigned word = 0; word < HV_PAGE_SIZE / 8; word++)
            ((uint64_t *)hv_frame(b->hv, s->guest.pool[i]))[word] = first_content(who, i, word);
    s->guest.shared = hv_shared_info(b->hv, domid);
    s->guest.shared_mfn = hv_shared_info_mfn(b->hv, domid);
    s->guest.shared->vcpu_info[0].evtchn_upcall_mask = 1;
    s->guest.shared->evtchn_mask[0] = 1ul << GUEST_CHANNEL;
    /* Frames are consecutive, so these are too. */
    s->guest.arg = page_of(s, PAGE_ARG);
    s->guest.list = page_of(s, PAGE_LIST);
    if (page_of(s, PAGE_ARG + NR_ARG - 1) != s->guest.arg + (NR_ARG - 1) * HV_PAGE_SIZE)
        die("the argument pages of domain %u are not consecutive", domid);
    if (hv_event_channel_op(b->hv, 0, EVTCHNOP_alloc_unbound, &unbound) ||
        unbound.port != GUEST_CHANNEL)
        die("cannot open the channel to domain %u", domid);
    bind.remote_port = unbound.port;
    if (hv_event_channel_op(b->hv, 0, EVTCHNOP_bind_interdomain, &bind))
        die("cannot bind the channel to domain %u", domid);
    s->peer_port = bind.local_port;
    backend_refresh(b, who);
}

void backend_refresh(struct backend *b, enum who who)
{
    struct space *s = &b->space[who];
    struct guest *g = &s->guest;
    struct hv_domain_info info;

    if (g->state == GUEST_NONE)
        return;
    if (hv_domain_info(b->hv, g->domid, &info)) {
        g->state = GUEST_NONE;
        return;
    }
    g->state = info.crashed ? GUEST_CRASHED : info.dying ? GUEST_DYING : GUEST_ALIVE;
    if (g->state != GUEST_ALIVE)
        return;
    g->nr_grant = info.nr_grant_frames < MAX_GRANT_FRAMES ? info.nr_grant_frames : MAX_GRANT_FRAMES;
    g->nr_status = info.nr_status_frames < MAX_STATUS_FRAMES ? info.nr_status_frames
                                                             : MAX_STATUS_FRAMES;
    for (unsigned i = 0; i < g->nr_grant; i++) {
        g->grant[i] = hv_grant_frame(b->hv, g->domid, i);
        g->grant_mfn[i] = hv_grant_frame_mfn(b->hv, g->domid, i);
    }
    for (unsigned i = 0; i < g->nr_status; i++) {
        g->status[i] = hv_status_frame(b->hv, g->domid, i);
        g->status_mfn[i] = hv_status_frame_mfn(b->hv, g->domid, i);
    }
}

void backend_destroy(struct backend *b, enum who who)
{
    struct space *s = &b->space[who];
    struct evtchn_close close = { .port = s->peer_port };

    if (s->guest.state == GUEST_ALIVE || s->guest.state == GUEST_CRASHED) {
        hv_event_channel_op(b->hv, 0, EVTCHNOP_close, &close);
        for (int page = 0; page < NR_PAGES; page++)
            drop_own(s, page);
        hv_domain_destroy(b->hv, s->guest.domid);
    }
    backend_refresh(b, who);
}

/* As the guest itself does: what it did to the channel to dom0 is undone. */
static void mend_channel(struct backend *b, struct space *s)
{
    struct evtchn_status status = { .dom = DOMID_SELF, .port = GUEST_CHANNEL };
    struct evtchn_bind_interdomain bind = { .remote_dom = 0, .remote_port = s->peer_port };

    if (!hv_event_channel_op(b->hv, s->guest.domid, EVTCHNOP_status, &status) &&
        status.status == EVTCHNSTAT_closed)
        hv_event_channel_op(b->hv, s->guest.domid, EVTCHNOP_bind_interdomain, &bind);
    s->guest.shared->evtchn_pending[0] &= ~(1ul << GUEST_CHANNEL);
}

long backend_hypercall(struct backend *b, enum who who, unsigned nr, const uint64_t args[5])
{
    struct space *s = &b->space[who];
    struct hv_guest_memory mem = { .copy_from = who ? copy_from : dom0_copy_from,
                                   .copy_to = who ? copy_to : dom0_copy_to, .ctx = s };
    long rc = hv_hypercall(b->hv, s->guest.domid, nr, args, &mem);
    struct hv_domain_info info;

    if (!who)
        return rc;
    if (nr == __HYPERVISOR_event_channel_op &&
        (args[0] == EVTCHNOP_reset || args[0] == EVTCHNOP_close))
        mend_channel(b, s);
    if (!hv_domain_info(b->hv, s->guest.domid, &info) && info.crashed)
        s->guest.state = GUEST_CRASHED;
    return rc;
}

uint64_t backend_arg_address(struct backend *b, enum who who)
{
    return who ? GUEST_VA(PAGE_ARG) : (uintptr_t)b->space[who].guest.arg;
}

uint64_t backend_list_address(struct backend *b, enum who who)
{
    return who ? GUEST_VA(PAGE_LIST) : (uintptr_t)b->space[who].guest.list;
}

int backend_access(struct backend *b, enum who who, uint64_t address, unsigned size,
                   uint64_t *value, bool write)
{
    if (!write)
        *value = 0;
    return copy(&b->space[who], value, address, size, write) ? -1 : 0;
}

int backend_sum(struct backend *b, enum who who, uint64_t address, uint64_t *sum)
{
    const uint8_t *at = reach(&b->space[who], address, false);

    if (!at)
        return -1;
    *sum = page_sum((const void *)at);
    return 0;
}

long backend_set_page(struct backend *b, enum who who, uint64_t address, uint64_t mfn,
                      unsigned flags)
{
    struct space *s = &b->space[who];
    int page = page_at(address);
    unsigned before;

    if (page < 0)
        return -EINVAL;
    flags &= PTE_PRESENT | PTE_WRITE;
    before = s->pte[page].own ? s->pte[page].flags : 0;
    if (flags & PTE_PRESENT) {
        uint64_t old = s->pte[page].mfn;

        if (!take_own(s, page, mfn, flags))
            return -EINVAL;
        if (before & PTE_WRITE)
            frame_put_types(frame_of(b->hv, old), 1);
        if (before)
            frame_put(b->hv, old);
        return 0;
    }
    drop_own(s, page);
    s->pte[page].flags = 0;
    return 0;
}

uint64_t backend_pte(struct backend *b, enum who who, uint64_t address)
{
    int page = page_at(address);

    (void)b;
    (void)who;
    return page < 0 ? 0 : PTE_BASE + (uint64_t)page * 8;
}
