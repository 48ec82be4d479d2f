/* SPDX-License-Identifier: MIT */
/* What the tests of copies share. */
#ifndef GNTSIM_TEST_HV_SCENE_COPY_H
#define GNTSIM_TEST_HV_SCENE_COPY_H

#include "harness.h"

#define HOST GNTMAP_host_map
#define RO GNTMAP_readonly
#define BOTH (GNTCOPY_source_gref | GNTCOPY_dest_gref)

/* One side of an element: of reference (gref) or frame. */
struct side {
    domid_t dom;
    uint64_t number;
    bool gref;
    uint16_t offset;
};

static inline int copy(domid_t caller, struct side s, struct side d, unsigned len)
{
    struct gnttab_copy op = { .source = { .domid = s.dom, .offset = s.offset },
                              .dest = { .domid = d.dom, .offset = d.offset },
                              .len = (uint16_t)len,
                              .flags = (s.gref ? GNTCOPY_source_gref : 0) |
                              (d.gref ? GNTCOPY_dest_gref : 0) };

    if (s.gref)
        op.source.u.ref = (uint32_t)s.number;
    else
        op.source.u.gmfn = s.number;
    if (d.gref)
        op.dest.u.ref = (uint32_t)d.number;
    else
        op.dest.u.gmfn = d.number;
    return copy_element(caller, op);
}

static inline struct side ref_of(domid_t dom,
                                 uint32_t ref) { return (struct side){ .dom = dom, .number = ref,
                                                                       .gref = true }; }
static inline struct side own(domid_t dom, uint64_t gfn)
{
    return (struct side){ .dom = DOMID_SELF, .number = number(dom, gfn) };
}
static inline struct side at(struct side s, unsigned offset)
{
    s.offset = (uint16_t)offset;
    return s;
}

/* Domain 1 grants 2: 8 readable, 9 writable. Contents are by domain and page. */
static inline void prepare(void)
{
    grant(1, 8, 2, 3, GTF_readonly);
    grant(1, 9, 2, 4, 0);
    for (domid_t dom = 1; dom < 4; dom++)
        for (unsigned gfn = 0; gfn < 16; gfn++)
            memset(page(dom, gfn), (int)(dom * 16 + gfn), 4096);
}

static inline void nothing_in_use(void)
{
    for (domid_t dom = 1; dom < 4; dom++)
        for (uint32_t ref = 0; ref < 64; ref++) {
            struct hv_entry_info e = entry(dom, ref);

            EQ(e.pin_host_read + e.pin_host_write, 0);
            EQ(e.flags & (GTF_reading | GTF_writing), 0);
        }
    audit_clean();
}

/* Writes another form into the entry between two elements: the status of the first one is being
 * written. */
struct changer {
    uint32_t ref;
    int writes;
    void (*change)(uint32_t ref);
};

static inline int change_on_write(void *ctx, uint64_t to, const void *from, size_t size)
{
    struct changer *c = ctx;

    memcpy((void *)(uintptr_t)to, from, size);
    if (++c->writes == 1)
        c->change(c->ref);
    return 0;
}

static inline int read_all(void *ctx, void *to, uint64_t from, size_t size)
{
    (void)ctx;
    memcpy(to, (const void *)(uintptr_t)from, size);
    return 0;
}

static inline void batch_with_change(struct gnttab_copy *ops, unsigned n, uint32_t ref,
                                     void (*change)(uint32_t ref))
{
    struct changer c = { .ref = ref, .change = change };
    struct hv_guest_memory mem = { .copy_from = read_all, .copy_to = change_on_write, .ctx = &c };
    const uint64_t args[5] = { GNTTABOP_copy, (uintptr_t)ops, n };

    EQ(hv_hypercall(w.hv, 2, __HYPERVISOR_grant_table_op, args, &mem), 0);
}

static inline struct gnttab_copy element(domid_t sd, uint32_t sref, domid_t dd, uint32_t dref)
{
    return (struct gnttab_copy){ .source = { .u.ref = sref, .domid = sd, .offset = 100 },
                                 .dest = { .u.ref = dref, .domid = dd, .offset = 100 }, .len = 8,
                                 .flags = BOTH, .status = 77 };
}

#endif
