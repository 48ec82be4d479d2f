/* SPDX-License-Identifier: MIT */
/* Decides what a running program is shown of shared pages, and when its writes go on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

#include "cow.h"
#include "cow_i.h"
#include "follow.h"
#include "fuse_way_i.h"
#include "loops.h"
#include "maps.h"
#include "space_i.h"

/* A write that waits. */
struct cow_fault {
    uint64_t addr;                 /* of the page */
    pid_t tid;                     /* 0: not known */
    bool asked;                    /* for memory: until a helper answers */
    bool lost;                     /* nothing is there */
    struct cow_fault *next;
};

/* ---- All that is to be shown ----------------------------------------------------------------- */

/* With the lock. False: the page has left the process's memory. */
static bool plan(const struct shown_page *f, struct change *c)
{
    const struct mapping *mapping = f->mapping;
    const uint64_t *gone = mapping->gone ? mapping->gone : &mapping->inline_gone;

    *c = (struct change){ .mapping = mapping->id,
                          .page = f->page,
                          .addr = mapping->addr + f->page * HV_PAGE_SIZE,
                          .area = mapping->addr,
                          .area_size = mapping->nr_pages * HV_PAGE_SIZE,
                          .from = f->shown,
                          .to = f->wanted,
                          .writable = f->writable,
                          .lost = f->lost,
                          .alone = follow_is_alone(f),
                          .begins = follow_is_alone(f) && !mapping->is_alone,
                          .ends = !follow_is_alone(f) && f->shown_alone &&
                                  mapping->nr_waiting == 1 };
    return mapping->addr && !(gone[f->page / 64] >> (f->page % 64) & 1);
}

/* With the lock. The writer of the page; 0: nobody, or it is not known. */
static pid_t writer_of(const struct space *space, uint64_t addr)
{
    const struct cow_fault *fault = space->faults;

    while (fault && fault->addr != addr)
        fault = fault->next;
    return fault ? fault->tid : 0;
}

/* A process that inherited the pages could write to them: as if it had. Without the lock. */
static void look_for_heirs(struct space *space, const struct change *c)
{
    struct machine *m = space->machine;
    bool heirs = maps_has_heirs(m->maps, c->mapping, space->pid);
    struct mapping *mapping;
    struct shown_page *f;

    machine_lock(m);
    machine_caller(m, space->pid);
    mapping = maps_mapping(m->maps, c->mapping);
    if (mapping)
        mapping->has_heirs = heirs;
    f = mapping ? follow_page(mapping, c->page) : NULL;
    if (heirs && f && !f->writable)
        follow_write(m, f);
    machine_unlock(m);
    if (heirs)
        machine_log(m,
                    "process %d has forked, and its children have pages that were to be shared: "
                    "they are not, because a child's writes cannot be stopped",
                    space->pid);
}

/* With the lock, which is released in between. False: nothing is to be done, or not now. */
static bool show_next(struct space *space)
{
    struct machine *m = space->machine;
    struct shown_page *f = follow_next(m, space->pid);
    enum shown shown = SHOWN;
    struct mapping *mapping;
    struct change c;
    bool there;
    pid_t writer;

    if (!f)
        return false;
    there = plan(f, &c);
    follow_begin(f);
    writer = writer_of(space, c.addr);
    machine_unlock_only(m);
    if (there)
        shown = cow_show(space, &c, writer);
    if (shown == SHOWN && c.writable)
        cow_wake(space, c.addr);
    if (shown == SHOWN && c.begins)
        look_for_heirs(space, &c);
    machine_lock_only(m);
    mapping = maps_mapping(m->maps, c.mapping);
    f = mapping ? follow_page(mapping, c.page) : NULL;
    if (shown != SHOWN && f)
        follow_failed(m, f);
    if (shown == PROCESS_GONE) {
        follow_forget(m, space->pid);
    } else if (shown == SHOWN && f) {
        mapping->is_alone = (mapping->is_alone || c.begins) && !c.ends;
        follow_shown(m, f, c.to, c.writable, c.alone);
    }
    pthread_cond_broadcast(&fuse_of(m)->shown);
    return shown == SHOWN;
}

/* With the lock: a page of another process than space's is not shown yet. */
static bool others_wait(struct machine *m, const struct space *space)
{
    const struct space *other;
    struct shown_page *f;

    DL_FOREACH(m->follow.to_show, f) {
        if (f->stuck || f->changed || (space && f->mapping->tid == space->pid))
            continue;
        for (other = fuse_of(m)->spaces; other && other->pid != f->mapping->tid;)
            other = other->next;
        if (other)
            return true;
    }
    return false;
}

/* With the lock. */
static void call_all(struct machine *m)
{
    for (struct space *space = fuse_of(m)->spaces; space; space = space->next)
        if (follow_next(m, space->pid) || (m->follow.goes_on && space->faults))
            space_call(space);
    /* Some of them may wait for others. */
    pthread_cond_broadcast(&fuse_of(m)->shown);
}

static struct space *space_with(const struct machine *m, pid_t pid)
{
    struct space *space = fuse_of(m)->spaces;

    while (space && space->pid != pid)
        space = space->next;
    return space;
}

/* With the lock: whoever wrote there has gone on. */
static void forget_fault(struct space *space, uint64_t addr)
{
    struct cow_fault *fault, *next;

    LL_FOREACH_SAFE(space->faults, fault, next)
        if (fault->addr == addr) {
            LL_DELETE(space->faults, fault);
            free(fault);
        }
}

/* With the lock: what needs no thread of the process needs no turn of its space's loop either. */
static void show_at_once(struct machine *m)
{
    struct shown_page *f, *next;
    struct space *space;
    struct change c;

    DL_FOREACH_SAFE(m->follow.to_show, f, next) {
        space = space_with(m, f->mapping->tid);
        if (!space || atomic_load(&space->stopping) || f->changed ||
            f->in_work != HV_INVALID_MFN || !plan(f, &c) || c.to != c.from || c.begins || c.ends ||
            cow_try_protect(space, c.addr, !c.writable))
            continue;
        if (c.lost)
            memset(hv_frame(m->hv, c.to), 0xff, HV_PAGE_SIZE);
        follow_shown(m, f, c.to, c.writable, c.alone);
        if (c.writable)
            forget_fault(space, c.addr);
    }
}

/*
 * The page is protected before the hypervisor shares its frame, so no write is lost that a copy
 * should have. That waits for nothing but the kernel. While the process's memory is being changed
 * it cannot be done, which is as if somebody else had the page.
 */
bool cow_can_follow(struct machine *m, const struct mapping *mapping, uint64_t page)
{
    struct space *space = space_with(m, mapping->tid);

    return space && mapping->tid && mapping->addr && !mapping->has_heirs &&
           !atomic_load(&space->stopping) &&
           !cow_try_protect(space, mapping->addr + page * HV_PAGE_SIZE, true);
}

/* The space whose loop we are in. With the lock. */
static struct space *own_space(struct machine *m)
{
    struct space *space = fuse_of(m)->spaces;

    while (space && atomic_load(&space->server) != pthread_self())
        space = space->next;
    return space;
}

void cow_follow(struct machine *m)
{
    struct space *own;

    loops_access_begin();
    machine_lock_only(m);
    own = own_space(m);
    if (m->follow.goes_on)
        for (struct space *space = fuse_of(m)->spaces; space; space = space->next)
            for (struct cow_fault *fault = space->faults; fault; fault = fault->next)
                fault->asked = false;
    show_at_once(m);
    call_all(m);
    m->follow.goes_on = false;
    /* A space's loop goes on with its own pages first (cow_serve). */
    while (!own && others_wait(m, NULL))
        pthread_cond_wait(&fuse_of(m)->shown, &m->lock);
    machine_unlock_only(m);
    loops_access_end();
}

/* ---- Writes ---------------------------------------------------------------------------------- */

void cow_fault(struct space *space, uint64_t addr, pid_t tid)
{
    uint64_t page = addr & ~(uint64_t)(HV_PAGE_SIZE - 1);
    struct cow_fault *fault = space->faults;

    while (fault && fault->addr != page)
        fault = fault->next;
    if (fault) {
        fault->tid = tid;
        return;
    }
    fault = malloc(sizeof *fault);
    if (!fault)
        return;                    /* a signal makes it come again */
    *fault = (struct cow_fault){ .addr = page, .tid = tid };
    LL_PREPEND(space->faults, fault);
}

bool cow_has_fault(const struct space *space, pid_t tid)
{
    const struct cow_fault *fault;

    machine_lock_only(space->machine);
    for (fault = space->faults; fault && fault->tid != tid;)
        fault = fault->next;
    machine_unlock_only(space->machine);
    return fault;
}

void cow_answer(struct space *space, uint64_t addr)
{
    machine_lock_only(space->machine);
    forget_fault(space, addr);
    machine_unlock_only(space->machine);
}

/* With the lock. NULL: the page is an ordinary one. */
static struct shown_page *followed_at(struct space *space, uint64_t addr)
{
    struct mapping *mapping;
    size_t cursor = 0;

    mapping = maps_find(space->machine->maps, space->pid, addr, addr + HV_PAGE_SIZE, &cursor);
    return mapping ? follow_page(mapping, (addr - mapping->addr) / HV_PAGE_SIZE) : NULL;
}

/* Asks for copies of pages that wait. */
static void write_pages(struct space *space)
{
    struct machine *m = space->machine;
    struct shown_page *f;
    int rc;

    machine_lock(m);
    machine_caller(m, space->pid);
    for (struct cow_fault *fault = space->faults; fault; fault = fault->next) {
        f = followed_at(space, fault->addr);
        /* What of its domain is gone is so for its programs: they are about to be killed. */
        if (f && !f->writable && !fault->asked && !fault->lost) {
            rc = follow_write(m, f);
            fault->lost = rc == -ENOENT && f->lost;
            fault->asked = rc && !fault->lost;
        }
    }
    machine_unlock(m);
}

/* With the lock: lets go of the writes whose pages are shown. True: of some nobody has asked. */
static bool wake_writers(struct space *space)
{
    struct cow_fault *fault, *next;
    struct shown_page *f;
    bool more = false;

    LL_FOREACH_SAFE(space->faults, fault, next) {
        f = followed_at(space, fault->addr);
        if (f && (!f->writable || !f->shown_writable)) {
            more |= !fault->asked;
            continue;
        }
        LL_DELETE(space->faults, fault);
        if (!f)
            cow_protect(space, fault->addr, false);
        cow_wake(space, fault->addr);
        free(fault);
    }
    return more;
}

/* With the lock, which is released in between: until all is shown, here and elsewhere. */
static void show_all(struct space *space)
{
    const struct timespec moment = { .tv_nsec = 1000 * 1000 };
    struct machine *m = space->machine;

    while (!atomic_load(&space->stopping)) {
        if (show_next(space))
            continue;
        if (follow_next(m, space->pid)) {
            machine_unlock_only(m);
            cow_say_stuck(space);
            cow_read_news(space, &moment);
            machine_lock_only(m);
        } else if (others_wait(m, space)) {
            pthread_cond_wait(&fuse_of(m)->shown, &m->lock);
        } else {
            break;
        }
    }
}

/* With the lock. The page and its neighbours in the mapping, where these are lost, too. */
static void describe_lost(const struct shown_page *f, struct lost_write *write)
{
    const struct mapping *mapping = f->mapping;
    uint64_t first = f->page ? f->page - 1 : 0;

    *write = (struct lost_write){ .nr = 1,
                                  .addrs = { mapping->addr + f->page * HV_PAGE_SIZE },
                                  .frames = { f->shown } };
    for (uint64_t page = first; page <= f->page + 1 && page < mapping->nr_pages; page++) {
        const struct shown_page *beside = follow_page(mapping, page);

        if (page == f->page || !beside || !beside->lost || beside->shown_writable)
            continue;
        write->addrs[write->nr] = mapping->addr + page * HV_PAGE_SIZE;
        write->frames[write->nr++] = beside->shown;
    }
}

/* With the lock, which is released in between: writes where nothing is. */
static void lose_writes(struct space *space)
{
    struct cow_fault *fault, *next;
    struct machine *m = space->machine;
    struct lost_write write;
    struct shown_page *f;

    for (fault = space->faults; fault; fault = next) {
        next = fault->next;
        f = fault->lost ? followed_at(space, fault->addr) : NULL;
        if (!f || !f->lost || f->shown_writable)
            continue;
        describe_lost(f, &write);
        write.tid = fault->tid;
        LL_DELETE(space->faults, fault);
        free(fault);
        machine_unlock_only(m);
        cow_lose_write(space, &write);
        cow_wake(space, write.addrs[0]);
        machine_lock_only(m);
        next = space->faults;      /* others may have come */
    }
}

void cow_serve(struct space *space)
{
    struct machine *m = space->machine;
    uint64_t calls;
    bool more;

    if (read(space->call_fd, &calls, sizeof calls) < 0 && errno != EAGAIN)
        return;
    /* Meanwhile other threads may write, whose news is read by the way. */
    do {
        write_pages(space);
        machine_lock_only(m);
        show_all(space);
        lose_writes(space);
        more = wake_writers(space);
        machine_unlock_only(m);
    } while (more && !atomic_load(&space->stopping));
}

void cow_end(struct space *space)
{
    struct machine *m = space->machine;
    struct cow_fault *fault, *next;

    LL_FOREACH_SAFE(space->faults, fault, next)
        free(fault);
    space->faults = NULL;
    follow_forget(m, space->pid);
    pthread_cond_broadcast(&fuse_of(m)->shown);
}
