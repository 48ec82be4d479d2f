/* SPDX-License-Identifier: MIT */
/*
 * Answers system calls on devices that the filter reports; the kernel model decides them, now or
 * later.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gntsim/socket.h>

#include <utlist.h>

#include "async.h"
#include "dev_fs.h"
#include "fault.h"
#include "fuse_way_i.h"
#include "maps.h"
#include "saying.h"
#include "supervisor_i.h"
#include "user_mem.h"

struct call;

/* What is different in the calls of one kind. */
struct call_kind {
    /* Asks the kernel model. With the lock. */
    long (*start)(struct call *call);
    /* What the kernel model has decided is taken note of, in the hold of the lock in which it did. Returns the result, or what else went wrong. */
    long (*record)(struct call *call, long result);
    /* Answers the call and frees it. Without the lock. */
    void (*finish)(struct call *call);
};

struct call {
    struct kreq kreq;
    struct user_mem user_mem;
    struct notice notice;
    struct machine_file file;
    const struct call_kind *kind;
    struct vma *vma;                         /* of an mmap */
    long result;
    uint64_t mapping;                        /* the mmap's */
    bool told_by_link;                       /* of that */
    uint64_t addr;                           /* where pages are to appear: of an mmap, or of an ioctl that filled some */
    int link_fd;                             /* what they are made from; -1: none */
    int not_filled;                          /* why an ioctl's pages do not appear */
    struct call *next, *next_undecided;
};

/* With the lock: the supervisor's own thread answers. */
static void hand_back(struct call *call)
{
    struct supervisor *supervisor = call->notice.supervisor;
    uint64_t one = 1;

    LL_PREPEND(supervisor->decided, call);
    if (write(supervisor->event_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN);
}

/* Called by the kernel model, with the lock. */
static void call_done(struct kreq *kreq, long result)
{
    struct call *call = kreq->owner;

    call->result = call->kind->record(call, result);
    hand_back(call);
}

static void put_dev_file(void *file)
{
    dev_file_put(file);
}

/*
 * The open device behind the caller's descriptor, with a reference: a device file, or what our own library has in its place. False: none;
 * *is_ours: but the descriptor is one of the file system's.
 */
static bool find_file(const struct notice *notice, int fd, struct machine_file *file, bool *is_ours)
{
    struct dev_fs *fs = fuse_of(notice->supervisor->machine)->fs;
    struct dev_file *found = dev_fs_find(fs, notice->tid, fd, is_ours);

    if (!found)
        return fd >= SOCK_FILES_MIN_FD && !*is_ours && dev_fs_find_elsewhere(fs, notice->tid, fd, file);
    *file = (struct machine_file){ .kernel = dev_file_kernel(found), .domain = dev_file_domain(found), .owner = found,
                                   .put = put_dev_file, .mapping_ended = dev_file_mapping_ended };
    return true;
}

/* With the lock: the supervisor will answer the call. */
static void expect(struct call *call)
{
    struct supervisor *supervisor = call->notice.supervisor;

    supervisor->pending++;
    LL_PREPEND2(supervisor->undecided, call, next_undecided);
}

/* Has the kernel model decide about a notified call on file (a reference, taken), which is answered now or later. */
static void call_start(struct notice *notice, const struct machine_file *file, const struct call_kind *kind)
{
    struct supervisor *supervisor = notice->supervisor;
    struct machine *m = supervisor->machine;
    struct domain *d = file->domain;
    struct call *call = calloc(1, sizeof *call);
    /* An mmap is dealt with by a thread that must not wait. */
    const struct witness *witness = notice->nr == SYS_ioctl
                                        ? machine_witness(m, notice->tid, NULL, 0) : NULL;

    if (!call) {
        machine_lock(m);
        file->put(file->owner);
        machine_unlock(m);
        answer_error(notice, -ENOMEM);
        return;
    }
    call->notice = *notice;
    call->file = *file;
    call->kind = kind;
    call->link_fd = -1;
    call->user_mem = (struct user_mem){ .machine = m, .tid = notice->tid };
    call->kreq = (struct kreq){ .done = call_done, .owner = call, .mem = user_mem_of(&call->user_mem) };
    dev_fs_catch_up(fuse_of(m)->fs);
    machine_lock(m);
    fuse_of(m)->notifications++;
    domain_enter(d);
    machine_caller_seen(m, notice->tid, witness);
    call->result = kind->record(call, kind->start(call));
    user_mem_forget(&call->user_mem);
    machine_settle(m);
    if (call->result == KERNEL_PENDING) {
        expect(call);
        call = NULL;
    } else if (call->kreq.fill.vma && !supervisor->over) {
        /* What must be stopped may be watched, which only the supervisor's own thread can do. */
        expect(call);
        hand_back(call);
        call = NULL;
    }
    domain_leave(d);
    machine_unlock(m);
    if (call)
        call->kind->finish(call);
}

void finish_decided(struct supervisor *supervisor)
{
    struct machine *m = supervisor->machine;
    struct call *call;
    uint64_t count;

    if (read(supervisor->event_fd, &count, sizeof count) < 0 && !supervisor->over)
        return;
    machine_lock_only(m);
    call = supervisor->decided;
    supervisor->decided = NULL;
    for (struct call *c = call; c; c = c->next)
        supervisor->pending--;
    machine_unlock(m);
    while (call) {
        struct call *next = call->next;

        machine_lock_only(m);
        LL_DELETE2(supervisor->undecided, call, next_undecided);
        atomic_store(&supervisor->handled, call->notice.tid);
        machine_unlock(m);
        call->kind->finish(call);
        atomic_store(&supervisor->handled, 0);
        call = next;
    }
}

bool is_dealt_with(const struct supervisor *supervisor, pid_t tid)
{
    const struct call *call = supervisor->undecided;

    while (call && call->notice.tid != tid)
        call = call->next_undecided;
    return call || atomic_load(&supervisor->handled) == tid;
}

/* ---- mmap ------------------------------------------------------------------------------------- */

static long mmap_start(struct call *call)
{
    const uint64_t *args = call->notice.args;

    return kernel_mmap(call->file.kernel, args[5], args[1], (unsigned)args[2], (unsigned)args[3], &call->vma, &call->kreq);
}

/*
 * Whether nobody misses news of the mapping: it has one page, which no fork copies. When the link
 * is closed, as every munmap does, the machine sees the end before its next operation. Not at once
 * is too late for what happens then, for whoever observes calls, and for a kernel of its own, which
 * sees its grants. With the lock.
 */
static bool is_told_by_link(const struct call *call)
{
    const struct machine *m = call->notice.supervisor->machine;
    const struct vma *vma = call->vma;

    return vma->nr_pages == 1 && vma->dont_copy && !vma->own &&
           !(call->notice.args[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE)) &&
           call->file.put == put_dev_file && !dev_file_notifies(call->file.owner) &&
           !m->outsiders && !machine_is_observed(m);
}

/* The file's reference is the mapping's from here on, and whatever happens to the thread, the end of the link's last user ends the mapping. */
static long mmap_record(struct call *call, long result)
{
    const uint64_t *args = call->notice.args;
    struct maps *maps = call->notice.supervisor->machine->maps;
    struct mapping *mapping;

    if (result)
        return result;
    result = maps_add(maps, call->vma, call->notice.tid, call->file.mapping_ended, &mapping, &call->link_fd);
    if (result) {
        kernel_vma_close(call->vma);
        return result;
    }
    call->mapping = mapping->id;
    call->told_by_link = mapping->told_by_link = is_told_by_link(call);
    call->addr = args[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE) ? args[0] : maps_window_alloc(maps, call->vma->nr_pages, false);
    return 0;
}

/* The program may use what it gets all the same, and is to say so then. */
static void refuse_mmap(struct notice *notice, long result)
{
    struct machine *m = notice->supervisor->machine;
    struct inject inject;

    if (result == -EAGAIN || !machine_is_watched(m) || stop_thread(notice, &inject)) {
        answer_error(notice, (int)result);
        return;
    }
    fault_prepare_stopped(m, &inject);
    inject_end(&inject, result);
}

static void mmap_finish(struct call *call)
{
    struct machine *m = call->notice.supervisor->machine;

    if (!call->result) {
        place_mapping(&call->notice, call->vma, call->mapping, call->addr, call->link_fd,
                      call->told_by_link);
        free(call);
        return;
    }
    machine_lock_only(m);      /* the operation has begun */
    if (call->result == -EAGAIN)
        m->stats.mmap_eagain++;
    call->file.put(call->file.owner);
    machine_unlock(m);
    refuse_mmap(&call->notice, call->result);
    free(call);
}

static const struct call_kind mmap_call = { mmap_start, mmap_record, mmap_finish };

/* Who will be told of the file's next mmap. */
static void reported(const struct machine_file *file, struct supervisor *supervisor)
{
    if (file->put == put_dev_file)
        dev_file_mapped_by(file->owner, supervisor);
}

void handle_mmap(struct notice *notice)
{
    struct machine_file file;
    bool is_ours;

    if (find_file(notice, (int)notice->args[4], &file, &is_ours)) {
        reported(&file, notice->supervisor);
        call_start(notice, &file, &mmap_call);
    } else if (is_ours)
        answer_error(notice, -ENODEV);
    else
        answer_continue(notice);
}

/* ---- ioctl ------------------------------------------------------------------------------------ */

static long ioctl_start(struct call *call)
{
    return kernel_ioctl(call->file.kernel, (unsigned)call->notice.args[1], call->notice.args[2], &call->kreq);
}

/* Pages may have been filled, even if the answer is put off. */
static long ioctl_record(struct call *call, long result)
{
    struct vma_fill *fill = &call->kreq.fill;
    const struct mapping *mapping;

    if (fill->vma && call->link_fd < 0) {
        mapping = fill->vma->owner;
        call->addr = mapping->addr + fill->first * HV_PAGE_SIZE;
        call->not_filled = maps_fill(call->notice.supervisor->machine->maps, fill->vma, fill->runs, fill->nr_runs, &call->link_fd);
    }
    if (fill->vma && call->not_filled) {
        free(fill->runs);
        fill->vma = NULL;
    }
    return result == KERNEL_PENDING || !call->not_filled ? result : call->not_filled;
}

static void ioctl_finish(struct call *call)
{
    struct machine *m = call->notice.supervisor->machine;

    if (call->kreq.fill.vma)
        place_fill(&call->notice, &call->kreq.fill, call->addr, call->link_fd, call->result);
    machine_lock_only(m);
    call->file.put(call->file.owner);
    machine_unlock(m);
    if (call->kreq.fill.vma)
        free(call->kreq.fill.runs);
    else
        answer_notice(&call->notice, call->result < 0 ? (int)call->result : 0, call->result < 0 ? 0 : call->result, 0);
    free(call);
}

static const struct call_kind ioctl_call = { ioctl_start, ioctl_record, ioctl_finish };

/* ---- The end of a process -------------------------------------------------------------------- */

/* It has said all that it had to say to the devices, but for what it closed and is under way. */
static void serve_exit(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    struct process_saying saying = { .word = PROCESS_EXITS, .tid = notice->tid,
                                     .value = notice->args[0] };

    dev_fs_catch_up(fuse_of(m)->fs);
    machine_process_says(m, &saying);
    answer_continue(notice);
}

void handle_exit(struct notice *notice)
{
    supervisor_spare(notice, serve_exit);
}

/* ---- Other calls on files -------------------------------------------------------------------- */

/* FIOASYNC is the one command for any file that FUSE does not have. (Sockets have it.) */
static void handle_fioasync(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    bool is_ours;
    struct dev_file *file = dev_fs_find(fuse_of(m)->fs, notice->tid, (int)notice->args[0],
                                        &is_ours);
    struct user_mem user_mem = { .machine = m, .tid = notice->tid };
    struct user_memory mem = user_mem_of(&user_mem);
    int on, rc = -ENOTTY;

    if (!file) {
        answer_continue(notice);
        return;
    }
    machine_lock_only(m);
    if (dev_file_kernel(file)->dev->async)
        rc = mem.ops->read(mem.ctx, &on, notice->args[2], sizeof on);
    if (!rc)
        async_enable(file, (int)notice->args[0], on);
    dev_file_put(file);
    machine_unlock(m);
    answer_notice(notice, rc, 0, 0);
}

static void serve_ioctl(struct notice *notice)
{
    struct machine_file file;
    bool is_ours;

    if (fault_is_told(notice))
        fault_serve(notice);
    else if ((unsigned)notice->args[1] == FIOASYNC)
        handle_fioasync(notice);
    else if (find_file(notice, (int)notice->args[0], &file, &is_ours))
        call_start(notice, &file, &ioctl_call);
    else
        answer_continue(notice);
}

/* The filter reports those of other files only at high descriptors. */
void handle_ioctl(struct notice *notice)
{
    supervisor_spare(notice, serve_ioctl);
}

/* The kernel keeps these settings; we take note of them. It does not know that a device has no O_DIRECT. */
static void serve_fcntl(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    bool is_ours;
    struct dev_file *file = dev_fs_find(fuse_of(m)->fs, notice->tid, (int)notice->args[0],
                                        &is_ours);
    bool direct = file && notice->args[1] == F_SETFL && notice->args[2] & O_DIRECT;
    int flags = -1;

    if (file) {
        machine_lock_only(m);
        if (notice->args[1] == F_GETFL)
            flags = async_getfl(file, notice->tid, (int)notice->args[0]);
        else if (!direct && dev_file_kernel(file)->dev->async)
            async_fcntl(file, notice->tid, (int)notice->args[0], (int)notice->args[1], notice->args[2]);
        dev_file_put(file);
        machine_unlock(m);
    }
    if (direct)
        answer_error(notice, -EINVAL);
    else if (flags < 0)
        answer_continue(notice);
    else
        answer_notice(notice, 0, flags, 0);
}

void handle_fcntl(struct notice *notice)
{
    if (notice->args[1] == F_SETOWN_EX)
        supervisor_spare(notice, serve_fcntl);      /* its argument is in memory */
    else
        serve_fcntl(notice);
}
