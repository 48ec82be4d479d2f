/* SPDX-License-Identifier: MIT */
/* A small machine for tests: memory, domains, grants and hypercalls in one line each, audited as it
 * goes. */
#ifndef GNTSIM_TEST_HV_HARNESS_H
#define GNTSIM_TEST_HV_HARNESS_H

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/hv.h>

#include "../suite.h"
#include "xen_arch.h"

enum { PV = 0, HVM = 1 };

struct world {
    struct hv *hv;
    void *memory;
    uint64_t nr_frames;
    unsigned upcalls[8], crashes, populates, freed, unheard, masked;
    const char *crash_why;
};
extern struct world w;          /* the machine of the running test */

/* A machine of that profile with domains 0 (privileged), 1, 2 and 3 of that kind, 16 pages each. */
void world_up(int kind, const struct hv_profile *profile);
void world_down(void);          /* audits, then frees */
void world_empty(uint64_t nr_frames, const struct hv_profile *profile);   /* no domains */
int add_domain(domid_t id, int kind, bool privileged, uint64_t nr_pages);
int add_domain_with(domid_t id, const struct hv_domain_config *config);

/* hv_audit must find nothing; prints what it finds. */
void audit_clean(void);
/* After the guest itself broke its flags. */
void audit_hostile_clean(void);

/* Entry of a domain's table, version 1 and 2. */
grant_entry_v1_t *v1(domid_t dom, uint32_t ref);
grant_entry_v2_t *v2(domid_t dom, uint32_t ref);
uint16_t *status2(domid_t dom, uint32_t ref);
/* Frame number for an entry: the page at gfn of dom. */
uint64_t number(domid_t dom, uint64_t gfn);
uint64_t mfn_of(domid_t dom, uint64_t gfn);
/* permit_access for to on dom's page gfn; flags are added. Whatever the version. */
void grant(domid_t dom, uint32_t ref, domid_t to, uint64_t gfn, uint16_t flags);
uint16_t flags_of(domid_t dom, uint32_t ref);      /* header and status word together */
void *page(domid_t dom, uint64_t gfn);

/* One element; the whole hypercall must return 0. */
struct gnttab_map_grant_ref map_op(domid_t ld, domid_t rd, uint32_t ref, uint32_t flags,
                                   uint64_t addr);
/* status */
int map(domid_t ld, domid_t rd, uint32_t ref, uint32_t flags, uint64_t addr, uint32_t *handle);
int map_dev(domid_t ld, domid_t rd, uint32_t ref, uint32_t flags, uint32_t *handle, uint64_t *bus);
int unmap(domid_t ld, uint32_t handle, uint64_t addr);
int unmap_parts(domid_t ld, uint32_t handle, uint64_t addr, uint64_t bus);
int replace(domid_t ld, uint32_t handle, uint64_t addr, uint64_t new_addr);
long set_version(domid_t dom, uint32_t version, uint32_t *now);
int transfer(domid_t from, uint64_t frame, domid_t to, uint32_t ref);
int swap(domid_t dom, uint32_t a, uint32_t b);
int copy_refs(domid_t caller, domid_t sd, uint32_t sref, domid_t dd, uint32_t dref, unsigned len);
int copy_element(domid_t caller, struct gnttab_copy op);

struct hv_domain_info info(domid_t dom);
struct hv_entry_info entry(domid_t dom, uint32_t ref);
struct hv_frame_info frame(uint64_t mfn);

/* Event channels: result of the hypercall; *port may be NULL. */
long evt_alloc(domid_t caller, domid_t dom, domid_t remote, uint32_t *port);
long evt_bind(domid_t caller, domid_t remote, uint32_t remote_port, uint32_t *port);
long evt_virq(domid_t caller, uint32_t virq, uint32_t vcpu, uint32_t *port);
long evt_port(domid_t caller, unsigned cmd, uint32_t port);      /* close, send, unmask */
unsigned evt_state(domid_t dom, uint32_t port);                  /* EVTCHNSTAT_* */
bool evt_pending(domid_t dom, uint32_t port);
/* What a guest does on an upcall: clears flag and selector. */
void evt_ack(domid_t dom);

/* Guest memory that exists only between from and to, counting calls; everything else faults. */
struct window {
    uint64_t from, to;
    unsigned reads, writes;
    unsigned fail_write_after;       /* 0: never; n: the n-th write and all later ones fault */
};
struct hv_guest_memory window_memory(struct window *win);
long grant_op_in(domid_t caller, unsigned cmd, uint64_t addr, unsigned count, struct window *win);
long event_op_in(domid_t caller, unsigned cmd, uint64_t addr, struct window *win);

/* Lets the guest act between the model's look at an entry and its write to it; NULL: not any
 * more. */
void race(void (*act)(void *ctx), void *ctx);

/* A test that runs on a machine of PV domains and on one of auto-translated ones, with version 1 or
 * both. */
void on_kinds(void (*run)(int kind));
void on_kinds_and_versions(void (*run)(int kind, unsigned version));
void on_pv(void (*run)(void));
void on_hvm(void (*run)(void));
#define TEST_KINDS(...) TEST_BY(on_kinds, (__attribute__((unused)) int kind), __VA_ARGS__)
#define TEST_VERSIONS(...)                                                                        \
    TEST_BY(on_kinds_and_versions,                                                                \
            (__attribute__((unused)) int kind, __attribute__((unused)) unsigned version),         \
            __VA_ARGS__)
#define TEST_PV(...) TEST_BY(on_pv, (void), __VA_ARGS__)
#define TEST_HVM(...) TEST_BY(on_hvm, (void), __VA_ARGS__)

#define EQ(actual, expected) \
    eq_((long long)(actual), (long long)(expected), #actual " == " #expected, __FILE__, __LINE__)
void eq_(long long actual, long long expected, const char *what, const char *file, unsigned line);
#define OK(condition) CU_ASSERT(condition)

#define A(n) (UINT64_C(0x100000) * (n))      /* host addresses for mappings: any page-aligned ones */

#endif
