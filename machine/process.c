/* SPDX-License-Identifier: MIT */
/* Numbers the processes that call the machine. */
#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "machine.h"

struct thread {
    pid_t tid;
    unsigned number;
    uint64_t start;              /* when it began: tells it from another one of the same id */
    UT_hash_handle hh;
};

struct processes {
    struct thread *threads;
    struct process *processes;   /* by number - 1 */
    unsigned nr;
};

struct process {
    pid_t id;
    bool is_named;               /* its name was asked for */
};

static struct processes *get(struct machine *m)
{
    if (!m->processes)
        m->processes = calloc(1, sizeof *m->processes);
    return m->processes;
}

/* 0 if there is no such thread. */
static uint64_t start_time(pid_t tid)
{
    unsigned long long start = 0;
    char path[48], text[1024], *p;
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "/proc/%d/stat", tid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = 0;
    p = strrchr(text, ')');      /* the name before it may hold anything */
    if (!p ||
        sscanf(p + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &start) != 1)
        return 0;
    return start;
}

static pid_t process_of(pid_t tid)
{
    char path[48], line[128];
    int tgid = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", tid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Tgid: %d", &tgid) == 1)
            break;
    if (file)
        fclose(file);
    return tgid;
}

static struct thread *find(struct processes *p, pid_t tid)
{
    struct thread *thread;

    HASH_FIND(hh, p->threads, &tid, sizeof tid, thread);
    return thread;
}

static struct thread *add(struct processes *p, pid_t tid, unsigned number, uint64_t start)
{
    struct thread *thread = find(p, tid);

    if (!thread) {
        thread = calloc(1, sizeof *thread);
        if (!thread)
            return NULL;
        thread->tid = tid;
        HASH_ADD(hh, p->threads, tid, sizeof thread->tid, thread);
    }
    thread->number = number;
    thread->start = start;
    return thread;
}

static unsigned new_number(struct processes *p, pid_t id)
{
    struct process *more = reallocarray(p->processes, p->nr + 1, sizeof *more);

    if (!more)
        return 0;
    p->processes = more;
    more[p->nr++] = (struct process){ .id = id };
    return p->nr;
}

unsigned process_number(struct machine *m, pid_t tid)
{
    struct processes *p = get(m);
    struct thread *thread, *leader;
    uint64_t start;
    pid_t id;

    if (!p || tid <= 0)
        return 0;
    thread = find(p, tid);
    if (thread)
        return thread->number;
    id = process_of(tid);
    if (!id)
        return 0;
    leader = find(p, id);
    start = start_time(id);
    if (!leader || leader->start != start) {
        unsigned number = new_number(p, id);

        leader = number ? add(p, id, number, start) : NULL;
    }
    if (!leader)
        return 0;
    if (tid != id)
        add(p, tid, leader->number, start_time(tid));
    return leader->number;
}

void process_look_again(struct machine *m, pid_t tid)
{
    struct processes *p = get(m);
    struct thread *thread = p ? find(p, tid) : NULL;

    if (!thread || thread->start == start_time(tid))
        return;
    HASH_DEL(p->threads, thread);
    free(thread);
}

pid_t process_id(const struct machine *m, unsigned number)
{
    return m->processes && number && number <= m->processes->nr
        ? m->processes->processes[number - 1].id : 0;
}

bool process_first_name(struct machine *m, unsigned number, char *room, size_t size)
{
    struct process *process;
    char path[48];
    FILE *file;
    size_t n;

    if (!process_id(m, number))
        return false;
    process = &m->processes->processes[number - 1];
    if (process->is_named)
        return false;
    process->is_named = true;
    snprintf(path, sizeof path, "/proc/%d/comm", process->id);
    file = fopen(path, "re");
    if (!file)
        return false;
    n = fread(room, 1, size - 1, file);
    fclose(file);
    if (n && room[n - 1] == '\n')
        n--;
    room[n] = 0;
    for (char *c = room; *c; c++) /* a program may call itself anything */
        if (*c < ' ' || *c > '~')
            *c = '?';
    return n;
}

void processes_destroy(struct machine *m)
{
    struct thread *thread, *next;

    if (!m->processes)
        return;
    HASH_ITER(hh, m->processes->threads, thread, next) {
        HASH_DEL(m->processes->threads, thread);
        free(thread);
    }
    free(m->processes->processes);
    free(m->processes);
    m->processes = NULL;
}
