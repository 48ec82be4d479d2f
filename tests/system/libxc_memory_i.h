/* SPDX-License-Identifier: MIT */
/* What the rows of libxc_memory.c share: domains of libxenctrl, and how a row is printed. */
#ifndef TEST_LIBXC_MEMORY_I_H
#define TEST_LIBXC_MEMORY_I_H

#define __XEN_TOOLS__ 1
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xen/grant_table.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/vm_event.h>

#define PAGES 64u               /* a domain's gfns from 0 on */
#define HOLE 200u               /* a gfn with nothing */
#define RING 0x100u
#define ABSENT 999u             /* a domain that there is not */
#define FIRST_REF 8u            /* grants gfn 8, and so on */
#define UNUSED_REF 300u
#define NO_REF 5000u            /* beyond the table */

struct scene {
    xc_interface *xc;
    xenforeignmemory_handle *memory;
};

/* One row: the result of a call of libxenctrl, or the name of its errno. */
void row(const char *call, const char *when, long result);
#define ROW(call, when, expression) row(call, when, (errno = 0, (long)(expression)))

/* A paused domain with HAP of so many vCPUs, PAGES pages and grants to domain 0. */
uint32_t make_domain(const struct scene *s, unsigned vcpus);
void end_domain(const struct scene *s, uint32_t domid);
int populate(const struct scene *s, uint32_t domid, xen_pfn_t gfn);
/* NULL: errno. */
void *map_page(const struct scene *s, uint32_t domid, xen_pfn_t gfn, int prot);
void unmap_page(const struct scene *s, void *page);
/* Writes into a page from outside, which ends its sharing: 0, -1. */
int write_page(const struct scene *s, uint32_t domid, xen_pfn_t gfn);
/* Gives the domain a page for a ring, and says where it is. */
void prepare_ring(const struct scene *s, uint32_t domid, uint32_t param);
/* The sum of shared pages over all domains, less the two counters of the machine. */
long equation(const struct scene *s);

void sharing_rows(const struct scene *s);
void paging_rows(const struct scene *s);
void access_rows(const struct scene *s);
/* Each call on a domain that is none of the caller's, or none at all. */
void domain_rows(const struct scene *s, const char *when, uint32_t domid, uint32_t good);

#endif
