/* SPDX-License-Identifier: MIT */
/*
 * The part of a PV kernel's address space into which it maps grants. Each slot has two places: a
 * user page-table entry, named by its machine address, and a kernel page, named by its linear
 * address. The hypervisor model asks here before it maps, and only these registered addresses are
 * accepted.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "kernel_i.h"

#define PTE_BASE 0x0000010000000000ull /* machine addresses of page-table entries, 8 bytes each */
#define PAGE_BASE 0xffff880000000000ull      /* linear addresses of pages */
#define UNREGISTERED (UINT64_MAX - 1)

struct kernel_pv_space {
    uint64_t *pte, *page;                    /* mfn, HV_INVALID_MFN (empty) or UNREGISTERED */
    uint32_t nr;
};

struct kernel_pv_space *kernel_pv_space_create(void)
{
    return calloc(1, sizeof(struct kernel_pv_space));
}

void kernel_pv_space_destroy(struct kernel_pv_space *space)
{
    if (!space)
        return;
    free(space->pte);
    free(space->page);
    free(space);
}

/* ---- Slots ----------------------------------------------------------------------------------- */

int slots_get(struct slots *slots, uint32_t *out)
{
    if (slots->nr_free) {
        *out = slots->free[--slots->nr_free];
        return 0;
    }
    if (slots->next == MAX_SLOTS)
        return -ENOMEM;
    if (slots->next == slots->capacity) {
        uint32_t capacity = slots->capacity ? slots->capacity * 2 : 256;
        uint32_t *bigger = realloc(slots->free, capacity * sizeof *bigger);

        if (!bigger)
            return -ENOMEM;
        slots->free = bigger;
        slots->capacity = capacity;
    }
    *out = slots->next++;
    return 0;
}

void slots_put(struct slots *slots, uint32_t slot)
{
    assert(slot < slots->next);
    assert(slots->nr_free < slots->next);
    slots->free[slots->nr_free++] = slot;
}

uint32_t slots_in_use(const struct slots *slots)
{
    return slots->next - slots->nr_free;
}

/* ---- Registered places ----------------------------------------------------------------------- */

uint64_t pv_space_pte(uint32_t slot)
{
    return PTE_BASE + slot * sizeof(uint64_t);
}

uint64_t pv_space_page(uint32_t slot)
{
    return PAGE_BASE + ((uint64_t)slot << PAGE_SHIFT);
}

int pv_space_register(struct kernel_pv_space *space, uint32_t slot)
{
    if (slot >= space->nr) {
        uint32_t nr = space->nr ? space->nr : 256;
        uint64_t *pte, *page;

        while (nr <= slot)
            nr *= 2;
        pte = realloc(space->pte, nr * sizeof *pte);
        if (!pte)
            return -ENOMEM;
        space->pte = pte;
        page = realloc(space->page, nr * sizeof *page);
        if (!page)
            return -ENOMEM;
        space->page = page;
        for (uint32_t i = space->nr; i < nr; i++)
            space->pte[i] = space->page[i] = UNREGISTERED;
        space->nr = nr;
    }
    assert(space->pte[slot] == UNREGISTERED && space->page[slot] == UNREGISTERED);
    space->pte[slot] = space->page[slot] = HV_INVALID_MFN;
    return 0;
}

void pv_space_unregister(struct kernel_pv_space *space, uint32_t slot)
{
    assert(slot < space->nr);
    assert(space->pte[slot] != UNREGISTERED);
    space->pte[slot] = space->page[slot] = UNREGISTERED;
}

void pv_space_forget(struct kernel_pv_space *space)
{
    for (uint32_t i = 0; i < space->nr; i++)
        if (space->pte[i] != UNREGISTERED)
            space->pte[i] = space->page[i] = HV_INVALID_MFN;
}

static uint64_t mapped(uint64_t value)
{
    return value == UNREGISTERED ? HV_INVALID_MFN : value;
}

uint64_t pv_space_pte_mfn(const struct kernel_pv_space *space, uint32_t slot)
{
    return slot < space->nr ? mapped(space->pte[slot]) : HV_INVALID_MFN;
}

uint64_t pv_space_page_mfn(const struct kernel_pv_space *space, uint32_t slot)
{
    return slot < space->nr ? mapped(space->page[slot]) : HV_INVALID_MFN;
}

/* ---- The hypervisor's side ------------------------------------------------------------------- */

/* The registered place at an address of the kind that flags name, or NULL. */
static uint64_t *place(struct kernel_pv_space *space, uint64_t addr, uint32_t flags)
{
    bool is_pte = flags & GNTMAP_contains_pte;
    uint64_t base = is_pte ? PTE_BASE : PAGE_BASE;
    uint64_t size = is_pte ? sizeof(uint64_t) : PAGE_SIZE;
    uint64_t *places = is_pte ? space->pte : space->page;

    if (addr < base || (addr - base) % size || (addr - base) / size >= space->nr)
        return NULL;
    places += (addr - base) / size;
    return *places == UNREGISTERED ? NULL : places;
}

static int pv_map(void *ctx, uint64_t host_addr, uint32_t gntmap_flags, uint64_t mfn)
{
    uint64_t *p = place(ctx, host_addr, gntmap_flags);

    assert(mfn < UNREGISTERED);
    if (!p)
        return -EFAULT;
    if (*p != HV_INVALID_MFN)
        return -EBUSY;
    *p = mfn;
    return 0;
}

static int pv_unmap(void *ctx, uint64_t host_addr, uint32_t gntmap_flags, uint64_t mfn,
                    uint64_t new_addr)
{
    uint64_t *p = place(ctx, host_addr, gntmap_flags), *from = NULL;

    if (!p || *p != mfn)
        return -EFAULT;
    if (new_addr) {
        /* Only a mapping at a linear address can be replaced by another one. */
        if (gntmap_flags & GNTMAP_contains_pte)
            return -EINVAL;
        from = place(ctx, new_addr, 0);
        if (!from || from == p || *from == HV_INVALID_MFN)
            return -EFAULT;
    }
    *p = HV_INVALID_MFN;
    if (from) {
        *p = *from;
        *from = HV_INVALID_MFN;
    }
    return 0;
}

const struct hv_pv_ops pv_space_ops = {
    .map = pv_map,
    .unmap = pv_unmap,
};
