/* SPDX-License-Identifier: MIT */
/* Creates and destroys a machine; holds the hypervisor profiles and the model's allocator. */
#include "hv_i.h"

const struct hv_profile hv_profile_xen_4_17 = {
    .name = "xen-4.17",
    .extraversion = ".7",
    .copy_len0_is_okay = false,
    .cache_flush_on_x86 = true,
    .global_virq_needs_handler = false,
    .max_grant_frames = 64,
    .max_maptrack_frames = 1024,
    .limits_are_upper_bounds = true,
};
const struct hv_profile hv_profile_xen_4_20 = {
    .name = "xen-4.20",
    .extraversion = ".4",
    .copy_len0_is_okay = true,
    .cache_flush_on_x86 = true,
    .global_virq_needs_handler = false,
    .max_grant_frames = 64,
    .max_maptrack_frames = 1024,
    .limits_are_upper_bounds = false,
};
const struct hv_profile hv_profile_xen_4_23 = {
    .name = "xen-4.23",
    .extraversion = "-unstable",
    .copy_len0_is_okay = true,
    .cache_flush_on_x86 = false,
    .global_virq_needs_handler = true,
    .max_grant_frames = 64,
    .max_maptrack_frames = 1024,
    .limits_are_upper_bounds = false,
};

const struct hv_profile *const hv_profiles[] = { &hv_profile_xen_4_17, &hv_profile_xen_4_20,
                                                 &hv_profile_xen_4_23, NULL };

const struct hv_profile *hv_profile_find(const char *name)
{
    for (const struct hv_profile *const *p = hv_profiles; *p; p++)
        if (!strcmp((*p)->name, name))
            return *p;
    return NULL;
}

void *hv_alloc(struct hv *hv, size_t nr, size_t size)
{
    if (hv->fail_alloc >= 0 && hv->fail_alloc-- == 0)
        return NULL;
    return calloc(nr, size);
}

void *hv_grow(struct hv *hv, void *array, size_t old_nr, size_t new_nr, size_t size)
{
    void *bigger;

    assert(new_nr >= old_nr);
    if (hv->fail_alloc >= 0 && hv->fail_alloc-- == 0)
        return NULL;
    bigger = reallocarray(array, new_nr, size);
    if (bigger)
        memset((char *)bigger + old_nr * size, 0, (new_nr - old_nr) * size);
    return bigger;
}

int hv_create(struct hv **out, const struct hv_config *config)
{
    struct hv *hv;
    int rc;

    assert(out && config);
    if (!config->memory || (uintptr_t)config->memory % HV_PAGE_SIZE)
        return -EINVAL;
    if (config->nr_frames < 16 || config->nr_frames > MAX_FRAMES)
        return -EINVAL;
    hv = calloc(1, sizeof *hv);
    if (!hv)
        return -ENOMEM;
    hv->memory = config->memory;
    hv->nr_frames = config->nr_frames;
    hv->profile = config->profile ? config->profile : &hv_profile_xen_4_17;
    hv->hooks = config->hooks;
    hv->hook_ctx = config->hook_ctx;
    hv_set_trace(hv, config->hooks.trace);
    hv->fail_alloc = -1;
    rc = frames_init(hv);
    if (rc) {
        hv_destroy(hv);
        return rc;
    }
    *out = hv;
    return 0;
}

const struct hv_profile *hv_profile(const struct hv *hv)
{
    return hv->profile;
}

void *hv_frame(const struct hv *hv, uint64_t mfn)
{
    return mfn < hv->nr_frames ? frame_data(hv, mfn) : NULL;
}
