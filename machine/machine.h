/* SPDX-License-Identifier: MIT */
/*
 * The machine: one hypervisor model, one guest kernel per domain, their memory and their lock. Its
 * parts (parts.h) bring its devices to programs.
 *
 * Every operation on the models happens between machine_lock and machine_unlock, so there is one
 * total order of operations. A thread releases the lock only while it touches a client's memory
 * (user_mem.h), because a client can make that block for ever.
 */
#ifndef GNTSIM_MACHINE_MACHINE_H
#define GNTSIM_MACHINE_MACHINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <gntsim/hv.h>
#include <gntsim/kernel.h>
#include "clock.h"
#include "domains.h"
#include "follow.h"
#include "parts.h"

struct attendant;
struct maps;
struct outlet;
struct loops;

/* Something to be done when the lock is free again: by the thread that has it, before its
 * machine_unlock returns. */
struct machine_later {
    void (*run)(struct machine_later *later);    /* frees it */
    struct machine_later *next;
};

/* Counters for people, not for decisions. Under the lock. */
struct machine_stats {
    uint64_t mappings_made;      /* device mappings completed since the start */
    uint64_t mmap_eagain;        /* mmap calls that failed with EAGAIN */
    uint64_t events;             /* upcalls delivered to guest kernels */
    uint64_t unmodelled;         /* hypercalls that the model has not */
};

#define MACHINE_DEFAULT_SEED 1
/* gnttab_max_frames and gnttab_max_maptrack_frames as for many grants (Qubes OS), and the most. */
#define MACHINE_DEFAULT_GRANT_FRAMES 2048u
#define MACHINE_DEFAULT_MAPTRACK_FRAMES 4096u
#define MACHINE_MOST_FRAMES 65536u

struct machine_config {
    uint64_t nr_frames;          /* 0: 1 GiB worth */
    const struct kernel_profile *profile;   /* of domains created without one; NULL: pv */
    const struct hv_profile *xen;           /* its hypervisor; NULL: xen-4.17 */
    bool verbose, virtual_clock;
    uint64_t seed;               /* of everything that is drawn by lot; 0: MACHINE_DEFAULT_SEED */
    uint32_t grant_frames, maptrack_frames;     /* at most in a domain; 0: the usual numbers */
    /* ends with NULL; the first that can gives the place for memory */
    const struct machine_part *parts[MACHINE_MAX_PARTS + 1];
};

struct machine {
    pthread_mutex_t lock;
    struct hv *hv;
    struct hv_profile xen;       /* its hypervisor */
    void *memory;
    uint64_t nr_frames;
    const struct kernel_profile *profile;
    bool verbose;
    struct domain *domains;      /* ascending id */
    struct outside *outsiders;
    struct machine_stats stats;
    struct maps *maps;
    struct loops *loops;
    struct attendant *attendant;
    const struct machine_part *parts[MACHINE_MAX_PARTS];
    void *part_states[MACHINE_MAX_PARTS];
    unsigned nr_parts;           /* that are prepared */
    const char *inner_dir;       /* a directory that only its domains' programs see; NULL: none */
    int epoll_fd, timer_fd;      /* the main loop's; the kernels' next deadline */
    int moment_fd;               /* when to look for ended mappings again */
    int stop_fd;                 /* eventfd: becomes readable when the machine is to stop */
    bool timer_dirty, watched;   /* a kernel's next deadline changed; a part listens (saying.h) */
    bool attention, settling;    /* some domain has upcall or crashed set; it is seen to */
    struct machine_later *later;
    struct clock clock;
    uint64_t seed;
    struct faults *faults;
    struct processes *processes;
    struct trace *trace;
    int trace_error;             /* its file is not whole: an errno. After machine_stop */
    struct outlet *log;          /* what machine_log says; NULL: it says so itself */
    uint64_t told[16];           /* hypercalls without a model that were named, op << 32 | cmd */
    unsigned nr_told;
    bool replays;                /* a replay: no programs, and caller is a process's number */
    int (*refuses_memory)(struct machine *m);    /* a replay's: the recorded host had none */
    bool said_no_memory;
    struct following follow;     /* follow.c: what processes see of pages that move */
    pid_t caller;                /* thread that makes the present call, see machine_caller */
    const struct witness *witness;   /* of the present call */
    struct watch *watches;       /* the machine's own */
    atomic_bool stopping;
};

/*
 * Makes the machine: memory, models, threads, and what its parts need. The process must have one
 * thread and be the machine's own. 0, or a negative errno after a message on stderr: then nothing
 * is left but the namespaces that the process is in.
 */
int machine_start(struct machine *m, const struct machine_config *config);
/* Ends domains, processes and threads, frees. False: a stuck thread may look at *m again. */
bool machine_stop(struct machine *m);
/* The models alone, for a replay: no programs, loops or timers of the host. 0, negative errno. */
int machine_open_models(struct machine *m, const struct machine_config *config);
/* With the lock: ends every domain. */
void machine_close_domains(struct machine *m);
void machine_close_models(struct machine *m);

/* Takes the lock and takes note of what programs did without waiting, like ending a mapping. */
void machine_lock(struct machine *m);
/* The lock and nothing else: for books of the server's own, when no operation begins. */
static inline void machine_lock_only(struct machine *m)
{
    pthread_mutex_lock(&m->lock);
}
/* Its counterpart: does nothing that was put off. */
static inline void machine_unlock_only(struct machine *m)
{
    pthread_mutex_unlock(&m->lock);
}
/* Delivers an upcall; the rest of machine_settle's work is done by the other calls below. */
void machine_upcall(struct machine *m, struct domain *d);
/* Delivers pending upcalls: machine_unlock does, and whoever needs their effects at once. */
void machine_settle(struct machine *m);
/* Lets go of the lock and does what was put off, like waking. Only now publish a result. */
void machine_unlock(struct machine *m);

/* The domain that a process is in, whichever way it came there; -1 if in none. Without the lock. */
int machine_domain_of(struct machine *m, pid_t pid);

/* The following need the lock. */
/* Before a call into a kernel: the client's thread that makes it. Until machine_unlock. */
void machine_caller(struct machine *m, pid_t tid);
/* The open device behind a descriptor that is of no way's own making, as find_file above. */
bool machine_find_file(struct machine *m, dev_t dev, ino_t ino, struct machine_file *file);
/* Puts it off until the lock is free. */
void machine_later(struct machine *m, struct machine_later *later);
/* A line to standard error, for people. Never waits; needs no lock. */
void machine_log(const struct machine *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
