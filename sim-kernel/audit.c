/* SPDX-License-Identifier: MIT */
/* Compares the kernel's books with the hypervisor's. */
#include <stdarg.h>
#include <stdlib.h>

#include "gntdev_i.h"

void audit_fail(struct kernel_audit *audit, const char *format, ...)
{
    va_list ap;

    audit->violations++;
    if (!audit->out)
        return;
    fprintf(audit->out, "kernel of domain %u: ", audit->k->domid);
    va_start(ap, format);
    vfprintf(audit->out, format, ap);
    va_end(ap);
    fputc('\n', audit->out);
}

/* Every reference is free once, or used; the free ones grant nothing. */
static void audit_free_list(struct kernel_audit *audit)
{
    const struct gnttab *t = &audit->k->gnttab;
    struct grant_entry_view entry;
    uint32_t listed = 0, marked = 0;

    for (grant_ref_t ref = t->free_head; ref != GREF_LIST_END; ref = t->link[ref]) {
        if (ref >= t->fresh || t->state[ref] != REF_FREE || ++listed > t->nr_refs) {
            audit_fail(audit, "the free list of references is broken at %u", ref);
            return;
        }
    }
    listed += t->nr_backed > t->fresh ? t->nr_backed - t->fresh : 0;
    for (grant_ref_t ref = GNTTAB_NR_RESERVED_ENTRIES; ref < t->nr_refs; ref++) {
        if (t->state[ref] != REF_FREE)
            continue;
        marked++;
        if (!grant_entry_read(audit->k, ref, &entry))
            audit_fail(audit, "reference %u is free, but the table has no entry for it", ref);
        else if (entry.flags)
            audit_fail(audit, "reference %u is free, but its entry has flags %#x", ref,
                       entry.flags);
    }
    if (listed != marked || listed != t->nr_free)
        audit_fail(audit, "%u references are in the free list, %u are marked free, %u are counted",
                   listed, marked, t->nr_free);
}

static void audit_deferred(struct kernel_audit *audit)
{
    const struct gnttab *t = &audit->k->gnttab;
    uint64_t nr = 0;

    for (const struct gnttab_deferred *entry = t->deferred; entry; entry = entry->next, nr++)
        if (t->state[entry->ref] != REF_USED)
            audit_fail(audit, "reference %u waits for its peer, but is free", entry->ref);
    if (nr != t->nr_deferred)
        audit_fail(audit, "%llu references wait for their peers, but %llu are counted",
                   (unsigned long long)nr, (unsigned long long)t->nr_deferred);
    if (nr && !t->deferred_timer.kernel)
        audit_fail(audit, "references wait for their peers, but no timer runs");
}

void gnttab_audit(struct kernel_audit *audit)
{
    const struct kernel *k = audit->k;

    if (hv_nr_grant_frames(k->hv, k->domid) < k->gnttab.nr_frames)
        audit_fail(audit, "%u grant frames, but the hypervisor has %u", k->gnttab.nr_frames,
                   hv_nr_grant_frames(k->hv, k->domid));
    audit_free_list(audit);
    audit_deferred(audit);
}

/* False only if the hypervisor knows it as something else, or not at all. */
static bool audit_handle(struct kernel_audit *audit, const struct gntdev_map *map, uint32_t i,
                         grant_handle_t handle, uint64_t *live)
{
    const struct gntdev_grant *grant = &map->grants[i];
    struct hv_mapping_info info;

    if (handle == INVALID_GRANT_HANDLE)
        return true;
    (*live)++;
    if (hv_mapping_next(audit->k->hv, audit->k->domid, handle, &info) || info.handle != handle) {
        audit_fail(audit,
                   "gntdev page %u of map %#llx has handle %u, which the hypervisor does not know",
                   i, (unsigned long long)map->index, handle);
        return false;
    }
    if (info.granter != grant->domid || info.ref != grant->ref) {
        audit_fail(audit, "gntdev page %u of map %#llx: handle %u is of reference %u of domain %u",
                   i, (unsigned long long)map->index, handle, info.ref, info.granter);
        return false;
    }
    return true;
}

void gntdev_audit(struct kernel_audit *audit)
{
    const struct kernel *k = audit->k;
    uint64_t nr_pages = 0;

    for (const struct gntdev_map *map = k->gntdev.maps; map; map = map->next) {
        uint64_t live = 0;

        nr_pages += map->count;
        for (uint32_t i = 0; i < map->count; i++) {
            bool known = audit_handle(audit, map, i, map->grants[i].handle, &live);

            audit_handle(audit, map, i, map->grants[i].khandle, &live);
            if (k->space && known && map->grants[i].handle != INVALID_GRANT_HANDLE &&
                map->pages->mfn[i] != HV_INVALID_MFN &&
                pv_space_pte_mfn(k->space, map->pages->slot[i]) != map->pages->mfn[i])
                audit_fail(audit, "gntdev page %u of map %#llx: another frame is mapped there", i,
                           (unsigned long long)map->index);
        }
        if (live != map->live_grants)
            audit_fail(audit, "gntdev map %#llx has %llu live grants, but counts %llu",
                       (unsigned long long)map->index, (unsigned long long)live,
                       (unsigned long long)map->live_grants);
        if (map->users < map->vmas)
            audit_fail(audit, "gntdev map %#llx has fewer users than mappings",
                       (unsigned long long)map->index);
    }
    if (nr_pages != k->gntdev.nr_pages)
        audit_fail(audit, "gntdev counts %llu pages but has %llu",
                   (unsigned long long)k->gntdev.nr_pages, (unsigned long long)nr_pages);
}

static void audit_pages(struct kernel_audit *audit)
{
    const struct kernel *k = audit->k;
    struct hv_domain_info info;
    int64_t has;

    if (hv_domain_info(k->hv, k->domid, &info)) {
        audit_fail(audit, "the hypervisor does not know the domain");
        return;
    }
    has = (int64_t)(info.tot_pages + info.shared_pages) + info.paged_pages;
    if (has < (int64_t)k->nr_pages)
        audit_fail(audit, "%llu pages in use, but the domain has %lld",
                   (unsigned long long)k->nr_pages, (long long)has);
}

unsigned kernel_audit(const struct kernel *k, FILE *out)
{
    static void (*const checks[])(struct kernel_audit *) = {
        audit_pages, gnttab_audit, events_audit, gntdev_audit, gntalloc_audit,
    };
    struct kernel_audit audit = { .k = k, .out = out };

    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](&audit);
    return audit.violations;
}
