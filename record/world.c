/* SPDX-License-Identifier: MIT */
/* Builds the machine with which a record is compared. */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <gntsim/gnttab.h>

#include <utlist.h>

static void upcall(void *ctx, domid_t dom)
{
    struct world *world = ctx;

    for (struct world_domain *d = world->domains; d; d = d->next)
        if (d->id == dom)
            d->upcall = true;
}

int world_create(struct world *world, const struct kernel_profile *profile, domid_t self)
{
    struct hv_config config = { .nr_frames = WORLD_FRAMES,
                                .hooks = { .upcall = upcall },
                                .hook_ctx = world };
    int rc;

    *world = (struct world){ .profile = profile, .self = self };
    world->arena = calloc(1, ARENA_SIZE);
    world->memory = mmap(NULL, (size_t)WORLD_FRAMES * HV_PAGE_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!world->arena || world->memory == MAP_FAILED)
        return -ENOMEM;
    config.memory = world->memory;
    rc = hv_create(&world->hv, &config);
    return rc ? rc : world_kernel(world, self) ? 0 : -ENOMEM;
}

void world_destroy(struct world *world)
{
    while (world->domains) {
        struct world_domain *d = world->domains;

        world->domains = d->next;
        hv_domain_destroy(world->hv, d->id);
        kernel_destroy(d->kernel);
        while (d->nr_granted)
            kernel_page_put(NULL, d->granted[--d->nr_granted]);
        free(d->granted);
        free(d);
    }
    hv_destroy(world->hv);
    if (world->memory && world->memory != MAP_FAILED)
        munmap(world->memory, (size_t)WORLD_FRAMES * HV_PAGE_SIZE);
    free(world->arena);
}

static struct world_domain *world_domain(struct world *world, domid_t domid)
{
    struct kernel_config config = {
        .hv = world->hv, .domid = domid, .profile = world->profile, .ctx = world
    };
    struct hv_domain_config domain;
    struct kernel_pv_space *space;
    struct world_domain *d;

    for (d = world->domains; d; d = d->next)
        if (d->id == domid)
            return d;
    d = calloc(1, sizeof *d);
    space = kernel_pv_space_create();
    if (!d || !space)
        goto fail;
    kernel_domain_config(&domain, world->profile, space);
    domain.privileged = !domid;
    d->id = domid;
    d->next = world->domains;
    if (hv_domain_create(world->hv, domid, &domain))
        goto fail;
    world->domains = d;
    if (!kernel_create(&d->kernel, &config, space))
        return d;
    world->domains = d->next;
    hv_domain_destroy(world->hv, domid);

fail:
    kernel_pv_space_destroy(space);
    free(d);
    return NULL;
}

struct kernel *world_kernel(struct world *world, domid_t domid)
{
    struct world_domain *d = world_domain(world, domid);

    return d ? d->kernel : NULL;
}

void world_settle(struct world *world)
{
    bool again;

    do {
        again = false;
        for (struct world_domain *d = world->domains; d; d = d->next)
            if (d->upcall) {
                d->upcall = false;
                again = true;
                kernel_upcall(d->kernel);
            }
    } while (again);
}

/* ---- The caller's memory --------------------------------------------------------------------- */

static bool is_inside(uint64_t addr, size_t size)
{
    return addr >= ARENA_START && addr - ARENA_START <= ARENA_SIZE &&
           size <= ARENA_SIZE - (addr - ARENA_START);
}

static int arena_read(void *ctx, void *to, uint64_t from, size_t size)
{
    const struct world *world = ctx;

    if (!is_inside(from, size))
        return -EFAULT;
    memcpy(to, world->arena + (from - ARENA_START), size);
    return 0;
}

static int arena_write(void *ctx, uint64_t to, const void *from, size_t size)
{
    struct world *world = ctx;

    if (!is_inside(to, size))
        return -EFAULT;
    memcpy(world->arena + (to - ARENA_START), from, size);
    return 0;
}

static struct vma *arena_find_vma(void *ctx, uint64_t addr)
{
    const struct world *world = ctx;

    return world->find_vma(world->ctx, addr);
}

struct user_memory world_memory(struct world *world)
{
    static const struct user_memory_ops ops = { .read = arena_read,
                                                .write = arena_write,
                                                .find_vma = arena_find_vma };

    return (struct user_memory){ &ops, world };
}

/* Only a reference that the peer's kernel has given can be granted. */
static int claim(struct world_domain *d, uint32_t ref)
{
    grant_ref_t got;

    if (ref < GNTTAB_NR_RESERVED_ENTRIES)
        return 0;
    for (; d->nr_claimed <= ref; d->nr_claimed = got + 1)
        if (gnttab_alloc_grant_references(d->kernel, 1, &got))
            return -ENOSPC;
    return 0;
}

static struct kernel_page *new_page(struct world_domain *d)
{
    struct kernel_page **grown = realloc(d->granted, (d->nr_granted + 1) * sizeof *grown), *page;

    if (!grown)
        return NULL;
    d->granted = grown;
    page = kernel_page_alloc(d->kernel);
    if (page)
        d->granted[d->nr_granted++] = page;
    return page;
}

int world_grant(struct world *world, domid_t peer, uint32_t ref)
{
    struct world_domain *d = world_domain(world, peer);
    struct hv_entry_info entry;
    struct kernel_page *page;

    if (!d)
        return -ESRCH;
    if (claim(d, ref) || hv_entry_info(world->hv, peer, ref, &entry))
        return -ENOSPC;
    if (entry.flags & GTF_type_mask)
        return 0;
    page = new_page(d);
    if (!page)
        return -ENOMEM;
    gnttab_grant_foreign_access_ref(d->kernel, ref, world->self, kernel_page_frame(page), false);
    return 0;
}
