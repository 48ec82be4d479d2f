/* SPDX-License-Identifier: MIT */
/* The audit finds what is wrong and names it: each case breaks one thing on purpose, looks, and
 * repairs it. */
#include "harness.h"

#include "hv_i.h"

SUITE("audit");

#define HOST GNTMAP_host_map
#define RO GNTMAP_readonly

static char report[65536];

/* Runs an audit into report. */
static unsigned look_with(unsigned (*audit)(const struct hv *, FILE *))
{
    FILE *out = fmemopen(report, sizeof report - 1, "w");
    unsigned n = audit(w.hv, out);

    fclose(out);
    EQ(audit(w.hv, NULL), n);          /* the same without a place to write to */
    return n;
}

static void found(const char *text)
{
    unsigned n = look_with(hv_audit);

    OK(n > 0);
    if (!strstr(report, text)) {
        printf("wanted: %s\ngot: %s", text, report);
        CU_FAIL("the audit does not name what is wrong");
    }
}

#define BROKEN(lvalue, value, text)                 \
    do {                                            \
        __typeof__(lvalue) kept_ = (lvalue);        \
        (lvalue) = (value);                         \
        found(text);                                \
        (lvalue) = kept_;                           \
        audit_clean();                              \
    } while (0)

static struct hv_domain *dom(domid_t id)
{
    return domain_lookup(w.hv, id);
}

/* Domain 1 grants reference 8 (page 3), mapped by domain 2 with handle 0; 9 and 10 are free. */
static uint64_t prepare(void)
{
    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), NULL), GNTST_okay);
    audit_clean();
    return mfn_of(1, 3);
}

TEST_KINDS("pins are compared with handles")
{
    struct active_entry *act = active_entry(&dom(1)->gt, 8), *idle = active_entry(&dom(1)->gt, 10);

    prepare();
    BROKEN(act->pin, PIN_HOST_WRITE * 2, "d1: reference 8 has pins 00000002, handles make 00000001 "
           "(the last one: handle 0 of d2)");
    BROKEN(act->pin, PIN_HOST_READ, "d1: reference 8 has pins 00000100, handles make 00000001");
    BROKEN(act->pin, 0u, "d1: reference 8 has pins 00000000");
    BROKEN(idle->pin, PIN_DEV_READ, "d1: reference 10 has pins 01000000, handles make 00000000");
    BROKEN(act->domid, 3, "d1: reference 8 is in use by d3, but handle 0 is d2's");
    BROKEN(act->is_sub_page, true, "d1: reference 8 is in use by d2, but handle 0");
    BROKEN(dom(1)->gt.nr_v2_ops, 1u, "d1: 1 copies of version 2 never ended");
}

TEST_KINDS("active frames must be the granter's")
{
    struct active_entry *act = active_entry(&dom(1)->gt, 8);
    uint64_t mfn = prepare();

    BROKEN(act->mfn, (uint32_t)mfn_of(3, 3), "d1: reference 8 (handle 0 of d2) shows frame");
    BROKEN(act->mfn, UINT32_MAX, "d1: reference 8 is active with frame 4294967295, out of range");
    BROKEN(act->mfn, 0u, "out of range");
    OK(mfn != 0);
}

TEST_KINDS("entry flags are compared with pins")
{
    char text[64];

    prepare();
    BROKEN(v1(1, 8)->flags, GTF_permit_access | GTF_reading,
           "d1: reference 8 has flags 0x9, but pins 00000001");
    BROKEN(v1(1, 8)->flags, GTF_permit_access, "d1: reference 8 has flags 0x1");
    grant(1, 9, 2, 4, 0);
    BROKEN(v1(1, 9)->flags, GTF_permit_access | GTF_writing,
           "d1: reference 9 has flags 0x11, but pins 00000000");
    /* What a guest can do to itself does not count as the model's fault. */
    v1(1, 8)->flags = 0;
    OK(look_with(hv_audit) > 0);
    EQ(look_with(hv_audit_hostile), 0);
    v1(1, 8)->flags = GTF_permit_access | GTF_reading | GTF_writing;
    EQ(set_version(3, 2, NULL), 0);
    grant(3, 200, 2, 3, 0);
    EQ(map(2, 3, 200, HOST | RO, A(2), NULL), GNTST_okay);
    snprintf(text, sizeof text, "d3: reference 200 has flags 0, but pins 00000100");
    BROKEN(*status2(3, 200), 0, text);
}

TEST_KINDS("handles are checked")
{
    struct maptrack_entry *e;

    prepare();
    e = maptrack_entry(&dom(2)->maptrack, 0);
    BROKEN(e->domid, 999, "d2: handle 0 names reference 8 of d999, which does not exist");
    BROKEN(e->ref, 512, "d2: handle 0 names reference 512 of d1, which does not exist");
    BROKEN(e->flags, RO, "d2: handle 0 (reference 8 of d1) maps nothing");
    BROKEN(e->flags, HOST | RO, "d1: reference 8 has pins 00000001, handles make 00000100");
    BROKEN(e->flags, 0, "d2: 0 handles used and 255 free of 256, 1 counted as used");
    BROKEN(dom(2)->maptrack.in_use, 2u, "2 counted as used");
    BROKEN(dom(2)->maptrack.tail, 17u, "d2: 1 handles used and 255 free of 256");
    /* a circle */
    BROKEN(maptrack_entry(&dom(2)->maptrack, 5)->ref, 3, "free of 256");
    BROKEN(maptrack_entry(&dom(2)->maptrack, 5)->ref, 0,
           "d2: handle 0 is in the free list, but not free");
    BROKEN(maptrack_entry(&dom(2)->maptrack, 5)->ref, 9999,
           "d2: handle 9999 is in the free list, but not free");
    grant(1, 9, 2, 4, 0);
    EQ(map(2, 1, 9, HOST, A(2), NULL), GNTST_okay);
    BROKEN(maptrack_entry(&dom(2)->maptrack, 1)->ref, 8,
           "d1: reference 9 has pins 00000001, handles make 00000000");
}

TEST_KINDS("two domains with one entry are named")
{
    prepare();
    grant(3, 20, 3, 3, 0);
    EQ(map(3, 3, 20, HOST, A(5), NULL), GNTST_okay);
    BROKEN(*maptrack_entry(&dom(3)->maptrack, 0),
           ((struct maptrack_entry){ .ref = 8, .domid = 1, .flags = HOST }),
           "d1: reference 8 is mapped by d2 (handle 0) and by d3 (handle 0)");
}

TEST_KINDS("frame references are recounted")
{
    uint64_t mfn = prepare();
    struct frame *f = frame_of(w.hv, mfn), *idle = frame_of(w.hv, mfn_of(1, 4));
    char text[128];

    snprintf(text, sizeof text, "d1: frame %llu has 3 references, its users make 2",
             (unsigned long long)mfn);
    BROKEN(f->refs, 3u, text);
    BROKEN(idle->refs, 2u, "has 2 references, its users make 1");
    BROKEN(idle->types, 1u, "is writable for 1, its users make 0");
    BROKEN(f->flags, FRAME_DIRTY, "has 2 references, its users make 1");
    BROKEN(f->owner, 3, "belongs to d3");
    BROKEN(f->owner, NO_OWNER, "is in use and owned by nobody");
    BROKEN(f->gfn, 9, "says it is at gfn 0x9, where frame");
    BROKEN(f->gfn, 0x999, "says it is at gfn 0x999");
    BROKEN(idle->refs, 0u, "is not free, but has 0 references");
    BROKEN(idle->flags, (uint8_t)(idle->flags | FRAME_PAGED), "differ about being paged out");
    BROKEN(idle->flags, (uint8_t)(idle->flags | FRAME_XENHEAP), "in its page list belongs to d1");
    BROKEN(w.hv->pool.nr_free, 5u, "frames are free, 5 are counted");
    BROKEN(w.hv->pool.free[0], w.hv->pool.free[0] | 1, "frame 0 is free");
    BROKEN(w.hv->pool.free[mfn / 64], w.hv->pool.free[mfn / 64] | UINT64_C(1) << mfn % 64,
           "is free, but has 2 references");
}

TEST_KINDS("page lists are walked")
{
    uint32_t first = dom(1)->pages, second = frame_of(w.hv, first)->next;

    prepare();
    BROKEN(dom(1)->nr_owned, 15, "d1: owns 16 pages, 0 of them paged out, but counts 15 and 0");
    BROKEN(dom(1)->kept_pages, 1, "but counts 16 and 1");
    BROKEN(frame_of(w.hv, second)->prev, 0u, "in its page list belongs to d1");
    BROKEN(frame_of(w.hv, second)->next, first, "d1: its page list is broken at frame");
    BROKEN(frame_of(w.hv, second)->next, (uint32_t)w.nr_frames,
           "d1: its page list is broken at frame");
    BROKEN(frame_of(w.hv, second)->next, 0u, "does not know it");
}

TEST_KINDS("foreign mappings are checked")
{
    uint64_t mfn, *kept;

    OK(hv_foreign_map(w.hv, 0, 1, number(1, 3), HV_FOREIGN_WRITE, &mfn) >= 0);
    audit_clean();
    kept = (uint64_t *)dom(0)->foreign.maps;       /* a mapping begins with its frame */
    EQ(*kept, mfn);
    BROKEN(*kept, UINT64_MAX, "d0: foreign mapping 0 of frame 18446744073709551615, out of range");
    BROKEN(*kept, mfn_of(1, 4), "has 2 references, its users make 1");
    BROKEN(dom(0)->foreign.in_use, 2, "d0: 1 foreign mappings, 2 are counted");
}

TEST_KINDS("hypervisor frames are checked")
{
    struct grant_frame *g = &dom(1)->gt.frames[0];

    prepare();
    BROKEN(g->mfn, (uint32_t)mfn_of(1, 5), "d1: grant table in frame");
    BROKEN(g->mfn, UINT32_MAX, "d1: grant table is frame 4294967295, out of range");
    BROKEN(g->mfn, (uint32_t)dom(1)->shared_info_mfn, "of its grant table is in use twice");
    BROKEN(dom(1)->shared_info_mfn, dom(2)->shared_info_mfn, "d1: shared info in frame");
    BROKEN(frame_of(w.hv, g->mfn)->flags, FRAME_DIRTY | FRAME_XENHEAP,
           "which is not the hypervisor's for it");
    EQ(set_version(1, 1, NULL), 0);
    BROKEN(dom(1)->gt.version, 2u, "d1: 0 status frames instead of 1");
    BROKEN(dom(1)->gt.version, 3u, "d1: grant table of version 3 (at most 2) with 1 frames");
    BROKEN(dom(1)->gt.max_frames, 0u, "with 1 frames (at most 0)");
}

TEST_KINDS("the physmap is compared with frames")
{
    uint64_t mfn = prepare();
    struct p2m *p2m = &dom(1)->p2m;

    p2m_set(w.hv, p2m, 3, P2M_RAM_RW, mfn_of(2, 3));
    found("d1: gfn 0x3 shows frame");
    p2m_set(w.hv, p2m, 3, P2M_RAM_PAGED, mfn);
    found("d1: gfn 0x3 and frame");
    p2m_set(w.hv, p2m, 3, P2M_RAM_RW, 0);
    found("out of range");
    p2m_clear(p2m, 3);
    found("says it is at gfn 0x3, where frame");
    p2m_set(w.hv, p2m, 3, P2M_RAM_RW, mfn);
    audit_clean();
    BROKEN(p2m->first_hole, 99, "d1: gfn 0x10 is a hole below the lowest one");
}

TEST_HVM("grants in a physmap are compared with handles")
{
    uint64_t mfn = prepare();
    struct p2m *p2m = &dom(2)->p2m;

    p2m_clear(p2m, 256);
    found("d2: handle 0 (reference 8 of d1, frame ");
    found("is mapped nowhere");
    p2m_set(w.hv, p2m, 256, P2M_GRANT_MAP_RW, mfn);
    p2m_set(w.hv, p2m, 257, P2M_GRANT_MAP_RO, mfn);
    found("is mapped 1 times without a handle, maybe the one writable at 0x100000");
    p2m_clear(p2m, 257);
    p2m_set(w.hv, p2m, 257, P2M_GRANT_MAP_RW, 0);
    found("is mapped at 0x101000, out of range");
    p2m_clear(p2m, 257);
    audit_clean();
}

TEST_PV("host mappings are compared with handles")
{
    uint64_t mfn = prepare();

    EQ(hostmap_unmap(dom(2), A(1), HOST, mfn, 0), 0);
    found("d2: handle 0 (reference 8 of d1, frame ");
    EQ(hostmap_map(dom(2), A(1), HOST, mfn), 0);
    EQ(hostmap_map(dom(2), A(2), HOST, mfn), 0);
    found("is mapped 1 times without a handle, maybe the one writable at 0x");
    EQ(hostmap_unmap(dom(2), A(2), HOST, mfn, 0), 0);
    EQ(hostmap_map(dom(2), A(2), HOST, w.nr_frames), 0);
    found("is mapped at 0x200000, out of range");
    EQ(hostmap_unmap(dom(2), A(2), HOST, w.nr_frames, 0), 0);
    p2m_set(w.hv, &dom(2)->p2m, 0x99, P2M_GRANT_MAP_RW, mfn);
    found("d2: a grant at gfn 0x99 of a PV domain");
    p2m_clear(&dom(2)->p2m, 0x99);
    audit_clean();
}

TEST_KINDS("event channels are checked at both ends")
{
    uint32_t p1, p2, timer;

    EQ(evt_alloc(1, DOMID_SELF, 2, &p1), 0);
    EQ(evt_bind(2, 1, p1, &p2), 0);
    EQ(evt_virq(1, VIRQ_TIMER, 0, &timer), 0);
    audit_clean();
    BROKEN(evtchn(&dom(2)->evtchns, p2)->state, ECS_UNBOUND,
           "d1: port 1 is bound to port 1 of d2, which is not bound to it");
    BROKEN(evtchn(&dom(2)->evtchns, p2)->remote_port, 9, "d2: port 1 is bound to port 9 of d1");
    BROKEN(evtchn(&dom(2)->evtchns, p2)->remote_port, 9999,
           "d2: port 1 is bound to port 9999 of d1");
    BROKEN(evtchn(&dom(2)->evtchns, p2)->remote_dom, 999, "d2: port 1 is bound to port 1 of d999");
    BROKEN(evtchn(&dom(1)->evtchns, timer)->virq, 99,
           "d1: port 2 is bound to virq 99, which goes elsewhere");
    BROKEN(dom(1)->evtchns.virq_to_port[VIRQ_TIMER], 0,
           "d1: port 2 is bound to virq 0, which goes elsewhere");
    BROKEN(dom(1)->evtchns.virq_to_port[VIRQ_DEBUG], 2,
           "d1: virq 1 goes to port 2, which is not bound to it");
    BROKEN(dom(1)->evtchns.virq_to_port[VIRQ_DEBUG], 999, "d1: virq 1 goes to port 999");
    BROKEN(dom(1)->evtchns.in_use, 7u, "d1: 2 ports are open, 7 are counted");
    BROKEN(dom(1)->evtchns.lowest, 9u, "d1: port 3 is free, but below the lowest free one");
}

TEST_KINDS("what the dead still have is named")
{
    uint32_t port;

    prepare();
    EQ(evt_alloc(3, DOMID_SELF, 2, &port), 0);
    EQ(hv_domain_destroy(w.hv, 1), 0);
    audit_clean();
    BROKEN(dom(3)->life, DOMAIN_DYING, "d3: dying, but port 1 is open");
    BROKEN(dom(3)->life, DOMAIN_DYING, "was not given up at its death");
    BROKEN(dom(2)->life, DOMAIN_DEAD, "d2: dead, but has handles");
}
