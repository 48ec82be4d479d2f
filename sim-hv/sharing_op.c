/* SPDX-License-Identifier: MIT */
/* XENMEM_sharing_op: what a helper may ask of pages to be shared. Checks in Xen's order. */
#include "gnttab_entry_i.h"
#include "memory_i.h"
#include "sharing_i.h"

#define BAD_SOURCE XENMEM_SHARING_OP_S_HANDLE_INVALID
#define BAD_CLIENT XENMEM_SHARING_OP_C_HANDLE_INVALID
/* References that Xen expects of a page that is nominated by its grant, whoever has them. */
#define GRANTED_REFERENCES 3

/* One side of an operation: a page, and the handle by which the caller knows it. */
struct side {
    struct hv_domain *d;
    uint64_t gfn, handle;
};

/* The gfn that a reference grants: 0, -ENOENT (no such entry), -ENXIO (it grants nothing). */
static long gref_to_gfn(struct hv_domain *d, uint32_t ref, uint64_t *gfn)
{
    struct entry e;

    if (!grant_ref_okay(&d->gt, ref))
        return -ENOENT;
    e = entry_at(d, ref);
    if ((read_header(e.header).flags & GTF_type_mask) != GTF_permit_access)
        return -ENXIO;
    *gfn = read_frame(&e).frame;
    return 0;
}

/* ---- Nominate, look -------------------------------------------------------------------------- */

static long op_nominate_gfn(const struct hv_call *c, struct hv_domain *d,
                            struct xen_mem_sharing_op *op)
{
    (void)c;
    return sharing_nominate(d, op->u.nominate.u.gfn, 0, &op->u.nominate.handle);
}

static long op_nominate_gref(const struct hv_call *c, struct hv_domain *d,
                             struct xen_mem_sharing_op *op)
{
    uint64_t gfn;
    long rc = gref_to_gfn(d, op->u.nominate.u.grant_ref, &gfn);

    (void)c;
    return rc ? rc : sharing_nominate(d, gfn, GRANTED_REFERENCES, &op->u.nominate.handle);
}

static long nr_users(const struct hv_domain *d, uint64_t gfn)
{
    const struct shared_page *page = sharing_at(d, gfn);

    return page ? (long)page->nr_users : -EINVAL;
}

static long op_debug_gfn(const struct hv_call *c, struct hv_domain *d,
                         struct xen_mem_sharing_op *op)
{
    (void)c;
    return nr_users(d, op->u.debug.u.gfn);
}

static long op_debug_gref(const struct hv_call *c, struct hv_domain *d,
                          struct xen_mem_sharing_op *op)
{
    uint64_t gfn;
    long rc = gref_to_gfn(d, op->u.debug.u.gref, &gfn);

    (void)c;
    return rc ? rc : nr_users(d, gfn);
}

/* ---- Share ----------------------------------------------------------------------------------- */

/* The other domain of an operation, in which sharing must be on. */
static long find_client(const struct hv_call *c, domid_t id, struct hv_domain **client)
{
    long rc = memory_live_remote(c, id, client);

    if (!rc && !(*client)->sharing)
        rc = -EINVAL;
    return rc;
}

static long share_pages(const struct side *s, const struct side *client)
{
    struct hv *hv = s->d->hv;
    uint64_t from = p2m_get(&s->d->p2m, s->gfn).mfn, to = p2m_get(&client->d->p2m, client->gfn).mfn;
    const struct shared_page *source = sharing_at(s->d, s->gfn),
                             *other = sharing_at(client->d, client->gfn);

    if (from == to)
        return 0;
    /* Xen locks the lower frame first, and hands out high ones first: so the later one's. */
    if (!source && !other)
        return from == HV_INVALID_MFN || (to != HV_INVALID_MFN && from < to) ? BAD_CLIENT
                                                                             : BAD_SOURCE;
    if (!source)
        return BAD_SOURCE;
    if (!other)
        return BAD_CLIENT;
    if (source->handle != s->handle)
        return BAD_SOURCE;
    if (other->handle != client->handle)
        return BAD_CLIENT;
    sharing_merge(hv, from, to);
    return 0;
}

/* A gfn, or a reference that says where it is. */
static long resolve(struct side *s, uint64_t field)
{
    s->gfn = field;
    if (!XENMEM_SHARING_OP_FIELD_IS_GREF(field))
        return 0;
    return gref_to_gfn(s->d, (uint32_t)XENMEM_SHARING_OP_FIELD_GET_GREF(field), &s->gfn);
}

static long op_share(const struct hv_call *c, struct hv_domain *d, struct xen_mem_sharing_op *op)
{
    struct side source = { .d = d, .handle = op->u.share.source_handle };
    struct side client = { .handle = op->u.share.client_handle };
    long rc = find_client(c, op->u.share.client_domain, &client.d);

    if (!rc)
        rc = resolve(&source, op->u.share.source_gfn);
    if (!rc)
        rc = resolve(&client, op->u.share.client_gfn);
    return rc ? rc : share_pages(&source, &client);
}

/* A page that a pager was asked for goes, too; Xen counts it as not out any more in any case. */
static long make_hole(struct hv_domain *d, uint64_t gfn, struct p2m_entry e)
{
    if (e.type == P2M_INVALID)
        return 0;
    if (e.type != P2M_RAM_PAGED && e.type != P2M_RAM_PAGING_IN)
        return BAD_CLIENT;
    p2m_clear(&d->p2m, gfn);
    if (e.mfn == HV_INVALID_MFN) {
        d->paged_pages--;
        return 0;
    }
    if (!(frame_of(d->hv, e.mfn)->flags & FRAME_PAGED))
        d->paged_pages--;
    frame_of(d->hv, e.mfn)->gfn = NO_GFN;
    frame_drop_allocated(d->hv, e.mfn);
    return 0;
}

static long op_add_physmap(const struct hv_call *c, struct hv_domain *d,
                           struct xen_mem_sharing_op *op)
{
    const struct shared_page *page;
    struct hv_domain *client;
    struct p2m_entry hole;
    uint64_t mfn;
    long rc = find_client(c, op->u.share.client_domain, &client);

    if (rc)
        return rc;
    if (XENMEM_SHARING_OP_FIELD_IS_GREF(op->u.share.source_gfn))
        return -EINVAL;
    page = sharing_at(d, op->u.share.source_gfn);
    if (!page || page->handle != op->u.share.source_handle)
        return BAD_SOURCE;
    mfn = p2m_get(&d->p2m, op->u.share.source_gfn).mfn;
    hole = p2m_get(&client->p2m, op->u.share.client_gfn);
    /* A page that is out may have kept its frame for a program. */
    if (hole.type != P2M_INVALID && hole.mfn != HV_INVALID_MFN &&
        !shown_can_change(client, op->u.share.client_gfn, hole.mfn))
        return -E2BIG;
    rc = make_hole(client, op->u.share.client_gfn, hole);
    if (!rc)
        rc = sharing_add_user(client, op->u.share.client_gfn, mfn);
    if (!rc && hole.type != P2M_INVALID && hole.mfn != HV_INVALID_MFN)
        shown_change(client, op->u.share.client_gfn, hole.mfn, mfn, false);
    frames_flush_freed(c->hv);
    return rc;
}

/* ---- A range --------------------------------------------------------------------------------- */

static long share_one(struct hv_domain *d, struct hv_domain *client, uint64_t gfn)
{
    struct side source = { .d = d, .gfn = gfn }, other = { .d = client, .gfn = gfn };
    int rc = sharing_nominate(d, gfn, 0, &source.handle);

    if (!rc)
        rc = sharing_nominate(client, gfn, 0, &other.handle);
    return rc ? rc : share_pages(&source, &other);
}

/*
 * Pages that cannot be shared are passed over, and so are gfns where the source has nothing.
 * The last page's error is the answer, unless there is nothing that can be shared.
 */
static long share_range(struct hv_domain *d, struct hv_domain *client, uint64_t first,
                        uint64_t last)
{
    struct p2m_entry e;
    long rc = 0;

    for (uint64_t gfn = first; p2m_next(&d->p2m, &gfn, &e) && gfn <= last; gfn++) {
        rc = share_one(d, client, gfn);
        if (rc == -ENOMEM)
            return rc;
        if (gfn < last)
            rc = 0;
    }
    return rc == -EINVAL ? 0 : rc;
}

static long op_range_share(const struct hv_call *c, struct hv_domain *d,
                           struct xen_mem_sharing_op *op)
{
    struct mem_sharing_op_range *range = &op->u.range;
    uint64_t first = range->first_gfn, last = range->last_gfn, from = range->opaque;
    struct hv_domain *client;
    long rc;

    if (range->_pad[0] || range->_pad[1] || range->_pad[2])
        return -EINVAL;
    if (from && (from < first || from > last))
        return -EINVAL;
    rc = find_client(c, range->client_domain, &client);
    if (rc)
        return rc;
    if (!d->pauses || !client->pauses)
        return -EINVAL;
    if (first > d->p2m.max_gfn || last > d->p2m.max_gfn || first > client->p2m.max_gfn ||
        last > client->p2m.max_gfn)
        return -EINVAL;
    rc = share_range(d, client, from ? from : first, last);
    range->opaque = 0;
    return rc;
}

/* ---- All ------------------------------------------------------------------------------------- */

/* How many users of shared frames are not what the physmaps say. */
static long count_errors(const struct hv *hv)
{
    long errors = 0;

    for (uint64_t mfn = 1; mfn < hv->pool.top; mfn++) {
        const struct frame *f = frame_of(hv, mfn);

        if (!f->refs || !(f->flags & FRAME_SHARED))
            continue;
        for (const struct shared_user *user = f->shared->users; user; user = user->next)
            errors += user->lost;
    }
    return errors;
}

static long op_fork(const struct hv_call *c, struct hv_domain *d, struct xen_mem_sharing_op *op)
{
    return sharing_fork(c, d, &op->u.fork);
}

static long op_fork_reset(const struct hv_call *c, struct hv_domain *d,
                          struct xen_mem_sharing_op *op)
{
    (void)c;
    return sharing_fork_reset(d, &op->u.fork);
}

typedef long sharing_handler(const struct hv_call *c, struct hv_domain *d,
                             struct xen_mem_sharing_op *op);

static sharing_handler *find_handler(uint8_t number)
{
    static const struct {
        uint8_t number;
        sharing_handler *handler;
    } handlers[] = {
        { XENMEM_sharing_op_nominate_gfn, op_nominate_gfn },
        { XENMEM_sharing_op_nominate_gref, op_nominate_gref },
        { XENMEM_sharing_op_share, op_share },
        { XENMEM_sharing_op_debug_gfn, op_debug_gfn },
        { XENMEM_sharing_op_debug_gref, op_debug_gref },
        { XENMEM_sharing_op_add_physmap, op_add_physmap },
        { XENMEM_sharing_op_range_share, op_range_share },
        { XENMEM_sharing_op_fork, op_fork },
        { XENMEM_sharing_op_fork_reset, op_fork_reset },
    };

    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
        if (handlers[i].number == number)
            return handlers[i].handler;
    return NULL;
}

long memory_sharing_op(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    struct xen_mem_sharing_op op;
    sharing_handler *handler;
    struct hv_domain *d;
    long rc;

    (void)start;
    if (call_from_guest(c, &op, arg, sizeof op))
        return -EFAULT;
    /* Of nobody's memory in particular, so that nobody is asked. */
    if (op.op == XENMEM_sharing_op_audit)
        return count_errors(c->hv);
    rc = memory_live_remote(c, op.domain, &d);
    if (rc)
        return rc;
    if (d->guest != &guest_translated)
        return -EOPNOTSUPP;
    /* Whoever asks wants it to be on. */
    d->sharing = true;
    handler = find_handler(op.op);
    if (!handler)
        return -ENOSYS;
    rc = handler(c, d, &op);
    if (!rc && call_to_guest(c, arg, &op, sizeof op))
        rc = -EFAULT;
    return rc;
}
