/* SPDX-License-Identifier: MIT */
/* The state of an actor, for actor.c, actor_map.c and actor_memory.c. */
#ifndef GNTSIM_GUESTS_ACTOR_I_H
#define GNTSIM_GUESTS_ACTOR_I_H

#include "actor.h"

/* Ended references that are remembered. */
#define ACTOR_MAX_STALE 256u

/* The head of everything that has a number: search.h keeps it in a tree. */
struct actor_object {
    int64_t id;
};

struct guest_page {
    struct actor_object object;
    struct kernel_page *page;
    struct guest_grant *grants;        /* of this page */
};

struct guest_grant {
    struct actor_object object;        /* the reference */
    struct guest_page *page;           /* NULL: given up by force */
    struct guest_grant *next;          /* of the page */
};

struct actor {
    struct domain *d;
    struct hv *hv;
    struct kernel *k;
    void *pages, *grants, *mappings, *ports;     /* trees of struct actor_object */
    int64_t next_page, next_mapping;
    grant_ref_t stale[ACTOR_MAX_STALE];
    unsigned nr_stale;
};

/* The domain is gone as far as the hypervisor is concerned, its kernel is about to go. */
void actor_destroy(struct domain *d);
/* It goes on after a save and restore: pages and references stay, what it has mapped and its
 * ports are gone. */
void actor_migrated(struct domain *d);

/* NULL: no such object. */
void *actor_find(void *const *table, int64_t id);
int actor_add(void **table, struct actor_object *object);
void actor_remove(void **table, struct actor_object *object);

struct kernel_page *actor_kernel_page(struct actor *a, int64_t id);
/* The kernel's memory at byte offset of a mapping. NULL with *rc set. */
struct guest_mapping;
int actor_mapping_mfn(struct actor *a, int64_t mapping, uint64_t offset, bool write, uint64_t *mfn);
void actor_mappings_destroy(struct actor *a);
void actor_mappings_migrated(struct actor *a);

#endif
