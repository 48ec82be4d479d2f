/* SPDX-License-Identifier: MIT */
/* A map of gntdev after its mmap: unmapping, unmap notifications and the end. */
#include "gntdev_i.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <xen/sys/gntdev.h>

/* ---- Life of a map --------------------------------------------------------------------------- */

struct gntdev_map *gntdev_map_alloc(struct kernel *k, uint32_t count, int *rc)
{
    struct gntdev_map *map;

    *rc = -ENOMEM;
    if (count > MAX_SLOTS - slots_in_use(&k->slots))
        return NULL;
    map = calloc(1, sizeof *map);
    if (!map)
        return NULL;
    map->grants = malloc(count * sizeof *map->grants);
    if (!map->grants) {
        free(map);
        return NULL;
    }
    if (k->profile->gntdev_limit_is_total &&
        k->gntdev.nr_pages + count > (uint64_t)k->gntdev.limit) {
        gntdev_map_discard(map);
        return NULL;
    }
    map->k = k;
    map->count = count;
    *rc = 0;
    return map;
}

void gntdev_map_discard(struct gntdev_map *map)
{
    assert(!map->users && !map->live_grants);
    if (map->pages) {
        gnttab_free_pages(map->k, map->pages);
        map->k->gntdev.nr_pages -= map->count;
        DL_DELETE(map->k->gntdev.maps, map);
    }
    free(map->grants);
    free(map);
}

int gntdev_map_commit(struct gntdev_map *map)
{
    struct kernel *k = map->k;
    int rc = gnttab_alloc_pages(k, map->count, &map->pages);

    if (rc)
        return rc;
    k->gntdev.nr_pages += map->count;
    DL_PREPEND(k->gntdev.maps, map);
    return 0;
}

/* ---- Unmap notification ---------------------------------------------------------------------- */

static void clear_byte(struct gntdev_map *map, uint64_t first, uint64_t nr)
{
    uint64_t page = map->notify.at >> PAGE_SHIFT;
    unsigned char *data;

    if (page < first || page >= first + nr || !unmap_notify_clears(map->k, &map->notify))
        return;
    data = gnttab_page_data(map->k, map->pages, (unsigned)page);
    if (!data)
        return;
    /* The notification came before an mmap that turned out read-only. A real kernel would fault. */
    if (map->flags & GNTMAP_readonly) {
        kernel_log(map->k, "gntdev: no byte cleared in a read-only mapping");
        return;
    }
    __atomic_store_n(&data[map->notify.at & ~PAGE_MASK], 0, __ATOMIC_SEQ_CST);
}

/* ---- Unmapping ------------------------------------------------------------------------------- */

struct unmap_run {
    struct gnttab_unmap unmap;
    struct gntdev_map *map;
};

static void settle_handle(struct gntdev_map *map, grant_handle_t *handle, int16_t status)
{
    if (*handle == INVALID_GRANT_HANDLE)
        return;
    if (status != GNTST_okay && !map->k->dead)
        kernel_log(map->k, "gntdev: unmapping handle %u failed with %d", *handle, status);
    *handle = INVALID_GRANT_HANDLE;
    map->live_grants--;
}

static void settle_unmap(struct gntdev_map *map, const struct gnttab_unmap *u, int result)
{
    for (unsigned i = 0; i < u->nr; i++) {
        struct gntdev_grant *grant = &map->grants[u->first + i];

        settle_handle(map, &grant->handle, result ? GNTST_general_error : u->ops[i].status);
        if (u->kops)
            settle_handle(map, &grant->khandle, result ? GNTST_general_error : u->kops[i].status);
    }
}

static void unmap_run_free(struct unmap_run *run)
{
    free(run->unmap.ops);
    free(run->unmap.kops);
    free(run);
}

static void unmap_done(struct gnttab_unmap *u, int result)
{
    struct unmap_run *run = u->owner;
    struct gntdev_map *map = run->map;

    settle_unmap(map, u, result);
    unmap_run_free(run);
    gntdev_map_put(map);
}

static void fill_unmap(struct gntdev_map *map, struct gnttab_unmap *u)
{
    for (unsigned i = 0; i < u->nr; i++) {
        const struct gntdev_grant *grant = &map->grants[u->first + i];
        uint64_t addr = gnttab_page_addr(map->k, map->pages, u->first + i);

        u->ops[i] = (struct gnttab_unmap_grant_ref){
            .host_addr = u->kops ? gnttab_page_pte(map->pages, u->first + i) : addr,
            .handle = grant->handle,
        };
        if (u->kops)
            u->kops[i] = (struct gnttab_unmap_grant_ref){ .host_addr = addr,
                                                          .handle = grant->khandle };
    }
}

static struct unmap_run *unmap_run_alloc(struct gntdev_map *map, unsigned nr)
{
    struct unmap_run *run = calloc(1, sizeof *run);

    if (!run)
        return NULL;
    run->map = map;
    run->unmap.ops = calloc(nr, sizeof *run->unmap.ops);
    if (map->k->space)
        run->unmap.kops = calloc(nr, sizeof *run->unmap.kops);
    if (run->unmap.ops && (run->unmap.kops || !map->k->space))
        return run;
    unmap_run_free(run);
    return NULL;
}

/* A real kernel has the records for unmapping since the map was made. Without memory for them it is
 * done one by one, and nobody is waited for. */
static void unmap_one(struct gntdev_map *map, unsigned page)
{
    struct gnttab_unmap_grant_ref op, kop;
    struct gnttab_unmap u = {
        .ops = &op, .kops = map->k->space ? &kop : NULL, .first = page, .nr = 1
    };

    fill_unmap(map, &u);
    settle_unmap(map, &u, gnttab_unmap_refs(map->k, u.ops, u.kops, map->pages, page, 1));
}

static void unmap_run(struct gntdev_map *map, unsigned first, unsigned nr)
{
    struct unmap_run *run = unmap_run_alloc(map, nr);

    clear_byte(map, first, nr);
    if (!run) {
        for (unsigned i = 0; i < nr; i++)
            unmap_one(map, first + i);
        return;
    }
    run->unmap = (struct gnttab_unmap){
        .k = map->k, .ops = run->unmap.ops, .kops = run->unmap.kops, .pages = map->pages,
        .first = first, .nr = nr, .done = unmap_done, .owner = run
    };
    fill_unmap(map, &run->unmap);
    map->users++;
    gnttab_unmap_refs_async(&run->unmap);
}

void gntdev_unmap_pages(struct gntdev_map *map, uint64_t first, uint64_t nr)
{
    uint64_t end = first + nr;

    assert(end <= map->count);
    if (!map->live_grants)
        return;
    while (first < end) {
        uint64_t run = 0;

        while (first < end && map->grants[first].removed)
            first++;
        while (first + run < end && !map->grants[first + run].removed) {
            map->grants[first + run].removed = true;
            run++;
        }
        if (run)
            unmap_run(map, (unsigned)first, (unsigned)run);
        first += run;
    }
}

void gntdev_map_put(struct gntdev_map *map)
{
    assert(map->users);
    if (--map->users)
        return;
    if (!map->releasing) {
        /* A PV domain unmapped everything with its vma; others do so now, and may take time. */
        map->releasing = true;
        if (map->k->profile->event_before_unmap)
            unmap_notify_send(map->k, &map->notify);
        map->users = 1;
        gntdev_unmap_pages(map, 0, map->count);
        if (--map->users)
            return;
    }
    unmap_notify_send(map->k, &map->notify);
    gntdev_map_discard(map);
}

/* Handles and ports are gone. What user space set up stays, and ends as if there were still
 * something to unmap; a byte of a page that is not there cannot be cleared, the event of an unmap
 * notification is sent to the number. */
void gntdev_migrated(struct kernel *k)
{
    for (struct gntdev_map *map = k->gntdev.maps; map; map = map->next) {
        for (uint32_t i = 0; i < map->count; i++)
            map->grants[i].handle = map->grants[i].khandle = INVALID_GRANT_HANDLE;
        map->live_grants = 0;
        map->notify.holds_port = false;
    }
}

void gntdev_destroy(struct kernel *k)
{
    assert(k->dead);
    while (k->gntdev.maps) {
        struct gntdev_map *map = k->gntdev.maps;

        map->users = 0;
        map->live_grants = 0;
        gntdev_map_discard(map);
    }
}
