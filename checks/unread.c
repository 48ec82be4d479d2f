/* SPDX-License-Identifier: MIT */
/*
 * Watches the status of a failed segment with two hardware breakpoints in each thread: one for its
 * first access, one for its first write. An access that is no write is a look at the status. A
 * write before any look shows that nobody looked, also if it belongs to a later function that has
 * its variables there. Who starts a thread or a process meanwhile may have left the look to it.
 * Where the host has no such breakpoints, nothing is reported.
 */
#include "unread_i.h"

#include <dirent.h>
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utlist.h>

#include "arch.h"

#define PAGE 4096u
#define RING_BYTES (2 * PAGE) /* the kernel's page, and room for some records */
#define MOST_THREADS 32u
#define MOST_WATCHED 2u       /* in a process: a processor has breakpoints for so many */

/* A breakpoint, and what it has seen. */
struct trap {
    int fd;
    struct perf_event_mmap_page *page;
};

/* The breakpoints of a thread. */
struct sensor {
    pid_t tid;
    struct trap access, write;
};

struct unread {
    const struct domain *domain;
    unsigned process;
    pid_t thread; /* that copied */
    bool answered; /* the thread sent an event since: it goes on as if all were well */
    uint64_t address;
    uint32_t segment;
    int16_t status;
    struct event copied;
    struct sensor sensors[MOST_THREADS];
    unsigned nr;
    struct unread *prev, *next;
};

enum verdict { NOT_YET,
               WAS_READ,
               CANNOT_BE_READ };

/* ---- Breakpoints ----------------------------------------------------------------------------- */

/* 0, or a negative errno. type: HW_BREAKPOINT_* */
static int trap_open(struct trap *trap, pid_t tid, uint64_t address, uint32_t type)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_BREAKPOINT,
        .size = sizeof attr,
        .sample_period = 1,
        .sample_type = PERF_SAMPLE_REGS_USER,
        .sample_regs_user = ARCH_PERF_REGISTERS,
        .disabled = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
        .task = type == HW_BREAKPOINT_RW, /* new threads and processes are recorded, too */
        .bp_type = type,
        .bp_addr = address,
        .bp_len = address % 2 ? HW_BREAKPOINT_LEN_1 : HW_BREAKPOINT_LEN_2,
    };
    int rc;

    trap->fd =
        (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, (unsigned long)PERF_FLAG_FD_CLOEXEC);
    if (trap->fd < 0)
        return -errno;
    trap->page = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, trap->fd, 0);
    if (trap->page != MAP_FAILED && !ioctl(trap->fd, PERF_EVENT_IOC_REFRESH, 1))
        return 0;
    rc = -errno;
    if (trap->page != MAP_FAILED)
        munmap(trap->page, RING_BYTES);
    close(trap->fd);
    return rc;
}

static void trap_close(struct trap *trap)
{
    munmap(trap->page, RING_BYTES);
    close(trap->fd);
}

static int sensor_open(struct sensor *sensor, pid_t tid, uint64_t address)
{
    int rc = trap_open(&sensor->write, tid, address, HW_BREAKPOINT_W);

    sensor->tid = tid;
    if (rc)
        return rc;
    rc = trap_open(&sensor->access, tid, address, HW_BREAKPOINT_RW);
    if (rc)
        trap_close(&sensor->write);
    return rc;
}

static void unread_free(struct checks *checks, struct unread *unread)
{
    DL_DELETE(checks->unread, unread);
    for (unsigned i = 0; i < unread->nr; i++) {
        trap_close(&unread->sensors[i].access);
        trap_close(&unread->sensors[i].write);
    }
    free(unread);
}

/* The record of an access, as perf_event_open(2) lays it out. */
struct record {
    struct perf_event_header header;
    uint64_t abi, registers[ARCH_NR_PERF_REGISTERS];
};

/* The first. NULL: there is none. */
static const struct record *record_of(const struct trap *trap)
{
    if (!__atomic_load_n(&trap->page->data_head, __ATOMIC_ACQUIRE))
        return NULL;
    return (const void *)((const char *)trap->page + PAGE);
}

/* Both are of one instruction's run: all registers are equal. */
static bool is_same(const struct record *access, const struct record *write)
{
    return write && write->header.type == PERF_RECORD_SAMPLE &&
           !memcmp(access->registers, write->registers, sizeof access->registers);
}

static enum verdict judge(const struct sensor *sensor)
{
    const struct record *access = record_of(&sensor->access);

    if (!access || access->header.type == PERF_RECORD_EXIT)
        return NOT_YET;
    if (access->header.type != PERF_RECORD_SAMPLE || !access->abi)
        return WAS_READ; /* it is not known what happened */
    return is_same(access, record_of(&sensor->write)) ? CANNOT_BE_READ : WAS_READ;
}

static enum verdict judge_all(const struct unread *unread)
{
    enum verdict verdict = NOT_YET;

    for (unsigned i = 0; i < unread->nr && verdict != WAS_READ; i++) {
        enum verdict one = judge(&unread->sensors[i]);

        if (one != NOT_YET)
            verdict = one;
    }
    return verdict;
}

/* ---- Copies ---------------------------------------------------------------------------------- */

static void tell(struct checks *checks, const struct unread *unread)
{
    const struct program *program = program_of(checks, unread->process);
    struct finding *finding =
        finding_new(checks, KIND_STATUS_UNREAD, program, "segment %u of a grant copy failed with "
                                                         "status %d, and nobody looked",
                    unread->segment, unread->status);

    finding_add(finding, &unread->copied, "%s[%u] copied, and the call returned 0",
                program ? program->command : "?", unread->process);
    finding_done(checks, finding);
}

/* Reports it and forgets it, if it is decided. */
static void settle(struct checks *checks, struct unread *unread, enum verdict verdict)
{
    if (verdict == CANNOT_BE_READ)
        tell(checks, unread);
    if (verdict != NOT_YET)
        unread_free(checks, unread);
}

void unread_look(struct checks *checks, unsigned process, bool exits_well)
{
    struct unread *unread, *next;

    DL_FOREACH_SAFE(checks->unread, unread, next) {
        enum verdict verdict = unread->process == process ? judge_all(unread) : NOT_YET;

        if (verdict == NOT_YET && unread->process == process && exits_well)
            verdict = CANNOT_BE_READ;
        settle(checks, unread, verdict);
    }
}

void unread_overwritten(struct checks *checks, unsigned process, uint64_t address)
{
    struct unread *unread, *next;

    DL_FOREACH_SAFE(checks->unread, unread, next) {
        if (unread->process == process && unread->address == address)
            settle(checks, unread, judge_all(unread) == WAS_READ ? WAS_READ : CANNOT_BE_READ);
    }
}

void unread_answered(struct checks *checks, unsigned process, pid_t thread)
{
    struct unread *unread;

    DL_FOREACH(checks->unread, unread)
        unread->answered |= unread->process == process && unread->thread == thread;
}

void unread_drop(struct checks *checks, const struct domain *domain)
{
    struct unread *unread, *next;

    DL_FOREACH_SAFE(checks->unread, unread, next) {
        enum verdict verdict = judge_all(unread);

        if (domain && unread->domain != domain)
            continue;
        if (verdict == NOT_YET)
            verdict = unread->answered ? CANNOT_BE_READ : WAS_READ;
        settle(checks, unread, verdict);
    }
}

static bool is_watched(const struct unread *unread, pid_t tid)
{
    for (unsigned i = 0; i < unread->nr; i++)
        if (unread->sensors[i].tid == tid)
            return true;
    return false;
}

/* Sensors for the threads that have none: how many that were, or -1 if one gets none. */
static int watch_new_threads(struct unread *unread, pid_t pid)
{
    struct dirent *entry;
    char path[32];
    int found = 0;
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    tasks = opendir(path);
    while (tasks && found >= 0 && (entry = readdir(tasks))) {
        pid_t tid = atoi(entry->d_name);
        int rc;

        if (tid <= 0 || is_watched(unread, tid))
            continue;
        rc = unread->nr < MOST_THREADS
               ? sensor_open(&unread->sensors[unread->nr], tid, unread->address)
               : -EMFILE;
        if (!rc) {
            unread->nr++;
            found++;
        } else if (rc != -ESRCH) {
            found = -1;
        }
    }
    if (tasks)
        closedir(tasks);
    return found;
}

/* All threads, or it would not be known who looks. One that a watched thread starts is recorded. */
static bool watch_threads(struct unread *unread, pid_t pid)
{
    int found;

    do
        found = watch_new_threads(unread, pid);
    while (found > 0);
    return !found && unread->nr;
}

void unread_watch(struct checks *checks, const struct call *call, uint32_t segment, int16_t status,
                  uint64_t address)
{
    const struct program *program = program_of(checks, call->process);
    struct unread *unread;
    unsigned nr = 0;

    unread_look(checks, call->process, false);
    DL_FOREACH(checks->unread, unread)
        nr += unread->process == call->process;
    if (!program || nr >= MOST_WATCHED || !(unread = calloc(1, sizeof *unread)))
        return;
    unread->domain = call->key.domain;
    unread->process = call->process;
    unread->thread = call->thread;
    unread->address = address;
    unread->segment = segment;
    unread->status = status;
    unread->copied = call->when;
    DL_APPEND(checks->unread, unread);
    if (!watch_threads(unread, program->pid))
        unread_free(checks, unread);
}
