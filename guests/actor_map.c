/* SPDX-License-Identifier: MIT */
/* What an actor maps and copies of other domains. */
#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>

#include "actor_i.h"
#include "machine.h"

struct guest_mapping {
    struct actor_object object;
    struct actor *actor;               /* NULL: the actor is gone, done frees */
    struct actor_mapping about;
    struct kernel *k;
    struct gnttab_pages *pages;
    struct gnttab_map_grant_ref *ops;
    struct gnttab_unmap_grant_ref *unmap;
    struct gnttab_batch batch;
};

static void mapping_free(struct guest_mapping *m)
{
    if (!m)
        return;
    gnttab_free_pages(m->k, m->pages);
    free(m->ops);
    free(m->unmap);
    free(m);
}

/* Unmaps what is mapped of it. The first bad verdict, or the hypercall's error. */
static int unmap_all(struct guest_mapping *m, int16_t *status)
{
    *status = GNTST_okay;
    for (unsigned i = 0; i < m->about.nr;) {
        unsigned nr = 0;
        int rc;

        /* Runs of pages that are there: a batch as a driver makes it. */
        for (; i + nr < m->about.nr && m->ops[i + nr].status == GNTST_okay; nr++)
            m->unmap[nr] = (struct gnttab_unmap_grant_ref){ .host_addr = m->ops[i + nr].host_addr,
                                                            .handle = m->ops[i + nr].handle };
        if (!nr) {
            i++;
            continue;
        }
        rc = gnttab_unmap_refs(m->k, m->unmap, NULL, m->pages, i, nr);
        if (rc)
            return rc;
        for (unsigned j = 0; j < nr; j++) {
            if (m->unmap[j].status == GNTST_okay)
                m->ops[i + j].status = GNTST_bad_handle;     /* gone: not to be unmapped again */
            else if (*status == GNTST_okay)
                *status = m->unmap[j].status;
        }
        i += nr;
    }
    return 0;
}

/* Every element has a verdict: all or nothing. */
static void finish(struct guest_mapping *m, long rc)
{
    int16_t ignored;

    m->about.pending = false;
    m->about.status = rc ? GNTST_general_error : GNTST_okay;
    for (unsigned i = 0; i < m->about.nr && m->about.status == GNTST_okay; i++) {
        m->about.status = m->ops[i].status;
        m->about.index = i;
    }
    if (m->about.status != GNTST_okay)
        unmap_all(m, &ignored);
}

static void map_done(struct gnttab_batch *batch, int result)
{
    struct guest_mapping *m = batch->owner;

    if (m->actor)
        finish(m, result);
    else
        mapping_free(m);
}

static struct guest_mapping *mapping_new(struct actor *a, domid_t granter, const grant_ref_t *refs,
                                         unsigned nr, bool readonly)
{
    struct guest_mapping *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->actor = a;
    m->k = a->k;
    m->about = (struct actor_mapping){ .granter = granter, .readonly = readonly, .nr = nr };
    m->ops = calloc(nr, sizeof *m->ops);
    m->unmap = calloc(nr, sizeof *m->unmap);
    if (!m->ops || !m->unmap || gnttab_alloc_pages(a->k, nr, &m->pages)) {
        mapping_free(m);
        return NULL;
    }
    for (unsigned i = 0; i < nr; i++)
        m->ops[i] = (struct gnttab_map_grant_ref){ .host_addr = gnttab_page_addr(a->k, m->pages, i),
                                                   .ref = refs[i],
                                                   .dom = granter,
                                                   .flags = GNTMAP_host_map |
                                                            (readonly ? GNTMAP_readonly : 0),
                                                   .status = GNTST_general_error };
    m->batch = (struct gnttab_batch){
        .k = a->k, .ops = m->ops, .nr = nr, .done = map_done, .owner = m
    };
    return m;
}

int actor_map(struct actor *a, domid_t granter, const grant_ref_t *refs, unsigned nr, bool readonly,
              struct actor_mapping *out)
{
    struct guest_mapping *m = mapping_new(a, granter, refs, nr, readonly);
    long rc;

    if (!m)
        return -ENOMEM;
    m->about.id = m->object.id = a->next_mapping;
    if (actor_add(&a->mappings, &m->object)) {
        mapping_free(m);
        return -ENOMEM;
    }
    a->next_mapping++;
    rc = gnttab_map_refs(&m->batch, NULL, m->pages);
    if (rc == KERNEL_PENDING) {
        m->about.pending = true;
        *out = m->about;
        return 0;
    }
    finish(m, rc);
    *out = m->about;
    if (m->about.status != GNTST_okay) {
        out->id = 0;
        actor_remove(&a->mappings, &m->object);
        mapping_free(m);
    }
    return (int)rc;
}

int actor_mapping(struct actor *a, int64_t id, struct actor_mapping *out)
{
    struct guest_mapping *m = actor_find(&a->mappings, id);

    if (!m)
        return -ENOENT;
    *out = m->about;
    return 0;
}

int actor_unmap(struct actor *a, int64_t id, int16_t *status)
{
    struct guest_mapping *m = actor_find(&a->mappings, id);
    int rc = 0;

    *status = GNTST_okay;
    if (!m)
        return -ENOENT;
    if (m->about.pending)
        return -EBUSY;
    if (m->about.status == GNTST_okay)
        rc = unmap_all(m, status);
    if (rc || *status != GNTST_okay)
        return rc;
    actor_remove(&a->mappings, &m->object);
    mapping_free(m);
    return 0;
}

int actor_mapping_mfn(struct actor *a, int64_t id, uint64_t offset, bool write, uint64_t *mfn)
{
    struct guest_mapping *m = actor_find(&a->mappings, id);

    if (!m)
        return -ENOENT;
    if (m->about.pending || m->about.status != GNTST_okay)
        return -EAGAIN;
    if (offset / HV_PAGE_SIZE >= m->about.nr)
        return -ERANGE;
    if (write && m->about.readonly)
        return -EACCES;
    if (m->ops[offset / HV_PAGE_SIZE].status != GNTST_okay)
        return -EAGAIN;
    *mfn = m->ops[offset / HV_PAGE_SIZE].dev_bus_addr / HV_PAGE_SIZE;
    return 0;
}

void actor_mappings_destroy(struct actor *a)
{
    while (a->mappings) {
        struct guest_mapping *m = *(struct guest_mapping **)a->mappings;

        actor_remove(&a->mappings, &m->object);
        m->actor = NULL;
        if (!m->about.pending)
            mapping_free(m);       /* else the kernel completes it when it goes */
    }
}

static void mapping_gone(const void *node, VISIT visit, void *closure)
{
    struct guest_mapping *m = *(struct guest_mapping *const *)node;

    (void)closure;
    if ((visit != postorder && visit != leaf) || m->about.pending)
        return;
    for (unsigned i = 0; i < m->about.nr; i++)
        m->ops[i].status = GNTST_bad_handle;
}

/* Those that are being retried are the kernel's to end. */
void actor_mappings_migrated(struct actor *a)
{
    twalk_r(a->mappings, mapping_gone, NULL);
}

/* ---- Copies ---------------------------------------------------------------------------------- */

static int copy_end(struct actor *a, const struct actor_copy_end *from, struct gnttab_copy *op,
                    bool source)
{
    struct kernel_page *page = NULL;

    if (!from->foreign && !(page = actor_kernel_page(a, from->page)))
        return -ENOENT;
    if (source) {
        op->source.domid = from->foreign ? from->domain : DOMID_SELF;
        op->source.offset = from->offset;
        op->flags |= from->foreign ? GNTCOPY_source_gref : 0;
        if (from->foreign)
            op->source.u.ref = from->ref;
        else
            op->source.u.gmfn = kernel_page_frame(page);
    } else {
        op->dest.domid = from->foreign ? from->domain : DOMID_SELF;
        op->dest.offset = from->offset;
        op->flags |= from->foreign ? GNTCOPY_dest_gref : 0;
        if (from->foreign)
            op->dest.u.ref = from->ref;
        else
            op->dest.u.gmfn = kernel_page_frame(page);
    }
    return 0;
}

int actor_copy(struct actor *a, const struct actor_copy_end *source,
               const struct actor_copy_end *dest, uint16_t size, int16_t *status)
{
    struct gnttab_copy op = { .len = size, .status = GNTST_general_error };
    int rc = copy_end(a, source, &op, true);

    if (!rc)
        rc = copy_end(a, dest, &op, false);
    if (!rc)
        rc = (int)hv_grant_table_op(a->hv, a->d->id, GNTTABOP_copy, &op, 1);
    *status = op.status;
    return rc;
}
