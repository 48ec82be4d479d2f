/* SPDX-License-Identifier: MIT */
/*
 * What the answers (supervisor.c, calls.c, unmap.c) and the completion of an mmap (place.c) share.
 */
#ifndef GNTSIM_FUSE_DEV_SUPERVISOR_I_H
#define GNTSIM_FUSE_DEV_SUPERVISOR_I_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "inject.h"
#include "supervisor.h"

struct vma;
struct waiting;
struct watched;
struct vma_fill;

struct supervisor {
    struct machine *machine;
    int listener;
    struct orphan_calls *calls;    /* received and not answered; NULL: nobody keeps account */
    pid_t pid;                     /* of the first program behind it; 0: not known */
    int event_fd;                  /* a pending call is decided, or stop */
    struct call *decided;          /* under the machine's lock, as the next two */
    unsigned pending;
    struct call *undecided;        /* they, and those decided; with the lock */
    _Atomic pid_t handled;         /* whose call it deals with; set with the lock */
    int stops_fd;                  /* watch.c's, as the next four: SIGCHLD */
    _Atomic uint64_t stops_until;  /* milliseconds: of watched_expect_stops */
    struct watched *watched;       /* the list is changed by our own thread, with the lock */
    bool seizing;                  /* with the lock: our thread may wait for threads that it watches to be gone */
    struct waiting *to_watch;      /* with the lock, as the next one */
    struct notice *to_release;
    struct notice *backlog;        /* received while another one was being answered; oldest first */
    atomic_bool stop, hung_up;
    unsigned refs;                 /* with the lock: our own thread's, and those of threads that deal with one notice */
    bool ending, over;             /* with the lock: our own thread watches nobody new; it has ended */
    struct supervisor *prev, *next;
};

/* One notified call. */
struct notice {
    struct supervisor *supervisor;
    uint64_t id;
    pid_t tid;
    int nr;
    uint64_t args[6];
    struct notice *next;           /* in the backlog */
};

/* supervisor.c. Ends the caller's wait with a negative errno, or a value. Nothing happens if the caller was killed meanwhile. */
void answer_notice(const struct notice *notice, int error, int64_t value, uint32_t flags);
void answer_error(const struct notice *notice, int error);
/*
 * Ends the wait of a thread that stops behind its call, with a result that is replaced there; and
 * lets it go on with that.
 */
void answer_for_now(const struct notice *notice);
void end_stop(const struct notice *notice, struct inject *inject, long result);
/* The kernel executes the call as it is. */
void answer_continue(const struct notice *notice);
/*
 * Has a thread of its own deal with a notice, because that reads the caller's memory, which may take for ever. Our own thread traces others
 * of the caller's threads: it never waits, and never gives its loop to another thread, as its end would kill them.
 */
void supervisor_spare(const struct notice *notice, void (*serve)(struct notice *notice));
/* The end of a reference. Without the lock. */
void supervisor_put(struct supervisor *supervisor);
/* Seizes the thread, answers its call and waits until it has stopped behind it. 0, -EPERM (somebody else traces it), -ESRCH. */
int stop_thread(struct notice *notice, struct inject *inject);
/* Says on stderr who traces the caller, if somebody does: one that is exiting cannot be seized either. */
void log_traced(const struct notice *notice);
/* Waits for the notice of thread inject, which is in a call that causes one; those of others go to the backlog. False: it is gone. */
bool receive_from(struct supervisor *supervisor, struct inject *inject, struct notice *notice);

/* calls.c: the handlers of calls on devices, and of those that are decided later. */
void handle_mmap(struct notice *notice);
void handle_ioctl(struct notice *notice);
void handle_fcntl(struct notice *notice);
void handle_exit(struct notice *notice);
void finish_decided(struct supervisor *supervisor);
/* With the lock: whether the thread waits for an answer of the supervisor's that is to come. */
bool is_dealt_with(const struct supervisor *supervisor, pid_t tid);
/* unmap.c */
void handle_munmap(struct notice *notice);
void handle_mremap(struct notice *notice);
void handle_mprotect(struct notice *notice);
void handle_remap_file_pages(struct notice *notice);
void handle_madvise(struct notice *notice);
void handle_shmat(struct notice *notice);

/* place.c: makes vma appear at addr in the address space of the notice's caller and answers the
 * call. id: its mapping; our_fd: the mapping's link, closed here; told_by_link: nobody needs news
 * of its pages. Without the machine's lock. */
void place_mapping(struct notice *notice, const struct vma *vma, uint64_t id, uint64_t addr,
                   int our_fd, bool told_by_link);
/* The same for pages that an ioctl of the caller's filled; addr: of the first. The ioctl's result is answer if all went well. */
void place_fill(struct notice *notice, const struct vma_fill *fill, uint64_t addr, int our_fd, long answer);

#endif
