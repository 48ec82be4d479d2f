/* SPDX-License-Identifier: MIT */
/*
 * Writes grant entries of both versions into the shared frames. The peer and the hypervisor read
 * them at any time, so the order of writes and the atomicity of flags matter.
 */
#include "kernel_i.h"

#define IN_USE (GTF_reading | GTF_writing)

_Static_assert(sizeof(grant_entry_v1_t) == 8, "entry size is ABI");
_Static_assert(sizeof(union grant_entry_v2) == 16, "entry size is ABI");
_Static_assert(sizeof(grant_status_t) == 2, "status size is ABI");

unsigned grant_entries_per_frame(unsigned version)
{
    return PAGE_SIZE / (version == 2 ? sizeof(union grant_entry_v2) : sizeof(grant_entry_v1_t));
}

static grant_entry_v1_t *entry_v1(const struct kernel *k, grant_ref_t ref)
{
    unsigned per = grant_entries_per_frame(1);
    grant_entry_v1_t *frame = k->dead ? NULL : hv_grant_frame(k->hv, k->domid, ref / per);

    return frame ? frame + ref % per : NULL;
}

static union grant_entry_v2 *entry_v2(const struct kernel *k, grant_ref_t ref)
{
    unsigned per = grant_entries_per_frame(2);
    union grant_entry_v2 *frame = k->dead ? NULL : hv_grant_frame(k->hv, k->domid, ref / per);

    return frame ? frame + ref % per : NULL;
}

static grant_status_t *status_v2(const struct kernel *k, grant_ref_t ref)
{
    unsigned per = PAGE_SIZE / sizeof(grant_status_t);
    grant_status_t *frame = k->dead ? NULL : hv_status_frame(k->hv, k->domid, ref / per);

    return frame ? frame + ref % per : NULL;
}

static bool write_v1(struct kernel *k, grant_ref_t ref, domid_t domid, uint64_t frame,
                     uint16_t flags)
{
    grant_entry_v1_t *entry = entry_v1(k, ref);

    if (!entry)
        return false;
    __atomic_store_n(&entry->domid, domid, __ATOMIC_RELAXED);
    __atomic_store_n(&entry->frame, (uint32_t)frame, __ATOMIC_RELAXED);
    __atomic_store_n(&entry->flags, flags, __ATOMIC_RELEASE);
    return true;
}

static bool write_v2(struct kernel *k, grant_ref_t ref, domid_t domid, uint64_t frame,
                     uint16_t flags)
{
    union grant_entry_v2 *entry = entry_v2(k, ref);

    if (!entry)
        return false;
    __atomic_store_n(&entry->hdr.domid, domid, __ATOMIC_RELAXED);
    __atomic_store_n(&entry->full_page.frame, frame, __ATOMIC_RELAXED);
    __atomic_store_n(&entry->hdr.flags, flags, __ATOMIC_RELEASE);
    return true;
}

static void tell(struct kernel *k, grant_ref_t ref, const struct kernel_grant *grant)
{
    const struct kernel_hooks *hooks = k->config.hooks;

    if (hooks && hooks->grant)
        hooks->grant(k->config.ctx, ref, grant);
}

bool grant_entry_write(struct kernel *k, grant_ref_t ref, domid_t domid, uint64_t frame,
                       uint16_t flags)
{
    struct kernel_grant grant = { .to = domid, .frame = frame, .flags = flags };

    if (!(k->gnttab.version == 2 ? write_v2 : write_v1)(k, ref, domid, frame, flags))
        return false;
    tell(k, ref, &grant);
    return true;
}

static bool end_v1(struct kernel *k, grant_ref_t ref)
{
    grant_entry_v1_t *entry = entry_v1(k, ref);
    uint16_t flags;

    if (!entry)
        return true;
    flags = __atomic_load_n(&entry->flags, __ATOMIC_RELAXED);
    do {
        if (flags & IN_USE)
            return false;
    } while (!__atomic_compare_exchange_n(&entry->flags, &flags, 0, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    return true;
}

static bool end_v2(struct kernel *k, grant_ref_t ref)
{
    union grant_entry_v2 *entry = entry_v2(k, ref);
    grant_status_t *status = status_v2(k, ref);

    if (!entry || !status)
        return true;
    /* From here on nobody can begin to use it; is somebody doing so already? An exchange is the
     * barrier in between, and one that ThreadSanitizer understands. */
    __atomic_exchange_n(&entry->hdr.flags, 0, __ATOMIC_SEQ_CST);
    return !(__atomic_load_n(status, __ATOMIC_SEQ_CST) & IN_USE);
}

bool grant_entry_end(struct kernel *k, grant_ref_t ref)
{
    if (!(k->gnttab.version == 2 ? end_v2 : end_v1)(k, ref))
        return false;
    tell(k, ref, NULL);
    return true;
}

bool grant_entry_in_use(struct kernel *k, grant_ref_t ref)
{
    grant_entry_v1_t *v1 = k->gnttab.version == 2 ? NULL : entry_v1(k, ref);
    grant_status_t *status = k->gnttab.version == 2 ? status_v2(k, ref) : NULL;

    if (v1)
        return __atomic_load_n(&v1->flags, __ATOMIC_ACQUIRE) & IN_USE;
    return status && __atomic_load_n(status, __ATOMIC_ACQUIRE) & IN_USE;
}

bool grant_entry_read(const struct kernel *k, grant_ref_t ref, struct grant_entry_view *view)
{
    const grant_entry_v1_t *v1 = k->gnttab.version == 2 ? NULL : entry_v1(k, ref);
    const union grant_entry_v2 *v2 = k->gnttab.version == 2 ? entry_v2(k, ref) : NULL;

    if (v1)
        *view = (struct grant_entry_view){ v1->flags, v1->domid, v1->frame };
    else if (v2)
        *view = (struct grant_entry_view){ v2->hdr.flags, v2->hdr.domid, v2->full_page.frame };
    return v1 || v2;
}
