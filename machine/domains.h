/* SPDX-License-Identifier: MIT */
/*
 * The domains of a machine, from creation to end. Every function but machine_wait_killed needs the
 * machine's lock.
 */
#ifndef GNTSIM_MACHINE_DOMAINS_H
#define GNTSIM_MACHINE_DOMAINS_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include <gntsim/hv.h>
#include <gntsim/kernel.h>

#include "parts.h"

struct machine;

/* What a domain is made with. */
struct domain_options {
    const struct kernel_profile *profile;    /* NULL: the machine's */
    int32_t grant_frames, maptrack_frames;   /* limits; -1: the default */
    unsigned grant_version;                  /* that its kernel chooses: 1 or 2; 0: its own choice */
    bool privcmd_unrestricted;               /* xen_privcmd.unrestricted on its kernel's command line */
    bool is_hvm;                             /* what toolstacks call hvm: an auto-translated domain
                                              * with emulated devices, of which none works */
    bool is_made;                            /* by XEN_DOMCTL_createdomain: its kernel begins */
    bool store;                              /* pages, ports and grants for store and console; of
                                              * every domain if a part of the machine has a store */
};

struct domain {
    struct machine *machine;
    domid_t id;
    domid_t place;               /* by which ways and programs know it: its first id, unless a living domain has that one's place */
    struct kernel *kernel;       /* NULL once dead */
    const struct kernel_profile *profile;
    unsigned in_flight;          /* threads inside a call that may let go of the lock */
    unsigned open_files;
    bool has_toolstack;          /* a program of domain 0 built it, and writes its nodes */
    bool dead;                   /* destroyed, waiting for in_flight and open_files to reach 0 */
    bool hostile;                /* somebody wrote its grant table past its kernel */
    bool upcall;                 /* the hypervisor asked for attention */
    bool crashed;                /* the hypervisor crashed it: destroyed at the next unlock */
    bool suspend;                /* to be suspended and resumed then */
    struct domain_options options;   /* it was made with */
    uint64_t console_gfn, store_gfn; /* with options.store; domain 0 has no console */
    evtchn_port_t console_port, store_port;
    void *part_states[MACHINE_MAX_PARTS];
    struct domain *next;
};

/*
 * A domain whose kernel is not one of the machine's but a process elsewhere (hv-remote). Belongs to whoever added it; it is not among
 * domains. Both are called with the lock.
 */
struct outside {
    domid_t id;
    pid_t pid;                                /* for people */
    void (*upcall)(struct outside *o);        /* the hypervisor asks for attention; must not call back into the model */
    void (*gone)(struct outside *o);          /* the domain was destroyed; o is in no list any more */
    bool crashed;
    struct outside *next;
};

/* Tells the domain's kernel that its store is there. */
void machine_connect_store(struct domain *d);
/* An existing, living domain or NULL. */
struct domain *machine_domain(struct machine *m, domid_t id);
/* Creates a domain and boots its kernel. profile NULL: the machine's. Domain 0 is privileged.
 * -EEXIST, -EINVAL, -ENOMEM. */
int machine_domain_create(struct machine *m, domid_t id, const struct kernel_profile *profile, struct domain **out);
int machine_domain_create_with(struct machine *m, domid_t id, const struct domain_options *options, struct domain **out);
/*
 * A kernel begins in a domain that a toolstack made; profile NULL: the machine's, or the first one
 * of its kind. -ESRCH, -EEXIST (it has one), -EAGAIN (it is paused, or has no vCPU), -EINVAL (a
 * profile of another kind), -ENOMEM.
 */
int machine_domain_boot(struct machine *m, domid_t id, const struct kernel_profile *profile,
                        struct domain **out);
/* Whether a toolstack made it, and no kernel has begun in it. */
bool machine_domain_is_bare(const struct machine *m, domid_t id);
/*
 * Suspend and resume: the domain goes on under another id (as; -1: the lowest above its own that is free) with the same kernel,
 * programs and files; its grants, mappings and event channels are gone (kernel_migrated). grant_version 0: as before.
 * -ESRCH, -EEXIST, -EINVAL, -ENOSPC, -ENOMEM: it goes on as it was.
 */
int machine_domain_suspend(struct machine *m, domid_t id, int as, unsigned grant_version, domid_t *now);
/* The same when the operation that is going on is over. */
void machine_suspend_later(struct machine *m, domid_t id);
/* The living domain at a place, NULL: it is gone. */
struct domain *machine_domain_at(struct machine *m, domid_t place);
/* A domain without a kernel of the machine's: config says what it is, but for privileged, and o->id which. Errors as above. */
int machine_outside_create(struct machine *m, struct outside *o, const struct hv_domain_config *config);
struct outside *machine_outside(const struct machine *m, domid_t id);
/* Destroys it as a hypervisor does: no notification, no event. -ESRCH. Its processes are sent SIGKILL; whoever must know
 * them gone calls machine_wait_killed, without the lock: they can only die while their requests are answered. */
int machine_domain_destroy(struct machine *m, domid_t id);
/* Without the lock: ends all domains, and waits for their processes' ends. */
void machine_end_programs(struct machine *m);
void machine_wait_killed(struct machine *m);
/* A thread enters or leaves a call into the domain's kernel that may let go of the lock. */
void domain_enter(struct domain *d);
void domain_leave(struct domain *d);

#endif
