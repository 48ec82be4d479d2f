/* SPDX-License-Identifier: MIT */
/* Receives the calls that a filter reports and dispatches them. */
#include "supervisor_i.h"

#include <assert.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utlist.h>

#include "fuse_way_i.h"
#include "loops.h"
#include "orphans.h"
#include "space.h"
#include "watch.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS                      /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* ---- Answers ---------------------------------------------------------------------------------- */

static void answer(const struct notice *notice, struct seccomp_notif_resp *resp)
{
    resp->id = notice->id;
    /* Fails if the thread was killed meanwhile: nothing to be done then. */
    ioctl(notice->supervisor->listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
    orphan_calls_answered(notice->supervisor->calls, notice->id);
}

/*
 * Before the thread is let go, not after: it may be in its next call by then, at whose end a space
 * has to stop it.
 */
static void deal_no_more(const struct notice *notice)
{
    pid_t tid = notice->tid;

    atomic_compare_exchange_strong(&notice->supervisor->handled, &tid, 0);
}

void answer_notice(const struct notice *notice, int error, int64_t value, uint32_t flags)
{
    struct seccomp_notif_resp resp = { .error = error, .val = value, .flags = flags };
    struct inject inject;
    bool stops = watch_let_off(notice, error, &inject);

    if (!stops)
        deal_no_more(notice);
    answer(notice, &resp);
    if (stops) {
        inject_wait(&inject);
        deal_no_more(notice);
        inject_pass(&inject);
    }
}

void answer_for_now(const struct notice *notice)
{
    answer(notice, &(struct seccomp_notif_resp){ .error = -ENOSYS });
}

void end_stop(const struct notice *notice, struct inject *inject, long result)
{
    deal_no_more(notice);
    inject_end(inject, result);
}

void answer_error(const struct notice *notice, int error)
{
    answer_notice(notice, error, 0, 0);
}

/* The kernel executes the call as it is. */
void answer_continue(const struct notice *notice)
{
    answer_notice(notice, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
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
int stop_thread(struct notice *notice, struct inject *inject)
{
    int rc = watch_inject(notice, inject);

    if (rc == -EPERM)
        log_traced(notice);
    if (rc)
        return rc;
    answer_for_now(notice);
    return inject_wait(inject) ? 0 : -ESRCH;
}

/* ---- The thread ------------------------------------------------------------------------------- */

static const struct handler {
    int nr;
    void (*handle)(struct notice *notice);
} handlers[] = {
    { SYS_mmap, handle_mmap },
    { SYS_munmap, handle_munmap },
    { SYS_mremap, handle_mremap },
    { SYS_mprotect, handle_mprotect },
    { SYS_pkey_mprotect, handle_mprotect },
    { SYS_remap_file_pages, handle_remap_file_pages },
    { SYS_madvise, handle_madvise },
    { SYS_shmat, handle_shmat },
    { SYS_ioctl, handle_ioctl },
    { SYS_fcntl, handle_fcntl },
    { SYS_exit_group, handle_exit },
};

/* Receives one notification; false: there will be no more. *got: there was one. */
static bool receive(struct supervisor *supervisor, struct notice *notice, bool *got)
{
    struct seccomp_notif notif;
    int error;

    memset(&notif, 0, sizeof notif);
    orphan_calls_receive(supervisor->calls);
    *got = !ioctl(supervisor->listener, SECCOMP_IOCTL_NOTIF_RECV, &notif);
    error = errno;
    orphan_calls_received(supervisor->calls, *got ? notif.id : 0);
    if (!*got)
        return error == EINTR || error == ENOENT || error == EAGAIN;
    *notice = (struct notice){ .supervisor = supervisor, .id = notif.id, .tid = (pid_t)notif.pid, .nr = notif.data.nr };
    for (unsigned i = 0; i < 6; i++)
        notice->args[i] = notif.data.args[i];
    return true;
}

static void handle(struct notice *notice)
{
    unsigned i = 0, n = sizeof handlers / sizeof *handlers;

    if (watch_hand_over(notice) || spaces_keep(notice))
        return;
    while (i < n && handlers[i].nr != notice->nr)
        i++;
    if (i < n)
        handlers[i].handle(notice);
    else
        answer_continue(notice);
    atomic_store(&notice->supervisor->handled, 0);
}

bool receive_from(struct supervisor *supervisor, struct inject *inject, struct notice *notice)
{
    struct pollfd fd = { supervisor->listener, POLLIN, 0 };
    struct notice *other;
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
        LL_APPEND(supervisor->backlog, other);
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
    struct pollfd fds[3] = { { supervisor->listener, POLLIN, 0 }, { supervisor->event_fd, POLLIN, 0 }, { watch_fd(supervisor), POLLIN, 0 } };
    bool go_on = true, got;
    struct notice notice;
    int nr;

    loops_stay();
    if (handle_backlog(supervisor))
        return true;
    /* Once the last program is gone only decisions can come, for calls nobody waits for any more. */
    if (supervisor->hung_up)
        fds[0].fd = -1;
    nr = poll(fds, 3, watch_timeout(supervisor));
    if (nr < 0)
        return errno == EINTR;
    if (supervisor->watched && (!nr || (fds[1].revents | fds[2].revents) & POLLIN))
        watch_stops(supervisor);
    if (fds[1].revents & POLLIN)
        finish_decided(supervisor);
    if (supervisor->watched || fds[1].revents & POLLIN)
        watch_work(supervisor);
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

/* With the lock, which is let go of. */
static void put_and_unlock(struct supervisor *supervisor)
{
    bool last = !--supervisor->refs;

    machine_unlock(supervisor->machine);
    if (!last)
        return;
    close(supervisor->listener);
    orphan_calls_end(supervisor->calls);
    close(supervisor->event_fd);
    free(supervisor);
}

void supervisor_put(struct supervisor *supervisor)
{
    machine_lock_only(supervisor->machine);
    put_and_unlock(supervisor);
}

struct spare {
    struct notice notice;
    void (*serve)(struct notice *notice);
};

static bool spare_step(void *ctx)
{
    struct spare *spare = ctx;
    struct supervisor *supervisor = spare->notice.supervisor;

    spare->serve(&spare->notice);
    free(spare);
    supervisor_put(supervisor);
    return false;
}

void supervisor_spare(const struct notice *notice, void (*serve)(struct notice *notice))
{
    struct supervisor *supervisor = notice->supervisor;
    struct machine *m = supervisor->machine;
    struct spare *spare = malloc(sizeof *spare);

    machine_lock_only(m);
    supervisor->refs++;
    machine_unlock(m);
    if (spare) {
        *spare = (struct spare){ *notice, serve };
        if (!loops_start_once(m->loops, spare_step, spare))
            return;
    }
    free(spare);
    answer_error(notice, -ENOMEM);
    supervisor_put(supervisor);
}

static void supervisor_ended(void *ctx)
{
    struct supervisor *supervisor = ctx;
    struct machine *m = supervisor->machine;
    struct notice *notice;

    watch_end(supervisor);
    machine_lock(m);
    DL_DELETE(fuse_of(m)->supervisors, supervisor);
    supervisor->over = true;
    machine_unlock(m);
    /* Nobody can give us another one now. */
    while ((notice = supervisor->backlog)) {
        supervisor->backlog = notice->next;
        free(notice);
    }
    finish_decided(supervisor);
    supervisor_put(supervisor);
}

int supervisor_start(struct machine *m, int listener, pid_t pid)
{
    struct supervisor *supervisor = fuse_of(m) ? calloc(1, sizeof *supervisor) : NULL;
    int rc;

    if (!supervisor) {
        close(listener);
        return fuse_of(m) ? -ENOMEM : -ENODEV;
    }
    supervisor->machine = m;
    supervisor->refs = 1;
    supervisor->listener = listener;
    supervisor->calls = orphans_add(m, fuse_of(m)->orphans, listener);
    supervisor->pid = pid;
    supervisor->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = watch_start(supervisor);
    /* Wakes us on the processor of the thread that calls, which is about to sleep. Not on old kernels. */
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    machine_lock(m);
    DL_PREPEND(fuse_of(m)->supervisors, supervisor);
    machine_unlock(m);
    if (!rc)
        rc = supervisor->event_fd < 0 ? -EMFILE : loops_start(m->loops, supervisor_step, supervisor_ended, supervisor);
    if (rc)
        supervisor_ended(supervisor);
    return rc;
}

void supervisors_stop(struct machine *m)
{
    uint64_t one = 1;

    machine_lock(m);
    for (struct supervisor *s = fuse_of(m)->supervisors; s; s = s->next) {
        atomic_store(&s->stop, true);
        if (write(s->event_fd, &one, sizeof one) < 0)
            assert(errno == EAGAIN);
    }
    machine_unlock(m);
}
