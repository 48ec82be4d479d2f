/* SPDX-License-Identifier: MIT */
/* /dev/xen/gntdev: the open file, its offset space, and all ioctls but the copy. */
#include "gntdev_i.h"
#include "ioctls_i.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct ioctl_gntdev_map_grant_ref) == 24, "ioctl structures are ABI");
_Static_assert(sizeof(struct ioctl_gntdev_unmap_grant_ref) == 16, "ioctl structures are ABI");
_Static_assert(sizeof(struct ioctl_gntdev_get_offset_for_vaddr) == 24, "ioctl structures are ABI");
_Static_assert(sizeof(struct ioctl_gntdev_unmap_notify) == 16, "ioctl structures are ABI");

/* ---- The offset space ------------------------------------------------------------------------ */

/* Position of the first slot that ends above index. */
static size_t slot_above(const struct gntdev_file *priv, uint64_t index)
{
    size_t low = 0, high = priv->nr;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (priv->slots[mid].index + priv->slots[mid].count > index)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

struct gntdev_map *gntdev_file_find(const struct gntdev_file *priv, uint64_t index, uint64_t count)
{
    size_t at = slot_above(priv, index);

    if (at == priv->nr || priv->slots[at].index != index ||
        (count && priv->slots[at].count != count))
        return NULL;
    return priv->slots[at].map;
}

/* First fit, but a hole must be larger than the map by a page at least. */
static size_t choose_index(struct gntdev_file *priv, uint64_t count, uint64_t *index)
{
    uint64_t candidate = 0, max_hole = 0;

    if (priv->nr && count >= priv->max_hole) {
        const struct gntdev_slot *last = &priv->slots[priv->nr - 1];

        *index = last->index + last->count;
        return priv->nr;
    }
    for (size_t at = 0; at < priv->nr; at++) {
        const struct gntdev_slot *slot = &priv->slots[at];

        if (candidate + count < slot->index) {
            *index = candidate;
            return at;
        }
        if (slot->index - candidate > max_hole)
            max_hole = slot->index - candidate;
        candidate = slot->index + slot->count;
    }
    priv->max_hole = max_hole;
    *index = candidate;
    return priv->nr;
}

static int add_map(struct gntdev_file *priv, struct gntdev_map *map)
{
    size_t at;

    if (priv->nr == priv->capacity) {
        size_t capacity = priv->capacity ? priv->capacity * 2 : 8;
        struct gntdev_slot *slots = realloc(priv->slots, capacity * sizeof *slots);

        if (!slots)
            return -ENOMEM;
        priv->slots = slots;
        priv->capacity = capacity;
    }
    at = choose_index(priv, map->count, &map->index);
    memmove(priv->slots + at + 1, priv->slots + at, (priv->nr - at) * sizeof *priv->slots);
    priv->slots[at] = (struct gntdev_slot){ map->index, map->count, map };
    priv->nr++;
    return 0;
}

static void remove_map(struct gntdev_file *priv, const struct gntdev_map *map)
{
    size_t at = slot_above(priv, map->index);
    uint64_t start, hole;

    assert(at < priv->nr && priv->slots[at].map == map);
    if (at + 1 < priv->nr) {
        start = at ? priv->slots[at - 1].index + priv->slots[at - 1].count : 0;
        hole = priv->slots[at + 1].index - start;
        if (hole > priv->max_hole)
            priv->max_hole = hole;
    }
    priv->nr--;
    memmove(priv->slots + at, priv->slots + at + 1, (priv->nr - at) * sizeof *priv->slots);
}

/* ---- ioctls ---------------------------------------------------------------------------------- */

static int check_count(const struct kernel *k, uint32_t count)
{
    if (k->profile->gntdev_limit_is_total)
        return count == 0 || count > INT32_MAX ? -EINVAL : 0;
    return count == 0 || count > k->gntdev.limit ? -EINVAL : 0;
}

/* Reads the references piece by piece: what a caller asks for is bounded before it is allocated. */
static int read_refs(struct kernel *k, const struct kreq *req, struct gntdev_map *map,
                     uint64_t from)
{
    struct ioctl_gntdev_grant_ref refs[512];
    uint32_t done, nr;
    int rc;

    for (done = 0; done < map->count; done += nr) {
        nr = map->count - done < 512 ? map->count - done : 512;
        rc = user_read(k, req, refs, from + (uint64_t)done * sizeof *refs, nr * sizeof *refs);
        if (rc)
            return rc;
        for (uint32_t i = 0; i < nr; i++)
            map->grants[done + i] = (struct gntdev_grant){ .ref = refs[i].ref,
                                                           .domid = (domid_t)refs[i].domid,
                                                           .handle = INVALID_GRANT_HANDLE,
                                                           .khandle = INVALID_GRANT_HANDLE };
    }
    return 0;
}

static long ioctl_map_grant_ref(struct file *file, uint64_t arg, struct kreq *req)
{
    struct kernel *k = file->kernel;
    struct ioctl_gntdev_map_grant_ref op;
    struct gntdev_map *map;
    int rc;

    rc = user_read(k, req, &op, arg, sizeof op);
    if (rc)
        return rc;
    rc = check_count(k, op.count);
    if (rc)
        return rc;
    map = gntdev_map_alloc(k, op.count, &rc);
    if (!map)
        return rc;
    rc = read_refs(k, req, map, arg + offsetof(struct ioctl_gntdev_map_grant_ref, refs));
    if (rc)
        goto fail;
    rc = gntdev_map_commit(map);
    if (rc)
        goto fail;
    rc = add_map(file->priv, map);
    if (rc)
        goto fail;
    map->users = 1;
    op.index = map->index << PAGE_SHIFT;
    /* If this fails the caller never learns of the map, which stays until the close, as on
     * Linux. */
    return user_write(k, req, arg, &op, sizeof op);

fail:
    gntdev_map_discard(map);
    return rc;
}

static long ioctl_unmap_grant_ref(struct file *file, uint64_t arg, struct kreq *req)
{
    struct gntdev_file *priv = file->priv;
    struct ioctl_gntdev_unmap_grant_ref op;
    struct gntdev_map *map;
    int rc = user_read(file->kernel, req, &op, arg, sizeof op);

    if (rc)
        return rc;
    map = gntdev_file_find(priv, op.index >> PAGE_SHIFT, op.count);
    if (!map)
        return -ENOENT;
    remove_map(priv, map);
    gntdev_map_put(map);
    return 0;
}

static long ioctl_get_offset_for_vaddr(struct file *file, uint64_t arg, struct kreq *req)
{
    struct ioctl_gntdev_get_offset_for_vaddr op;
    const struct gntdev_map *map;
    struct vma *vma;
    int rc = user_read(file->kernel, req, &op, arg, sizeof op);

    if (!rc)
        rc = user_find_vma(file->kernel, req, op.vaddr, &vma);
    if (rc)
        return rc;
    map = vma ? gntdev_map_of_vma(vma) : NULL;
    if (!map)
        return -EINVAL;
    op.offset = map->index << PAGE_SHIFT;
    op.count = map->count;
    return user_write(file->kernel, req, arg, &op, sizeof op);
}

/* The map that has the byte at offset. */
static struct gntdev_map *find_byte(const struct gntdev_file *priv, uint64_t offset)
{
    size_t at = slot_above(priv, offset >> PAGE_SHIFT);

    return at < priv->nr && priv->slots[at].index <= offset >> PAGE_SHIFT
        ? priv->slots[at].map : NULL;
}

static long ioctl_set_unmap_notify(struct file *file, uint64_t arg, struct kreq *req)
{
    struct kernel *k = file->kernel;
    struct ioctl_gntdev_unmap_notify op;
    struct unmap_notify notify;
    struct gntdev_map *map;
    int rc = user_read(k, req, &op, arg, sizeof op);

    if (!rc)
        rc = unmap_notify_init(k, &notify, op.action, op.event_channel_port);
    if (rc)
        return rc;
    map = find_byte(file->priv, op.index);
    if (!map || (op.action & UNMAP_NOTIFY_CLEAR_BYTE && map->flags & GNTMAP_readonly)) {
        unmap_notify_release(k, &notify);
        return map ? -EINVAL : -ENOENT;
    }
    notify.at = op.index - (map->index << PAGE_SHIFT);
    unmap_notify_replace(k, &map->notify, &notify);
    return 0;
}

static long ioctl_grant_copy(struct file *file, uint64_t arg, struct kreq *req)
{
    return file->kernel->profile->has_grant_copy
        ? gntdev_ioctl_grant_copy(file, arg, req) : -ENOTTY;
}

static long gntdev_ioctl(struct file *file, unsigned cmd, uint64_t arg, struct kreq *req)
{
    static const struct ioctl_handler handlers[] = {
#define ROW(name, handler, ...) { IOCTL_GNTDEV_##name, handler },
        KERNEL_GNTDEV_IOCTLS(ROW)
#undef ROW
    };

    return ioctl_dispatch(handlers, sizeof handlers / sizeof *handlers, file, cmd, arg, req,
                          -ENOTTY);
}

/* ---- The file -------------------------------------------------------------------------------- */

static int gntdev_open(struct file *file)
{
    file->priv = calloc(1, sizeof(struct gntdev_file));
    return file->priv ? 0 : -ENOMEM;
}

static void gntdev_release(struct file *file)
{
    struct gntdev_file *priv = file->priv;

    for (size_t at = 0; file->kernel && at < priv->nr; at++)
        gntdev_map_put(priv->slots[at].map);
    free(priv->slots);
    free(priv);
}

static const struct chardev_ops gntdev_ops = {
    .open = gntdev_open,
    .release = gntdev_release,
    .ioctl = gntdev_ioctl,
    .mmap = gntdev_mmap,
};

const struct chardev gntdev_chardev = { .name = "gntdev", .ops = &gntdev_ops };
