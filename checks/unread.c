/* SPDX-License-Identifier: MIT */
/*
 * Watches the status of a failed segment with a hardware breakpoint, which records the first access
 * of the program to it. An access that finds the status there is a look at it. One that changes it,
 * or comes when the frame that held it has returned, shows that nobody looked. Where the host has
 * no such breakpoints, nothing is reported.
 */
#include "unread_i.h"

#include <dirent.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utlist.h>

#define PAGE 4096u
#define RING_PAGES 4u         /* a power of two, and room for one record */
#define STACK_BYTES 8192u     /* of the thread, in the record */
#define MOST_STACK (8u << 20) /* addresses so near to the stack pointer are the stack's */
#define MOST_THREADS 32u
#define MOST_WATCHED 4u /* in a process: a processor has so many */
#define REG_SP 7        /* PERF_REG_X86_SP */

struct sensor {
    int fd;
    struct perf_event_mmap_page *page;
};

struct unread {
    const struct domain *domain;
    unsigned process;
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

static bool sensor_open(struct sensor *sensor, pid_t tid, uint64_t address)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_BREAKPOINT,
        .size = sizeof attr,
        .sample_period = 1,
        .sample_type = PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
        .sample_regs_user = 1ull << REG_SP,
        .sample_stack_user = STACK_BYTES,
        .disabled = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
        .bp_type = HW_BREAKPOINT_RW,
        .bp_addr = address,
        .bp_len = address % 2 ? HW_BREAKPOINT_LEN_1 : HW_BREAKPOINT_LEN_2,
    };

    sensor->fd =
        (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, (unsigned long)PERF_FLAG_FD_CLOEXEC);
    if (sensor->fd < 0)
        return false;
    sensor->page =
        mmap(NULL, (1 + RING_PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, sensor->fd, 0);
    if (sensor->page != MAP_FAILED && !ioctl(sensor->fd, PERF_EVENT_IOC_REFRESH, 1))
        return true;
    if (sensor->page != MAP_FAILED)
        munmap(sensor->page, (1 + RING_PAGES) * PAGE);
    close(sensor->fd);
    return false;
}

static void unread_free(struct checks *checks, struct unread *unread)
{
    DL_DELETE(checks->unread, unread);
    for (unsigned i = 0; i < unread->nr; i++) {
        munmap(unread->sensors[i].page, (1 + RING_PAGES) * PAGE);
        close(unread->sensors[i].fd);
    }
    free(unread);
}

/* The record of an access, as perf_event_open(2) lays it out. */
struct record {
    struct perf_event_header header;
    uint64_t abi, sp;
    uint64_t size;
    unsigned char stack[STACK_BYTES];
    uint64_t dumped;
};

static enum verdict judge(const struct unread *unread, const struct sensor *sensor)
{
    const struct record *record = (const void *)((const char *)sensor->page + PAGE);
    uint64_t above = unread->address - record->sp;
    int16_t value;

    if (!__atomic_load_n(&sensor->page->data_head, __ATOMIC_ACQUIRE))
        return NOT_YET;
    if (record->header.type != PERF_RECORD_SAMPLE || !record->abi)
        return WAS_READ; /* it is not known what happened */
    if (record->sp - unread->address < MOST_STACK)
        return CANNOT_BE_READ; /* below the stack: its frame is gone */
    if (record->size != STACK_BYTES || above + sizeof value > record->dumped)
        return WAS_READ; /* elsewhere, or far up the stack */
    memcpy(&value, record->stack + above, sizeof value);
    return value == unread->status ? WAS_READ : CANNOT_BE_READ;
}

static enum verdict judge_all(const struct unread *unread)
{
    enum verdict verdict = NOT_YET;

    for (unsigned i = 0; i < unread->nr && verdict != WAS_READ; i++) {
        enum verdict one = judge(unread, &unread->sensors[i]);

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

void unread_drop(struct checks *checks, const struct domain *domain)
{
    struct unread *unread, *next;

    DL_FOREACH_SAFE(checks->unread, unread, next) {
        enum verdict verdict = judge_all(unread);

        if (domain && unread->domain != domain)
            continue;
        settle(checks, unread, verdict == NOT_YET ? WAS_READ : verdict);
    }
}

/* A sensor for each thread of the process. */
static void watch_threads(struct unread *unread, pid_t pid)
{
    struct dirent *entry;
    char path[32];
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    tasks = opendir(path);
    while (tasks && unread->nr < MOST_THREADS && (entry = readdir(tasks))) {
        pid_t tid = atoi(entry->d_name);

        if (tid > 0 && sensor_open(&unread->sensors[unread->nr], tid, unread->address))
            unread->nr++;
    }
    if (tasks)
        closedir(tasks);
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
    unread->address = address;
    unread->segment = segment;
    unread->status = status;
    unread->copied = call->when;
    DL_APPEND(checks->unread, unread);
    watch_threads(unread, program->pid);
    if (!unread->nr)
        unread_free(checks, unread);
}
