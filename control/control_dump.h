/* SPDX-License-Identifier: MIT */
/*
 * The machine's tables and counters as JSON. All functions need the machine's lock; the caller owns
 * the results.
 */
#ifndef GNTSIM_CONTROL_CONTROL_DUMP_H
#define GNTSIM_CONTROL_CONTROL_DUMP_H

#include <json-c/json.h>

#include <gntsim/xen.h>

struct domain;
struct machine;
struct outside;

json_object *dump_domain(struct machine *m, struct domain *d);
/* A domain whose kernel is a process of its own. */
json_object *dump_outside(struct machine *m, const struct outside *o);
/* One without kernel and programs: the hypervisor keeps it for frames that others hold, or a
 * toolstack made it. */
json_object *dump_kernelless(struct machine *m, domid_t id);

struct dump_table {
    const char *name;                /* NULL: the end of the list */
    const char *const *columns;      /* ends with NULL */
    void (*dump)(struct machine *m, domid_t id, json_object *list);
};
extern const struct dump_table dump_tables[];
/* what: a table's name, NULL for all; only: one domain, -1 for all. NULL: no such table. */
json_object *dump_machine(struct machine *m, const char *what, int only);

extern const char *const dump_counters[];        /* ends with NULL */
json_object *dump_stats(struct machine *m);
/* {"violations": n, "lines": [...]} */
json_object *dump_audit(struct machine *m);

#endif
