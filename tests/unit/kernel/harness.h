/* SPDX-License-Identifier: MIT */
/*
 * A machine with guest kernels for tests: domains that share, map and notify in one line each, with
 * a clock that stands still until it is moved and a caller's memory that can fault. Audited as it
 * goes.
 */
#ifndef GNTSIM_TEST_KERNEL_HARNESS_H
#define GNTSIM_TEST_KERNEL_HARNESS_H

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <gntsim/gnttab.h>
#include <gntsim/hv.h>
#include <gntsim/kernel.h>

#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>
#include <xen/sys/privcmd.h>

#include "../suite.h"

#define PAGE 4096u
#define MS 1000000ull
#define RW (PROT_READ | PROT_WRITE)
#define IS_PV (!w.profile->auto_translated)

#define EQ(actual, expected) \
    eq_((long long)(actual), (long long)(expected), #actual " == " #expected, __FILE__, __LINE__)
void eq_(long long actual, long long expected, const char *what, const char *file, unsigned line);
#define OK(condition) CU_ASSERT(condition)
#define MUST(condition) CU_ASSERT_FATAL(condition)

/* ---- The machine ----------------------------------------------------------------------------- */

#define NR_DOMAINS 4
struct world {
    const struct kernel_profile *profile;      /* the suite's, or the one that the test asked for */
    struct hv *hv;
    void *memory;
    uint64_t nr_frames;
    uint64_t now;
    struct kernel *k[NR_DOMAINS];
    bool upcall[NR_DOMAINS];
    unsigned crashes, timer_changes;
    char log[4096];                            /* what the kernels printed */
    unsigned open_files;
};
extern struct world w;

/* Of the suite that runs from now on; false if there is none of that name. */
bool use_profile(const char *name);
/* A machine with domains 0 (privileged) and 1 that run the suite's profile. */
/* Of kernels that boot from now on. */
extern const struct kernel_hooks *world_hooks;
void world_up(void);
void world_up_with(const struct kernel_profile *profile);
void world_empty(const struct kernel_profile *profile, uint64_t nr_frames);
/* Audits, destroys kernels and machine; every file must be closed. */
void world_down(void);
void boot(domid_t id, const struct kernel_profile *profile);
void boot_with(domid_t id, const struct kernel_profile *profile, unsigned grant_version,
               int32_t max_grant_frames, int32_t max_maptrack_frames);
void destroy_domain(domid_t id);
void audit_clean(void);
/* Delivers what is pending; runs timers up to a later time, each at its own. */
void settle(void);
void advance(uint64_t ns);
bool logged(const char *text);

/* ---- A process ------------------------------------------------------------------------------- */

/* Its memory is this program's, but parts can be made to fault. */
struct proc {
    struct {
        uint64_t from, to;
        int allowed;                           /* PROT_READ, PROT_WRITE */
    } holes[4];
    uint64_t only_from, only_to;               /* if set, nothing else is there */
    unsigned reads, writes;
    void (*during)(void *arg);                 /* runs once, within the at-th access from now on */
    void *during_arg;
    unsigned at;
    struct { uint64_t addr; struct vma *vma; } vmas[4];
    void (*in_find_vma)(void);
    uint64_t filled_first, filled_nr;          /* what the last ioctl made appear */
};
extern struct proc p;
void proc_reset(void);
void proc_hole(const void *from, size_t size, int allowed);
struct user_memory proc_memory(void);

struct call {
    struct kreq req;
    bool done;
    long result;
    struct vma *vma;
};

struct file *open_as(domid_t id, const char *name, unsigned flags);
#define open_dev(id, name) open_as(id, name, O_RDWR)
/* The descriptor goes; the file is closed with the last mapping of it. */
void close_dev(struct file *file);

long do_ioctl(struct file *file, unsigned long cmd, void *arg);
/* Takes the struct call along: for calls that may be pending. */
long start_ioctl(struct file *file, unsigned long cmd, void *arg, struct call *call);
long do_mmap(struct file *file, uint64_t offset, uint64_t length, unsigned prot, unsigned flags,
             struct vma **vma);
long start_mmap(struct file *file, uint64_t offset, uint64_t length, unsigned prot, unsigned flags,
                struct call *call);
long start_read(struct file *file, void *buf, size_t size, struct call *call);
/* A whole, or a part of a, mapping leaves the address space. */
void do_munmap(struct vma *vma);
void do_munmap_part(struct vma *vma, uint64_t first, uint64_t nr);
/* Byte of a mapping. */
volatile uint8_t *at(const struct vma *vma, uint64_t page, unsigned offset);

/* ---- gntalloc, gntdev and evtchn in one line ------------------------------------------------- */

#define MAX_REFS 1100
long alloc_grefs(struct file *file, domid_t to, unsigned flags, uint32_t count, uint64_t *index,
                 uint32_t *refs);
long dealloc(struct file *file, uint64_t index, uint32_t count);
/* As xengntshr_share_pages: allocated, mapped, given up. */
struct vma *share(struct file *gntalloc, domid_t to, uint32_t count, uint32_t *refs);
long set_notify(struct file *file, uint64_t index, uint32_t action, uint32_t port);

long map_refs(struct file *file, domid_t from, const uint32_t *refs, uint32_t count,
              uint64_t *index);
long unmap_index(struct file *file, uint64_t index, uint32_t count);
/* As xengnttab_map_domain_grant_refs: NULL and *rc on failure. */
struct vma *map_grants(struct file *gntdev, domid_t from, const uint32_t *refs, uint32_t count,
                       unsigned prot, long *rc);
/* As xengnttab_unmap. */
void unmap_grants(struct file *gntdev, struct vma *vma);
uint64_t index_of(const struct vma *vma);

/* A connected pair of channels, both sides quiet. */
void connect(struct file *a, domid_t a_id, struct file *b, domid_t b_id, uint32_t *a_port,
             uint32_t *b_port);
/* Reads one port without waiting: the port, 0 if none; acknowledges it. */
uint32_t next_event(struct file *evtchn);
uint32_t take_event(struct file *evtchn);      /* without acknowledging */
void ack_event(struct file *evtchn, uint32_t port);

/* Flags of a shared entry, as the peer sees them (v2: with the status word). */
uint16_t entry_flags(domid_t id, uint32_t ref);
bool in_use(domid_t id, uint32_t ref);         /* reading or writing */
struct hv_domain_info info(domid_t id);

/* The machine page behind a page of a mapping goes out, or comes back. */
void page_out(const struct vma *vma, uint64_t page);
void page_in(const struct vma *vma, uint64_t page);

/* Random calls; the numbers come from a seed, or from bytes (then until they are used up). */
void fuzz_seed(uint64_t seed);
void fuzz_bytes(const uint8_t *data, size_t size);
enum fuzz_fate { FUZZ_LIVES, FUZZ_DIES, FUZZ_MIGRATES };      /* of domain 1 */
void fuzz_run(unsigned steps, enum fuzz_fate fate);

#endif
