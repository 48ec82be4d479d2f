/* SPDX-License-Identifier: MIT */
/* Tells the machine's tables and counters as JSON. */
#include "control_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/gnttab.h>

#include "fuse_way.h"
#include "json_add.h"
#include "machine.h"
#include "maps.h"
#include "sock_way.h"
#include "store_way.h"

static void add_domain_info(json_object *object, struct machine *m, domid_t id)
{
    struct hv_domain_info info;

    if (hv_domain_info(m->hv, id, &info))
        return;
    json_add_bool(object, "auto_translated", info.auto_translated);
    json_add_bool(object, "privileged", info.privileged);
    json_add_uint(object, "grant_version", info.grant_version);
    json_add_uint(object, "grant_frames", info.nr_grant_frames);
    json_add_uint(object, "max_grant_frames", info.max_grant_frames);
    json_add_uint(object, "maptrack_in_use", info.maptrack_in_use);
    json_add_uint(object, "pages", info.tot_pages);
    json_add_uint(object, "paged_out", info.paged_pages);
    json_add_uint(object, "ports", info.nr_ports);
}

json_object *dump_domain(struct machine *m, struct domain *d)
{
    json_object *object = json_object_new_object();

    json_add_uint(object, "domain", d->id);
    json_add_text(object, "profile", d->profile->name);
    json_add_text(object, "state", d->dead ? "dead" : "alive");
    json_add_uint(object, "open_files", d->open_files);
    if (d->dead)
        return object;           /* the number may be another domain's */
    add_domain_info(object, m, d->id);
    json_add_uint(object, "deferred", gnttab_nr_deferred(d->kernel));
    return object;
}

json_object *dump_outside(struct machine *m, const struct outside *o)
{
    json_object *object = json_object_new_object();

    json_add_uint(object, "domain", o->id);
    json_add_text(object, "profile", "process");
    json_add_uint(object, "kernel", (uint64_t)o->pid);
    json_add_text(object, "state", "alive");
    json_add_uint(object, "open_files", 0);
    add_domain_info(object, m, o->id);
    return object;
}

/* Dead, but others still hold frames of it; or made by a toolstack, and it does not run. */
json_object *dump_kernelless(struct machine *m, domid_t id)
{
    json_object *object = json_object_new_object();

    json_add_uint(object, "domain", id);
    json_add_text(object, "profile", "-");
    json_add_text(object, "state", hv_domain_state(m->hv, id) ? "dying" : "alive");
    json_add_uint(object, "open_files", 0);
    add_domain_info(object, m, id);
    return object;
}

/* ---- dump ------------------------------------------------------------------------------------ */

/* clang-format off */
/* The columns of each table: the kind of the value, its name, the value, and when a row has it. */
#define ENTRIES(COLUMN) \
    COLUMN(uint, "domain", id, true) \
    COLUMN(uint, "ref", info.ref, true) \
    COLUMN(uint, "flags", info.flags, true) \
    COLUMN(uint, "to", info.domid, true) \
    COLUMN(uint, "frame", info.frame, true) \
    COLUMN(uint, "host_read", info.pin_host_read, true) \
    COLUMN(uint, "host_write", info.pin_host_write, true) \
    COLUMN(uint, "dev_read", info.pin_dev_read, true) \
    COLUMN(uint, "dev_write", info.pin_dev_write, true)

#define MAPTRACK(COLUMN) \
    COLUMN(uint, "domain", id, true) \
    COLUMN(uint, "handle", info.handle, true) \
    COLUMN(uint, "granter", info.granter, true) \
    COLUMN(uint, "ref", info.ref, true) \
    COLUMN(uint, "flags", info.gntmap_flags, true)

#define FRAMES(COLUMN) \
    COLUMN(uint, "domain", id, true) \
    COLUMN(uint, "mfn", mfn, true) \
    COLUMN(uint, "gfn", info.gfn, info.gfn != UINT64_MAX) \
    COLUMN(uint, "refs", info.refs, true) \
    COLUMN(uint, "writable_types", info.writable_types, true)

#define PORTS(COLUMN) \
    COLUMN(uint, "domain", id, true) \
    COLUMN(uint, "port", info.port, true) \
    COLUMN(text, "state", state_name(info.status), true) \
    COLUMN(uint, "remote_domain", info.remote_dom, \
           info.status == EVTCHNSTAT_unbound || info.status == EVTCHNSTAT_interdomain) \
    COLUMN(uint, "remote_port", info.remote_port, info.status == EVTCHNSTAT_interdomain) \
    COLUMN(uint, "virq", info.virq, info.status == EVTCHNSTAT_virq) \
    COLUMN(bool, "pending", info.pending, true) \
    COLUMN(bool, "masked", info.masked, true)

#define NAME(kind, name, value, when) name,
#define ADD(kind, name, value, when) \
    if (when) \
        json_add_##kind(row, name, value);
#define ADD_ROW(TABLE, list) \
    do { \
        json_object *row = json_object_new_object(); \
\
        TABLE(ADD) \
        json_object_array_add(list, row); \
    } while (0)

/* clang-format on */

static const char *state_name(unsigned status)
{
    static const char *const states[] = {
        "closed", "unbound", "interdomain", "pirq", "virq", "ipi"
    };

    return status < sizeof states / sizeof *states ? states[status] : "?";
}

static void dump_entries(struct machine *m, domid_t id, json_object *list)
{
    struct hv_entry_info info;

    for (uint32_t ref = 0; !hv_entry_info(m->hv, id, ref, &info); ref++)
        if (info.flags || info.pin_host_read || info.pin_host_write || info.pin_dev_read ||
            info.pin_dev_write)
            ADD_ROW(ENTRIES, list);
}

static void dump_maptrack(struct machine *m, domid_t id, json_object *list)
{
    struct hv_mapping_info info;

    for (uint32_t from = 0; !hv_mapping_next(m->hv, id, from, &info); from = info.handle + 1)
        ADD_ROW(MAPTRACK, list);
}

static void dump_frames(struct machine *m, domid_t id, json_object *list)
{
    struct hv_frame_info info;

    for (uint64_t mfn = 0; mfn < hv_nr_frames(m->hv); mfn++)
        if (!hv_frame_info(m->hv, mfn, &info) && info.owner == id)
            ADD_ROW(FRAMES, list);
}

static void dump_ports(struct machine *m, domid_t id, json_object *list)
{
    struct hv_port_info info;

    for (uint32_t from = 0; !hv_port_next(m->hv, id, from, &info); from = info.port + 1)
        ADD_ROW(PORTS, list);
}

#define NAMES(TABLE) (const char *const[]){ TABLE(NAME) NULL }

const struct dump_table dump_tables[] = {
    { "entries", NAMES(ENTRIES), dump_entries },
    { "maptrack", NAMES(MAPTRACK), dump_maptrack },
    { "frames", NAMES(FRAMES), dump_frames },
    { "ports", NAMES(PORTS), dump_ports },
    { .name = NULL },
};

json_object *dump_machine(struct machine *m, const char *what, int only)
{
    json_object *result = json_object_new_object();

    for (const struct dump_table *table = dump_tables; table->name; table++) {
        json_object *list;

        if (what && strcmp(what, table->name))
            continue;
        list = json_object_new_array();
        for (int id = hv_domain_next(m->hv, 0); id >= 0; id = hv_domain_next(m->hv, id + 1))
            if (only < 0 || only == id)
                table->dump(m, (domid_t)id, list);
        json_object_object_add(result, table->name, list);
    }
    if (json_object_object_length(result))
        return result;
    json_object_put(result);
    return NULL;
}

/* ---- stats and audit ------------------------------------------------------------------------- */

/* clang-format off */
#define COUNTERS(COLUMN) \
    COLUMN(uint, "domains", domains, true) \
    COLUMN(uint, "open_files", open_files, true) \
    COLUMN(uint, "mappings", maps_count(m->maps), true) \
    COLUMN(uint, "frames_free", hv_nr_free_frames(m->hv), true) \
    COLUMN(uint, "frames_total", hv_nr_frames(m->hv), true) \
    COLUMN(uint, "fuse_requests", fuse_way_requests(m), true) \
    COLUMN(uint, "socket_requests", sock_way_requests(m), true) \
    COLUMN(uint, "notifications", fuse_way_notifications(m), true) \
    COLUMN(uint, "mappings_made", m->stats.mappings_made, true) \
    COLUMN(uint, "mmap_eagain", m->stats.mmap_eagain, true) \
    COLUMN(uint, "hypercalls", hv_nr_hypercalls(m->hv), true) \
    COLUMN(uint, "events", m->stats.events, true) \
    COLUMN(uint, "unmodelled", m->stats.unmodelled, true)

/* clang-format on */

const char *const dump_counters[] = { COUNTERS(NAME) NULL };

json_object *dump_stats(struct machine *m)
{
    json_object *row = json_object_new_object();
    uint64_t domains = 0, open_files = 0;

    for (struct domain *d = m->domains; d; d = d->next) {
        domains += !d->dead;
        open_files += d->open_files;
    }
    for (const struct outside *o = m->outsiders; o; o = o->next)
        domains++;
    COUNTERS(ADD)
    return row;
}

json_object *dump_audit(struct machine *m)
{
    json_object *object = json_object_new_object(), *lines = json_object_new_array();
    char *text = NULL, *save, *line;
    unsigned violations;
    bool hostile = false;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    /* What a hostile guest writes into its own table is untrue to its own kernel only. */
    for (struct domain *d = m->domains; d; d = d->next)
        hostile |= d->hostile && !d->dead;
    violations = hostile ? hv_audit_hostile(m->hv, out) : hv_audit(m->hv, out);
    for (struct domain *d = m->domains; d; d = d->next)
        if (!d->dead && !d->hostile)
            violations += kernel_audit(d->kernel, out);
    if (store_way_store(m))
        violations += store_audit(store_way_store(m), out);
    if (out)
        fclose(out);
    for (line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
        json_object_array_add(lines, json_object_new_string(line));
    free(text);
    json_add_uint(object, "violations", violations);
    json_object_object_add(object, "lines", lines);
    return object;
}
