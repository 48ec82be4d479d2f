/* SPDX-License-Identifier: MIT */
/* Fuzzes every GNTTABOP, and checks successes against the entry by rules of its own. */
#include "hv_fuzz_i.h"

#define NOT_WRITTEN 0x5555
#define MOST 40u               /* more than the 32 elements that an unmap does at a time */

static long grant_op(struct fuzz *f, domid_t caller, unsigned cmd, uint64_t at, unsigned count)
{
    return call(f, caller, __HYPERVISOR_grant_table_op, cmd, at, count);
}

/* What had to be true when this map succeeded alone and no guest interfered. before: the entry as
 * it was. */
static void check_map(const struct fuzz *f, domid_t caller, const struct gnttab_map_grant_ref *op,
                      const struct hv_entry_info *before, bool translated_granter)
{
    uint64_t mfn = op->dev_bus_addr / HV_PAGE_SIZE, number;
    bool pinned = before->pin_dev_read || before->pin_dev_write || before->pin_host_read ||
        before->pin_host_write;
    const struct frame *frame;

    if (!(op->flags & GNTMAP_readonly) && before->flags & GTF_readonly && !before->pin_dev_write &&
        !before->pin_host_write)
        fuzz_fail(f, "d%u mapped reference %u of d%u writable, which is read-only", caller, op->ref,
                  op->dom);
    if (pinned && (before->pinned_by != caller || before->mfn != mfn))
        fuzz_fail(f, "d%u mapped reference %u of d%u, which is in use by d%u", caller, op->ref,
                  op->dom, before->pinned_by);
    if (!pinned && ((before->flags & GTF_type_mask) != GTF_permit_access ||
                    before->domid != caller))
        fuzz_fail(f, "d%u mapped reference %u of d%u without a grant", caller, op->ref, op->dom);
    frame = mfn < f->nr_frames ? frame_of(f->hv, mfn) : NULL;
    if (!frame || frame->owner != op->dom || frame->refs < 1)
        fuzz_fail(f, "d%u mapped frame %llu through d%u, which does not own it", caller,
                  (unsigned long long)mfn, op->dom);
    number = translated_granter ? frame->gfn : mfn;
    if (!pinned && number != before->frame && !(translated_granter && op->dom == caller))
        fuzz_fail(f, "d%u mapped frame %llu instead of number %llu of d%u", caller,
                  (unsigned long long)mfn, (unsigned long long)before->frame, op->dom);
}

void do_map(struct fuzz *f)
{
    struct gnttab_map_grant_ref ops[MOST] = { 0 };
    unsigned n = pick_count(f, MOST);
    uint64_t at = pick_address(f, n * sizeof *ops);
    struct hv_entry_info before = { 0 };
    const struct hv_domain *granter;
    domid_t caller, to;
    bool known, alike = u8(&f->in) % 2;

    pick_granted(f, &ops[0].dom, &ops[0].ref, &caller);
    for (unsigned i = 0; i < n; i++) {
        if (i && alike) {
            ops[i] = ops[i - 1];
            ops[i].host_addr += HV_PAGE_SIZE;
            continue;
        }
        if (i)
            pick_granted(f, &ops[i].dom, &ops[i].ref, &to);
        ops[i].flags = pick_map_flags(f);
        ops[i].host_addr = pick_host_addr(f, caller);
        ops[i].status = NOT_WRITTEN;
    }
    put_args(f, at, ops, n * sizeof *ops);
    known = n == 1 && !f->races_left && hv_entry_info(f->hv, ops[0].dom, ops[0].ref, &before) == 0;
    granter = domain_lookup(f->hv, ops[0].dom);
    /* What was mapped when the result could not be written is known to nobody. */
    if (grant_op(f, caller, GNTTABOP_map_grant_ref, at, n))
        f->lost[caller] = true;
    get_args(f, at, ops, n * sizeof *ops);
    for (unsigned i = 0; i < n; i++) {
        fuzz_note(f, "  reference %u of d%u flags %#x at %#llx: %d", ops[i].ref, ops[i].dom,
                  ops[i].flags, (unsigned long long)ops[i].host_addr, ops[i].status);
        if (ops[i].status != GNTST_okay)
            continue;
        if (known)
            check_map(f, caller, &ops[i], &before, granter->guest == &guest_translated);
        remember_handle(f, caller, ops[i].handle, ops[i].host_addr);
    }
}

/* A handle and the address where it was mapped; now and then of nothing. */
static uint32_t pick_handle(struct fuzz *f, domid_t dom, uint64_t *addr)
{
    uint8_t b = u8(&f->in), slot = b % NR_HANDLES;

    *addr = f->handle_addr[dom][slot];
    if (b < 240)
        return f->handles[dom][slot];
    return b < 250 ? u8(&f->in) * 3u : u32(&f->in);
}

void do_unmap(struct fuzz *f)
{
    struct gnttab_unmap_grant_ref ops[MOST] = { 0 };
    domid_t caller = pick_own(f);
    unsigned n = pick_count(f, MOST);
    uint64_t at = pick_address(f, n * sizeof *ops);

    for (unsigned i = 0; i < n; i++) {
        struct hv_mapping_info m;
        struct hv_entry_info e;
        uint8_t how;

        ops[i].handle = pick_handle(f, caller, &ops[i].host_addr);
        how = u8(&f->in);
        if (how < 64)
            ops[i].host_addr = 0;
        else if (how >= 240)
            ops[i].host_addr = pick_host_addr(f, caller);
        if (how % 4 == 0 && hv_mapping_next(f->hv, caller, ops[i].handle, &m) == 0 &&
            hv_entry_info(f->hv, m.granter, m.ref, &e) == 0)
            ops[i].dev_bus_addr = e.mfn * HV_PAGE_SIZE;
        else if (how % 8 == 1)
            ops[i].dev_bus_addr = u16(&f->in) * (uint64_t)HV_PAGE_SIZE;
        ops[i].status = NOT_WRITTEN;
    }
    put_args(f, at, ops, n * sizeof *ops);
    if (grant_op(f, caller, GNTTABOP_unmap_grant_ref, at, n))
        f->lost[caller] = true;
    get_args(f, at, ops, n * sizeof *ops);
    for (unsigned i = 0; i < n; i++) {
        fuzz_note(f, "  handle %u at %#llx bus %#llx: %d", ops[i].handle,
                  (unsigned long long)ops[i].host_addr,
                  (unsigned long long)ops[i].dev_bus_addr, ops[i].status);
        /* Two mappings of one frame: a handle can take away what another one stands for. */
        if (ops[i].status == GNTST_okay && ops[i].host_addr &&
            ops[i].host_addr != f->addr_of[caller][ops[i].handle])
            f->lost[caller] = true;
    }
}

void do_replace(struct fuzz *f)
{
    struct gnttab_unmap_and_replace ops[4] = { 0 };
    domid_t caller = pick_own(f);
    unsigned n = pick_count(f, 4);
    uint64_t at = pick_address(f, n * sizeof *ops);

    for (unsigned i = 0; i < n; i++) {
        ops[i].handle = pick_handle(f, caller, &ops[i].host_addr);
        ops[i].new_addr = u8(&f->in) % 4 ? pick_host_addr(f, caller) : 0;
    }
    put_args(f, at, ops, n * sizeof *ops);
    f->lost[caller] = true;
    grant_op(f, caller, GNTTABOP_unmap_and_replace, at, n);
}

static bool pick_copy_side(struct fuzz *f, domid_t caller, struct gnttab_copy_ptr *side)
{
    static const uint16_t offsets[] = { 0, 0, 0, 1, 96, 512, 4095, 4096 };
    bool gref = u8(&f->in) % 4;
    domid_t to;
    uint32_t ref;

    side->domid = DOMID_SELF;
    if (gref) {
        pick_granted(f, &side->domid, &ref, &to);
        side->u.ref = ref;
    } else {
        if (u8(&f->in) % 8 == 7)
            side->domid = pick_domid(f);
        side->u.gmfn = pick_frame(f, real_domid(caller, side->domid));
    }
    side->offset = offsets[u8(&f->in) % 8];
    return gref;
}

static bool is_table(const struct fuzz *f, domid_t dom, uint64_t number)
{
    const struct hv_domain *d = domain_lookup(f->hv, dom);

    if (d && d->guest == &guest_translated && hv_gfn_to_mfn(f->hv, dom, number, &number))
        return false;
    return number < f->nr_frames && frame_of(f->hv, number)->flags & FRAME_XENHEAP;
}

static bool leads_to_table(const struct fuzz *f, domid_t dom, uint32_t ref, bool may_trans)
{
    const struct hv_domain *d = domain_lookup(f->hv, dom);
    struct hv_entry_info e;

    if (!d || hv_entry_info(f->hv, dom, ref, &e))
        return false;
    if (active_entry(&d->gt, ref)->pin)
        return frame_of(f->hv, e.mfn)->flags & FRAME_XENHEAP;
    if (d->gt.version == 2 && (e.flags & GTF_type_mask) == GTF_transitive)
        return may_trans && leads_to_table(f, shared_v2(&d->gt, ref)->transitive.trans_domid,
                                           shared_v2(&d->gt, ref)->transitive.gref, false);
    return is_table(f, dom, e.frame);
}

void note_targets(struct fuzz *f, domid_t caller, const struct gnttab_copy *ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        domid_t dom = real_domid(caller, ops[i].dest.domid);

        if (ops[i].flags & GNTCOPY_dest_gref)
            f->hostile |= leads_to_table(f, dom, ops[i].dest.u.ref, true);
        else
            f->hostile |= is_table(f, dom, ops[i].dest.u.gmfn);
    }
}

void note_copies(const struct fuzz *f, const struct gnttab_copy *ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fuzz_note(f, "  flags %#x: d%u %#llx to d%u %#llx, %u bytes: %d", ops[i].flags,
                  ops[i].source.domid,
                  (unsigned long long)ops[i].source.u.gmfn, ops[i].dest.domid,
                  (unsigned long long)ops[i].dest.u.gmfn, ops[i].len, ops[i].status);
}

void do_copy(struct fuzz *f)
{
    static const uint16_t lengths[] = { 1, 64, 4096, 0, 512, 3000, 4097, 65535 };
    struct gnttab_copy ops[MOST] = { 0 };
    uint8_t b = u8(&f->in);
    domid_t caller = b < 192 ? f->granted[b % NR_GRANTED].to % NR_DOMS : b % NR_DOMS;
    unsigned n = pick_count(f, MOST);
    uint64_t at = pick_address(f, n * sizeof *ops);

    for (unsigned i = 0; i < n; i++) {
        uint8_t again = i ? u8(&f->in) % 4 : 3;

        /* Sides stay acquired while they are the same. */
        if (again < 2) {
            ops[i] = ops[i - 1];
            if (again == 1 && pick_copy_side(f, caller,
                                             &ops[i].dest) != !!(ops[i].flags & GNTCOPY_dest_gref))
                ops[i].flags ^= GNTCOPY_dest_gref;
            continue;
        }
        ops[i].flags = pick_copy_side(f, caller, &ops[i].source) ? GNTCOPY_source_gref : 0;
        ops[i].flags |= pick_copy_side(f, caller, &ops[i].dest) ? GNTCOPY_dest_gref : 0;
        ops[i].len = lengths[u8(&f->in) % 8];
        ops[i].status = NOT_WRITTEN;
    }
    put_args(f, at, ops, n * sizeof *ops);
    note_targets(f, caller, ops, n);
    grant_op(f, caller, GNTTABOP_copy, at, n);
    get_args(f, at, ops, n * sizeof *ops);
    note_copies(f, ops, n);
}

void do_transfer(struct fuzz *f)
{
    struct gnttab_transfer ops[4] = { 0 };
    struct hv_entry_info e;
    domid_t caller = pick_own(f);
    unsigned n = pick_count(f, 4);
    uint64_t at = pick_address(f, n * sizeof *ops);

    for (unsigned i = 0; i < n; i++) {
        ops[i].domid = pick_domid(f);
        ops[i].ref = pick_ref(f, ops[i].domid);
        ops[i].mfn = pick_frame(f, caller);
        /* One that is granted, and perhaps mapped. */
        if (hv_entry_info(f->hv, caller, i + 8, &e) == 0 && u8(&f->in) % 4 == 0)
            ops[i].mfn = e.frame;
        /* Asked for, so that it can succeed. */
        if (u8(&f->in) % 2 && ops[i].domid < NR_DOMS)
            write_entry(f, ops[i].domid, ops[i].ref, GTF_accept_transfer, caller, pick_gfn(f));
    }
    put_args(f, at, ops, n * sizeof *ops);
    grant_op(f, caller, GNTTABOP_transfer, at, n);
    get_args(f, at, ops, n * sizeof *ops);
    for (unsigned i = 0; i < n; i++)
        fuzz_note(f, "  frame %#llx to reference %u of d%u: %d", (unsigned long long)ops[i].mfn,
                  ops[i].ref, ops[i].domid, ops[i].status);
}

void do_swap(struct fuzz *f)
{
    struct gnttab_swap_grant_ref ops[4] = { 0 };
    domid_t caller = pick_own(f);
    unsigned n = pick_count(f, 4);
    uint64_t at = pick_address(f, n * sizeof *ops);

    for (unsigned i = 0; i < n; i++) {
        ops[i].ref_a = pick_ref(f, caller);
        ops[i].ref_b = pick_ref(f, caller);
    }
    put_args(f, at, ops, n * sizeof *ops);
    grant_op(f, caller, GNTTABOP_swap_grant_ref, at, n);
}

/* setup_table, query_size, get_status_frames; the lists that they write may lie on the arguments
 * themselves. */
void do_table(struct fuzz *f)
{
    domid_t caller = pick_own(f);
    uint8_t which = u8(&f->in);
    unsigned count = u8(&f->in) < 240 ? 1 : u8(&f->in) % 3;
    uint64_t at = pick_address(f, sizeof(struct gnttab_setup_table));
    uint64_t list = pick_address(f, 4 * sizeof(uint64_t));
    domid_t dom = pick_domid(f);
    uint32_t nr = u8(&f->in) % 8 ? u8(&f->in) % 6 : u32(&f->in);

    if (which % 4 < 2) {
        struct gnttab_setup_table op = { .dom = dom, .nr_frames = nr };

        op.frame_list.p = (void *)(uintptr_t)list;
        put_args(f, at, &op, sizeof op);
        grant_op(f, caller, GNTTABOP_setup_table, at, count);
    } else if (which % 4 == 2) {
        struct gnttab_get_status_frames op = { .dom = dom, .nr_frames = nr };

        op.frame_list.p = (void *)(uintptr_t)list;
        put_args(f, at, &op, sizeof op);
        grant_op(f, caller, GNTTABOP_get_status_frames, at, count);
    } else {
        struct gnttab_query_size op = { .dom = dom };

        put_args(f, at, &op, sizeof op);
        grant_op(f, caller, GNTTABOP_query_size, at, count);
    }
}

void do_version(struct fuzz *f)
{
    struct gnttab_set_version op = { .version = 2 };
    domid_t caller = pick_own(f);
    uint8_t b = u8(&f->in);
    uint64_t at = pick_address(f, sizeof op);

    if (b < 200) {
        op.version = b % 2 + 1;
        put_args(f, at, &op, sizeof op);
        grant_op(f, caller, GNTTABOP_set_version, at, b % 3);
    } else if (b < 230) {
        struct gnttab_get_version get = { .dom = pick_domid(f) };

        put_args(f, at, &get, sizeof get);
        grant_op(f, caller, GNTTABOP_get_version, at, 1);
    } else {
        op.version = u32(&f->in);
        put_args(f, at, &op, sizeof op);
        grant_op(f, caller, GNTTABOP_set_version, at, 1);
    }
}

void do_cache_flush(struct fuzz *f)
{
    struct gnttab_cache_flush ops[4] = { 0 };
    domid_t caller = pick_own(f);
    unsigned n = pick_count(f, 4), high = u8(&f->in) < 200 ? 0 : u32(&f->in) & ~0xfffu;
    uint64_t at = pick_address(f, n * sizeof *ops);

    for (unsigned i = 0; i < n; i++) {
        ops[i].a.dev_bus_addr = u8(&f->in) % f->nr_frames * HV_PAGE_SIZE +
            (u8(&f->in) % 8 == 7 ? u64(&f->in) : 0);
        ops[i].op = u8(&f->in) % 4 ? u8(&f->in) % 4 : u32(&f->in);
        ops[i].offset = u16(&f->in) % 5000;
        ops[i].length = u16(&f->in) % 5000;
    }
    put_args(f, at, ops, n * sizeof *ops);
    grant_op(f, caller, GNTTABOP_cache_flush | high, at, n);
}

/* Any numbers at all. */
void do_raw_call(struct fuzz *f)
{
    static const unsigned known[] = { __HYPERVISOR_grant_table_op, __HYPERVISOR_event_channel_op,
                                      __HYPERVISOR_memory_op };
    domid_t caller = pick_domid(f);
    uint8_t b = u8(&f->in);
    unsigned op = b < 240 ? known[b % 3] : u8(&f->in);
    uint64_t cmd = u8(&f->in) < 200 ? u8(&f->in) % 20 : u64(&f->in);
    uint64_t at = pick_address(f, 64);
    uint8_t n = u8(&f->in) % 64;

    for (unsigned i = 0; i < n; i++) {
        uint8_t byte = u8(&f->in);

        put_args(f, at + i, &byte, 1);
    }
    /* The victim makes no calls: it could grant something. A copy could go over a table. */
    f->hostile |= op == __HYPERVISOR_grant_table_op && (cmd & 0xfff) == GNTTABOP_copy;
    if (caller < NR_DOMS)
        f->lost[caller] |= op == __HYPERVISOR_grant_table_op;
    if (caller != VICTIM)
        call(f, caller, op, cmd, at, b % 8 ? b % 5 : u32(&f->in));
}
