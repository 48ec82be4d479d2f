/* SPDX-License-Identifier: MIT */
/* The places where a PV domain can map grants, and what it has mapped there. */
#ifndef GNTSIM_KERNEL_PV_SPACE_I_H
#define GNTSIM_KERNEL_PV_SPACE_I_H

#include <stdbool.h>
#include <stdint.h>

#include <gntsim/kernel.h>

/* So many pages of address space a kernel has for grants: what old kernels allowed all maps
 * together, and several times what the hypervisor has handles for by default. */
#define MAX_SLOTS (1u << 20)

/* Numbers 0 .. MAX_SLOTS-1, handed out one by one. */
struct slots {
    uint32_t *free;              /* a stack */
    uint32_t nr_free, capacity;  /* capacity >= next: giving back never needs memory */
    uint32_t next;               /* never handed out so far */
};
/* 0, -ENOMEM. */
int slots_get(struct slots *slots, uint32_t *out);
void slots_put(struct slots *slots, uint32_t slot);
uint32_t slots_in_use(const struct slots *slots);

/* A slot's machine address of its user page-table entry, and linear address of its kernel page. */
uint64_t pv_space_pte(uint32_t slot);
uint64_t pv_space_page(uint32_t slot);
/* Lets grants be mapped at a slot's two places. 0, -ENOMEM. */
int pv_space_register(struct kernel_pv_space *space, uint32_t slot);
/* The address space begins anew: nothing is mapped at any place. */
void pv_space_forget(struct kernel_pv_space *space);
/* They hold nothing any more from the kernel's point of view. */
void pv_space_unregister(struct kernel_pv_space *space, uint32_t slot);
/* Frame mapped there, HV_INVALID_MFN if none. */
uint64_t pv_space_pte_mfn(const struct kernel_pv_space *space, uint32_t slot);
uint64_t pv_space_page_mfn(const struct kernel_pv_space *space, uint32_t slot);

extern const struct hv_pv_ops pv_space_ops;

#endif
