/* SPDX-License-Identifier: MIT */
/*
 * What the elements of a batch will touch is asked for together: with many domains nothing of it is in a cache, and one
 * element after the other would wait for memory alone. Nothing is changed, and nothing that is read here is believed.
 */
#include "gnttab_entry_i.h"

void gnttab_map_ahead(const struct call *c, uint64_t uop, unsigned nr)
{
    const struct maptrack *mt = &c->d->maptrack;
    const struct hostmap *map = &c->d->hostmap;
    struct last_domain last = NO_DOMAIN_YET;
    struct entry e[GNTTAB_AHEAD];
    uint32_t handle = mt->head;
    unsigned found = 0;

    assert(nr <= GNTTAB_AHEAD);
    for (; nr; nr--, uop += sizeof(struct gnttab_map_grant_ref)) {
        struct domain *rd;
        uint64_t host_addr;
        uint32_t ref;
        domid_t dom;

        LOAD_FIELD(host_addr, uop, struct gnttab_map_grant_ref, host_addr);
        LOAD_FIELD(ref, uop, struct gnttab_map_grant_ref, ref);
        LOAD_FIELD(dom, uop, struct gnttab_map_grant_ref, dom);
        if (handle != mt->tail)
            handle = maptrack_entry(mt, handle)->ref;
        if (map->slots)
            __builtin_prefetch(hostmap_home(map, host_addr / HV_PAGE_SIZE), 1);
        rd = domain_lookup_again(c->hv, &last, dom);
        if (!rd || !grant_ref_okay(&rd->gt, ref))
            continue;
        e[found] = entry_at(rd, ref);
        __builtin_prefetch(e[found].header, 1);
        __builtin_prefetch(e[found].act, 1);
        found++;
    }
    for (unsigned i = 0; i < found; i++) {
        uint64_t frame = read_frame(&e[i]).frame;

        if (frame < c->hv->nr_frames)
            __builtin_prefetch(&c->hv->frames[frame], 1);
    }
}
