/* SPDX-License-Identifier: MIT */
/*
 * Allocates the handles of a domain's mappings in Xen's order: a FIFO whose last element stays. A
 * domain has one vCPU here, so there is one list.
 */
#include "hv_i.h"

int maptrack_init(struct hv_domain *d, const struct hv_domain_config *config)
{
    const struct hv_profile *profile = d->hv->profile;

    d->maptrack = (struct maptrack){ .head = NO_HANDLE,
                                     .tail = NO_HANDLE,
                                     .max_frames = profile->max_maptrack_frames };
    if (config->max_maptrack_frames >= 0)
        d->maptrack.max_frames = (unsigned)config->max_maptrack_frames;
    if (profile->limits_are_upper_bounds && d->maptrack.max_frames > profile->max_maptrack_frames)
        return -EINVAL;
    return 0;
}

void maptrack_destroy(struct hv_domain *d)
{
    struct maptrack *mt = &d->maptrack;

    for (unsigned i = 0; i < mt->nr_frames; i++)
        free(mt->frames[i]);
    free(mt->frames);
    *mt = (struct maptrack){ .head = NO_HANDLE, .tail = NO_HANDLE };
}

/* A new frame: its first entry is the result, the others go before what is in the list. */
uint32_t maptrack_add_frame(struct hv_domain *d)
{
    struct maptrack *mt = &d->maptrack;
    uint32_t first = maptrack_limit(mt);
    struct maptrack_entry **frames, *frame;

    if (mt->nr_frames >= mt->max_frames)
        return NO_HANDLE;
    /* Room for the pointers is made in powers of two. */
    if ((mt->nr_frames & (mt->nr_frames - 1)) == 0) {
        frames = hv_grow(d->hv, mt->frames, mt->nr_frames, mt->nr_frames ? mt->nr_frames * 2 : 1,
                         sizeof *frames);
        if (!frames)
            return NO_HANDLE;
        mt->frames = frames;
    }
    frame = hv_alloc(d->hv, MAPTRACK_PER_FRAME, sizeof *frame);
    if (!frame)
        return NO_HANDLE;
    for (unsigned i = 1; i < MAPTRACK_PER_FRAME - 1; i++)
        frame[i].ref = first + i + 1;
    frame[MAPTRACK_PER_FRAME - 1].ref = mt->head;
    mt->frames[mt->nr_frames++] = frame;
    mt->head = first + 1;
    if (mt->tail == NO_HANDLE)
        mt->tail = first + MAPTRACK_PER_FRAME - 1;
    return first;
}
