/* SPDX-License-Identifier: MIT */
/* Reads from a userfaultfd which pages left a client's address space. */
#include "space_i.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

#include "filter.h"
#include "fuse_way_i.h"
#include "loops.h"
#include "maps.h"
#include "pin.h"
#include "saying.h"
#include "supervisor_i.h"
#include "watch.h"

#define PIDFD_OF_A_THREAD O_EXCL       /* PIDFD_THREAD, Linux 6.9 */
#define NO_CALL -1               /* what a thread is in that waits, but not in a call */
#define MAX_YIELDS 10
#define MAX_MOMENTS 100

/* ---- What a thread does that waits ------------------------------------------------------------ */

/* A thread's call, of which there is or will be news, and the pages that leave by it: none if start == end. */
struct cause {
    struct proc_call call;
    uint64_t start, end;
};

/* Whether the thread's call is one of which there is news. */
static bool understand(struct cause *cause)
{
    const uint64_t *args = cause->call.args;

    cause->start = args[0];
    cause->end = args[0] + ((args[1] + HV_PAGE_SIZE - 1) & ~(uint64_t)(HV_PAGE_SIZE - 1));
    switch (cause->call.nr) {
    case SYS_munmap:
        return true;
    case SYS_mmap:
        return (args[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED;
    case SYS_madvise:
        if (args[2] != MADV_DONTNEED && args[2] != MADV_DONTNEED_LOCKED)
            cause->end = cause->start;     /* those that a device mapping does not know, and keeps its pages */
        return true;
    case SYS_mremap:
        if (args[3] & MREMAP_FIXED) {
            cause->start = args[4];
            cause->end = args[4] + args[2];
        } else {
            cause->start += args[2] < args[1] ? args[2] : args[1];
        }
        return true;
    default:
        return false;
    }
}

static bool is_cause(pid_t tid, void *ctx)
{
    struct cause *cause = ctx;

    return proc_call_of(tid, &cause->call) && understand(cause);
}

/* Who waits for its news to be read: most often the same thread as before. */
static bool find_cause(struct space *space, struct cause *cause)
{
    cause->call = (struct proc_call){ .tid = space->last };
    if (proc_calls_read(space->last_calls, &cause->call)) {
        if (understand(cause))
            return true;
    } else if (cause->call.nr == NO_CALL && !cow_has_fault(space, space->last)) {
        return false;            /* it waits in a page fault, of which there is news first */
    }
    if (!proc_any_thread(space->pid, is_cause, cause))
        return false;
    if (space->last_calls >= 0)
        close(space->last_calls);
    space->last = cause->call.tid;
    space->last_calls = proc_calls_open(space->last);
    return true;
}

/* ---- News ------------------------------------------------------------------------------------- */

/* Pages left. True: some mapping that a fork may have copied has none left here, so whether it ends shows when they are really gone.
 * With the lock. */
static bool pages_left(struct space *space, uint64_t start, uint64_t end)
{
    struct maps *maps = space->machine->maps;
    struct mapping *mapping;
    bool may_end = false;
    size_t cursor = 0;

    while (end > start && (mapping = maps_find(maps, space->pid, start, end, &cursor))) {
        maps_unmapped(maps, mapping, start, end);
        may_end |= !mapping->pages_left && !mapping->vma->dont_copy;
    }
    return may_end;
}

/* An area moved. A PV kernel's grants are unmapped by it. */
static void area_moved(struct space *space, uint64_t from, uint64_t to, uint64_t size)
{
    struct maps *maps = space->machine->maps;
    struct mapping *mapping;
    size_t cursor = 0;

    while ((mapping = maps_find(maps, space->pid, from, from + size, &cursor))) {
        if (mapping->vma->dont_copy) {
            maps_unmapped(maps, mapping, from, from + size);
        } else if (mapping->addr == from) {
            maps_place(maps, mapping->id, to, 0);
            return;
        }
    }
}

/* Reads one piece of news, which lets its causer go on, and does what is not done yet. True: it is the cause's. */
static bool take_news_of(struct space *space, const struct cause *cause)
{
    struct machine *m = space->machine;
    struct uffd_msg msg = { 0 };
    bool is_its = false;

    machine_lock_only(m);
    machine_caller(m, cause ? cause->call.tid : space->pid);
    if (read(space->uffd, &msg, sizeof msg) != sizeof msg)
        goto out;
    if (msg.event == UFFD_EVENT_UNMAP) {
        pages_left(space, msg.arg.remove.start, msg.arg.remove.end);
        is_its = cause && cause->start == msg.arg.remove.start && cause->end == msg.arg.remove.end;
    } else if (msg.event == UFFD_EVENT_PAGEFAULT) {
        cow_fault(space, msg.arg.pagefault.address, (pid_t)msg.arg.pagefault.feat.ptid);
    } else if (msg.event == UFFD_EVENT_REMAP) {
        area_moved(space, msg.arg.remap.from, msg.arg.remap.to, msg.arg.remap.len);
    } else if (msg.event == UFFD_EVENT_REMOVE && (!cause || cause->call.nr != SYS_madvise || cause->end > cause->start)) {
        pages_left(space, msg.arg.remove.start, msg.arg.remove.end);
    }
out:
    machine_unlock(m);
    return is_its;
}

void space_take_news(struct space *space)
{
    take_news_of(space, NULL);
}

/* ---- Stopping the causer ---------------------------------------------------------------------- */

/*
 * Who is taken for the causer may be in quite another call, which a supervisor is asked about, and only one of us can trace it. So either the supervisor
 * deals with the call, and we leave the thread alone; or we stop it, and then it makes its call once more.
 */
bool space_begin_stop(struct space *space, struct inject *inject, pid_t tid)
{
    struct machine *m = space->machine;
    bool stops = true, interrupted;
    struct notice *kept, *next;

    machine_lock_only(m);
    for (struct supervisor *s = fuse_of(m)->supervisors; s; s = s->next)
        stops &= !is_dealt_with(s, tid);
    space->stops = stops ? tid : 0;
    machine_unlock(m);
    if (!stops)
        return false;
    interrupted = !inject_begin(inject, tid);
    machine_lock_only(m);
    space->interrupted = interrupted;
    space->stops = interrupted ? tid : 0;
    kept = space->kept;
    space->kept = NULL;
    machine_unlock(m);
    for (; kept; kept = next) {
        next = kept->next;
        watch_give_back(m, kept);
    }
    return interrupted;
}

/* Stopped it cannot make a call, and once it goes on, all it makes are its supervisor's. */
void space_end_stop(struct space *space, struct inject *inject)
{
    machine_lock_only(space->machine);
    space->stops = 0;
    space->interrupted = false;
    machine_unlock(space->machine);
    inject_pass(inject);
}

bool spaces_keep(const struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    struct notice *copy = NULL;
    bool interrupted = false;
    struct space *space;

    machine_lock_only(m);
    for (space = fuse_of(m)->spaces; space && space->stops != notice->tid; space = space->next)
        ;
    if (!space) {
        atomic_store(&notice->supervisor->handled, notice->tid);
    } else if (!(interrupted = space->interrupted) && (copy = malloc(sizeof *copy))) {
        *copy = *notice;
        LL_PREPEND(space->kept, copy);
    }
    machine_unlock(m);
    /* It stops as soon as it is answered, and the kernel repeats the call behind that. */
    if (space && !copy)
        answer_error(notice, interrupted ? -ERESTARTNOINTR : -ENOMEM);
    return space;
}

/* Reads until the causer is on its way out, where we have it stop. */
static void see_off(struct space *space, const struct cause *cause, struct inject *inject)
{
    struct pollfd fd = { space->uffd, POLLIN, 0 };
    const struct timespec moment = { .tv_nsec = 50 * 1000 }, longer = { .tv_nsec = 1000 * 1000 };
    siginfo_t stopped = { 0 };
    bool is_its = false;

    /* Others may have caused news before, and it may still be on its way to cause any. If it is in another call, its supervisor may wait for one
     * whose news we have to read first. */
    for (unsigned tries = 0; ; tries++) {
        is_its |= take_news_of(space, cause);
        if (waitid(P_PID, (id_t)inject->tid, &stopped, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL) || stopped.si_pid)
            break;
        if (is_its && tries < MAX_YIELDS)
            sched_yield();       /* to it: it goes on here, on our processor */
        else
            ppoll(&fd, 1, tries < MAX_MOMENTS ? &moment : &longer, NULL);
    }
    if (inject_wait(inject)) {
        machine_lock(space->machine);
        machine_unlock(space->machine);
    }
    space_end_stop(space, inject);
}

/* Reads news of nothing that has to be seen to the end. We stay where the causer is, and it with us. */
static void let_go(struct space *space, const struct cause *cause)
{
    struct pin pin;

    if (cause)
        pin_reply_begin(&pin, cause->call.tid, atomic_load(&space->cpu));
    take_news_of(space, cause);
    if (cause)
        pin_reply_end(&pin, cause->call.tid);
}

/*
 * There is news. Its causer waits until it is read, so what follows from it happens first. One that may have ended a mapping is stopped on its
 * way out: the kernel has closed the link by then.
 */
static void news(struct space *space)
{
    struct machine *m = space->machine;
    struct inject inject;
    struct cause cause;
    bool known = find_cause(space, &cause), may_end = false;
    const struct witness *where =
        known && machine_is_watched(m) ? machine_witness(m, cause.call.tid, NULL, 0) : NULL;

    /* Not machine_lock, which would first see the end of mappings whose pages have not been reported. */
    machine_lock_only(m);
    fuse_of(m)->notifications++;
    machine_caller_seen(m, known ? cause.call.tid : space->pid, where);
    if (known)
        may_end = pages_left(space, cause.start, cause.end) && cause.call.nr != SYS_mremap;
    machine_unlock(m);
    if (may_end && space_begin_stop(space, &inject, cause.call.tid))
        see_off(space, &cause, &inject);
    else
        let_go(space, known ? &cause : NULL);
    if (space->faults)
        cow_serve(space);
}

/* A loop_step. */
static bool space_step(void *ctx)
{
    struct space *space = ctx;
    struct pollfd fds[] = { { space->uffd, POLLIN, 0 }, { space->pidfd, POLLIN, 0 }, { space->call_fd, POLLIN, 0 } };

    atomic_store(&space->server, pthread_self());
    if (poll(fds, 3, -1) < 0)
        return errno == EINTR;
    if (fds[0].revents & POLLIN)
        news(space);
    if (fds[2].revents && !atomic_load(&space->stopping))
        cow_serve(space);
    return !fds[1].revents && !atomic_load(&space->stopping) && !(fds[0].revents & ~POLLIN);
}

/* ---- Life ------------------------------------------------------------------------------------- */

static void forget(struct space *space)
{
    if (!space->prev)
        return;
    DL_DELETE(fuse_of(space->machine)->spaces, space);
    space->prev = NULL;
}

static void put(struct space *space)
{
    if (--space->refs)
        return;
    forget(space);
    if (space->uffd >= 0)
        close(space->uffd);
    if (space->pidfd >= 0)
        close(space->pidfd);
    if (space->call_fd >= 0)
        close(space->call_fd);
    if (space->last_calls >= 0)
        close(space->last_calls);
    free(space);
}

void space_call(struct space *space)
{
    uint64_t one = 1;

    if (write(space->call_fd, &one, sizeof one) < 0)
        return;                  /* it has been called */
}

static void stop(struct space *space)
{
    atomic_store(&space->stopping, true);
    space_call(space);
}

static void space_ended(void *ctx)
{
    struct space *space = ctx;
    struct machine *m = space->machine;

    machine_lock_only(m);
    cow_end(space);
    forget(space);
    put(space);
    machine_unlock(m);
}

/* Fetches the descriptor that the thread made. */
static int fetch(pid_t tid, pid_t pid, int fd)
{
    int pidfd = tid == pid ? -1 : (int)syscall(SYS_pidfd_open, tid, PIDFD_OF_A_THREAD), copy;

    if (pidfd < 0)
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    copy = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    if (pidfd >= 0)
        close(pidfd);
    return copy;
}

/* Has the stopped thread make a userfaultfd. Ours, or negative errno. */
static int make_uffd(struct inject *inject, pid_t pid)
{
    struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE |
                              UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_THREAD_ID };
    long fd = inject_call(inject, SYS_userfaultfd, (uint64_t[6]){ O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY });
    int copy;

    if (fd < 0)
        return (int)fd;
    copy = fetch(inject->tid, pid, (int)fd);
    inject_call(inject, SYS_close, (uint64_t[6]){ (uint64_t)fd });
    if (copy >= 0 && !ioctl(copy, UFFDIO_API, &api))
        return copy;
    if (copy >= 0)
        close(copy);
    return -ENOSYS;
}

static struct space *space_make(struct machine *m, struct inject *inject, pid_t pid)
{
    struct space *space = calloc(1, sizeof *space);
    int rc = -ENOMEM;

    if (!space)
        return NULL;
    *space = (struct space){ .machine = m, .pid = pid, .last = inject->tid, .last_calls = proc_calls_open(inject->tid), .cpu = PIN_NOWHERE, .uffd = -1,
                             .call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .pidfd = (int)syscall(SYS_pidfd_open, pid, 0), .refs = 2 };
    if (space->call_fd >= 0 && space->pidfd >= 0)
        rc = space->uffd = make_uffd(inject, pid);
    machine_lock_only(m);
    if (rc == -ENOSYS || rc == -EPERM)
        fuse_of(m)->no_spaces = true;     /* nor will the next process have one */
    if (rc >= 0) {
        DL_PREPEND(fuse_of(m)->spaces, space);
    }
    machine_unlock(m);
    if (rc >= 0)
        rc = loops_start(m->loops, space_step, space_ended, space);
    if (rc >= 0)
        return space;
    machine_lock_only(m);
    space->refs = 1;
    put(space);
    machine_unlock(m);
    return NULL;
}

struct space *space_of(struct machine *m, pid_t pid)
{
    struct space *space;

    machine_lock_only(m);
    for (space = fuse_of(m)->spaces; space && space->pid != pid; space = space->next)
        ;
    if (space)
        space->refs++;
    machine_unlock(m);
    return space;
}

/* Its process has not become another program: that one has other memory. */
static bool is_alive(struct space *space)
{
    /* Protects nothing, anywhere. */
    struct uffdio_writeprotect nothing = { .range = { HV_PAGE_SIZE, HV_PAGE_SIZE } };

    return !ioctl(space->uffd, UFFDIO_WRITEPROTECT, &nothing) || errno != ESRCH;
}

struct space *space_get(struct machine *m, struct inject *inject, struct proc_status *status, bool alone)
{
    struct space *space = space_of(m, status->pid);

    if (space && is_alive(space))
        return space;
    if (space) {
        machine_lock_only(m);
        stop(space);
        forget(space);
        put(space);
        machine_unlock(m);
    }
    if (fuse_of(m)->no_spaces || inject->gone)
        return NULL;
    if (alone)
        *status = proc_status(inject->tid);
    return status->sandboxed ? NULL : space_make(m, inject, status->pid);
}

void space_put(struct machine *m, struct space *space)
{
    machine_lock_only(m);
    put(space);
    machine_unlock(m);
}

bool space_watch(struct space *space, uint64_t start, uint64_t size)
{
    struct uffdio_register range = { .range = { start, size }, .mode = UFFDIO_REGISTER_MODE_WP };

    atomic_store(&space->cpu, pin_place());
    return !ioctl(space->uffd, UFFDIO_REGISTER, &range);
}

void space_ignore(struct space *space, uint64_t start, uint64_t size)
{
    struct uffdio_range range = { start, size };

    ioctl(space->uffd, UFFDIO_UNREGISTER, &range);
}

void spaces_stop(struct machine *m)
{
    machine_lock(m);
    for (struct space *space = fuse_of(m)->spaces; space; space = space->next)
        stop(space);
    machine_unlock(m);
}
