/* SPDX-License-Identifier: MIT */
/* Decides at each point which fault rule fires. */
#include "faults.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "machine.h"
#include "process.h"
#include "random.h"

struct faults {
    struct fault_rule *rules;
    uint64_t next_id, next_paused, passed;
    struct fault_count *counts;
    struct fault_count *recent;            /* elements of one hypercall follow each other */
    struct fault_paused *paused;
};

/* ---- Rules ----------------------------------------------------------------------------------- */

int faults_create(struct machine *m)
{
    m->faults = calloc(1, sizeof *m->faults);
    if (!m->faults)
        return -ENOMEM;
    return 0;
}

void faults_destroy(struct machine *m)
{
    if (!m->faults)
        return;
    faults_clear(m);
    faults_reset_counts(m);
    while (m->faults->paused) {
        struct fault_paused *paused = m->faults->paused;

        m->faults->paused = paused->next;
        free(paused);
    }
    free(m->faults);
    m->faults = NULL;
}

int faults_add(struct machine *m, const struct fault_rule *rule, uint64_t *id)
{
    struct fault_rule *copy = malloc(sizeof *copy);
    struct faults *f = m->faults;

    if (!copy)
        return -ENOMEM;
    *copy = *rule;
    copy->id = ++f->next_id;
    copy->passed = copy->fired = 0;
    /* A stream of its own: what one rule draws changes nothing for the others. */
    copy->random = m->seed;
    copy->random = random_next(&copy->random) ^ copy->id;
    DL_APPEND(f->rules, copy);
    *id = copy->id;
    return 0;
}

int faults_remove(struct machine *m, uint64_t id)
{
    struct fault_rule *rule;

    DL_SEARCH_SCALAR(m->faults->rules, rule, id, id);
    if (!rule)
        return -ENOENT;
    DL_DELETE(m->faults->rules, rule);
    free(rule);
    return 0;
}

void faults_clear(struct machine *m)
{
    while (m->faults->rules)
        faults_remove(m, m->faults->rules->id);
}

const struct fault_rule *faults_first(const struct machine *m)
{
    return m->faults->rules;
}

/* ---- Counters -------------------------------------------------------------------------------- */

static bool is_counted_by(const struct fault_count *c, const struct point *p)
{
    return c->at == p->at && c->kind == p->kind && c->device == p->device &&
           c->ioctl_nr == p->ioctl_nr;
}

static void count(struct faults *f, const struct point *p)
{
    struct fault_count *c = f->recent;

    f->passed++;
    if (!c || !is_counted_by(c, p))
        for (c = f->counts; c && !is_counted_by(c, p);)
            c = c->next;
    if (!c) {
        c = malloc(sizeof *c);
        if (!c)
            return;
        *c = (struct fault_count){
            .kind = p->kind, .at = p->at, .device = p->device, .ioctl_nr = p->ioctl_nr
        };
        DL_APPEND(f->counts, c);
    }
    c->passed++;
    f->recent = c;
}

const struct fault_count *faults_counts(const struct machine *m)
{
    return m->faults->counts;
}

uint64_t faults_passed(const struct machine *m)
{
    return m->faults->passed;
}

void faults_reset_counts(struct machine *m)
{
    struct faults *f = m->faults;

    while (f->counts) {
        struct fault_count *c = f->counts;

        f->counts = c->next;
        free(c);
    }
    f->recent = NULL;
    f->passed = 0;
}

/* ---- Which rule decides ---------------------------------------------------------------------- */

static bool has_its_turn(struct fault_rule *rule)
{
    uint64_t nth = ++rule->passed;

    if (nth <= rule->skip || (rule->times && rule->fired >= rule->times))
        return false;
    if (rule->every > 1 && (nth - rule->skip - 1) % rule->every)
        return false;
    return rule->probability >= 1 ||
           (double)(random_next(&rule->random) >> 11) * 0x1p-53 < rule->probability;
}

/* May this rule really act here, in a call by that process? If not, it has not fired. */
static bool can(const struct fault_rule *rule, const struct kernel_point *call, unsigned process)
{
    switch (rule->what) {
    case FAULT_KILL:
        return process != 0;
    case FAULT_DELAY:
    case FAULT_PAUSE:
        return call && call->can_wait;
    default:
        return true;
    }
}

static struct fault_rule *decide(struct faults *f, const struct point *p,
                                 const struct kernel_point *call, unsigned process)
{
    struct fault_rule *decided = NULL;

    count(f, p);
    for (struct fault_rule *rule = f->rules; rule; rule = rule->next)
        if (fault_rule_matches(rule, p, process) && has_its_turn(rule) && !decided &&
            can(rule, call, process))
            decided = rule;
    if (decided)
        decided->fired++;
    return decided;
}

/* ---- What is done ---------------------------------------------------------------------------- */

static void kill_caller(struct machine *m, unsigned process)
{
    pid_t pid = process_id(m, process);

    if (pid > 0)
        kill(pid, SIGKILL);
}

/* Its kernel follows when the operation is over. */
static void doom(struct machine *m, domid_t id)
{
    struct outside *o = machine_outside(m, id);
    struct domain *d = machine_domain(m, id);

    if (d)
        d->crashed = m->attention = true;
    if (o)
        o->crashed = m->attention = true;
}

static uint64_t new_pause(struct machine *m, const struct fault_rule *rule, const struct point *p,
                          unsigned process)
{
    struct fault_paused *paused = malloc(sizeof *paused);

    if (!paused)
        return 0;
    *paused = (struct fault_paused){
        .id = ++m->faults->next_paused, .rule = rule->id, .at = *p, .process = process
    };
    DL_APPEND(m->faults->paused, paused);
    return paused->id;
}

/* The device call in which a hypercall happens is answered later. */
static void hold_call(struct machine *m, const struct fault_rule *rule, const struct point *p,
                      unsigned process)
{
    struct domain *d = machine_domain(m, p->domain);
    uint64_t token = rule->what == FAULT_PAUSE ? new_pause(m, rule, p, process) : 0;

    if (d && (token || rule->what == FAULT_DELAY))
        kernel_hold_answer(d->kernel, token, rule->what == FAULT_DELAY ? (uint64_t)rule->value : 0);
}

enum hv_verdict faults_at_hypercall(void *ctx, struct hv_point *hv_point, long *value)
{
    struct machine *m = ctx;
    const struct kernel_point *call;
    const struct fault_rule *rule;
    struct domain *d;
    struct point p;
    unsigned process;

    point_of_hypercall(&p, hv_point);
    if (!m->faults->rules) {
        count(m->faults, &p);
        return HV_GO_ON;
    }
    d = machine_domain(m, hv_point->caller);
    call = d && d->kernel ? kernel_current(d->kernel) : NULL;
    process = call ? (unsigned)(call->tag & UINT32_MAX) : 0;
    rule = decide(m->faults, &p, call, process);
    if (!rule)
        return HV_GO_ON;
    hv_point->tag = rule->id;
    *value = (long)rule->value;
    switch (rule->what) {
    case FAULT_STATUS:
        return HV_STATUS;
    case FAULT_HYPERCALL:
        return HV_ERRNO;
    case FAULT_PAGE_OUT:
        return HV_PAGE_OUT;
    case FAULT_DESTROY:
        doom(m, (domid_t)rule->value);
        return HV_DESTROY;
    case FAULT_SUSPEND:
        machine_suspend_later(m, (domid_t)rule->value);
        return HV_GO_ON;
    case FAULT_KILL:
        kill_caller(m, process);
        return HV_GO_ON;
    default:
        hold_call(m, rule, &p, process);
        return HV_GO_ON;
    }
}

static struct kernel_verdict act(struct machine *m, const struct fault_rule *rule,
                                 const struct point *p, unsigned process)
{
    struct kernel_verdict go_on = { .action = KERNEL_GO_ON };

    switch (rule->what) {
    case FAULT_ERRNO:
        return (struct kernel_verdict){ .action = KERNEL_FAIL, .value = (long)rule->value };
    case FAULT_DELAY:
        return (struct kernel_verdict){ .action = KERNEL_HOLD, .ns = (uint64_t)rule->value };
    case FAULT_PAUSE:
        go_on.token = new_pause(m, rule, p, process);
        go_on.action = go_on.token ? KERNEL_HOLD : KERNEL_GO_ON;
        return go_on;
    case FAULT_DROP:
        return (struct kernel_verdict){ .action = KERNEL_DROP };
    case FAULT_DOUBLE:
        return (struct kernel_verdict){ .action = KERNEL_DOUBLE };
    case FAULT_LATE:
        return (struct kernel_verdict){ .action = KERNEL_LATE, .ns = (uint64_t)rule->value };
    case FAULT_KILL:
        kill_caller(m, process);
        /* It never gets to what it called for; nobody sees the error. */
        return (struct kernel_verdict){ .action = KERNEL_FAIL, .value = -EINTR };
    case FAULT_DESTROY:
        doom(m, (domid_t)rule->value);
        if (rule->value == p->domain)
            return (struct kernel_verdict){ .action = KERNEL_FAIL, .value = -ENODEV };
        hv_domain_destroy(m->hv, (domid_t)rule->value);
        return go_on;
    case FAULT_SUSPEND:
        machine_suspend_later(m, (domid_t)rule->value);
        return go_on;
    default:
        return go_on;
    }
}

struct kernel_verdict faults_at_kernel(void *ctx, struct kernel_point *kernel_point)
{
    struct domain *d = ctx;
    struct machine *m = d->machine;
    const struct fault_rule *rule;
    unsigned process = (unsigned)(kernel_point->tag & UINT32_MAX);
    struct point p;

    point_of_kernel(&p, kernel_point);
    rule = decide(m->faults, &p, kernel_point, process);
    if (rule) {
        kernel_point->tag |= (int64_t)(rule->id << 32);
    }
    return rule ? act(m, rule, &p, process) : (struct kernel_verdict){ .action = KERNEL_GO_ON };
}

struct store_fault faults_at_store(struct machine *m, const struct point *point, unsigned process)
{
    const struct fault_rule *rule = decide(m->faults, point, NULL, process);
    struct store_fault fault = { .what = NR_FAULT_DOS };

    if (!rule)
        return fault;
    fault.rule = rule->id;
    switch (rule->what) {
    case FAULT_ERRNO:
        fault.what = FAULT_ERRNO;
        fault.value = fault_store_error(rule->value);
        break;
    case FAULT_KILL:
        kill_caller(m, process);
        /* It never gets to what it asked for; nobody sees the error. */
        fault.what = FAULT_ERRNO;
        fault.value = EIO;
        break;
    case FAULT_DESTROY:
        doom(m, (domid_t)rule->value);
        break;
    case FAULT_SUSPEND:
        machine_suspend_later(m, (domid_t)rule->value);
        break;
    default:
        fault.what = rule->what;
        fault.value = (int)rule->value;
        fault.text = rule->text;
    }
    return fault;
}

/* ---- Paused calls ---------------------------------------------------------------------------- */

static bool still_held(struct machine *m, const struct fault_paused *paused)
{
    const struct domain *d = machine_domain(m, paused->at.domain);

    return d && !d->dead && kernel_holds(d->kernel, paused->id);
}

void faults_migrated(struct machine *m, domid_t from, domid_t to)
{
    for (struct fault_paused *paused = m->faults->paused; paused; paused = paused->next)
        if (paused->at.domain == from)
            paused->at.domain = to;
}

const struct fault_paused *faults_paused(struct machine *m)
{
    struct fault_paused *paused, *next;

    DL_FOREACH_SAFE(m->faults->paused, paused, next) {
        if (still_held(m, paused))
            continue;
        DL_DELETE(m->faults->paused, paused);
        free(paused);
    }
    return m->faults->paused;
}

int faults_resume(struct machine *m, uint64_t id)
{
    const struct fault_paused *paused = faults_paused(m);
    struct domain *d;
    int rc;

    while (paused && paused->id != id)
        paused = paused->next;
    d = paused ? machine_domain(m, paused->at.domain) : NULL;
    if (!d)
        return -ENOENT;
    domain_enter(d);
    rc = kernel_resume(d->kernel, id);
    domain_leave(d);
    return rc;
}
