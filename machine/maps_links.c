/* SPDX-License-Identifier: MIT */
/* Makes and keeps the hard links to the memory file from which clients map. */
#include "maps_i.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <utlist.h>

#define MAX_IDLE 64u

static void link_free(struct maps *maps, struct link *link)
{
    unlinkat(maps->links_fd, link->name, 0);
    free(link);
}

/* A link that was closed, and is known to be: no event of its past is to come. */
static void link_rest(struct maps *maps, struct link *link)
{
    struct link *last;

    link->mapping = NULL;
    DL_PREPEND(maps->idle, link);
    if (++maps->nr_idle <= MAX_IDLE)
        return;
    last = maps->idle->prev;
    DL_DELETE(maps->idle, last);
    link_free(maps, last);
    maps->nr_idle--;
}

/* A link for the vma: an idle one if its name fits, else a new one. NULL: errno says why. */
static struct link *link_get(struct maps *maps, const struct vma *vma)
{
    char pages[60];
    struct link *link;

    snprintf(pages, sizeof pages, ".%.11s.%" PRIu64 ".%" PRIu64, vma->file->dev->name,
             vma->pgoff * HV_PAGE_SIZE, vma->nr_pages);
    for (link = maps->idle; link; link = link->next) {
        if (strcmp(link->name + link->same, pages))
            continue;
        DL_DELETE(maps->idle, link);
        maps->nr_idle--;
        return link;
    }
    link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->number = ++maps->next_link;
    link->same = (size_t)sprintf(link->name, "%" PRIu64, link->number);
    strcpy(link->name + link->same, pages);
    if (!linkat(maps->dir_fd, "memory", maps->links_fd, link->name, 0))
        return link;
    free(link);
    return NULL;
}

int links_open(struct maps *maps, struct mapping *mapping, int *link_fd)
{
    struct link *link = link_get(maps, mapping->vma);
    int rc;

    if (!link)
        return -errno;
    /* In a process's own hands the protection is the kernel's affair. One that we map for it is
     * ours: only what may be written can have a userfaultfd. */
    *link_fd = openat(maps->links_fd, link->name,
                      (mapping->vma->may_write || mapping->tid ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (*link_fd < 0) {
        rc = -errno;
        link_free(maps, link);
        return rc;
    }
    link->mapping = mapping;
    mapping->nr_links++;
    HASH_ADD(hh, maps->links, number, sizeof link->number, link);
    return 0;
}

struct mapping *links_find(const struct maps *maps, uint64_t number)
{
    struct link *link;

    HASH_FIND(hh, maps->links, &number, sizeof number, link);
    return link ? link->mapping : NULL;
}

struct mapping *links_close(struct maps *maps, uint64_t number)
{
    struct mapping *mapping;
    struct link *link;

    HASH_FIND(hh, maps->links, &number, sizeof number, link);
    if (!link)
        return NULL;
    mapping = link->mapping;
    HASH_DEL(maps->links, link);
    link_rest(maps, link);
    return mapping;
}

void links_drop(struct maps *maps, const struct mapping *mapping)
{
    struct link *link, *next;

    HASH_ITER(hh, maps->links, link, next) {
        if (mapping && link->mapping != mapping)
            continue;
        HASH_DEL(maps->links, link);
        link_free(maps, link);
    }
}

void links_destroy(struct maps *maps)
{
    struct link *link, *next;

    DL_FOREACH_SAFE(maps->idle, link, next)
        link_free(maps, link);
    maps->idle = NULL;
}
