/* SPDX-License-Identifier: MIT */
/*
 * The address space of a test guest, and the page through which dom0 commands it. The assembler
 * reads this file, too.
 */
#ifndef GNTSIM_CONFORMANCE_LAYOUT_H
#define GNTSIM_CONFORMANCE_LAYOUT_H

#ifdef __ASSEMBLER__
#define GUEST_BASE 0xffffffff80000000
#else
#define GUEST_BASE UINT64_C(0xffffffff80000000)
#endif
#define GUEST_CHANNEL 1            /* the port of dom0's calls */

/* Pages of the image, from its start. What no range names is never mapped: it is a hole in the
 * address space. */
#define PAGE_SHARED 15             /* the shared info page */
#define PAGE_MAILBOX 16
#define PAGE_ARG 17                /* arguments of hypercalls */
#define NR_ARG 4
#define PAGE_LIST 22               /* where frame lists go */
#define PAGE_POOL 32               /* pages to grant: p0, p1 … */
#define NR_POOL 16
#define PAGE_SLOT 64               /* addresses to map grants at: s0, s1 …; nothing is there at first */
#define NR_SLOTS 32
#define NR_PAGES (PAGE_SLOT + NR_SLOTS)

#ifndef __ASSEMBLER__
#include <stdint.h>

enum request {
    REQUEST_HYPERCALL,             /* result = hypercall nr args[0](args[1] … args[5]) */
    REQUEST_READ,                  /* value = the args[1] bytes at args[0]; result -1: it faulted */
    REQUEST_WRITE,                 /* the same, with value args[2] */
    /* value = machine address of the page-table entry of address args[0] */
    REQUEST_PTE,
    REQUEST_SUM,
                      /* value = page_sum() of the page at args[0]; result as for REQUEST_READ */
};

struct mailbox {
    uint32_t asked, answered;      /* counted up by dom0, followed by the guest */
    uint32_t request, peer_port;   /* dom0's end of the channel */
    uint64_t args[6];
    int64_t result;
    uint64_t value;
};

/* What page i of the pool of guest who starts with, so that a copy of anything is seen. */
static inline uint64_t first_content(unsigned who, unsigned page, unsigned word)
{
    return (uint64_t)who << 56 | (uint64_t)page << 32 | word;
}

static inline uint64_t page_sum(const uint64_t *words)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < 512; i++)
        sum = (sum ^ words[i]) * UINT64_C(0x100000001b3);
    return sum;
}

#define GUEST_VA(page) (GUEST_BASE + (uint64_t)(page) * 4096)
#endif
#endif
