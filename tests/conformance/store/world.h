/* SPDX-License-Identifier: MIT */
/*
 * The machine that both stores live in: ring pages and the domains' states, in a file that this
 * program and a real daemon share.
 */
#ifndef GNTSIM_TESTS_STORE_WORLD_H
#define GNTSIM_TESTS_STORE_WORLD_H

#include <stdint.h>
#include <sys/types.h>

#include <xen/io/xs_wire.h>

#define WORLD_DOMAINS 5u            /* 0 to 4 */
#define WORLD_PAGE 4096u
/* A domain's event channel with a lower number exists, and one with a higher number does not. */
#define WORLD_PORTS 10u
#define WORLD_VIRQ_PORT 1u          /* the daemon's own */
/* Environment: the numbers of the daemon's descriptors, of the file and of the event channels. */
#define WORLD_VARIABLE "STORE_WORLD"

enum world_state { WORLD_RUNS, WORLD_SHUT, WORLD_GONE };

union world_page {
    struct xenstore_domain_interface ring;
    uint8_t bytes[WORLD_PAGE];
};

struct world {
    union world_page pages[WORLD_DOMAINS];      /* domain 0's first: as /proc/xen/xsd_kva has it */
    uint32_t states[WORLD_DOMAINS];
} __attribute__((aligned(4096)));

#endif
