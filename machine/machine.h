/* SPDX-License-Identifier: MIT */
/*
 * The machine being served: one hypervisor model, one guest kernel per domain, the memory that programs
 * map, and the lock under which all of it is used. How its devices reach programs is the business of ways
 * (fuse-dev, sock-dev).
 *
 * Every operation on the models happens between machine_lock and machine_unlock, so there is one total order
 * of operations. A thread lets go of the lock only while it touches a client's memory (user_mem.h), because a
 * client can make that wait for ever.
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

struct actor;
struct adversary;
struct maps;
struct loops;
/* The state of the ways. */
struct dev_fs;
struct supervisor;
struct killed_ns;
struct sock_server;

/*
 * Something to be done when the lock is free again: to wake somebody whose next request would only wait for the lock. Done by the thread
 * that has the lock, before its machine_unlock returns.
 */
struct machine_later {
    void (*run)(struct machine_later *later);    /* frees it */
    struct machine_later *next;
};

/* Counters for people, not for decisions. Under the lock. */
struct machine_stats {
    uint64_t fuse_requests;      /* requests served on the device files */
    uint64_t socket_requests;    /* requests served over sockets */
    uint64_t notifications;      /* mmap, munmap … calls of clients that the server was asked about */
    uint64_t mappings_made;      /* device mappings completed since the start */
    uint64_t mmap_eagain;        /* mmap calls that failed with EAGAIN */
    uint64_t events;             /* upcalls delivered to guest kernels */
};

/* What a domain is made with. */
struct domain_options {
    const struct kernel_profile *profile;    /* NULL: the machine's */
    int32_t grant_frames, maptrack_frames;   /* limits; -1: the default */
    unsigned grant_version;                  /* that its kernel chooses: 1 or 2; 0: its own choice */
};

struct domain {
    struct machine *machine;
    domid_t id;
    struct kernel *kernel;       /* NULL once dead */
    const struct kernel_profile *profile;
    struct actor *actor;         /* NULL until a test acts as this kernel */
    int ns_fd;                   /* fuse-dev's: mount namespace with this domain's /dev/xen, -1 until asked for */
    unsigned in_flight;          /* threads inside a call that may let go of the lock */
    unsigned open_files;
    bool dead;                   /* destroyed, waiting for in_flight and open_files to reach 0 */
    bool hostile;                /* somebody wrote its grant table past its kernel */
    bool upcall;                 /* the hypervisor asked for attention */
    bool crashed;                /* the hypervisor crashed it: destroyed at the next unlock */
    bool suspend;                /* to be suspended and resumed then */
    struct domain_options options;   /* it was made with */
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

/* How programs reach the devices of a machine. A function that a way does not need is NULL. */
struct machine_way {
    /* Before the models, in a process with one thread. *memory_fd: a directory for the memory (maps.h), to be set by the way if it
     * is still -1. Negative errno after a message. */
    int (*prepare)(struct machine *m, int *memory_fd);
    /* The models and the loops are there. */
    int (*start)(struct machine *m);
    /* With the lock: the domain was destroyed; its programs get SIGKILL. */
    void (*kill)(struct domain *d);
    /* Without: waits until those that were sent SIGKILL are gone (for some seconds at most). */
    void (*wait_killed)(struct machine *m);
    /* With the lock: the last that is heard of a domain. */
    void (*forget)(struct domain *d);
    /* The programs are gone. Ends whatever its loops wait for. */
    void (*stop)(struct machine *m);
    /* With the lock, after the loops and the mappings ended: closes the files that are still open. */
    void (*close_all)(struct machine *m);
    void (*destroy)(struct machine *m);
};
#define MACHINE_MAX_WAYS 2

#define MACHINE_DEFAULT_SEED 20261121u

struct machine_config {
    uint64_t nr_frames;          /* 0: 1 GiB worth */
    const struct kernel_profile *profile;   /* of domains created without one; NULL: pv */
    bool verbose;
    uint64_t seed;               /* of everything that is drawn by lot; 0: MACHINE_DEFAULT_SEED */
    bool virtual_clock;
    const char *no_devices;      /* why fuse-dev's is not among the ways; stays the caller's */
    const struct machine_way *ways[MACHINE_MAX_WAYS + 1];   /* ends with NULL; the first that offers one gives the place for memory */
};

struct machine {
    pthread_mutex_t lock;
    struct hv *hv;
    void *memory;
    uint64_t nr_frames;
    const struct kernel_profile *profile;
    bool verbose;
    struct domain *domains;      /* ascending id */
    struct outside *outsiders;
    struct machine_stats stats;
    struct adversary *adversaries;
    int64_t next_adversary;
    bool adversary_at_work;
    struct maps *maps;
    struct loops *loops;
    const struct machine_way *ways[MACHINE_MAX_WAYS + 1];
    unsigned nr_ways;            /* that were prepared */
    struct dev_fs *fs;           /* fuse-dev's, as the next three */
    struct supervisor *supervisors;
    struct killed_ns *killed;    /* namespaces of destroyed domains whose processes have been sent SIGKILL */
    int user_ns_fd;              /* the machine's user namespace, -1 when it has the caller's */
    struct sock_server *sock;    /* sock-dev's */
    struct remote *remotes;      /* hv-remote's */
    const char *no_devices;      /* why programs get no device files; NULL: they do */
    int epoll_fd;                /* the main loop's */
    int timer_fd;                /* the kernels' next deadline */
    int moment_fd;               /* when to look for ended mappings again */
    int stop_fd;                 /* eventfd: becomes readable when the machine is to stop */
    bool timer_dirty;            /* a kernel's next deadline changed */
    bool attention;              /* some domain has upcall or crashed set */
    bool settling;
    struct machine_later *later;
    struct clock clock;
    uint64_t seed;
    struct faults *faults;
    struct processes *processes;
    struct trace *trace;
    bool replays;                /* a replay: no programs, and caller is a process's number */
    pid_t caller;                /* thread that makes the present call, see machine_caller */
    struct successor {
        domid_t from, to;
    } *successors;               /* what suspended domains go on as */
    unsigned nr_successors;
    struct watch *watches;       /* the machine's own */
    atomic_bool stopping;
};

/*
 * Makes the machine: memory, models, threads, and what its ways need. Must be called in a process of its
 * own that has one thread. Returns 0 or a negative errno after a message on stderr that says what is missing.
 */
int machine_start(struct machine *m, const struct machine_config *config);
/* Ends every domain and its processes, joins threads, frees. */
void machine_stop(struct machine *m);
/* The models alone, for a replay: no programs, loops or timers of the host. 0, negative errno. */
int machine_open_models(struct machine *m, const struct machine_config *config);
/* With the lock: ends every domain. */
void machine_close_domains(struct machine *m);
void machine_close_models(struct machine *m);
/* Waits until machine_request_stop. */
void machine_run(struct machine *m);
void machine_request_stop(struct machine *m);

/* Something the main loop waits for: ready is called in it, without the lock, when fd has events (EPOLLIN …). Armed for
 * one event at a time: machine_rearm waits for the next. The watch belongs to the caller and lives until machine_unwatch. */
struct watch {
    int fd;
    void (*ready)(void *ctx, unsigned events);
    void *ctx;
};
int machine_watch(struct machine *m, struct watch *watch, unsigned events);
void machine_rearm(struct machine *m, struct watch *watch, unsigned events);
void machine_unwatch(struct machine *m, struct watch *watch);

/* Takes the lock and takes note of mappings that ended since. */
void machine_lock(struct machine *m);
/* The lock and nothing else: for books of the server's own, when no operation begins. */
static inline void machine_lock_only(struct machine *m)
{
    pthread_mutex_lock(&m->lock);
}
/* Delivers an upcall; the rest of machine_settle's work is done by the other calls below. */
void machine_upcall(struct machine *m, struct domain *d);
/* Delivers pending upcalls; called by machine_unlock, and where an operation needs to know what comes of them. */
void machine_settle(struct machine *m);
/* Lets go of the lock and does what was put off until then. Only now may the result of an operation be published: whoever was to be woken
 * by it has been. */
void machine_unlock(struct machine *m);

/* The following need the lock. */

/* An existing, living domain or NULL. */
struct domain *machine_domain(struct machine *m, domid_t id);
/* Creates a domain and boots its kernel. profile NULL: the machine's. Domain 0 is privileged.
 * -EEXIST, -EINVAL, -ENOMEM. */
int machine_domain_create(struct machine *m, domid_t id, const struct kernel_profile *profile, struct domain **out);
int machine_domain_create_with(struct machine *m, domid_t id, const struct domain_options *options, struct domain **out);
/*
 * Suspend and resume: the domain goes on under another id (as; -1: the lowest above its own that is free) with a freshly booted
 * kernel: grants, mappings, event channels and open devices are gone, its programs are not, and what they open now is the new
 * domain's. grant_version 0: as before. -ESRCH, -EEXIST, -EINVAL, -ENOSPC, -ENOMEM.
 */
int machine_domain_suspend(struct machine *m, domid_t id, int as, unsigned grant_version, domid_t *now);
/* The same when the operation that is going on is over. */
void machine_suspend_later(struct machine *m, domid_t id);
/* The domain that a program of domain id is in now; NULL: none, it is gone. */
struct domain *machine_domain_of_program(struct machine *m, domid_t id);
/* Before a call into a kernel: the client's thread that makes it. Until machine_unlock. */
void machine_caller(struct machine *m, pid_t tid);
/* Puts it off until the lock is free. */
void machine_later(struct machine *m, struct machine_later *later);
/* A domain without a kernel of the machine's: config says what it is, but for privileged, and o->id which. Errors as above. */
int machine_outside_create(struct machine *m, struct outside *o, const struct hv_domain_config *config);
struct outside *machine_outside(const struct machine *m, domid_t id);
/* Destroys it as a hypervisor does: no notification, no event. -ESRCH. Its processes are sent SIGKILL; whoever must know
 * them gone calls machine_wait_killed, without the lock: they can only die while their requests are answered. */
int machine_domain_destroy(struct machine *m, domid_t id);
void machine_wait_killed(struct machine *m);
/* A thread enters or leaves a call into the domain's kernel that may let go of the lock. */
void domain_enter(struct domain *d);
void domain_leave(struct domain *d);

void machine_log(const struct machine *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
