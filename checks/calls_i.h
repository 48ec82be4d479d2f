/* SPDX-License-Identifier: MIT */
/* A call into a kernel that is under way. */
#ifndef GNTSIM_CHECKS_CALLS_I_H
#define GNTSIM_CHECKS_CALLS_I_H

#include "checks_i.h"

struct call_key {
    const struct domain *domain;
    uint64_t call;
};
struct call {
    struct call_key key;
    uint64_t file, arg;
    unsigned process;
    pid_t thread;
    struct event when;
    /* The fixed part of its argument, as it was read or written last. */
    unsigned char head[64] __attribute__((aligned(8)));
    bool failed;                 /* a segment of a copy did, the first: */
    uint32_t segment;
    int16_t status;
    struct grant *grants;        /* that it names */
    size_t nr_grants;
    UT_hash_handle hh;
};

/* late.c. A share has ended by a call of its process, which lives. */
void late_share_ended(struct checks *checks, const struct item *item, const struct event *when);
void late_notify_over(struct checks *checks, struct call *call, long result);
/* A program opens a device; it may be another one than it was. */
void checks_new_file(struct checks *checks, pid_t tid);
/* What an mmap shows: its type, and the item; NULL: it is not known. */
enum item_type calls_type(const struct kernel_point *mmap);
struct item *calls_item(struct checks *checks, const struct domain *d,
                        const struct kernel_point *mmap);
/* A process looks for the mapping at the address to unmap it: that of the key, if it is known. */
void calls_sought(struct checks *checks, const struct item_key *key, unsigned process,
                  pid_t thread, uint64_t address, const struct event *when);
/* A process looked for a mapping to unmap it, and there is none. */
void calls_no_mapping(struct checks *checks, unsigned process, uint64_t address,
                      const struct event *when);

#endif
