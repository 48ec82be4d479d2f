/* SPDX-License-Identifier: MIT */
/* Has a thread of a program show another frame in a page, and protects pages from writes. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

#include "code.h"
#include "cow_i.h"
#include "filter.h"
#include "follow.h"
#include "fuse_way_i.h"
#include "maps.h"
#include "space_i.h"

#define VDSO_BYTES 8192u
#define MAX_MOMENTS 100

/* ---- Threads of the process ------------------------------------------------------------------ */

bool cow_is_thread_of(pid_t pid, pid_t tid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/task/%d", pid, tid);
    return tid && !access(path, F_OK);
}

/* The thread that wrote, because it is in no call of its own; else any other. */
static bool begin_stop(struct space *space, struct inject *inject, pid_t writer)
{
    struct dirent *entry;
    bool begun = false;
    char path[32];
    DIR *tasks;

    if (cow_is_thread_of(space->pid, writer) && space_begin_stop(space, inject, writer))
        return true;
    snprintf(path, sizeof path, "/proc/%d/task", space->pid);
    tasks = opendir(path);
    while (tasks && !begun && (entry = readdir(tasks)))
        if (atoi(entry->d_name) > 0)
            begun = space_begin_stop(space, inject, atoi(entry->d_name));
    if (tasks)
        closedir(tasks);
    return begun;
}

static bool has_running_thread(pid_t pid)
{
    struct dirent *entry;
    unsigned long ticks;
    bool running = false;
    char path[32];
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    tasks = opendir(path);
    while (tasks && !running && (entry = readdir(tasks)))
        running = atoi(entry->d_name) > 0 && proc_is_running(atoi(entry->d_name), &ticks);
    if (tasks)
        closedir(tasks);
    return running;
}

void cow_say_stuck(struct space *space)
{
    struct machine *m = space->machine;
    struct shown_page *f;

    if (has_running_thread(space->pid))
        return;
    machine_lock_only(m);
    DL_FOREACH(m->follow.to_show, f)
        if (f->mapping->tid == space->pid)
            f->stuck = true;
    pthread_cond_broadcast(&fuse_of(m)->shown);
    machine_unlock_only(m);
}

void cow_read_news(struct space *space, const struct timespec *moment)
{
    struct pollfd fd = { space->uffd, POLLIN, 0 };

    if (ppoll(&fd, 1, moment, NULL) > 0 && fd.revents & POLLIN)
        space_take_news(space);
}

bool cow_await_stop(struct space *space, struct inject *inject)
{
    const struct timespec moment = { .tv_nsec = 50 * 1000 }, longer = { .tv_nsec = 1000 * 1000 };
    siginfo_t stopped = { .si_pid = 0 };

    for (unsigned tries = 0;; tries++) {
        if (waitid(P_PID, (id_t)inject->tid, &stopped,
                   WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL) ||
            stopped.si_pid)
            break;
        if (tries >= MAX_MOMENTS)
            cow_say_stuck(space);
        cow_read_news(space, tries < MAX_MOMENTS ? &moment : &longer);
    }
    return inject_wait(inject);
}

/* ---- System calls in it ---------------------------------------------------------------------- */

static uint64_t vdso_of(pid_t pid)
{
    Elf64_auxv_t entry = { .a_type = AT_NULL };
    uint64_t found = 0;
    char path[32];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/auxv", pid);
    file = fopen(path, "re");
    while (file && !found && fread(&entry, sizeof entry, 1, file) == 1)
        if (entry.a_type == AT_SYSINFO_EHDR)
            found = entry.a_un.a_val;
    if (file)
        fclose(file);
    return found;
}

/* The address behind a syscall instruction. 0: there is none that we know. */
static uint64_t find_syscall(struct space *space)
{
    uint8_t bytes[VDSO_BYTES];
    size_t behind;
    uint64_t vdso;
    ssize_t size = -1;

    if (space->syscall_at)
        return space->syscall_at;
    vdso = vdso_of(space->pid);
    for (size_t tried = sizeof bytes; vdso && size < 0 && tried; tried /= 2) {
        struct iovec ours = { bytes, tried }, theirs = { (void *)(uintptr_t)vdso, tried };

        size = process_vm_readv(space->pid, &ours, 1, &theirs, 1, 0);
    }
    behind = size > 0 ? arch_find_kernel_call(bytes, (size_t)size) : 0;
    if (behind)
        space->syscall_at = vdso + behind;
    return space->syscall_at;
}

/* One call of a thread that stopped anywhere. */
static long call(struct space *space, struct inject *inject, long nr, const uint64_t args[6])
{
    uint64_t at = arch_regs_pc(&inject->regs), known;
    long result;

    if (!inject_can_call(inject)) {
        known = find_syscall(space);
        if (!arch_regs_are_native(&inject->regs) || !known)
            return -ENOSYS;
        arch_regs_set_pc(&inject->regs, known);
    }
    result = inject_call(inject, nr, args);
    arch_regs_set_pc(&inject->regs, at);
    return result;
}

/* ---- One page -------------------------------------------------------------------------------- */

int cow_protect(struct space *space, uint64_t addr, bool protect)
{
    const struct timespec moment = { .tv_nsec = 50 * 1000 };
    struct uffdio_writeprotect range = {
        .range = { addr, HV_PAGE_SIZE },
        .mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : UFFDIO_WRITEPROTECT_MODE_DONTWAKE
    };
    int rc;

    /* EAGAIN: its memory changes, and the news of that has not been read. */
    while ((rc = ioctl(space->uffd, UFFDIO_WRITEPROTECT, &range) ? -errno : 0) == -EAGAIN)
        cow_read_news(space, &moment);
    return rc;
}

int cow_try_protect(struct space *space, uint64_t addr, bool protect)
{
    struct uffdio_writeprotect range = { .range = { addr, HV_PAGE_SIZE },
                                         .mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0 };

    return ioctl(space->uffd, UFFDIO_WRITEPROTECT, &range) ? -errno : 0;
}

void cow_wake(struct space *space, uint64_t addr)
{
    struct uffdio_range range = { addr, HV_PAGE_SIZE };

    ioctl(space->uffd, UFFDIO_WAKE, &range);
}

static long show_frame(struct space *space, struct inject *inject, const struct change *c)
{
    return call(space, inject, SYS_remap_file_pages,
                (uint64_t[6]){ c->addr, HV_PAGE_SIZE, 0, c->to, INJECTED_MAGIC });
}

static void advise(struct space *space, struct inject *inject, uint64_t addr, uint64_t size,
                   int how)
{
    call(space, inject, SYS_madvise, (uint64_t[6]){ addr, size, (uint64_t)how });
}

/* While the thread is stopped. Others may go on, so what is protected is so as soon as can be. */
static long show_stopped(struct space *space, struct inject *inject, const struct change *c)
{
    long rc = 0;

    if (c->begins)
        advise(space, inject, c->area, c->area_size, MADV_DONTFORK);
    if (c->to != c->from) {
        rc = show_frame(space, inject, c);
        if (!rc)
            space_watch(space, c->addr, HV_PAGE_SIZE);
        if (!rc && !c->writable) {
            rc = cow_protect(space, c->addr, true);
            advise(space, inject, c->addr, HV_PAGE_SIZE, MADV_DONTFORK);
        }
    }
    if (c->ends)
        advise(space, inject, c->area, c->area_size, MADV_DOFORK);
    return rc;
}

/* Puts what differs from before into the copy. */
static void move_write(uint8_t *copy, const uint8_t *written, const uint8_t *before)
{
    for (size_t i = 0; i < HV_PAGE_SIZE; i++)
        if (written[i] != before[i])
            copy[i] = written[i];
}

/*
 * A thread may have written to the frame in the moment between its appearing and its being
 * protected. It is as if the write had come later, and made a copy: that has what was written, and
 * the frame what it had before.
 */
static void take_back_write(struct space *space, const struct change *c, const void *before)
{
    struct machine *m = space->machine;
    void *frame = hv_frame(m->hv, c->to);
    uint8_t written[HV_PAGE_SIZE];
    struct hv_frame_info info;
    struct mapping *mapping;
    struct shown_page *f;

    if (!memcmp(frame, before, HV_PAGE_SIZE))
        return;
    machine_lock(m);
    machine_caller(m, space->pid);
    mapping = maps_mapping(m->maps, c->mapping);
    f = mapping ? follow_page(mapping, c->page) : NULL;
    if (f && !hv_frame_info(m->hv, c->to, &info) && info.owner == DOMID_COW) {
        memcpy(written, frame, sizeof written);
        memcpy(frame, before, HV_PAGE_SIZE);
        if (!f->writable && follow_write(m, f))
            memcpy(frame, written, HV_PAGE_SIZE);      /* no memory: no write may be lost */
        else
            move_write(hv_frame(m->hv, f->wanted), written, before);
    }
    machine_unlock(m);
}

static enum shown show_by_thread(struct space *space, const struct change *c, pid_t writer)
{
    uint8_t before[HV_PAGE_SIZE];
    struct inject inject;
    bool stopped, looks = !c->writable && c->to != c->from;     /* at what was written meanwhile */
    long rc = -ESRCH;

    if (!begin_stop(space, &inject, writer))
        return kill(space->pid, 0) && errno == ESRCH ? PROCESS_GONE : NOT_NOW;
    stopped = cow_await_stop(space, &inject);
    if (looks)
        memcpy(before, hv_frame(space->machine->hv, c->to), sizeof before);
    if (stopped)
        rc = show_stopped(space, &inject, c);
    if (!rc && c->writable && c->to != c->from)
        cow_answer(space, c->addr);
    space_end_stop(space, &inject);
    if (!rc && looks)
        take_back_write(space, c, before);
    if (rc == -ESRCH || rc == -ENOSYS)
        return NOT_NOW;            /* another thread, if there is one */
    if (rc && rc != -EINVAL && rc != -ENOENT)
        machine_log(space->machine,
                    "process %d does not see a page of its domain that was moved: %s", space->pid,
                    strerror((int)-rc));
    return SHOWN;
}

enum shown cow_show(struct space *space, const struct change *c, pid_t writer)
{
    enum shown shown = SHOWN;

    if (c->to != c->from || c->begins || c->ends)
        shown = show_by_thread(space, c, writer);
    if (shown == SHOWN && c->to == c->from && c->writable)
        cow_answer(space, c->addr);
    if (shown == SHOWN && c->to == c->from && cow_protect(space, c->addr, !c->writable) == -ESRCH)
        shown = PROCESS_GONE;
    /* A thread may have written to it in the moment before. */
    if (shown == SHOWN && c->lost)
        memset(hv_frame(space->machine->hv, c->to), 0xff, HV_PAGE_SIZE);
    return shown;
}
