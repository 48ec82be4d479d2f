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
/* One that the hypervisor keeps for frames that others hold, without kernel and programs. */
json_object *dump_dying(struct machine *m, domid_t id);
/* what: entries, maptrack, frames or ports, NULL for all; only: one domain, -1 for all. NULL: no such thing. */
json_object *dump_machine(struct machine *m, const char *what, int only);
json_object *dump_stats(struct machine *m);
/* {"violations": n, "lines": [...]} */
json_object *dump_audit(struct machine *m);

#endif
