/* SPDX-License-Identifier: MIT */
/*
 * A small machine driven by bytes. Whatever the bytes are, they decode to operations that are
 * nearly valid: numbers are picked from what exists, and a few values of each kind stand for
 * "anything else".
 */
#ifndef GNTSIM_FUZZ_HV_FUZZ_I_H
#define GNTSIM_FUZZ_HV_FUZZ_I_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hv_i.h"

#define NR_DOMS 4u             /* the fuzzed ones: ids 0 .. 3 */
#define VICTIM 9u              /* grants nothing to anybody, so nobody ever gets near its pages */
#define VICTIM_PAGES 4u
#define MAX_FRAMES_FUZZED 112u
#define ARENA_SIZE 8192u       /* the callers' memory: arguments and results */
#define ARENA_BASE UINT64_C(0x10000)
#define MAX_HELD 6u
#define NR_HANDLES 16u         /* recent handles remembered per domain */
#define PV_SLOTS 24u
#define NR_GRANTED 8u
#define MAX_HANDLES 768u       /* three frames of maptrack are the most that a domain gets here */
#define MAX_STEPS 400u

/* The bytes. Reading past the end gives zeroes. */
struct input {
    const uint8_t *at, *end;
};
uint8_t u8(struct input *in);
uint16_t u16(struct input *in);
uint32_t u32(struct input *in);
uint64_t u64(struct input *in);

/* A domain whose embedder keeps its address space (hv_pv_ops). */
struct pv_space {
    uint64_t addr[PV_SLOTS];   /* 0: free */
    uint64_t mfn[PV_SLOTS];
};

struct fuzz {
    struct hv *hv;
    struct input in;
    const char *replay;        /* how to repeat this input */
    bool verbose;
    unsigned step;
    const char *what;          /* the operation under way */

    uint8_t *memory;
    uint64_t nr_frames;
    uint8_t arena[ARENA_SIZE];
    unsigned copies_left;      /* accesses to the arena until one fails */
    struct hv_domain_config config[NR_DOMS];
    struct pv_space pv[NR_DOMS];
    uint32_t handles[NR_DOMS][NR_HANDLES];
    uint64_t handle_addr[NR_DOMS][NR_HANDLES];
    unsigned next_handle[NR_DOMS];
    uint64_t addr_of[NR_DOMS][MAX_HANDLES];
    bool lost[NR_DOMS];        /* it does not know any more what is mapped where */
    struct { domid_t dom, to; uint32_t ref; } granted[NR_GRANTED];     /* the last ones written */
    unsigned next_granted;
    uint64_t held[MAX_HELD];
    unsigned nr_held;
    /* a guest broke its own flags: the audit may not trust them any more */
    bool hostile;

    unsigned races_left;       /* how often a guest acts in the middle of the next hypercall */
    struct { domid_t dom; uint32_t ref; uint16_t flags; domid_t to; bool moves; uint64_t frame; } race;
};

/* The whole life of one machine. Aborts, after saying why and how to repeat it, when the model is
 * wrong. */
void fuzz_run(const uint8_t *data, size_t size, const char *replay, bool verbose);

void fuzz_fail(const struct fuzz *f, const char *format,
               ...) __attribute__((noreturn, format(printf, 2, 3)));
void fuzz_note(const struct fuzz *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* hv_fuzz_pick.c: values. */
/* one of the fuzzed domains, alive or not */
domid_t pick_own(struct fuzz *f);
domid_t pick_domid(struct fuzz *f);                     /* what an operation names */
domid_t real_domid(domid_t caller, domid_t named);      /* DOMID_SELF resolved */
uint32_t pick_ref(struct fuzz *f, domid_t dom);
/* A reference that was granted lately, mostly; then *to is who may use it. */
void pick_granted(struct fuzz *f, domid_t *dom, uint32_t *ref, domid_t *to);
uint64_t pick_gfn(struct fuzz *f);
uint64_t pick_frame(struct fuzz *f, domid_t dom);       /* as dom would write it */
uint64_t pick_host_addr(struct fuzz *f, domid_t dom);
uint32_t pick_map_flags(struct fuzz *f);
unsigned pick_count(struct fuzz *f, unsigned most);
/* Where something of size bytes is in the caller's memory: nearly always all of it in the arena. */
uint64_t pick_address(struct fuzz *f, size_t size);
/* Moves as much of it as is there between us and the caller's memory. */
void put_args(struct fuzz *f, uint64_t addr, const void *args, size_t size);
void get_args(const struct fuzz *f, uint64_t addr, void *args, size_t size);
void remember_handle(struct fuzz *f, domid_t dom, uint32_t handle, uint64_t addr);

/* hv_fuzz_guest.c: what guests do by themselves, and the caller's memory. */
extern const struct hv_pv_ops fuzz_pv_ops;
long call(struct fuzz *f, domid_t caller, unsigned op, uint64_t cmd, uint64_t arg, unsigned count);
void act_in_race(void *ctx);
void write_entry(struct fuzz *f, domid_t dom, uint32_t ref, uint16_t flags, domid_t to,
                 uint64_t frame);
void do_grant(struct fuzz *f);
void do_revoke(struct fuzz *f);
void do_guest_bytes(struct fuzz *f);
void do_arm_race(struct fuzz *f);
void check_pv_spaces(const struct fuzz *f);

/* hv_fuzz_grant.c */
void do_map(struct fuzz *f);
void do_unmap(struct fuzz *f);
void do_replace(struct fuzz *f);
void do_copy(struct fuzz *f);
void do_transfer(struct fuzz *f);
void do_swap(struct fuzz *f);
void do_table(struct fuzz *f);
void do_version(struct fuzz *f);
void do_cache_flush(struct fuzz *f);
void do_raw_call(struct fuzz *f);

/* Before copies: a guest that lets its own table be overwritten breaks its flags by itself. */
void note_targets(struct fuzz *f, domid_t caller, const struct gnttab_copy *ops, unsigned n);
void note_copies(const struct fuzz *f, const struct gnttab_copy *ops, unsigned n);

/* hv_fuzz_chain.c: what single steps hardly ever add up to. */
void do_transitive(struct fuzz *f);
void do_status_frame(struct fuzz *f);
void do_channel(struct fuzz *f);

/* hv_fuzz_hap.c */
void do_hap(struct fuzz *f);

/* hv_fuzz_life.c */
void do_evtchn(struct fuzz *f);
void do_physmap(struct fuzz *f);
void do_page(struct fuzz *f);
void do_hold(struct fuzz *f);
void do_domain(struct fuzz *f);
void do_look(struct fuzz *f);
void decode_domain(struct fuzz *f, domid_t dom);
int create_domain(struct fuzz *f, domid_t dom);

#endif
