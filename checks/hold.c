/* SPDX-License-Identifier: MIT */
/*
 * Holds up a program that is about to unmap a page after it has sent the granter an event. If the
 * event said that the page is free, the granter ends its access now, and the unmap is late. Without
 * this, it would depend on the host's scheduler who comes first.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include <utlist.h>

#include "calls_i.h"
#include "loops.h"
#include "process.h"

#define STEP_MS 4u
#define MOST_MS 2000u
#define MOST_TICKS 30      /* of processor time, 10 ms each, that the granter may have meanwhile */
#define MOST_ASKING 125u   /* steps in which it waits for an answer that may be none of ours */
#define IDLE_STEPS 5u      /* for which the granter waits for something */
#define MOST_OF_PLACE 4u   /* calls at one place that are held up */
#define MOST_OF_PROGRAM 24u

struct hold {
    struct item_key key;
    pid_t tid, granter; /* granter: a process */
    struct hold *next;
};

/* ---- Who is held up -------------------------------------------------------------------------- */

struct search {
    const struct item *item;
    unsigned process; /* that shared its first page; 0: not found */
};

static void look_at_share(void *ctx, struct item *share)
{
    struct search *search = ctx;
    const struct grant *grant = search->item->grants;

    if (share->key.type == ITEM_SHARE && item_grants(share, grant->domid, grant->ref))
        search->process = share->process;
}

/* Whether calls of the program, or at this place, were held often enough. */
static bool were_enough(const struct program *program, const struct witness *where)
{
    unsigned of_place = 0;

    for (unsigned i = 0; i < program->nr_holds; i++)
        of_place += program->held[i] == where;
    return program->nr_holds == MOST_OF_PROGRAM || of_place >= MOST_OF_PLACE;
}

/* Counts a call of the program at this place. False: no memory. */
static bool count(struct program *program, const struct witness *where)
{
    if (!program->held)
        program->held = calloc(MOST_OF_PROGRAM, sizeof *program->held);
    if (!program->held)
        return false;
    program->held[program->nr_holds++] = where;
    return true;
}

void hold_unmap(struct checks *checks, unsigned process, pid_t tid, const struct item *item,
                const struct witness *where)
{
    struct program *program = program_of(checks, process);
    struct search search = { .item = item };
    struct hold *hold;

    if (!program || program->notified < item->made.order || !item->views || !item->grants ||
        item->notifies || item_had(item, TURN_LATE) || were_enough(program, where))
        return;
    ledger_each(&checks->ledger, look_at_share, &search);
    if (!search.process || !count(program, where) || !(hold = malloc(sizeof *hold)))
        return;
    *hold = (struct hold){ item->key, tid, process_id(checks->machine, search.process), NULL };
    LL_PREPEND(checks->holds, hold);
    checks->nr_holds++;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* What the granter does. The worst of its threads counts. */
enum doing {
    WAITS,  /* for something that happens elsewhere */
    ASKS,   /* waits in a call that the machine may have to answer: this machine is slow */
    RUNS,
};

/* Whether a thread that sleeps does so in a call that the machine answers. */
static bool is_asking(pid_t pid, const char *tid)
{
    static const int calls[] = { SYS_ioctl, SYS_mmap, SYS_munmap, SYS_close, SYS_recvmsg,
                                 SYS_sendmsg, SYS_openat };
    char path[300];
    bool asks = false;
    int call = -1;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/task/%s/syscall", pid, tid);
    file = fopen(path, "re");
    if (!file)
        return false;
    if (fscanf(file, "%d", &call) == 1)
        for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
            asks |= calls[i] == call;
    fclose(file);
    return asks;
}

static enum doing look_at_thread(pid_t pid, const char *tid, unsigned long *ticks)
{
    char path[300], line[512], state = 'R';
    unsigned long user = 0, system = 0;
    const char *name_end;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", pid, tid);
    file = fopen(path, "re");
    if (!file)
        return WAITS;
    name_end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (name_end)
        sscanf(name_end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &state, &user,
               &system);
    fclose(file);
    *ticks += user + system;
    if (!strchr("STtZX", state))
        return RUNS;
    return state == 'S' && is_asking(pid, tid) ? ASKS : WAITS;
}

/* What all threads of the process do, but for one. *ticks: the processor time they have had. */
static enum doing look_at(pid_t pid, pid_t but, unsigned long *ticks)
{
    enum doing doing = WAITS, one;
    struct dirent *entry;
    char path[32];
    DIR *tasks;

    *ticks = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    tasks = opendir(path);
    while (tasks && (entry = readdir(tasks))) {
        if (atoi(entry->d_name) <= 0 || atoi(entry->d_name) == but)
            continue;
        one = look_at_thread(pid, entry->d_name, ticks);
        if (one > doing)
            doing = one;
    }
    if (tasks)
        closedir(tasks);
    return doing;
}

/* Nothing that could still happen would make the unmap late. */
static bool is_settled(struct checks *checks, const struct hold *hold)
{
    const struct item *item;
    bool settled;

    machine_lock(checks->machine);
    item = item_find(&checks->ledger, &hold->key);
    settled = !item || !item->views || item_had(item, TURN_LATE);
    machine_unlock(checks->machine);
    return settled;
}

static struct hold *take(struct checks *checks, pid_t tid)
{
    struct hold *hold;

    machine_lock_only(checks->machine);
    LL_SEARCH_SCALAR(checks->holds, hold, tid, tid);
    if (hold) {
        LL_DELETE(checks->holds, hold);
        checks->nr_holds--;
    }
    machine_unlock_only(checks->machine);
    return hold;
}

void hold_wait(struct checks *checks, pid_t tid)
{
    struct hold *hold = checks->nr_holds ? take(checks, tid) : NULL;
    unsigned long first = 0, ticks = 0;
    unsigned idle = 0, asking = 0;

    for (unsigned ms = 0; ms < MOST_MS && hold && idle < IDLE_STEPS && asking < MOST_ASKING &&
                          ticks - first < MOST_TICKS && !is_settled(checks, hold);
         ms += STEP_MS) {
        enum doing doing = look_at(hold->granter, tid, &ticks);

        if (!ms)
            first = ticks;
        idle = doing == WAITS ? idle + 1 : 0;
        asking += doing == ASKS;
        nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000l }, NULL);
    }
    free(hold);
}

void hold_up(struct machine *m, pid_t tid)
{
    struct checks *checks = checks_of(m);

    if (!checks->nr_holds)
        return;
    loops_hand_over();
    hold_wait(checks, tid);
}

void holds_free(struct checks *checks)
{
    struct hold *hold, *next;

    LL_FOREACH_SAFE(checks->holds, hold, next)
        free(hold);
}
