/* SPDX-License-Identifier: MIT */
/* The machine with which a record is compared: the recorded domain and the peers that it needs. */
#ifndef GNTSIM_RECORD_WORLD_H
#define GNTSIM_RECORD_WORLD_H

#include <stdbool.h>

#include <gntsim/kernel.h>

#define WORLD_FRAMES 65536u
#define ARENA_SIZE (4u << 20)
#define ARENA_START 0x10000ull
/* Mapping n of the record lies at n times this. */
#define MAPPING_STEP (1ull << 32)

struct world_domain {
    domid_t id;
    struct kernel *kernel;
    uint32_t
        nr_claimed; /* references below are taken in its kernel, which gives them in their order */
    struct kernel_page **granted;       /* by world_grant */
    size_t nr_granted;
    bool upcall;
    struct world_domain *next;
};

struct world {
    struct hv *hv;
    void *memory;
    const struct kernel_profile *profile;
    domid_t self;
    struct world_domain *domains;
    unsigned char *arena;               /* what the caller's memory is for the kernel */
    struct vma *(*find_vma)(void *ctx, uint64_t addr);
    void *ctx;
};

int world_create(struct world *world, const struct kernel_profile *profile, domid_t self);
void world_destroy(struct world *world);
/* The kernel of a domain, which is created if it is new; NULL: it cannot be. */
struct kernel *world_kernel(struct world *world, domid_t domid);
/* After each call into a model: pending events are handled. */
void world_settle(struct world *world);
struct user_memory world_memory(struct world *world);
/*
 * Domain peer grants a page to the recorded domain with this reference. 0, -ENOMEM, -ESRCH,
 * -ENOSPC.
 */
int world_grant(struct world *world, domid_t peer, uint32_t ref);

#endif
