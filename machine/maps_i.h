/* SPDX-License-Identifier: MIT */
/*
 * What the files of maps share: mappings (maps.c), their links (maps_links.c) and the search
 * (maps_find.c).
 */
#ifndef GNTSIM_MACHINE_MAPS_I_H
#define GNTSIM_MACHINE_MAPS_I_H

#include <stdatomic.h>

#include "maps.h"

struct maps {
    struct hv *hv;
    struct machine *machine;
    int dir_fd;                  /* holds "memory" and "maps" */
    int links_fd;                /* "maps" */
    int memory_fd;
    int inotify_fd, watch;       /* of links_fd, for closes */
    void *memory;
    size_t memory_size;
    size_t reserved;             /* bytes from the start that the file system has given room for */
    dev_t dev;                   /* the memory file, and so every link */
    ino_t ino;
    uint64_t next_id;
    uint64_t next_link;
    struct link *links;          /* by number */
    struct link *idle;
    unsigned nr_idle;
    uint64_t next_addr[2];       /* in the half where munmap is not reported, and the other one */
    uint64_t longest;            /* pages of the longest mapping ever */
    struct mapping *by_id;
    struct mapping **by_addr;    /* placed ones, ascending addr */
    size_t nr, capacity;
    atomic_bool news;            /* maps_drain has found some */
};

/*
 * What a mapping is made from, and inotify names. Once it is closed another mapping of the same
 * pages can be made from it.
 */
struct link {
    uint64_t number;
    struct mapping *mapping;     /* NULL while idle */
    char name[80];
    size_t same;                 /* where what the name says of the pages begins */
    struct link *prev, *next;    /* of the idle ones, latest first */
    UT_hash_handle hh;           /* of the others */
};

/* Bit by bit, the pages that left the mapping's address space. */
static inline uint64_t *maps_gone(struct mapping *mapping)
{
    return mapping->gone ? mapping->gone : &mapping->inline_gone;
}

/* maps_links.c */

/* Opens a link for the mapping. */
int links_open(struct maps *maps, struct mapping *mapping, int *link_fd);
/* The mapping made from a link that exists. */
struct mapping *links_find(const struct maps *maps, uint64_t number);
/* A link was closed: it rests. The mapping that was made from it; NULL: there is no such link. */
struct mapping *links_close(struct maps *maps, uint64_t number);
/* The links of a mapping, or of all (NULL), whoever has them open. */
void links_drop(struct maps *maps, const struct mapping *mapping);
/* Those that rest. */
void links_destroy(struct maps *maps);

/* maps_find.c */

/* The index by address. */
bool maps_index_insert(struct maps *maps, struct mapping *mapping, uint64_t addr);
void maps_index_remove(struct maps *maps, struct mapping *mapping);
/* Finds out which mappings a process shows, or is about to. False: that cannot be told. */
bool maps_look_around(struct maps *maps);

#endif
