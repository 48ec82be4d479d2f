/* SPDX-License-Identifier: MIT */
/*
 * Explains why a process dies of SIGSEGV or SIGBUS, where that has to do with its devices: it used
 * a page after it had unmapped it, wrote to one that it had mapped read-only, ran over the end of a
 * mapping, or used the NULL of a call that had failed.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "finding_i.h"
#include "process.h"
#include "refused_i.h"

#define BESIDE (16u * HV_PAGE_SIZE)   /* bytes from a mapping: a program that ran over its end */
#define NEAR_NULL (16u * HV_PAGE_SIZE) /* bytes of what a NULL points to */

/* A process that cannot go on, and what it made near the address. */
struct fault {
    struct checks *checks;
    const struct process_saying *saying;
    unsigned process;
    struct program *program;
    struct event when;
    const struct item *at;     /* the latest that is or was at the address */
    const struct item *beside; /* the nearest that is mapped */
    uint64_t distance;         /* in bytes, of that one */
    uint32_t latest;           /* order of the latest thing that the process made */
};

/* ---- What is there --------------------------------------------------------------------------- */

/* A child has its parents' mappings. */
static bool is_its(const struct fault *fault, const struct item *item)
{
    pid_t maker;

    if (item->process == fault->process)
        return true;
    maker = process_id(fault->checks->machine, item->process);
    for (unsigned i = 0; maker && i < MOST_PARENTS; i++)
        if (fault->program->parents[i] == maker)
            return true;
    return false;
}

static uint64_t distance_from(const struct item *item, uint64_t address)
{
    return address < item->address ? item->address - address
                                   : address - item->address - item_length(item) + 1;
}

static void look_at(void *ctx, struct item *item)
{
    struct fault *fault = ctx;
    uint64_t address = fault->saying->value;

    if (item->process == fault->process && item->made.order > fault->latest)
        fault->latest = item->made.order;
    if (!item->address || !is_its(fault, item))
        return;
    if (address >= item->address && address - item->address < item_length(item)) {
        if (!fault->at || fault->at->made.order < item->made.order)
            fault->at = item;
    } else if (item->views && distance_from(item, address) < fault->distance) {
        fault->beside = item;
        fault->distance = distance_from(item, address);
    }
}

/* ---- What is told ---------------------------------------------------------------------------- */

static const char *verb_of(const struct fault *fault)
{
    return fault->saying->fault.writes ? "wrote" : "read";
}

static void add_death(struct finding *finding, const struct fault *fault, const char *what)
{
    char room[40];

    finding_add(finding, &fault->when, "%s[%u] %s %s here, and died of SIG%s%s",
                fault->program->command, fault->process, verb_of(fault), what,
                sigabbrev_np(fault->saying->fault.signal),
                event_number(&fault->when, room, sizeof room));
}

static void add_maker(struct finding *finding, const struct fault *fault, const struct item *item)
{
    struct item *items[] = { (struct item *)item };

    finding_add_made(finding, items, 1, program_of(fault->checks, item->process));
}

/* What took the pages away: of what is known, what has a stack. */
static const struct event *end_of(const struct item *item)
{
    static const enum turn turns[] = { TURN_SOUGHT, TURN_BACK, TURN_GONE };
    const struct event *end = NULL;

    /* The library gives shared pages back as soon as it has mapped them. */
    if (item->key.type == ITEM_SHARE)
        return item_turn(item, TURN_GONE);
    for (unsigned i = 0; i < sizeof turns / sizeof *turns; i++) {
        const struct event *event = item_turn(item, turns[i]);

        if (event->order && (!end || (event->where && !end->where)))
            end = event;
    }
    return end;
}

static void tell_use_after_unmap(const struct fault *fault)
{
    const struct item *item = fault->at;
    const struct event *end = item->views ? NULL : end_of(item);
    const char *pages = item->key.type == ITEM_SHARE ? "unshared" : "unmapped";
    struct finding *finding =
        finding_new(fault->checks, KIND_USE_AFTER_UNMAP, fault->program,
                    "a page was %s after it had been %s", fault->saying->fault.writes ? "written"
                                                                                      : "read",
                    pages);
    char room[40];

    add_death(finding, fault, "the page");
    if (end)
        finding_add(finding, end, "it was %s before%s", pages,
                    event_number(end, room, sizeof room));
    else
        finding_add(finding, NULL, "this page of it was unmapped before, and others were not");
    add_maker(finding, fault, item);
    finding_done(fault->checks, finding);
}

static void tell_readonly(const struct fault *fault)
{
    struct finding *finding = finding_new(fault->checks, KIND_READONLY_WRITE, fault->program,
                                          "a write to a page that is mapped read-only");

    add_death(finding, fault, "to the page");
    add_maker(finding, fault, fault->at);
    finding_done(fault->checks, finding);
}

static void tell_beside(const struct fault *fault)
{
    const struct item *item = fault->beside;
    bool before = fault->saying->value < item->address;
    struct finding *finding =
        finding_new(fault->checks, KIND_CRASH_EXPLAINED, fault->program,
                    "an access %llu byte%s %s a mapping of %u page%s",
                    (unsigned long long)(fault->distance - !before),
                    fault->distance - !before == 1 ? "" : "s", before ? "before" : "behind",
                    item->count, item->count > 1 ? "s" : "");

    add_death(finding, fault, "beside the mapping");
    add_maker(finding, fault, item);
    finding_done(fault->checks, finding);
}

static void tell_at(const struct fault *fault)
{
    struct finding *finding = finding_new(fault->checks, KIND_CRASH_EXPLAINED, fault->program,
                                          "an access to a mapping that allows it no more");

    add_death(finding, fault, "the page");
    add_maker(finding, fault, fault->at);
    finding_done(fault->checks, finding);
}

/* ---- NULL ------------------------------------------------------------------------------------ */

/* Whether a program got NULL or MAP_FAILED from it. */
static bool gave_nothing(const struct refusal *refusal)
{
    static const char *const calls[] = { "mmap", "open", "MAP_GRANT_REF", "ALLOC_GREF" };

    for (unsigned i = 0; refusal->error && i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(refusal->call, calls[i]))
            return true;
    return false;
}

/* The latest call of the process that failed, if nothing was made since. */
static const struct refusal *find_refusal(const struct fault *fault)
{
    const struct refused *refused = fault->checks->refused;

    for (uint64_t i = 0; i < REFUSALS && i < refused->nr; i++) {
        const struct refusal *one = &refused->latest[(refused->nr - 1 - i) % REFUSALS];

        if (one->process == fault->process)
            return gave_nothing(one) && one->when.order > fault->latest ? one : NULL;
    }
    return NULL;
}

static void tell_null(const struct fault *fault, const struct refusal *refusal)
{
    struct finding *finding =
        finding_new(fault->checks, KIND_CRASH_EXPLAINED, fault->program,
                    "a result was used of a call that had failed with %s",
                    strerrorname_np(refusal->error));
    char what[40], room[40];

    snprintf(what, sizeof what, "address 0x%llx", (unsigned long long)fault->saying->value);
    add_death(finding, fault, what);
    finding_add(finding, &refusal->when, "%s of %s had failed with %s%s", refusal->call,
                refusal->device, strerrorname_np(refusal->error),
                event_number(&refusal->when, room, sizeof room));
    finding_add(finding, NULL, "%s", refusal->cause ? refusal->cause : "?");
    finding_done(fault->checks, finding);
}

/* ---- Deciding -------------------------------------------------------------------------------- */

static void explain(const struct fault *fault)
{
    const struct process_fault *how = &fault->saying->fault;
    uint64_t address = fault->saying->value;
    const struct refusal *refusal;

    if (fault->at && (!fault->at->views ||
                      (how->signal == SIGSEGV && how->code == SEGV_MAPERR))) {
        tell_use_after_unmap(fault);
    } else if (fault->at && how->writes && !fault->at->writable &&
               fault->at->key.type == ITEM_SLOT) {
        tell_readonly(fault);
    } else if (fault->at) {
        tell_at(fault);
    } else if (fault->beside && fault->distance <= BESIDE) {
        tell_beside(fault);
    } else if ((address < NEAR_NULL || address > -(uint64_t)NEAR_NULL) &&
               (refusal = find_refusal(fault))) {
        tell_null(fault, refusal);
    }
}

void faults_hear(struct checks *checks, const struct process_saying *saying)
{
    struct fault fault = { .checks = checks, .saying = saying, .distance = UINT64_MAX };

    machine_lock(checks->machine);
    fault.process = process_number(checks->machine, saying->tid);
    fault.program = fault.process ? program_of(checks, fault.process) : NULL;
    if (fault.program) {
        fault.when = event_now(checks, saying->witness);
        ledger_each(&checks->ledger, look_at, &fault);
        ledger_each_ended(&checks->ledger, look_at, &fault);
        explain(&fault);
    }
    machine_unlock(checks->machine);
}

void faults_placed(struct machine *m, const struct vma *vma, uint64_t addr)
{
    const struct kernel *k = vma->file->kernel;
    struct domain *d = k ? machine_domain(m, kernel_domid(k)) : NULL;
    struct view_key key = { d, vma->id };

    if (d)
        view_placed(&checks_of(m)->ledger, &key, addr - vma->pgoff * HV_PAGE_SIZE);
}
