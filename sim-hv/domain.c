/* SPDX-License-Identifier: MIT */
/* Creates and destroys domains, and keeps dead ones while others hold their frames. */
#include "hv_i.h"
#include "sharing_i.h"
#include "xen_arch.h"

#define P2M_MIN_NODES 4096u      /* as the paging pool that a toolstack gives a domain at least */

void hv_domain_config_init(struct hv_domain_config *config)
{
    *config = (struct hv_domain_config){ .max_grant_frames = -1, .max_maptrack_frames = -1 };
}

static int dir_set(struct hv *hv, domid_t id, struct hv_domain *d)
{
    struct hv_domain ***dir = &hv->domains[id >> DOMID_DIR_BITS];

    if (!*dir)
        *dir = hv_alloc(hv, DOMID_DIR_SIZE, sizeof **dir);
    if (!*dir)
        return -ENOMEM;
    (*dir)[id % DOMID_DIR_SIZE] = d;
    return 0;
}

static void release_pages(struct hv_domain *d)
{
    uint32_t mfn, next;

    for (mfn = d->pages; mfn; mfn = next) {
        next = frame_of(d->hv, mfn)->next;
        frame_of(d->hv, mfn)->gfn = NO_GFN;
        frame_drop_allocated(d->hv, mfn);
    }
}

/* The end of a domain that owns no page any more, in whatever state its creation was. */
static void domain_free(struct hv_domain *d)
{
    assert(d->nr_owned == 0 && d->maptrack.in_use == 0);
    hostmap_destroy(&d->hostmap);
    p2m_destroy(&d->p2m);
    evtchn_destroy(d);
    maptrack_destroy(d);
    gnttab_destroy(d);
    if (d->shared_info)
        frame_drop_allocated(d->hv, d->shared_info_mfn);
    d->hv->domains[d->id >> DOMID_DIR_BITS][d->id % DOMID_DIR_SIZE] = NULL;
    free(d);
}

static int give_shared_info(struct hv_domain *d)
{
    int rc = frame_alloc(d->hv, &d->shared_info_mfn);

    if (rc)
        return rc;
    frame_assign_xenheap(d, d->shared_info_mfn);
    d->shared_info = frame_data(d->hv, d->shared_info_mfn);
    return 0;
}

static int give_memory(struct hv_domain *d, uint64_t nr_pages)
{
    for (uint64_t i = 0; i < nr_pages; i++) {
        int64_t gfn = hv_page_alloc(d->hv, d->id, NULL);

        if (gfn < 0)
            return (int)gfn;
    }
    return 0;
}

int hv_domain_create(struct hv *hv, domid_t id, const struct hv_domain_config *config)
{
    uint64_t max_pages = config->max_pages ? config->max_pages : config->nr_pages + 1024;
    struct hv_domain *d;
    int rc;

    assert(config);
    if (id >= DOMID_FIRST_RESERVED || config->nr_pages > hv->nr_frames ||
        config->nr_pages > max_pages)
        return -EINVAL;
    if (domain_lookup(hv, id))
        return -EEXIST;
    d = hv_alloc(hv, 1, sizeof *d);
    if (!d)
        return -ENOMEM;
    *d = (struct hv_domain){
        .hv = hv,
        .id = id,
        .privileged = config->privileged,
        .guest = config->auto_translated ? &guest_translated : &guest_pv,
        .pv_ops = config->auto_translated ? NULL : config->pv_ops,
        .pv_ctx = config->pv_ctx,
        .p2m = { .max_nodes = P2M_MIN_NODES + config->nr_pages / 256,
                 .default_access = XENMEM_access_rwx },
        .max_pages = config->max_pages ? config->max_pages : config->nr_pages + 1024,
        .arch = arch_domain_config(config->auto_translated, config->is_hvm),
        .nr_vcpus = 1,
        .max_vcpus = 1,
        .config = *config,
    };
    rc = dir_set(hv, id, d);
    if (rc) {
        free(d);
        return rc;
    }
    rc = evtchn_init(d, config);
    if (!rc)
        rc = gnttab_init(d, config);
    if (!rc)
        rc = maptrack_init(d, config);
    if (!rc)
        rc = give_shared_info(d);
    if (!rc)
        rc = give_memory(d, config->nr_pages);
    if (rc) {
        d->life = DOMAIN_DEAD;
        d->reap_queued = true;        /* freed right here */
        release_pages(d);
        domain_free(d);
        frames_flush_freed(hv);
    }
    return rc;
}

/* Whether only the hypervisor holds the hypervisor's frames of d: others may have mapped them. */
static bool xenheap_unused(const struct hv_domain *d)
{
    const struct hv *hv = d->hv;

    for (unsigned i = 0; i < d->gt.nr_frames; i++)
        if (frame_of(hv, d->gt.frames[i].mfn)->refs > 1)
            return false;
    for (unsigned i = 0; i < d->gt.nr_status; i++)
        if (frame_of(hv, d->gt.status[i].mfn)->refs > 1)
            return false;
    return frame_of(hv, d->shared_info_mfn)->refs == 1;
}

void domain_queue_reap(struct hv_domain *d)
{
    assert(domain_dying(d));
    if (d->reap_queued)
        return;
    d->reap_queued = true;
    d->next_reap = d->hv->reap;
    d->hv->reap = d;
}

void hv_reap(struct hv *hv)
{
    struct hv_domain *d;

    while ((d = hv->reap)) {
        hv->reap = d->next_reap;
        d->reap_queued = false;
        if (d->life != DOMAIN_DEAD || d->nr_owned || d->gt.nr_mapped || d->nr_forks ||
            !xenheap_unused(d))
            continue;
        d->reap_queued = true;
        domain_free(d);
        evtchn_send_global_virq(hv, VIRQ_DOM_EXC);
    }
    frames_flush_freed(hv);
}

/* The physmap is gone: the hypervisor's frames are in sight nowhere any more. */
static void forget_placements(struct hv_domain *d)
{
    for (unsigned i = 0; i < d->gt.nr_frames; i++)
        frame_of(d->hv, d->gt.frames[i].mfn)->gfn = NO_GFN;
    for (unsigned i = 0; i < d->gt.nr_status; i++)
        frame_of(d->hv, d->gt.status[i].mfn)->gfn = NO_GFN;
    frame_of(d->hv, d->shared_info_mfn)->gfn = NO_GFN;
}

void domain_kill_begin(struct hv_domain *d)
{
    assert(!domain_dying(d));
    d->life = DOMAIN_DYING;
    gnttab_release_mappings(d);
    foreign_release_all(d);
}

void domain_kill_end(struct hv_domain *d)
{
    assert(d->life == DOMAIN_DYING);
    vm_event_close_all(d);
    evtchn_close_all(d);
    sharing_release_all(d);
    sharing_leave_parent(d);
    hostmap_destroy(&d->hostmap);
    p2m_destroy(&d->p2m);
    forget_placements(d);
    release_pages(d);
    d->life = DOMAIN_DEAD;
    evtchn_send_global_virq(d->hv, VIRQ_DOM_EXC);
    domain_queue_reap(d);
}

void domain_kill(struct hv_domain *d)
{
    domain_kill_begin(d);
    domain_kill_end(d);
}

int hv_domain_destroy(struct hv *hv, domid_t id)
{
    struct hv_domain *d = domain_lookup(hv, id);

    if (!d)
        return -ESRCH;
    if (domain_dying(d))
        return 0;
    domain_kill(d);
    hv_reap(hv);
    return 0;
}

void hv_destroy(struct hv *hv)
{
    int id;

    if (!hv)
        return;
    hv->hooks = (struct hv_hooks){ .upcall = NULL };
    for (id = 0; (id = hv_domain_next(hv, id)) >= 0; id++)
        hv_domain_destroy(hv, (domid_t)id);
    assert(hv_domain_next(hv, 0) < 0);
    for (size_t i = 0; i < sizeof hv->domains / sizeof *hv->domains; i++)
        free(hv->domains[i]);
    frames_destroy(hv);
    free(hv);
}

int hv_domain_state(const struct hv *hv, domid_t id)
{
    const struct hv_domain *d = domain_lookup(hv, id);

    if (!d)
        return -ESRCH;
    return domain_dying(d) ? 1 : 0;
}

int hv_domain_boot(struct hv *hv, domid_t id, const struct hv_pv_ops *pv_ops, void *pv_ctx)
{
    struct hv_domain *d = domain_lookup(hv, id);

    if (!d || domain_dying(d))
        return -ESRCH;
    if (!d->is_bare)
        return -EEXIST;
    if (d->pauses || !d->nr_vcpus)
        return -EAGAIN;
    d->is_bare = false;
    d->config.keeps_frames = true;
    if (d->guest == &guest_pv) {
        d->pv_ops = pv_ops;
        d->pv_ctx = pv_ctx;
    }
    return 0;
}

void hv_domain_halt(struct hv *hv, domid_t id)
{
    struct hv_domain *d = domain_lookup(hv, id);

    d->is_bare = true;
    d->pv_ops = NULL;
}

int hv_domain_set_limits(struct hv *hv, domid_t id, int32_t max_grant_frames,
                         int32_t max_maptrack_frames)
{
    const struct hv_profile *profile = hv->profile;
    struct hv_domain *d = domain_lookup(hv, id);

    if (!d || domain_dying(d))
        return -ESRCH;
    if (max_grant_frames == 0 || max_grant_frames < -1 || max_maptrack_frames < -1)
        return -EINVAL;
    if (profile->limits_are_upper_bounds &&
        (max_grant_frames > (int64_t)profile->max_grant_frames ||
         max_maptrack_frames > (int64_t)profile->max_maptrack_frames))
        return -EINVAL;
    if ((max_grant_frames > 0 && (unsigned)max_grant_frames < d->gt.nr_frames) ||
        (max_maptrack_frames >= 0 && (unsigned)max_maptrack_frames < d->maptrack.nr_frames))
        return -EBUSY;
    if (max_grant_frames > 0)
        d->gt.max_frames = (unsigned)max_grant_frames;
    if (max_maptrack_frames >= 0)
        d->maptrack.max_frames = (unsigned)max_maptrack_frames;
    return 0;
}

int hv_domain_next(const struct hv *hv, int from)
{
    for (int id = from < 0 ? 0 : from; id < (int)DOMID_FIRST_RESERVED; id++) {
        if (!hv->domains[id >> DOMID_DIR_BITS]) {
            id |= DOMID_DIR_SIZE - 1;
            continue;
        }
        if (domain_lookup(hv, (domid_t)id))
            return id;
    }
    return -1;
}

void domain_crash(struct hv_domain *d, const char *why)
{
    if (d->crashed)
        return;
    d->crashed = true;
    if (d->hv->hooks.crashed)
        d->hv->hooks.crashed(d->hv->hook_ctx, d->id, why);
}
