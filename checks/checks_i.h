/* SPDX-License-Identifier: MIT */
/* What the files of the checks share: their state in a machine, and findings on their way. */
#ifndef GNTSIM_CHECKS_CHECKS_I_H
#define GNTSIM_CHECKS_CHECKS_I_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uthash.h>

#include "checks_part.h"
#include "kinds_i.h"
#include "ledger_i.h"
#include "machine.h"
#include "saying.h"

enum kind {
#define ROW(id, ...) KIND_##id,
    CHECKS_KINDS(ROW)
#undef ROW
        NR_KINDS
};

#define MOST_PARENTS 16u

/* A process that made something. */
struct program {
    unsigned number; /* as process_number says */
    pid_t pid;
    pid_t parents[MOST_PARENTS]; /* that it had when it was seen first, the nearest first */
    char command[16];
    uint32_t notified; /* order of its last event to a peer */
    const struct witness **held; /* where it was held up; NULL: never */
    unsigned nr_holds;
    UT_hash_handle hh;
};

struct call;
struct finding;
struct hold;
struct refused;
struct stale;
struct suppression;
struct unread;

struct checks {
    struct machine *machine;
    struct depot *depot;
    struct ledger ledger; /* with the machine's lock, as the next ones */
    struct unread *unread; /* statuses that are watched */
    struct stale *stale; /* NULL: no store was asked yet */
    struct call *calls;   /* that have begun */
    struct refused *refused;
    struct hold *holds;   /* calls that are to be answered later */
    atomic_uint nr_holds;
    struct program *programs;
    uint32_t order; /* of the latest event */
    struct finding *new; /* not published yet */
    bool publishing;     /* machine_later has been asked to */
    struct machine_later later;
    struct check_choice choice;
    struct suppression *suppressions;
    const char *suppressions_path;
    FILE *report; /* NULL: none is wanted */
    enum report_format format;
    pthread_mutex_t lock; /* of the next ones, and of the suppressions' counts */
    pthread_cond_t calm;  /* publishers became 0 */
    unsigned publishers;
    struct finding *findings; /* published, oldest first */
};

static inline struct checks *checks_of(const struct machine *m)
{
    return part_of_machine(m, &checks_part);
}

/* checks.c, with the machine's lock. What happens now. */
struct event event_now(struct checks *checks, const struct witness *where);
/* Never NULL for a number but for want of memory. */
struct program *program_of(struct checks *checks, unsigned number);
/* The process has neither ended nor begun to. */
bool program_lives(const struct program *program);

/* calls.c, with the machine's lock. struct machine_part's. */
void calls_begin(struct domain *d, const struct kernel_point *point);
void calls_memory(struct domain *d, const struct kernel_point *point, enum kernel_user op,
                  uint64_t addr, const void *data, size_t size);
void calls_over(struct domain *d, const struct kernel_point *point, long result);
void calls_drop(struct checks *checks, const struct domain *domain);
/* late.c. struct machine_part's. */
void calls_access_ended(struct domain *d, grant_ref_t ref);

/* fault.c. Without the lock: a process is about to die of an access. With it: machine_part's. */
void faults_hear(struct checks *checks, const struct process_saying *saying);
void faults_placed(struct machine *m, const struct vma *vma, uint64_t addr);

/* hold.c. With the machine's lock: a thread is about to unmap the item. */
void hold_unmap(struct checks *checks, unsigned process, pid_t tid, const struct item *item,
                const struct witness *where);
/* Without it: waits, if the thread is to be held up. */
void hold_wait(struct checks *checks, pid_t tid);
/* struct machine_part's. */
void hold_up(struct machine *m, pid_t tid);
void holds_free(struct checks *checks);

/* Whether an item is a leak when its process exits well. */
bool item_is_left(const struct item *item);
/* say.c, without the machine's lock. struct machine_part's. */
int64_t says(struct machine *m, const struct process_saying *saying);

/* leaks.c, with the machine's lock. */
struct items {
    struct item **items; /* the caller frees them */
    size_t nr, capacity;
};
void items_add(struct items *items, struct item *item);
/* Reports these as leaks: those of one kind, made at one place, are one finding. exit: its process
 * ended well; NULL: it went on, and made more there. */
void leaks_tell(struct checks *checks, struct items *items, const struct event *exit);
/* A file of the domain, 0: all of them, is closed for good: reports what its processes forgot
 * although they went on. */
void leaks_file_over(struct checks *checks, const struct domain *domain, uint64_t file);

/* tell.c, with the machine's lock: findings of what the ledger says. */
void tell_leak(struct checks *checks, enum kind kind, struct item **items, size_t nr,
               const struct event *exit);
void tell_late(struct checks *checks, const struct item *item);
/* what: was given back, by a call at when. before: the item that it was, NULL: there is none. */
void tell_bad_end(struct checks *checks, enum kind kind, const struct program *program,
                  const struct item *before, const struct event *when, const char *what);

/* finding.c */
#define MAX_PARTS 6u
/* With the machine's lock: a new finding; its title is formatted. NULL: no memory. */
struct finding *finding_new(struct checks *checks, enum kind kind, const struct program *program,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A sentence, and the stack of what it says. */
void finding_add(struct finding *finding, const struct event *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* It is complete: published when the lock is free. */
void finding_done(struct checks *checks, struct finding *finding);
/* Without the machine's lock: publishes what is complete. */
void findings_publish(struct checks *checks);
/* The same, and waits until other threads have published theirs. */
void findings_settle(struct checks *checks);
void findings_free(struct checks *checks);

#endif
