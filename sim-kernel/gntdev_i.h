/* SPDX-License-Identifier: MIT */
/* What the files of /dev/xen/gntdev share. */
#ifndef GNTSIM_KERNEL_GNTDEV_I_H
#define GNTSIM_KERNEL_GNTDEV_I_H

#include "kernel_i.h"
#include "unmap_notify_i.h"

#define INVALID_GRANT_HANDLE ((grant_handle_t)-1)

struct gntdev_grant {
    grant_ref_t ref;
    domid_t domid;
    bool removed;                    /* its unmapping has begun */
    grant_handle_t handle;           /* of the user's mapping (PV), or the only one */
    grant_handle_t khandle;          /* of the kernel's page (PV) */
};

/* Grants that are mapped together: from the ioctl until the last user is gone. */
struct gntdev_map {
    struct kernel *k;
    struct gntdev_map *prev, *next;    /* all maps of the kernel */
    uint64_t index;                      /* first page in the offset space of its file */
    uint32_t count;
    unsigned users;                      /* 1 for the file's list, 1 per vma, 1 per running unmap */
    unsigned vmas;
    uint32_t flags;                      /* GNTMAP_*, fixed by the first mmap */
    bool in_use;                         /* an mmap has been tried */
    bool releasing;                      /* the last user is gone, grants are being unmapped */
    uint64_t live_grants;
    struct unmap_notify notify;          /* its byte counts from the start of the map */
    struct gntdev_grant *grants;
    struct gnttab_pages *pages;
};

/* The offset space of one open file, sorted. */
struct gntdev_slot {
    uint64_t index, count;
    struct gntdev_map *map;
};
struct gntdev_file {
    struct gntdev_slot *slots;
    size_t nr, capacity;
    uint64_t max_hole;                   /* no hole between maps is larger */
};

/* A map without references yet, NULL and *rc on failure. */
struct gntdev_map *gntdev_map_alloc(struct kernel *k, uint32_t count, int *rc);
/* Never entered anywhere. */
void gntdev_map_discard(struct gntdev_map *map);
/* Takes the places to map at. 0, -ENOMEM. */
int gntdev_map_commit(struct gntdev_map *map);
void gntdev_map_put(struct gntdev_map *map);

/* Unmaps what is still mapped in the range, unless that is under way, in the largest runs. */
void gntdev_unmap_pages(struct gntdev_map *map, uint64_t first, uint64_t nr);

long gntdev_mmap(struct file *file, struct vma *vma, struct kreq *req);
/* The map behind a vma, NULL if it is not gntdev's. */
struct gntdev_map *gntdev_map_of_vma(const struct vma *vma);

/* The map of a file that starts at page index and has count pages (0: any number). */
struct gntdev_map *gntdev_file_find(const struct gntdev_file *priv, uint64_t index, uint64_t count);

long gntdev_ioctl_grant_copy(struct file *file, uint64_t arg, struct kreq *req);

#endif
