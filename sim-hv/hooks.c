/* SPDX-License-Identifier: MIT */
/* Calls the hooks for faults and trace at each hypercall and each element of a batch. */
#include "hv_i.h"

void hv_set_inject(struct hv *hv, enum hv_verdict (*inject)(void *, struct hv_point *, long *))
{
    hv->hooks.inject = inject;
}

void hv_set_trace(struct hv *hv, void (*trace)(void *, const struct hv_point *, long))
{
    hv->hooks.trace = trace;
}

/* ---- What an element says -------------------------------------------------------------------- */

static void name_peer(struct hv_point *p, const struct hv_call *c, domid_t dom, uint32_t ref)
{
    p->peer = dom == DOMID_SELF ? c->d->id : dom;
    p->ref = ref;
}

static void describe_map(struct hv_point *p, const struct hv_call *c)
{
    const struct gnttab_map_grant_ref *op = p->arg;

    name_peer(p, c, op->dom, op->ref);
    p->writable = !(op->flags & GNTMAP_readonly);
}

/* The granter is what the handle says, if it is one. */
static void describe_unmap(struct hv_point *p, const struct hv_call *c)
{
    const struct gnttab_unmap_grant_ref *op = p->arg;
    const struct maptrack_entry *track;

    if (op->handle >= maptrack_limit(&c->d->maptrack))
        return;
    track = maptrack_entry(&c->d->maptrack, op->handle);
    if (!track->flags)
        return;
    name_peer(p, c, track->domid, track->ref);
    p->writable = !(track->flags & GNTMAP_readonly);
}

static void describe_copy(struct hv_point *p, const struct hv_call *c)
{
    const struct gnttab_copy *op = p->arg;

    if (op->flags & GNTCOPY_source_gref)
        name_peer(p, c, op->source.domid, op->source.u.ref);
    else if (op->flags & GNTCOPY_dest_gref)
        name_peer(p, c, op->dest.domid, op->dest.u.ref);
    p->writable = op->flags & GNTCOPY_dest_gref;
}

static void describe_transfer(struct hv_point *p, const struct hv_call *c)
{
    const struct gnttab_transfer *op = p->arg;

    name_peer(p, c, op->domid, op->ref);
    p->writable = true;
}

static void describe_swap(struct hv_point *p, const struct hv_call *c)
{
    name_peer(p, c, DOMID_SELF, ((const struct gnttab_swap_grant_ref *)p->arg)->ref_a);
}

/* These begin with the domain that is meant. */
static_assert(offsetof(struct gnttab_setup_table, dom) == 0 &&
                  offsetof(struct gnttab_query_size, dom) == 0,
              "the domain comes first");

static void describe_table(struct hv_point *p, const struct hv_call *c)
{
    name_peer(p, c, *(const domid_t *)p->arg, UINT32_MAX);
}

static void describe_status_frames(struct hv_point *p, const struct hv_call *c)
{
    name_peer(p, c, ((const struct gnttab_get_status_frames *)p->arg)->dom, UINT32_MAX);
}

static const struct {
    unsigned flags;
    size_t size;
    void (*describe)(struct hv_point *p, const struct hv_call *c);   /* NULL: it names nobody */
} elements[] = {
#define describe_none NULL
#define ROW(op, flags, names, ...) \
    [GNTTABOP_##op] = { flags, sizeof(struct gnttab_##op), describe_##names },
    HV_GNTTAB_OPS(ROW)
#undef ROW
};

static bool has_elements(unsigned cmd)
{
    return cmd < sizeof elements / sizeof *elements && elements[cmd].flags & HV_OP_STATUS;
}

static struct hv_point element_point(const struct hv_call *c, uint32_t left, const void *arg)
{
    struct hv_point p = {
        .caller = c->d->id, .element = true, .op = c->op, .cmd = c->cmd, .index = c->count - left,
        .count = c->count, .arg = arg, .peer = DOMID_INVALID, .ref = UINT32_MAX,
        .tag = c->hv->point.tag
    };

    assert(has_elements(c->cmd));
    p.size = elements[c->cmd].size;
    /* The operation may have forgotten the element when it is traced. */
    assert(p.size <= sizeof c->hv->seen);
    memcpy(c->hv->seen, arg, p.size);
    p.arg = c->hv->seen;
    if (elements[c->cmd].describe)
        elements[c->cmd].describe(&p, c);
    return p;
}

static struct hv_point call_point(const struct hv_call *c)
{
    return (struct hv_point){
        .caller = c->d->id, .op = c->op, .cmd = c->cmd, .count = c->count, .peer = DOMID_INVALID,
        .ref = UINT32_MAX, .tag = c->hv->point.tag
    };
}

static void tell(const struct hv_call *c, const struct hv_point *p, long result)
{
    c->hv->hooks.trace(c->hv->hook_ctx, p, result);
    c->hv->point.tag = 0;
}

/* ---- Verdicts -------------------------------------------------------------------------------- */

/* The page that domain peer grants with ref. One that cannot be paged out stays. */
static void page_out(struct hv *hv, domid_t peer, uint32_t ref)
{
    struct hv_domain *d = domain_lookup(hv, peer);
    struct hv_entry_info entry;
    uint64_t gfn;

    if (!d || domain_dying(d) || hv_entry_info(hv, peer, ref, &entry) ||
        (entry.flags & GTF_type_mask) != GTF_permit_access)
        return;
    gfn = entry.frame;
    if (d->guest == &guest_pv) {
        if (entry.frame >= hv->nr_frames || frame_of(hv, entry.frame)->owner != peer)
            return;
        gfn = frame_of(hv, entry.frame)->gfn;
    }
    hv_page_out(hv, peer, gfn);
}

/*
 * Another domain goes at once, though what this call holds of it stays until its end. The caller's
 * own end must wait.
 */
static long destroy(const struct hv_call *c, long dom)
{
    bool valid = dom >= 0 && dom < DOMID_FIRST_RESERVED;
    struct hv_domain *d = valid ? domain_lookup(c->hv, (domid_t)dom) : NULL;

    if (!d || domain_dying(d))
        return 0;
    if (d == c->d) {
        domain_crash(d, "a fault rule destroys it");
        return -ESRCH;
    }
    domain_kill(d);
    return 0;
}

int hook_inject_element(const struct hv_call *c, uint32_t left, const void *arg, int16_t *status)
{
    struct hv_point *p = &c->hv->point;
    long value = 0;

    /* For the trace, too: afterwards a handle does not say any more what it was. */
    c->hv->point = element_point(c, left, arg);
    if (!c->hv->hooks.inject)
        return 0;
    switch (c->hv->hooks.inject(c->hv->hook_ctx, p, &value)) {
    case HV_GO_ON:
        return 0;
    case HV_STATUS:
        *status = (int16_t)value;
        return 1;
    case HV_ERRNO:
        return value < 0 ? (int)value : 0;
    case HV_PAGE_OUT:
        if (p->ref != UINT32_MAX)
            page_out(c->hv, p->peer, p->ref);
        return 0;
    case HV_DESTROY:
        return (int)destroy(c, value);
    }
    return 0;
}

void hook_trace_element(const struct hv_call *c, const void *arg, int16_t status)
{
    if (!c->hv->hooks.trace)
        return;
    if (arg)
        memcpy(c->hv->seen, arg, c->hv->point.size);
    tell(c, &c->hv->point, status);
}

long hook_inject_call(const struct hv_call *c)
{
    enum hv_verdict verdict;
    struct hv_point p;
    long value = 0;

    c->hv->point.tag = 0;
    if (!c->hv->hooks.inject)
        return 0;
    p = call_point(c);
    verdict = c->hv->hooks.inject(c->hv->hook_ctx, &p, &value);
    c->hv->point.tag = p.tag;
    switch (verdict) {
    case HV_ERRNO:
        return value < 0 ? value : 0;
    case HV_DESTROY:
        return destroy(c, value);
    case HV_GO_ON:
    case HV_STATUS:
    case HV_PAGE_OUT:
        return 0;
    }
    return 0;
}

static bool told_by_elements(const struct hv_call *c, long rc)
{
    return c->op == __HYPERVISOR_grant_table_op && !rc && c->count && has_elements(c->cmd);
}

void hook_trace_call(const struct hv_call *c, const void *arg, size_t size, long rc)
{
    struct hv_point p;

    if (!c->hv->hooks.trace || told_by_elements(c, rc))
        return;
    p = call_point(c);
    p.arg = arg;
    p.size = arg ? size : 0;
    tell(c, &p, rc);
}
