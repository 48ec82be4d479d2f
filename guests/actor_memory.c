/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes an actor's pages, mappings and grant entries without a hypercall. Other guests
 * write there at the same time, so each word moves whole.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "actor_i.h"
#include "machine.h"

void *actor_frame(struct actor *a, uint64_t mfn)
{
    return hv_frame(a->hv, mfn);
}

/* The page that the domain grants with a reference: its own memory, whoever allocated it. */
static int granted_mfn(struct actor *a, int64_t ref, uint64_t *mfn)
{
    struct hv_domain_info domain;
    struct actor_entry entry;
    struct hv_frame_info frame;

    if (ref < 0 || ref > UINT32_MAX || actor_entry_read(a, (grant_ref_t)ref, &entry) ||
        (entry.flags & GTF_type_mask) != GTF_permit_access ||
        hv_domain_info(a->hv, a->d->id, &domain))
        return -ENOENT;
    *mfn = entry.frame;
    if (domain.auto_translated && hv_gfn_to_mfn(a->hv, a->d->id, entry.frame, mfn))
        return -ENOENT;
    return hv_frame_info(a->hv, *mfn, &frame) || frame.owner != a->d->id ? -ENOENT : 0;
}

int actor_mfn(struct actor *a, const struct actor_place *place, bool write, uint64_t *mfn)
{
    struct kernel_page *page;

    if (place->kind == ACTOR_MAPPING)
        return actor_mapping_mfn(a, place->id, place->offset, write, mfn);
    if (place->offset >= HV_PAGE_SIZE)
        return -ERANGE;
    if (place->kind == ACTOR_REF)
        return granted_mfn(a, place->id, mfn);
    page = actor_kernel_page(a, place->id);
    if (!page)
        return -ENOENT;
    *mfn = kernel_page_mfn(page);
    return 0;
}

/* Words where both sides are aligned, else bytes: one access of a peer sees one write. */
static void move(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    while (size) {
        size_t misaligned = ((uintptr_t)t | (uintptr_t)f) & 7, piece = 1;

        if (!misaligned && size >= 8) {
            __atomic_store_n((uint64_t *)(void *)t,
                             __atomic_load_n((const uint64_t *)(const void *)f, __ATOMIC_RELAXED),
                             __ATOMIC_RELAXED);
            piece = 8;
        } else if (!(misaligned & 3) && size >= 4) {
            __atomic_store_n((uint32_t *)(void *)t,
                             __atomic_load_n((const uint32_t *)(const void *)f, __ATOMIC_RELAXED),
                             __ATOMIC_RELAXED);
            piece = 4;
        } else if (!(misaligned & 1) && size >= 2) {
            __atomic_store_n((uint16_t *)(void *)t,
                             __atomic_load_n((const uint16_t *)(const void *)f, __ATOMIC_RELAXED),
                             __ATOMIC_RELAXED);
            piece = 2;
        } else {
            __atomic_store_n(t, __atomic_load_n(f, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
        }
        t += piece;
        f += piece;
        size -= piece;
    }
}

/* All or nothing: the whole range is looked up before the first byte is moved. */
static int check(struct actor *a, struct actor_place place, size_t size, bool write)
{
    uint64_t end = place.offset + size, mfn;
    int rc = 0;

    if (size > ACTOR_MAX_ACCESS || end < place.offset)
        return -ERANGE;
    for (; !rc && place.offset < end; place.offset = (place.offset | (HV_PAGE_SIZE - 1)) + 1)
        rc = actor_mfn(a, &place, write, &mfn);
    return rc;
}

/*
 * The bytes of the caller's buffer begin at any address: an aligned copy of each page's part keeps
 * words whole.
 */
static int access_memory(struct actor *a, struct actor_place place, uint8_t *buffer, size_t size,
                         bool write)
{
    union {
        uint64_t align;
        uint8_t bytes[HV_PAGE_SIZE];
    } part;
    int rc = check(a, place, size, write);

    while (!rc && size) {
        unsigned offset = place.offset % HV_PAGE_SIZE;
        size_t piece = HV_PAGE_SIZE - offset < size ? HV_PAGE_SIZE - offset : size;
        uint8_t *frame;
        uint64_t mfn;

        rc = actor_mfn(a, &place, write, &mfn);
        if (rc)
            break;
        frame = hv_frame(a->hv, mfn);
        if (write) {
            memcpy(part.bytes + offset, buffer, piece);
            move(frame + offset, part.bytes + offset, piece);
        } else {
            move(part.bytes + offset, frame + offset, piece);
            memcpy(buffer, part.bytes + offset, piece);
        }
        buffer += piece;
        place.offset += piece;
        size -= piece;
    }
    return rc;
}

int actor_read(struct actor *a, const struct actor_place *place, void *to, size_t size)
{
    return access_memory(a, *place, to, size, false);
}

int actor_write(struct actor *a, const struct actor_place *place, const void *from, size_t size)
{
    return access_memory(a, *place, (uint8_t *)(uintptr_t)from, size, true);
}

/* ---- The grant table ------------------------------------------------------------------------- */

static unsigned version_of(struct actor *a)
{
    struct hv_domain_info info;

    return hv_domain_info(a->hv, a->d->id, &info) ? 0 : info.grant_version;
}

static size_t entry_size(unsigned version)
{
    return version == 2 ? sizeof(union grant_entry_v2) : sizeof(grant_entry_v1_t);
}

uint32_t actor_nr_entries(struct actor *a)
{
    return hv_nr_grant_frames(a->hv, a->d->id) *
           (HV_PAGE_SIZE / (unsigned)entry_size(version_of(a)));
}

static void *entry_at(struct actor *a, grant_ref_t ref, size_t size)
{
    unsigned per = HV_PAGE_SIZE / (unsigned)size;
    char *frame = hv_grant_frame(a->hv, a->d->id, ref / per);

    return frame ? frame + ref % per * size : NULL;
}

int actor_entry_read(struct actor *a, grant_ref_t ref, struct actor_entry *entry)
{
    unsigned version = version_of(a);
    void *at = entry_at(a, ref, entry_size(version));
    const union grant_entry_v2 *v2 = at;
    const grant_entry_v1_t *v1 = at;

    if (!at)
        return -EINVAL;
    if (version == 2)
        *entry = (struct actor_entry){ __atomic_load_n(&v2->hdr.flags, __ATOMIC_RELAXED),
                                       __atomic_load_n(&v2->hdr.domid, __ATOMIC_RELAXED),
                                       __atomic_load_n(&v2->full_page.frame, __ATOMIC_RELAXED) };
    else
        *entry = (struct actor_entry){ __atomic_load_n(&v1->flags, __ATOMIC_RELAXED),
                                       __atomic_load_n(&v1->domid, __ATOMIC_RELAXED),
                                       __atomic_load_n(&v1->frame, __ATOMIC_RELAXED) };
    return 0;
}

int actor_entry_write(struct actor *a, grant_ref_t ref, const struct actor_entry *entry)
{
    unsigned version = version_of(a);
    void *at = entry_at(a, ref, entry_size(version));
    union grant_entry_v2 *v2 = at;
    grant_entry_v1_t *v1 = at;

    if (!at)
        return -EINVAL;
    a->d->hostile = true;
    if (version == 2) {
        __atomic_store_n(&v2->hdr.domid, entry->to, __ATOMIC_RELAXED);
        __atomic_store_n(&v2->full_page.frame, entry->frame, __ATOMIC_RELAXED);
        __atomic_store_n(&v2->hdr.flags, entry->flags, __ATOMIC_RELEASE);
    } else {
        __atomic_store_n(&v1->domid, entry->to, __ATOMIC_RELAXED);
        __atomic_store_n(&v1->frame, (uint32_t)entry->frame, __ATOMIC_RELAXED);
        __atomic_store_n(&v1->flags, entry->flags, __ATOMIC_RELEASE);
    }
    return 0;
}
