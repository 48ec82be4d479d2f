/* SPDX-License-Identifier: MIT */
/*
 * What processes see of their domain's pages when the domain's memory map changes: frames that are
 * shared, and the copies of them that writes make (struct hv_hooks: follows, shows). The machine
 * keeps what each process is to see. A part that can show it (machine_part.follow) does so before
 * the operation's result is published.
 */
#ifndef GNTSIM_MACHINE_FOLLOW_H
#define GNTSIM_MACHINE_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <uthash.h>

#include <gntsim/kernel.h>

struct machine;
struct mapping;

/* A page of a mapping that shows, or will show, something else than when it was mapped. */
struct shown_page {
    struct mapping *mapping;
    uint64_t page;                  /* its number in the mapping */
    struct shown_page_key {
        const struct kernel *kernel;
        uint64_t gfn;
    } key;
    uint64_t shown, wanted;         /* frames; both are held, and so is the one that is in work */
    uint64_t in_work;               /* HV_INVALID_MFN: none */
    bool shown_writable, writable;  /* whether writes wait now, and are to wait */
    bool queued;                    /* in the list of those that are not shown as wanted */
    bool changed;                   /* wanted is not held yet */
    bool stuck;                     /* its process has no thread that could do it at the moment */
    bool lost;                      /* nothing is there: it reads ones, and loses what is written */
    bool paged;                     /* a pager has it, or is about to */
    bool shown_alone;               /* no forked child may have it: its writes make a copy */
    struct shown_page *prev, *next;   /* of that list */
    struct shown_page *same;          /* the next page that shows the same gfn */
    UT_hash_handle hh;              /* the first of these */
};

/* The machine's. */
struct following {
    struct shown_page *pages;         /* by gfn */
    struct shown_page *to_show;       /* of them: not shown yet as wanted */
    struct stale *stale;            /* frames that are let go of when the operation is over */
    bool shows, goes_on;            /* something was wanted since; a helper answered */
    bool said_refused, said_took_own;
    _Atomic uint64_t nr_lost;       /* pages of processes that were lost, ever */
    bool (*refuses)(struct machine *m);    /* a replay's: the recorded program could not follow */
};

/* The hooks; ctx: the machine. */
bool follow_can(void *ctx, domid_t dom, uint64_t gfn, uint64_t mfn);
void follow_shows(void *ctx, domid_t dom, uint64_t gfn, uint64_t from, uint64_t to, bool writable);
void follow_goes_on(void *ctx, domid_t dom);
/* Says once what that does. */
void follow_took_own(void *ctx, domid_t dom, uint64_t gfn);

/* The following need the lock. */

/* The operation is over: holds the new frames, and has the parts show them. */
void follow_settle(struct machine *m);
/* The page of the mapping; NULL: it shows what it showed from the start. */
struct shown_page *follow_page(const struct mapping *mapping, uint64_t page);
/* The first page to be shown of a process. NULL: none. */
struct shown_page *follow_next(const struct machine *m, pid_t pid);
/* Whether no forked child may have it as it is wanted. */
bool follow_is_alone(const struct shown_page *f);
/* A part begins to show it as wanted, and must tell how that ended. */
void follow_begin(struct shown_page *f);
/* It could not be shown. */
void follow_failed(struct machine *m, struct shown_page *f);
/*
 * It is shown now: frame mfn, writable or not, without children or not. Something else may be
 * wanted meanwhile, and then it stays in the list.
 */
void follow_shown(struct machine *m, struct shown_page *f, uint64_t mfn, bool writable, bool alone);
/* The mapping is where its process sees it: pages that its domain has lost are followed. */
void follow_placed(struct machine *m, struct mapping *mapping);
/*
 * The frames that processes see as pages of k, and that it has lost, one each. The caller frees
 * *runs. -ENOMEM.
 */
int follow_lost(const struct machine *m, const struct kernel *k, struct vma_run **runs, size_t *nr);
/* The process is gone, or another program: it is to see nothing. */
void follow_forget(struct machine *m, pid_t pid);
/* A process writes to the page: hv_page_touch, whose errors it returns. */
int follow_write(struct machine *m, const struct shown_page *f);
/* The mapping ends. */
void follow_end(struct machine *m, struct mapping *mapping);

#endif
