/* SPDX-License-Identifier: MIT */
/* The part of the machine that checks programs: its life, and what it knows of processes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "calls_i.h"
#include "process.h"
#include "refused_i.h"
#include "stale_i.h"
#include "suppress_i.h"
#include "trace.h"
#include "unread_i.h"

#define EXITING 4u /* PF_EXITING in the flags of /proc/PID/stat */

struct event event_now(struct checks *checks, const struct witness *where)
{
    const struct machine *m = checks->machine;

    return (struct event){ ++checks->order, trace_is_on(m), trace_next(m), where };
}

/* ---- Processes ------------------------------------------------------------------------------- */

static void read_command(struct program *program)
{
    char path[32];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/comm", program->pid);
    file = fopen(path, "re");
    if (!file || !fgets(program->command, sizeof program->command, file))
        strcpy(program->command, "?");
    program->command[strcspn(program->command, "\n")] = 0;
    for (char *c = program->command; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = '?'; /* it is printed on a terminal */
    if (file)
        fclose(file);
}

/* The fields of /proc/PID/stat behind the name; "": there is no such process. */
static void read_stat(pid_t pid, char line[512])
{
    char path[32], *end;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (!file || !fgets(line, 512, file) || !(end = strrchr(line, ')')))
        line[0] = 0;
    else
        memmove(line, end + 1, strlen(end));
    if (file)
        fclose(file);
}

static void read_parents(struct program *program)
{
    pid_t pid = program->pid;
    char line[512];

    for (unsigned i = 0; i < MOST_PARENTS && pid > 1; i++) {
        read_stat(pid, line);
        if (sscanf(line, " %*c %d", &pid) != 1)
            return;
        program->parents[i] = pid;
    }
}

struct program *program_of(struct checks *checks, unsigned number)
{
    struct program *program;

    HASH_FIND(hh, checks->programs, &number, sizeof number, program);
    if (program)
        return program;
    program = calloc(1, sizeof *program);
    if (!program)
        return NULL;
    program->number = number;
    program->pid = process_id(checks->machine, number);
    read_command(program);
    read_parents(program);
    HASH_ADD(hh, checks->programs, number, sizeof program->number, program);
    return program;
}

bool program_lives(const struct program *program)
{
    char line[512], state = 'X';
    unsigned flags = 0;

    if (!program || !program->pid)
        return false;
    read_stat(program->pid, line);
    sscanf(line, " %c %*d %*d %*d %*d %*d %u", &state, &flags);
    return state != 'Z' && state != 'X' && !(flags & EXITING);
}

struct forgetting {
    struct machine_later later;
    struct depot *depot;
    pid_t tid;
};

static void forget(struct machine_later *later)
{
    struct forgetting *forgetting = (struct forgetting *)(void *)later;

    depot_forget(forgetting->depot, forgetting->tid);
    free(forgetting);
}

void checks_new_file(struct checks *checks, pid_t tid)
{
    struct forgetting *forgetting = malloc(sizeof *forgetting);

    if (!forgetting)
        return;
    *forgetting = (struct forgetting){ { .run = forget }, checks->depot, tid };
    machine_later(checks->machine, &forgetting->later);
}

/* ---- The part -------------------------------------------------------------------------------- */

static int prepare(struct machine *m, int *memory_fd)
{
    struct checks *checks = checks_of(m);

    (void)memory_fd;
    checks->machine = m;
    pthread_mutex_init(&checks->lock, NULL);
    pthread_cond_init(&checks->calm, NULL);
    checks_choose_usual(&checks->choice);
    checks->refused = calloc(1, sizeof *checks->refused);
    if (!checks->refused)
        return -ENOMEM;
    unsetenv("DEBUGINFOD_URLS"); /* a report asks no network */
    return depot_create(&checks->depot);
}

static int start(struct machine *m)
{
    trace_listen(m);
    return 0;
}

int checks_configure(struct machine *m, const struct checks_config *config, char *error,
                     size_t size)
{
    struct checks *checks = checks_of(m);

    checks->choice = config->choice;
    checks->format = config->format;
    checks->suppressions_path = config->suppressions;
    if (config->suppressions &&
        suppressions_read(&checks->suppressions, config->suppressions, error, size))
        return -1;
    checks->report = config->report ? fopen(config->report, "we") : NULL;
    if (!config->report || checks->report)
        return 0;
    snprintf(error, size, "cannot write the report to %s: %s", config->report, strerror(errno));
    return -1;
}

static const struct witness *witness(struct machine *m, pid_t tid, const struct machine_stack *at)
{
    struct depot *depot = checks_of(m)->depot;

    return at->registers ? depot_see_at(depot, tid, at->registers)
                         : depot_see(depot, tid, at->addresses, at->nr);
}

static void domain_destroyed(struct domain *d)
{
    struct checks *checks = checks_of(d->machine);

    leaks_file_over(checks, d, 0);
    calls_drop(checks, d);
    refused_drop(checks, d);
    unread_drop(checks, d);
    ledger_drop(&checks->ledger, d);
}

static void destroy(struct machine *m)
{
    struct checks *checks = checks_of(m);
    struct program *program, *next;

    unread_drop(checks, NULL);
    findings_publish(checks);
    calls_drop(checks, NULL);
    refused_free(checks);
    stale_free(checks);
    ledger_free(&checks->ledger);
    HASH_ITER(hh, checks->programs, program, next) {
        HASH_DEL(checks->programs, program);
        free(program->held);
        free(program);
    }
    findings_free(checks);
    suppressions_free(checks->suppressions);
    if (checks->report)
        fclose(checks->report);
    holds_free(checks);
    depot_destroy(checks->depot);
    pthread_cond_destroy(&checks->calm);
    pthread_mutex_destroy(&checks->lock);
}

const struct machine_part checks_part = {
    .machine_size = sizeof(struct checks),
    .prepare = prepare,
    .start = start,
    .domain_destroyed = domain_destroyed,
    .call_begins = calls_begin,
    .call_memory = calls_memory,
    .call_over = calls_over,
    .hypercall_over = refused_hypercall,
    .access_ended = calls_access_ended,
    .witness = witness,
    .mapping_placed = faults_placed,
    .store_over = stale_store_over,
    .answer_waits = hold_up,
    .process_says = says,
    .destroy = destroy,
};
