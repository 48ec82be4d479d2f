/* SPDX-License-Identifier: MIT */
/* Fault rules: at which points each action is possible, and which points a rule matches. */
#include <errno.h>
#include <fnmatch.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "xs_error.h"

const char *const fault_dos[NR_FAULT_DOS + 1] = {
    [FAULT_STATUS] = "status",
    [FAULT_HYPERCALL] = "hypercall",
    [FAULT_ERRNO] = "errno",
    [FAULT_PAGE_OUT] = "page_out",
    [FAULT_DELAY] = "delay",
    [FAULT_KILL] = "kill",
    [FAULT_DESTROY] = "destroy",
    [FAULT_SUSPEND] = "suspend",
    [FAULT_DROP] = "drop",
    [FAULT_DOUBLE] = "double",
    [FAULT_LATE] = "late",
    [FAULT_PAUSE] = "pause",
    [FAULT_RESTART] = "restart",
    [FAULT_AFTER] = "after",
    [FAULT_REWRITE] = "rewrite",
    [FAULT_REMOVE] = "remove",
};

void fault_rule_init(struct fault_rule *rule)
{
    *rule = (struct fault_rule){
        .domain = -1, .peer = -1, .ref = -1, .index = -1, .count = -1, .writable = -1, .times = 1,
        .every = 1, .probability = 1,
    };
}

#define ELEMENT (1u << POINT_ELEMENT)
#define CALL (1u << POINT_CALL)
#define DEVICE (1u << POINT_DEVICE)
#define KERNEL (1u << POINT_KERNEL)
#define STORE (1u << POINT_STORE)

/* What an element is chosen by; a whole hypercall has none of it. */
static bool selects_element(const struct fault_rule *rule)
{
    return rule->index >= 0 || rule->peer >= 0 || rule->ref >= 0 || rule->writable >= 0;
}

static unsigned kinds_of(const struct fault_rule *rule)
{
    switch (rule->what) {
    case FAULT_STATUS:
    case FAULT_PAGE_OUT:
        return ELEMENT;
    case FAULT_HYPERCALL:
        return selects_element(rule) ? ELEMENT : CALL;
    case FAULT_ERRNO:
        return DEVICE | STORE;
    case FAULT_DROP:
    case FAULT_DOUBLE:
        return KERNEL | STORE;
    case FAULT_LATE:
        return KERNEL;
    case FAULT_KILL:
        return selects_element(rule) ? ELEMENT : DEVICE | CALL | STORE;
    case FAULT_DELAY:
    case FAULT_PAUSE:
        return selects_element(rule) ? ELEMENT : DEVICE | CALL;
    case FAULT_RESTART:
    case FAULT_AFTER:
    case FAULT_REWRITE:
    case FAULT_REMOVE:
        return STORE;
    default:
        return selects_element(rule) ? ELEMENT : DEVICE | CALL | KERNEL | STORE;
    }
}

/* What of the calls and events in a kernel an action can do something to. */
static bool applies(enum fault_do what, enum kernel_op op)
{
    switch (what) {
    case FAULT_ERRNO:
        return op <= KERNEL_POLL;
    case FAULT_DELAY:
    case FAULT_PAUSE:
        return op == KERNEL_IOCTL || op == KERNEL_MMAP || op == KERNEL_READ;
    case FAULT_DROP:
        return op == KERNEL_NOTIFY || op == KERNEL_EVENT || op == KERNEL_DEFER;
    case FAULT_DOUBLE:
        return op == KERNEL_NOTIFY || op == KERNEL_EVENT;
    default:
        return true;
    }
}

/* Of requests to the store and of its events. */
static bool applies_to_store(enum fault_do what, const char *at)
{
    switch (what) {
    case FAULT_ERRNO:
    case FAULT_KILL:
    case FAULT_RESTART:
    case FAULT_REWRITE:
    case FAULT_REMOVE:
        return at != point_store_event;
    case FAULT_DROP:
    case FAULT_DOUBLE:
    case FAULT_AFTER:
        return at == point_store_event;
    default:
        return true;
    }
}

static enum kernel_op op_of(const char *at)
{
    enum kernel_op op = 0;

    while (op < KERNEL_NR_OPS && point_kernel_op_name(op) != at)
        op++;
    return op;
}

const char *fault_rule_check(const struct fault_rule *rule)
{
    unsigned kinds = kinds_of(rule) & point_name_kinds(rule->at);
    enum kernel_op op = rule->at ? op_of(rule->at) : KERNEL_NR_OPS;

    if (!kinds && kinds_of(rule) == ELEMENT)
        return "only at a grant operation with a status for each element can this be done";
    if (!kinds && kinds_of(rule) == KERNEL)
        return "this can be done only at notify, event, defer or unmap";
    if (!kinds && kinds_of(rule) == (KERNEL | STORE))
        return "this can be done only at notify, event, defer, unmap or store_event";
    if (!kinds && kinds_of(rule) == STORE)
        return "only at a request to the store, or at its event, can this be done";
    if (!kinds && kinds_of(rule) == CALL)
        return "only at a hypercall can this be done";
    if (!kinds && kinds_of(rule) == (DEVICE | STORE))
        return "only at a call of a device file (open, ioctl, mmap, read, write, poll) or a "
               "request to the store can this be done";
    if (!kinds || (op < KERNEL_NR_OPS && !applies(rule->what, op)) ||
        (kinds == STORE && rule->at && !applies_to_store(rule->what, rule->at)))
        return "this cannot be done at that point";
    /* One without a name becomes another on the way. */
    if (kinds == STORE && rule->what == FAULT_ERRNO && !xs_error_has_name(-rule->value))
        return "the store's protocol has no such error (xsd_errors in xs_wire.h has them)";
    if (*rule->path && !(kinds & STORE))
        return "path chooses among requests to the store and its events";
    if ((rule->device || *rule->ioctl) && !(kinds & DEVICE))
        return "device and ioctl choose among calls of device files";
    return NULL;
}

/* By its name, or as points names one that no device has: by its number. */
static bool is_ioctl(const char *name, const struct point *p)
{
    if (p->ioctl)
        return !strcmp(name, p->ioctl);
    return p->ioctl_nr && !strncmp(name, "0x", 2) && strtoul(name, NULL, 16) == p->ioctl_nr;
}

bool fault_rule_matches(const struct fault_rule *rule, const struct point *p, unsigned process)
{
    if ((rule->at && rule->at != p->at) || !(kinds_of(rule) >> p->kind & 1))
        return false;
    if (p->kind == POINT_STORE ? !applies_to_store(rule->what, p->at)
                               : p->kind >= POINT_DEVICE && !applies(rule->what, p->op))
        return false;
    if (*rule->path && (!p->path || fnmatch(rule->path, p->path, 0)))
        return false;
    if ((rule->domain >= 0 && rule->domain != p->domain) ||
        (rule->process && rule->process != process))
        return false;
    if ((rule->peer >= 0 && rule->peer != p->peer) || (rule->ref >= 0 && rule->ref != p->ref))
        return false;
    if ((rule->index >= 0 && rule->index != p->index) ||
        (rule->count >= 0 && rule->count != p->count))
        return false;
    if (rule->writable >= 0 && rule->writable != p->writable)
        return false;
    if (rule->device && rule->device != p->device)
        return false;
    return !*rule->ioctl || is_ioctl(rule->ioctl, p);
}

int fault_store_error(int64_t value)
{
    return xs_error_has_name(-value) ? (int)-value : EIO;
}
