/* SPDX-License-Identifier: MIT */
/* Fuzzes guests: the memory that their hypercalls name, and what they write into shared frames. */
#include "hv_fuzz_i.h"

/* ---- The caller's memory --------------------------------------------------------------------- */

static bool reachable(struct fuzz *f, uint64_t addr, size_t size)
{
    if (f->copies_left == 0 || addr < ARENA_BASE || size > ARENA_SIZE ||
        addr - ARENA_BASE > ARENA_SIZE - size)
        return false;
    f->copies_left--;
    return true;
}

static int copy_from(void *ctx, void *to, uint64_t from, size_t size)
{
    struct fuzz *f = ctx;

    if (!reachable(f, from, size))
        return -EFAULT;
    memcpy(to, f->arena + (from - ARENA_BASE), size);
    return 0;
}

static int copy_to(void *ctx, uint64_t to, const void *from, size_t size)
{
    struct fuzz *f = ctx;

    if (!reachable(f, to, size))
        return -EFAULT;
    memcpy(f->arena + (to - ARENA_BASE), from, size);
    return 0;
}

long call(struct fuzz *f, domid_t caller, unsigned op, uint64_t cmd, uint64_t arg, unsigned count)
{
    const struct hv_guest_memory mem = { .copy_from = copy_from, .copy_to = copy_to, .ctx = f };
    const uint64_t args[5] = { cmd, arg, count };
    long rc = hv_hypercall(f->hv, caller, op, args, &mem);

    fuzz_note(f, "d%u op %u cmd %#llx at %#llx count %u: %ld", caller, op, (unsigned long long)cmd,
              (unsigned long long)arg, count, rc);
    /* Xen's errnos are small, and memory operations count; anything else came from nowhere. */
    if ((rc > 0 && op != __HYPERVISOR_memory_op) || rc < -200)
        fuzz_fail(f, "hypercall %u command %#llx of d%u returned %ld", op, (unsigned long long)cmd,
                  caller, rc);
    return rc;
}

/* ---- An address space kept by the embedder --------------------------------------------------- */

static int pv_find(const struct pv_space *space, uint64_t addr)
{
    for (int i = 0; i < (int)PV_SLOTS; i++)
        if (space->addr[i] == addr)
            return i;
    return -1;
}

static int space_map(void *ctx, uint64_t host_addr, uint32_t flags, uint64_t mfn)
{
    struct pv_space *space = ctx;
    int slot;

    (void)flags;
    if (!host_addr || pv_find(space, host_addr) >= 0 || (slot = pv_find(space, 0)) < 0)
        return -1;
    space->addr[slot] = host_addr;
    space->mfn[slot] = mfn;
    return 0;
}

static int space_unmap(void *ctx, uint64_t host_addr, uint32_t flags, uint64_t mfn,
                       uint64_t new_addr)
{
    struct pv_space *space = ctx;
    int slot = pv_find(space, host_addr), other;

    (void)flags;
    if (!host_addr || slot < 0 || space->mfn[slot] != mfn || new_addr == host_addr)
        return -1;
    space->addr[slot] = 0;
    other = new_addr ? pv_find(space, new_addr) : -1;
    if (other >= 0)
        space->addr[other] = host_addr;
    return 0;
}

const struct hv_pv_ops fuzz_pv_ops = { .map = space_map, .unmap = space_unmap };

/* Each mapping of the embedder's address space is a handle's, and the other way round. */
void check_pv_spaces(const struct fuzz *f)
{
    for (domid_t dom = 0; dom < NR_DOMS; dom++) {
        unsigned handles = 0, slots = 0;
        struct hv_mapping_info m = { .handle = 0 };

        if (hv_domain_state(f->hv, dom) || f->config[dom].auto_translated || !f->config[dom].pv_ops)
            continue;
        for (uint32_t from = 0; hv_mapping_next(f->hv, dom, from, &m) == 0; from = m.handle + 1)
            handles += !!(m.gntmap_flags & GNTMAP_host_map);
        for (unsigned i = 0; i < PV_SLOTS; i++)
            slots += f->pv[dom].addr[i] != 0;
        if (handles != slots)
            fuzz_fail(f, "d%u has %u handles with host mappings, and %u mappings in its "
                      "address space", dom, handles, slots);
    }
}

/* ---- Entries --------------------------------------------------------------------------------- */

#define IN_USE (GTF_reading | GTF_writing)

static uint16_t load16(const uint16_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }

/*
 * As a guest that knows the rules: the bits by which the hypervisor says that an entry is in use
 * stay, and while they are set only rights are changed. What a guest may do to its entry and be
 * wrong about is for do_guest_bytes().
 */
static void write_v1(grant_entry_v1_t *e, uint16_t flags, domid_t to, uint64_t frame)
{
    uint16_t old = load16(&e->flags);

    if ((old & GTF_type_mask) == GTF_permit_access && old & IN_USE) {
        __atomic_store_n(&e->flags, (uint16_t)((old & ~GTF_readonly) | (flags & GTF_readonly)),
                         __ATOMIC_SEQ_CST);
        return;
    }
    __atomic_store_n(&e->frame, (uint32_t)frame, __ATOMIC_SEQ_CST);
    __atomic_store_n(&e->domid, to, __ATOMIC_SEQ_CST);
    __atomic_store_n(&e->flags, (uint16_t)(flags & ~IN_USE), __ATOMIC_SEQ_CST);
}

/* A reserved entry keeps its type while it is in use: a change of version forgets that of one which
 * is no access grant. */
static void write_v2(grant_entry_v2_t *e, bool keeps_type, uint16_t flags, domid_t to,
                     uint64_t frame)
{
    uint16_t old = load16(&e->hdr.flags);

    if (keeps_type) {
        __atomic_store_n(&e->hdr.flags, (uint16_t)((old & ~GTF_readonly) | (flags & GTF_readonly)),
                         __ATOMIC_SEQ_CST);
        return;
    }
    if ((flags & GTF_type_mask) == GTF_transitive) {
        __atomic_store_n(&e->transitive.trans_domid, (domid_t)(frame % 5), __ATOMIC_SEQ_CST);
        __atomic_store_n(&e->transitive.gref, (uint32_t)(frame / 5 % 20), __ATOMIC_SEQ_CST);
    } else {
        __atomic_store_n(&e->full_page.frame, frame, __ATOMIC_SEQ_CST);
        if (flags & GTF_sub_page) {
            __atomic_store_n(&e->sub_page.page_off, (uint16_t)(to * 96 + frame % 64),
                             __ATOMIC_SEQ_CST);
            __atomic_store_n(&e->sub_page.length, (uint16_t)(frame * 128 % 4200), __ATOMIC_SEQ_CST);
        }
    }
    __atomic_store_n(&e->hdr.domid, to, __ATOMIC_SEQ_CST);
    __atomic_store_n(&e->hdr.flags, (uint16_t)(flags & ~IN_USE), __ATOMIC_SEQ_CST);
}

void write_entry(struct fuzz *f, domid_t dom, uint32_t ref, uint16_t flags, domid_t to,
                 uint64_t frame)
{
    struct hv_domain *d = domain_lookup(f->hv, dom);

    if (!d || domain_dying(d) || ref >= nr_grant_entries(&d->gt))
        return;
    fuzz_note(f, "d%u writes entry %u: flags %#x for d%u frame %#llx", dom, ref, flags, to,
              (unsigned long long)frame);
    if (d->gt.version == 1)
        write_v1(shared_v1(&d->gt, ref), flags, to, frame);
    else
        write_v2(shared_v2(&d->gt, ref), ref < GNTTAB_NR_RESERVED_ENTRIES &&
                 load16(status_word(&d->gt, ref)) & IN_USE,
                 flags, to, frame);
}

static uint16_t pick_entry_flags(struct fuzz *f)
{
    static const uint16_t usual[] = {
        GTF_permit_access, GTF_permit_access, GTF_permit_access | GTF_readonly, GTF_accept_transfer,
        GTF_permit_access | GTF_sub_page, GTF_permit_access | GTF_sub_page | GTF_readonly,
        GTF_transitive, GTF_transitive | GTF_readonly, GTF_permit_access,
    };
    uint8_t b = u8(&f->in);

    return b < 240 ? usual[b % (sizeof usual / sizeof *usual)] : u16(&f->in);
}

void do_grant(struct fuzz *f)
{
    domid_t dom = pick_own(f);
    uint32_t ref = pick_ref(f, dom);
    uint16_t flags = pick_entry_flags(f);
    domid_t to = pick_domid(f);
    uint64_t frame = (flags & GTF_type_mask) == GTF_transitive ? u8(&f->in) : pick_frame(f, dom);

    write_entry(f, dom, ref, flags, to, frame);
    f->granted[f->next_granted].dom = dom;
    f->granted[f->next_granted].ref = ref;
    f->granted[f->next_granted].to = to;
    f->next_granted = (f->next_granted + 1) % NR_GRANTED;
}

void do_revoke(struct fuzz *f)
{
    domid_t dom, to;
    uint32_t ref;

    pick_granted(f, &dom, &ref, &to);
    if (dom < NR_DOMS)
        write_entry(f, dom, ref, 0, 0, 0);
}

/* Anything anywhere in what the guest shares with the hypervisor, and in its own pages. */
void do_guest_bytes(struct fuzz *f)
{
    domid_t dom = pick_own(f);
    uint8_t where = u8(&f->in), n = u8(&f->in) % 16 + 1;
    uint64_t offset = u16(&f->in) % HV_PAGE_SIZE, mfn;
    uint8_t *page = NULL;

    if (hv_domain_state(f->hv, dom))
        return;
    if (where < 64)
        page = hv_grant_frame(f->hv, dom, where % 4);
    else if (where < 128)
        page = hv_status_frame(f->hv, dom, where % 2);
    else if (where < 160)
        page = hv_shared_info(f->hv, dom);
    else if (hv_gfn_to_mfn(f->hv, dom, where % 14, &mfn) == 0)
        page = hv_frame(f->hv, mfn);
    if (!page)
        return;
    /* A translated domain can have a grant or its table among its pages: whatever it is, its flags
     * may be wrong now. */
    f->hostile = true;
    if (where < 128 && u8(&f->in) % 2)
        offset = offset % 20 * (where < 64 ? 8 : 2);
    fuzz_note(f, "d%u writes %u bytes at %#llx of page kind %u", dom, n, (unsigned long long)offset,
              where / 32);
    for (; n && offset < HV_PAGE_SIZE; n--, offset++)
        page[offset] = u8(&f->in);
}

void do_arm_race(struct fuzz *f)
{
    domid_t to;

    pick_granted(f, &f->race.dom, &f->race.ref, &to);
    f->race.flags = pick_entry_flags(f);
    f->race.to = u8(&f->in) % 4 ? to : pick_domid(f);
    f->races_left = u8(&f->in) % 8 + 1;
    f->race.moves = f->races_left > 4;
    if (f->race.moves)
        f->race.frame = pick_frame(f, f->race.dom);
    fuzz_note(f, "d%u will write entry %u %u times: flags %#x for d%u", f->race.dom, f->race.ref,
              f->races_left, f->race.flags, f->race.to);
}

/* Between the model's look at an entry and its write to it. The rights alternate, so that the
 * exchange fails again and again. */
void act_in_race(void *ctx)
{
    struct fuzz *f = ctx;
    struct hv_domain *d = domain_lookup(f->hv, f->race.dom);
    uint16_t *flags;
    domid_t *to;

    if (!f->races_left || f->race.dom >= NR_DOMS || !d || domain_dying(d) ||
        f->race.ref >= nr_grant_entries(&d->gt))
        return;
    f->races_left--;
    f->hostile = true;
    flags = d->gt.version == 1 ? &shared_v1(&d->gt, f->race.ref)->flags
                               : &shared_v2(&d->gt, f->race.ref)->hdr.flags;
    to = d->gt.version == 1 ? &shared_v1(&d->gt, f->race.ref)->domid
                            : &shared_v2(&d->gt, f->race.ref)->hdr.domid;
    __atomic_store_n(to, f->race.to, __ATOMIC_SEQ_CST);
    if (f->race.moves && d->gt.version == 1)
        __atomic_store_n(&shared_v1(&d->gt, f->race.ref)->frame, (uint32_t)f->race.frame,
                         __ATOMIC_SEQ_CST);
    else if (f->race.moves)
        __atomic_store_n(&shared_v2(&d->gt, f->race.ref)->full_page.frame, f->race.frame,
                         __ATOMIC_SEQ_CST);
    __atomic_store_n(flags, (uint16_t)(f->race.flags ^ (f->races_left % 2 ? GTF_PWT : 0)),
                     __ATOMIC_SEQ_CST);
}
