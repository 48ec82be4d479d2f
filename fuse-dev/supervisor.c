/* SPDX-License-Identifier: MIT */
#include "supervisor_i.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "async.h"
#include "dev_fs.h"
#include "filter.h"
#include "inject.h"
#include "loops.h"
#include "machine.h"
#include "maps.h"
#include "user_mem.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS                      /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* ---- Answers ---------------------------------------------------------------------------------- */

static void answer(const struct notice *notice, int error, int64_t value, uint32_t flags)
{
    struct seccomp_notif_resp resp = { .id = notice->id, .error = error, .val = value, .flags = flags };

    /* Fails if the thread was killed meanwhile: nothing to be done then. */
    ioctl(notice->supervisor->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

void answer_error(const struct notice *notice, int error)
{
    answer(notice, error, 0, 0);
}

/* The kernel executes the call as it is. */
static void answer_continue(const struct notice *notice)
{
    answer(notice, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

void log_traced(const struct notice *notice)
{
    char path[48], line[128], name[64] = "?";
    int tracer = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", notice->tid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "Name: %63[^\n]", name);
        sscanf(line, "TracerPid: %d", &tracer);
    }
    if (file)
        fclose(file);
    if (!tracer)
        return;
    machine_log(notice->supervisor->machine, "cannot complete an mmap of a Xen device in process %d (%s): it is being traced by "
                "process %d. The server must trace the calling thread for a moment itself: detach the debugger or strace around the mapping.",
                notice->tid, name, tracer);
}

/* Seizes the thread, answers its call and waits until it has stopped behind it. */
static int stop_thread(struct notice *notice, struct inject *inject)
{
    int rc = inject_begin(inject, notice->tid);

    if (rc == -EPERM)
        log_traced(notice);
    if (rc)
        return rc;
    answer_error(notice, -ENOSYS);
    return inject_wait(inject) ? 0 : -ESRCH;
}

/* ---- Calls that the kernel model decides ------------------------------------------------------ */

struct call {
    struct kreq kreq;
    struct user_mem user_mem;
    struct notice notice;
    struct dev_file *file;
    void (*finish)(struct call *call);       /* answers and frees it; without the lock */
    struct vma *vma;                         /* of an mmap */
    long result;
    uint64_t fill_addr;                      /* of an ioctl that filled pages: where, and the link that they are made from */
    int fill_fd;
    struct call *next;
};

/* Called by the kernel model, with the lock: the supervisor's own thread answers. */
static void call_done(struct kreq *kreq, long result)
{
    struct call *call = kreq->owner;
    struct supervisor *supervisor = call->notice.supervisor;
    uint64_t one = 1;

    call->result = result;
    call->next = supervisor->decided;
    supervisor->decided = call;
    if (write(supervisor->event_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN);
}

/* Has the kernel model decide about a notified call on file (a reference, taken); finish answers it, now or later. */
static void call_start(struct notice *notice, struct dev_file *file, long (*start)(struct call *call),
                       void (*finish)(struct call *call))
{
    struct supervisor *supervisor = notice->supervisor;
    struct machine *m = supervisor->machine;
    struct domain *d = dev_file_domain(file);
    struct call *call = calloc(1, sizeof *call);

    if (!call) {
        machine_lock(m);
        dev_file_put(file);
        machine_unlock(m);
        answer_error(notice, -ENOMEM);
        return;
    }
    call->notice = *notice;
    call->file = file;
    call->finish = finish;
    call->user_mem = (struct user_mem){ m, notice->tid };
    call->kreq = (struct kreq){ .done = call_done, .owner = call, .mem = user_mem_of(&call->user_mem) };
    dev_fs_catch_up(m->fs);
    machine_lock(m);
    m->stats.notifications++;
    domain_enter(d);
    machine_caller(m, notice->tid);
    call->result = start(call);
    machine_settle(m);
    if (call->result == KERNEL_PENDING) {
        supervisor->pending++;
        call = NULL;
    }
    domain_leave(d);
    machine_unlock(m);
    if (call)
        call->finish(call);
}

static void finish_decided(struct supervisor *supervisor)
{
    struct machine *m = supervisor->machine;
    struct call *call;
    uint64_t count;

    if (read(supervisor->event_fd, &count, sizeof count) < 0)
        return;
    machine_lock(m);
    call = supervisor->decided;
    supervisor->decided = NULL;
    for (struct call *c = call; c; c = c->next)
        supervisor->pending--;
    machine_unlock(m);
    while (call) {
        struct call *next = call->next;

        call->finish(call);
        call = next;
    }
}

/* ---- mmap ------------------------------------------------------------------------------------- */

/* The kernel model has said yes or no. Frees the call. Without the lock. */
static void mmap_finish(struct call *call)
{
    struct machine *m = call->notice.supervisor->machine;
    struct mapping *mapping;
    uint64_t id, addr;
    int fd, rc = (int)call->result;

    machine_lock(m);
    if (!rc) {
        rc = maps_add(m->maps, call->vma, call->notice.tid, dev_file_mapping_ended, &mapping, &fd);
        if (rc)
            kernel_vma_close(call->vma);
    }
    if (rc) {
        if (rc == -EAGAIN)
            m->stats.mmap_eagain++;
        dev_file_put(call->file);
        machine_settle(m);
        answer_error(&call->notice, rc);
        machine_unlock(m);
        free(call);
        return;
    }
    /* The file's reference is the mapping's now, and whatever happens to the thread, the end of the
     * link's last user ends the mapping. */
    id = mapping->id;
    addr = call->notice.args[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE) ? call->notice.args[0]
                                                                     : maps_window_alloc(m->maps, call->vma->nr_pages);
    machine_unlock(m);
    place_mapping(&call->notice, call->vma, id, addr, fd);
    free(call);
}

static long mmap_start(struct call *call)
{
    const uint64_t *args = call->notice.args;

    return kernel_mmap(dev_file_kernel(call->file), args[5], args[1], (unsigned)args[2], (unsigned)args[3], &call->vma, &call->kreq);
}

static void handle_mmap(struct notice *notice)
{
    bool is_ours;
    struct dev_file *file = dev_fs_find(notice->supervisor->machine->fs, notice->tid, (int)notice->args[4], &is_ours);

    if (file)
        call_start(notice, file, mmap_start, mmap_finish);
    else if (is_ours)
        answer_error(notice, -ENODEV);
    else
        answer_continue(notice);
}

/* ---- The end of mappings ---------------------------------------------------------------------- */

/* Tells the kernel model that pages left the thread's address space, then what ended altogether. Without the lock. */
static void pages_left(struct notice *notice, uint64_t start, uint64_t end)
{
    struct machine *m = notice->supervisor->machine;
    struct mapping *mapping;
    size_t cursor = 0;

    /* Not machine_lock, which would first see the end of mappings whose pages have not been reported. */
    machine_lock_only(m);
    m->stats.notifications++;
    machine_caller(m, notice->tid);
    while ((mapping = maps_find(m->maps, notice->tid, start, end, &cursor)))
        maps_unmapped(m->maps, mapping, start, end);
    maps_drain(m->maps);
    machine_unlock(m);
}

/* Whether [start, end) holds nothing but mappings that no fork can have copied: whose pages go nowhere else. */
static bool is_only_here(struct notice *notice, uint64_t start, uint64_t end)
{
    struct machine *m = notice->supervisor->machine;
    struct mapping *mapping;
    bool some = false, all = true;
    size_t cursor = 0;

    machine_lock(m);
    while ((mapping = maps_find(m->maps, notice->tid, start, end, &cursor))) {
        some = true;
        all &= mapping->vma->dont_copy;
    }
    machine_unlock(m);
    return some && all;
}

static void handle_munmap(struct notice *notice)
{
    uint64_t start = notice->args[0], size = notice->args[1], end;
    struct inject inject;
    long result;

    size = (size + HV_PAGE_SIZE - 1) & ~(uint64_t)(HV_PAGE_SIZE - 1);
    end = start + size;
    if (start % HV_PAGE_SIZE || !size || end < start) {
        answer_continue(notice);
        return;
    }
    if (is_only_here(notice, start, end)) {
        /* Ends here and now, so it may as well end a moment before the kernel does it. The frames are not reused before. */
        pages_left(notice, start, end);
        answer_continue(notice);
        return;
    }
    /* Whether the mapping ends depends on forked children: known when the call is over, and to be known before it returns. The
     * kernel closes what it unmapped before the thread stops behind the call. */
    if (stop_thread(notice, &inject)) {
        answer_continue(notice);
        return;
    }
    result = inject_call(&inject, SYS_munmap, (uint64_t[6]){ start, size, INJECTED_MAGIC });
    if (!result)
        pages_left(notice, start, end);
    inject_end(&inject, result);
}

/* An mremap that is allowed, executed by the stopped thread. The filter reports it again. */
static long inject_mremap(struct notice *notice, struct inject *inject)
{
    struct notice again;
    bool received = false;

    /* A stop of somebody's (SIGSTOP) can end the call before it was received: once more. */
    for (int tries = 0; tries < 1000 && !received && !inject->gone; tries++)
        received = inject_call_begin(inject, SYS_mremap, notice->args) && receive_from(notice->supervisor, inject, &again);
    if (!received)
        return -ESRCH;
    answer_continue(&again);
    return inject_call_end(inject);
}

/*
 * mremap of device mappings. None may grow. One that is not inherited by fork, a PV kernel's, may not move: a real one's grants
 * are unmapped by it, which leaves the process nothing to use.
 */
static void handle_mremap(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    uint64_t start = notice->args[0], old_size = notice->args[1], new_size = notice->args[2], id = 0, end;
    bool ours, may_move;
    struct mapping *mapping = NULL;
    struct inject inject;
    size_t cursor = 0;
    long result;

    old_size = (old_size + HV_PAGE_SIZE - 1) & ~(uint64_t)(HV_PAGE_SIZE - 1);
    new_size = (new_size + HV_PAGE_SIZE - 1) & ~(uint64_t)(HV_PAGE_SIZE - 1);
    end = start + (old_size ? old_size : HV_PAGE_SIZE);
    machine_lock(m);
    if (end > start)
        mapping = maps_find(m->maps, notice->tid, start, end, &cursor);
    /* An address of the window without a mapping of this process is one that a fork inherited. */
    ours = mapping || (start >= WINDOW_START && start < WINDOW_END);
    may_move = !mapping || !mapping->vma->dont_copy;
    if (mapping && mapping->addr == start)
        id = mapping->id;
    machine_unlock(m);
    if (!ours) {
        answer_continue(notice);
        return;
    }
    if (start % HV_PAGE_SIZE || !new_size) {
        answer_error(notice, -EINVAL);
        return;
    }
    if (new_size > old_size || (notice->args[3] & MREMAP_FIXED && !may_move) || stop_thread(notice, &inject)) {
        answer_error(notice, -EFAULT);
        return;
    }
    result = inject_mremap(notice, &inject);
    if (result >= 0) {
        if ((uint64_t)result != start && id) {
            machine_lock(m);
            maps_place(m->maps, id, (uint64_t)result);
            machine_unlock(m);
        }
        if (new_size < old_size)
            pages_left(notice, (uint64_t)result + new_size, (uint64_t)result + old_size);
    }
    inject_end(&inject, result);
}

static void handle_remap_file_pages(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    uint64_t start = notice->args[0], end = start + notice->args[1];
    size_t cursor = 0;
    bool ours;

    machine_lock(m);
    ours = (start >= WINDOW_START && start < WINDOW_END) ||
           (end > start && maps_find(m->maps, notice->tid, start, end, &cursor));
    machine_unlock(m);
    if (ours)
        answer_error(notice, -EINVAL);
    else
        answer_continue(notice);
}

/* ---- ioctl ------------------------------------------------------------------------------------ */

/* Pages were filled: what they are made from, while nothing can come in between. */
static long fill_start(struct call *call)
{
    struct vma_fill *fill = &call->kreq.fill;
    const struct mapping *mapping = fill->vma->owner;
    int rc = maps_fill(call->notice.supervisor->machine->maps, fill->vma, fill->runs, fill->nr_runs, &call->fill_fd);

    call->fill_addr = mapping->addr + fill->first * HV_PAGE_SIZE;
    if (!rc)
        return call->result;
    free(fill->runs);
    fill->vma = NULL;
    return rc;
}

static long ioctl_start(struct call *call)
{
    call->result = kernel_ioctl(dev_file_kernel(call->file), (unsigned)call->notice.args[1], call->notice.args[2], &call->kreq);
    return call->kreq.fill.vma ? fill_start(call) : call->result;
}

static void ioctl_finish(struct call *call)
{
    struct machine *m = call->notice.supervisor->machine;

    if (call->kreq.fill.vma)
        place_fill(&call->notice, &call->kreq.fill, call->fill_addr, call->fill_fd, call->result);
    machine_lock_only(m);
    dev_file_put(call->file);
    machine_unlock(m);
    if (call->kreq.fill.vma) {
        free(call->kreq.fill.runs);
        free(call);
        return;
    }
    answer(&call->notice, call->result < 0 ? (int)call->result : 0, call->result < 0 ? 0 : call->result, 0);
    free(call);
}

static void handle_fioasync(struct notice *notice, struct dev_file *file);

static void handle_ioctl(struct notice *notice)
{
    bool is_ours;
    struct dev_file *file = dev_fs_find(notice->supervisor->machine->fs, notice->tid, (int)notice->args[0], &is_ours);

    if (!file)
        answer_continue(notice);
    else if ((unsigned)notice->args[1] == FIOASYNC)
        handle_fioasync(notice, file);
    else
        call_start(notice, file, ioctl_start, ioctl_finish);
}

/* FIOASYNC is the one command for any file that FUSE does not have. */
static void handle_fioasync(struct notice *notice, struct dev_file *file)
{
    struct machine *m = notice->supervisor->machine;
    struct user_mem user_mem = { m, notice->tid };
    struct user_memory mem = user_mem_of(&user_mem);
    bool knows = dev_file_kernel(file)->dev->async;
    int on, rc = -ENOTTY;

    machine_lock_only(m);
    if (knows)
        rc = mem.ops->read(mem.ctx, &on, notice->args[2], sizeof on);
    if (!rc)
        async_enable(file, (int)notice->args[0], on);
    dev_file_put(file);
    machine_unlock(m);
    answer(notice, rc, 0, 0);
}

/* The kernel keeps these settings; we take note of them. */
static void handle_fcntl(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    bool is_ours;
    struct dev_file *file = dev_fs_find(m->fs, notice->tid, (int)notice->args[0], &is_ours);

    int flags = -1;

    if (file) {
        machine_lock_only(m);
        if (notice->args[1] == F_GETFL)
            flags = async_getfl(file, notice->tid, (int)notice->args[0]);
        else if (dev_file_kernel(file)->dev->async)
            async_fcntl(file, notice->tid, (int)notice->args[0], (int)notice->args[1], notice->args[2]);
        dev_file_put(file);
        machine_unlock(m);
    }
    if (flags < 0)
        answer_continue(notice);
    else
        answer(notice, 0, flags, 0);
}

/* ---- The thread ------------------------------------------------------------------------------- */

static const struct handler {
    int nr;
    void (*handle)(struct notice *notice);
} handlers[] = {
    { SYS_mmap, handle_mmap },
    { SYS_munmap, handle_munmap },
    { SYS_mremap, handle_mremap },
    { SYS_remap_file_pages, handle_remap_file_pages },
    { SYS_ioctl, handle_ioctl },
    { SYS_fcntl, handle_fcntl },
};

/* Receives one notification; false: there will be no more. *got: there was one. */
static bool receive(struct supervisor *supervisor, struct notice *notice, bool *got)
{
    struct seccomp_notif notif;

    memset(&notif, 0, sizeof notif);
    *got = !ioctl(supervisor->listener, SECCOMP_IOCTL_NOTIF_RECV, &notif);
    if (!*got)
        return errno == EINTR || errno == ENOENT || errno == EAGAIN;
    *notice = (struct notice){ .supervisor = supervisor, .id = notif.id, .tid = (pid_t)notif.pid, .nr = notif.data.nr };
    for (unsigned i = 0; i < 6; i++)
        notice->args[i] = notif.data.args[i];
    return true;
}

static void handle(struct notice *notice)
{
    for (unsigned i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].nr == notice->nr) {
            handlers[i].handle(notice);
            return;
        }
    }
    answer_continue(notice);
}

bool receive_from(struct supervisor *supervisor, struct inject *inject, struct notice *notice)
{
    struct pollfd fd = { supervisor->listener, POLLIN, 0 };
    struct notice **end, *other;
    bool got;

    while (inject_is_waiting(inject)) {
        /* The time limit is for a thread that dies, or is stopped, before its call. */
        if (poll(&fd, 1, 10) <= 0)
            continue;
        if (!receive(supervisor, notice, &got))
            return false;
        if (!got)
            continue;
        if (notice->tid == inject->tid)
            return true;
        other = malloc(sizeof *other);
        if (!other) {
            answer_error(notice, -ENOMEM);
            continue;
        }
        *other = *notice;
        machine_lock(supervisor->machine);
        for (end = &supervisor->backlog; *end; end = &(*end)->next)
            ;
        *end = other;
        machine_unlock(supervisor->machine);
    }
    return false;
}

static bool handle_backlog(struct supervisor *supervisor)
{
    struct notice *notice;

    machine_lock_only(supervisor->machine);
    notice = supervisor->backlog;
    if (notice)
        supervisor->backlog = notice->next;
    machine_unlock(supervisor->machine);
    if (!notice)
        return false;
    notice->next = NULL;
    handle(notice);
    free(notice);
    return true;
}

/* A loop_step: waits for a notification or a decision and deals with it. */
static bool supervisor_step(void *ctx)
{
    struct supervisor *supervisor = ctx;
    struct machine *m = supervisor->machine;
    struct pollfd fds[2] = { { supervisor->listener, POLLIN, 0 }, { supervisor->event_fd, POLLIN, 0 } };
    bool go_on = true, got;
    struct notice notice;

    if (supervisor->backlog && handle_backlog(supervisor))
        return true;
    /* Once the last program is gone only decisions can come, for calls nobody waits for any more. */
    if (supervisor->hung_up)
        fds[0].fd = -1;
    if (poll(fds, 2, -1) < 0)
        return errno == EINTR;
    if (fds[1].revents & POLLIN)
        finish_decided(supervisor);
    if (fds[0].revents & POLLIN) {
        go_on = receive(supervisor, &notice, &got);
        if (got)
            handle(&notice);
    } else if (fds[0].revents & (POLLHUP | POLLERR)) {
        supervisor->hung_up = true;
    }
    if (supervisor->hung_up || supervisor->stop) {
        machine_lock(m);
        go_on = !supervisor->stop && supervisor->pending;
        machine_unlock(m);
    }
    return go_on;
}

static void supervisor_ended(void *ctx)
{
    struct supervisor *supervisor = ctx;
    struct machine *m = supervisor->machine;
    struct notice *notice;

    while ((notice = supervisor->backlog)) {
        supervisor->backlog = notice->next;
        free(notice);
    }
    machine_lock(m);
    *supervisor->pprev = supervisor->next;
    if (supervisor->next)
        supervisor->next->pprev = supervisor->pprev;
    machine_unlock(m);
    close(supervisor->listener);
    close(supervisor->event_fd);
    free(supervisor);
}

int supervisor_start(struct machine *m, int listener)
{
    struct supervisor *supervisor = calloc(1, sizeof *supervisor);
    int rc;

    if (!supervisor) {
        close(listener);
        return -ENOMEM;
    }
    supervisor->machine = m;
    supervisor->listener = listener;
    supervisor->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* Wakes us on the processor of the thread that calls, which is about to sleep. Not on old kernels. */
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    machine_lock(m);
    supervisor->next = m->supervisors;
    supervisor->pprev = &m->supervisors;
    if (supervisor->next)
        supervisor->next->pprev = &supervisor->next;
    m->supervisors = supervisor;
    machine_unlock(m);
    rc = supervisor->event_fd < 0 ? -errno : loops_start(m->loops, supervisor_step, supervisor_ended, supervisor);
    if (rc)
        supervisor_ended(supervisor);
    return rc;
}

void supervisors_stop(struct machine *m)
{
    uint64_t one = 1;

    machine_lock(m);
    for (struct supervisor *s = m->supervisors; s; s = s->next) {
        atomic_store(&s->stop, true);
        if (write(s->event_fd, &one, sizeof one) < 0)
            assert(errno == EAGAIN);
    }
    machine_unlock(m);
}
