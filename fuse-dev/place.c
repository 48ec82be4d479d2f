/* SPDX-License-Identifier: MIT */
/*
 * Completes an mmap: makes the calling thread map the machine's memory behind its call.
 *
 * The server lends the thread a descriptor to map from. A fork by another thread at that moment
 * would copy the descriptor and keep the mapping. So a process with several threads gets a
 * stand-in: a new thread with descriptors of its own that maps in the shared address space. A
 * process without a free descriptor gets one, too, because a real mmap needs none.
 *
 * A process with seccomp filters of its own might be killed for a clone. It maps without a
 * stand-in, by mmap and close, which such a program makes anyway. So does a process that may have
 * no further thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"
#include "filter.h"
#include "machine.h"
#include "maps.h"
#include "orphans.h"
#include "proc.h"
#include "space.h"
#include "stub.h"
#include "supervisor_i.h"
#include "watch.h"
#include "watched.h"

#define MAX_TRIES 1000

struct placing {
    struct notice *notice;
    const struct vma *vma;
    const struct vma_run *runs;    /* to appear, in order */
    size_t nr_runs;
    uint64_t nr_pages;             /* in all */
    uint64_t addr;
    unsigned fixed, keep;          /* flags of the mmap calls */
    bool filled;                   /* pages of a mapping that is there */
    bool told_by_link;             /* nobody needs news of them */
    int our_fd;
    struct space *space;           /* NULL: the process has none */
    struct proc_status status;     /* the caller's; of one that is alone only what was needed */
};

/* The machine's memory from mfn on, of which nothing is behind its end. */
static uint64_t offset_of(const struct placing *placing, uint64_t mfn)
{
    return (mfn == HV_INVALID_MFN ? placing->notice->supervisor->machine->nr_frames : mfn) *
           HV_PAGE_SIZE;
}

static unsigned flags_of(const struct placing *placing, unsigned fixed)
{
    return (placing->vma->is_private ? MAP_PRIVATE : MAP_SHARED) | INJECTED_MMAP_FLAG |
           placing->keep | fixed;
}

static long call_mmap(struct inject *inject, uint64_t addr, uint64_t pages, unsigned prot,
                      unsigned flags, int fd, uint64_t offset)
{
    uint64_t args[6] = {
        addr, pages * HV_PAGE_SIZE, prot, flags, (uint64_t)fd, fd < 0 ? 0 : offset
    };

    return inject_call(inject, SYS_mmap, args);
}

/* Makes the runs appear at addr. Returns addr or a negative errno, with nothing left mapped. */
static long place_runs(struct placing *placing, struct inject *inject, int their_fd, unsigned fixed)
{
    uint64_t at = placing->addr;
    long result;

    if (placing->nr_runs > 1 && fixed != MAP_FIXED) {
        result = call_mmap(inject, at, placing->nr_pages, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
        if (result < 0)
            return result;
        fixed = MAP_FIXED;
    }
    for (size_t i = 0; i < placing->nr_runs; at += placing->runs[i].nr * HV_PAGE_SIZE, i++) {
        result =
            call_mmap(inject, at, placing->runs[i].nr, placing->vma->map_prot,
                      flags_of(placing, fixed), their_fd, offset_of(placing, placing->runs[i].mfn));
        if (result < 0) {
            if (placing->nr_runs > 1)
                inject_call(inject, SYS_munmap,
                            (uint64_t[6]){ placing->addr, placing->nr_pages * HV_PAGE_SIZE,
                                           INJECTED_MAGIC });
            return result;
        }
    }
    /* An inherited copy does no harm: the frames are held for it. */
    if (placing->vma->dont_copy && !placing->status.sandboxed)
        inject_call(
            inject, SYS_madvise,
            (uint64_t[6]){ placing->addr, placing->nr_pages * HV_PAGE_SIZE, MADV_DONTFORK });
    return (long)placing->addr;
}

/*
 * The same for the one run that almost every mapping has, by a thread that is alone. Closes the
 * descriptor if it succeeds.
 */
static long place_run(struct placing *placing, struct inject *inject, int their_fd, unsigned fixed)
{
    uint64_t args[6] = { placing->addr,          placing->nr_pages * HV_PAGE_SIZE,
                         placing->vma->map_prot, flags_of(placing, fixed),
                         (uint64_t)their_fd,     offset_of(placing, placing->runs[0].mfn) };

    return stub_map(inject, args, placing->vma->dont_copy ? MADV_DONTFORK : MADV_DOFORK);
}

/* The whole placing, by a thread that has the descriptor. */
static long place(struct placing *placing, struct inject *inject, int their_fd, bool at_once)
{
    struct machine *m = placing->notice->supervisor->machine;
    unsigned fixed = placing->fixed ? placing->fixed : MAP_FIXED_NOREPLACE;
    long result;

    /* Something of the process's is there: its own, or a mapping from before the window was gone
     * through. It may be large, so further and further on. */
    for (uint64_t skip = placing->nr_pages; ; skip *= 2) {
        result = at_once ? place_run(placing, inject, their_fd, fixed)
                         : place_runs(placing, inject, their_fd, fixed);
        if (result != -EEXIST || placing->fixed ||
            skip > (WINDOW_END - WINDOW_START) / HV_PAGE_SIZE)
            break;
        machine_lock(m);
        maps_window_alloc(m->maps, skip - placing->nr_pages, !placing->space);
        placing->addr = maps_window_alloc(m->maps, placing->nr_pages, !placing->space);
        machine_unlock(m);
    }
    return result == -EEXIST && !placing->fixed ? -ENOMEM : result;
}

/*
 * Lends the descriptor to a thread that waits in its notice's call, and answers the call with its
 * number. Negative errno: it waits on.
 */
static int lend(const struct notice *notice, int our_fd)
{
    struct seccomp_notif_addfd add = { .id = notice->id,
                                       .flags = SECCOMP_ADDFD_FLAG_SEND,
                                       .srcfd = (uint32_t)our_fd,
                                       .newfd_flags = O_CLOEXEC };
    int fd = ioctl(notice->supervisor->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

    if (fd < 0)
        return -errno;
    orphan_calls_answered(notice->supervisor->calls, notice->id);
    return fd;
}

/*
 * Lends the descriptor to a stopped thread, by a call that the filter reports. Its number there,
 * negative errno.
 */
static int lend_by_call(struct placing *placing, struct inject *inject)
{
    static const uint64_t nothing[6];
    struct notice notice;
    int fd = -ENOMEM;

    /* A stop of somebody's (SIGSTOP) can end the call before it was received, or lent to: once
     * more. */
    for (int tries = 0; tries < MAX_TRIES && fd < 0 && !inject->gone; tries++) {
        if (!inject_call_begin(inject, SYS_remap_file_pages, nothing) ||
            !receive_from(placing->notice->supervisor, inject, &notice))
            continue;
        fd = lend(&notice, placing->our_fd);
        if (fd < 0)
            answer_for_now(&notice);
        inject_call_end(inject);
        if (fd < 0 && fd != -ENOENT && fd != -EINPROGRESS)
            break;
    }
    return fd;
}

/*
 * The end of a descriptor's loan. Left open it would keep the mapping for as long as the process
 * lives.
 */
static void take_back(struct placing *placing, struct inject *inject, int their_fd)
{
    long result = inject_call(inject, SYS_close, (uint64_t[6]){ (uint64_t)their_fd });

    if (result && !inject->gone)
        machine_log(placing->notice->supervisor->machine,
                    "process %d has a mapping that will last as long as the process: its seccomp "
                    "filter forbids close(2) (%s). Allow close.",
                    placing->notice->tid, strerror((int)-result));
}

/* Placing through a stand-in. False: there can be none, and nothing has happened. */
static bool place_by_stand_in(struct placing *placing, struct inject *inject, long *result)
{
    struct inject stand_in;
    int fd;

    if (inject_stand_in(inject, &stand_in)) {
        if (inject->gone)
            watched_adopt(placing->notice->supervisor, placing->status.pid);
        return inject->gone;
    }
    /* If there is no room, its copy of standard input makes some: within any limit, below which the
     * device's descriptor need not be. */
    inject_call(&stand_in, SYS_close, (uint64_t[6]){ STDIN_FILENO });
    fd = lend_by_call(placing, &stand_in);
    *result = fd < 0 ? -ENOMEM : place(placing, &stand_in, fd, false);
    inject_dismiss(&stand_in);
    return true;
}

/* Placing by the caller itself, which has the descriptor for the moment. */
static long place_itself(struct placing *placing, struct inject *inject, int their_fd, bool alone)
{
    bool at_once = alone && placing->nr_runs == 1 && stub_prepare(inject);
    long result;

    if (alone && !at_once)
        placing->status = proc_status(inject->tid);
    result = place(placing, inject, their_fd, at_once);
    /* No mmap's answer. The program's own code may make calls, but not ours (syscall user
     * dispatch). */
    if (at_once && result == -EFAULT) {
        at_once = false;
        result = place(placing, inject, their_fd, at_once);
    }
    if (!at_once || result < 0)
        take_back(placing, inject, their_fd);
    return result;
}

/* Placing in a stopped thread that has not got the descriptor yet. */
static long place_elsewhere(struct placing *placing, struct inject *inject)
{
    long result = -ENOMEM;
    int fd;

    if (!placing->status.sandboxed && place_by_stand_in(placing, inject, &result))
        return result;
    fd = placing->status.sandboxed ? -EMFILE : lend_by_call(placing, inject);
    if (fd >= 0)
        return place_itself(placing, inject, fd, false);
    machine_log(
        placing->notice->supervisor->machine,
        "cannot complete an mmap of a Xen device in process %d: it has no descriptor left, and "
        "%s. Raise its limit of open files (ulimit -n)%s.",
        placing->notice->tid,
        placing->status.sandboxed
            ? "its own seccomp filter may forbid the thread that could do without"
            : "cannot start the thread that could do without",
        placing->status.sandboxed ? "" : ", or of tasks (pids.max, ulimit -u)");
    return -ENOMEM;
}

/*
 * Before the placing: what there will be news of goes where no munmap is reported, and nobody hears
 * of what we do to a mapping.
 */
static void begin_news(struct placing *placing, struct inject *inject, bool alone)
{
    struct machine *m = placing->notice->supervisor->machine;

    placing->space = space_get(m, inject, &placing->status, alone);
    if (placing->filled) {
        if (placing->space)
            space_ignore(placing->space, placing->addr, placing->nr_pages * HV_PAGE_SIZE);
    } else if (!placing->space && !placing->fixed) {
        machine_lock_only(m);
        placing->addr = maps_window_alloc(m->maps, placing->nr_pages, true);
        machine_unlock(m);
    }
}

static void end_news(struct placing *placing, bool placed)
{
    struct machine *m = placing->notice->supervisor->machine;

    if (!placing->space)
        return;
    if (placing->filled || (placed && !placing->told_by_link))
        space_watch(placing->space, placing->addr, placing->nr_pages * HV_PAGE_SIZE);
    space_put(m, placing->space);
}

/*
 * Stops the caller behind its call and places. False: the caller is gone, or (with *result set) was
 * left alone.
 */
static bool place_in_caller(struct placing *placing, struct inject *inject, long *result)
{
    struct notice *notice = placing->notice;
    bool alone = proc_is_alone(notice->tid);
    int their_fd = -1, rc = watch_inject(notice, inject);

    if (rc) {
        if (rc == -EPERM)
            log_traced(notice);
        *result = rc == -EPERM ? -EPERM : -ENOMEM;
        answer_error(notice, (int)*result);
        return false;
    }
    placing->status.pid = notice->tid;
    if (!alone)
        placing->status = proc_status(notice->tid);
    if (alone || placing->status.sandboxed)
        their_fd = lend(notice, placing->our_fd);
    if (their_fd < 0)
        answer_for_now(notice);
    if (!inject_wait(inject)) {
        end_stop(notice, inject, 0);
        return false;
    }
    if (their_fd < 0 && alone)
        placing->status = proc_status(notice->tid);
    begin_news(placing, inject, alone);
    if (placing->space)
        fault_prepare(placing->space, inject);
    *result = their_fd < 0 ? place_elsewhere(placing, inject)
                           : place_itself(placing, inject, their_fd, alone);
    end_news(placing, *result >= 0);
    if (placing->status.sandboxed &&
        (*result == -EPERM || *result == -EFAULT || *result == -ENOSYS))
        machine_log(
            notice->supervisor->machine,
            "cannot complete an mmap of a Xen device in process %d: its own seccomp filter forbids "
            "mmap with other arguments than its own (%s). Allow mmap.",
            notice->tid, strerror((int)-*result));
    return true;
}

void place_mapping(struct notice *notice, const struct vma *vma, uint64_t id, uint64_t addr,
                   int our_fd, bool told_by_link)
{
    unsigned theirs = (unsigned)notice->args[3];
    struct placing placing = {
        .notice = notice, .vma = vma, .runs = vma->runs, .nr_runs = vma->nr_runs,
        .nr_pages = vma->nr_pages, .addr = addr,
        .fixed = theirs & (MAP_FIXED | MAP_FIXED_NOREPLACE),
        .keep = theirs & (MAP_POPULATE | MAP_LOCKED | MAP_NORESERVE), .our_fd = our_fd,
        .told_by_link = told_by_link
    };
    struct machine *m = notice->supervisor->machine;
    struct inject inject;
    long result = 0;
    bool placed = place_in_caller(&placing, &inject, &result);

    /* What was mapped over may have ended by it. */
    if (placing.fixed)
        machine_lock(m);
    else
        machine_lock_only(m);
    if (placed && result >= 0) {
        maps_place(m->maps, id, placing.addr, placing.status.pid);
        m->stats.mappings_made++;
    }
    machine_unlock(m);
    /*
     * Theirs is the same open file as ours. It kept the mapping, and with it the vma, from ending
     * until here; once the thread runs again only its own use may count, or an end of the mapping
     * would be seen late.
     */
    close(our_fd);
    if (placed)
        end_stop(notice, &inject, result);
}

void place_fill(struct notice *notice, const struct vma_fill *fill, uint64_t addr, int our_fd,
                long answer)
{
    struct placing placing = {
        .notice = notice, .vma = fill->vma, .runs = fill->runs, .nr_runs = fill->nr_runs,
        .addr = addr, .fixed = MAP_FIXED, .filled = true, .our_fd = our_fd
    };
    struct inject inject;
    long result = 0;
    bool placed;

    for (size_t i = 0; i < fill->nr_runs; i++)
        placing.nr_pages += fill->runs[i].nr;
    placed = place_in_caller(&placing, &inject, &result);
    /* As above: until here our descriptor has kept the vma. The lock orders what was read of it
     * before its end. */
    machine_lock_only(notice->supervisor->machine);
    machine_unlock(notice->supervisor->machine);
    close(our_fd);
    if (placed)
        end_stop(notice, &inject, result < 0 ? result : answer);
}
