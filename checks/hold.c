/* SPDX-License-Identifier: MIT */
/*
 * Holds up a program that is about to unmap a page after it has sent the granter an event. If the
 * event said that the page is free, the granter ends its access now, and the unmap is late. Without
 * this, it would depend on the host's scheduler who comes first.
 */
#include <dirent.h>
#include <stdlib.h>
#include <time.h>

#include <utlist.h>

#include "calls_i.h"
#include "loops.h"
#include "process.h"

#define STEP_MS 4u
#define MOST_MS 300u
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

static bool sleeps(pid_t pid, const char *tid)
{
    char path[300], line[256], state = 'R';
    const char *name_end;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", pid, tid);
    file = fopen(path, "re");
    if (!file)
        return true;
    name_end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (name_end)
        sscanf(name_end + 1, " %c", &state);
    fclose(file);
    return state == 'S' || state == 'T' || state == 't' || state == 'Z' || state == 'X';
}

/* Whether all threads of the process, but for one, wait for something. */
static bool is_idle(pid_t pid, pid_t but)
{
    struct dirent *entry;
    bool idle = true;
    char path[32];
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    tasks = opendir(path);
    while (tasks && idle && (entry = readdir(tasks)))
        if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != but)
            idle = sleeps(pid, entry->d_name);
    if (tasks)
        closedir(tasks);
    return idle;
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
    unsigned idle = 0;

    for (unsigned ms = 0; ms < MOST_MS && hold && idle < IDLE_STEPS && !is_settled(checks, hold);
         ms += STEP_MS) {
        idle = is_idle(hold->granter, tid) ? idle + 1 : 0;
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
