/* SPDX-License-Identifier: MIT */
/* Tells the machine's tables and counters as JSON. */
#include "control_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/gnttab.h>

#include "fuse_way.h"
#include "machine.h"
#include "maps.h"
#include "sock_way.h"
#include "store_way.h"

static void add_int(json_object *object, const char *key, uint64_t value)
{
    json_object_object_add(object, key, json_object_new_uint64(value));
}

static void add_text(json_object *object, const char *key, const char *value)
{
    json_object_object_add(object, key, json_object_new_string(value));
}

static void add_bool(json_object *object, const char *key, bool value)
{
    json_object_object_add(object, key, json_object_new_boolean(value));
}

static void add_domain_info(json_object *object, struct machine *m, domid_t id)
{
    struct hv_domain_info info;

    if (hv_domain_info(m->hv, id, &info))
        return;
    add_bool(object, "auto_translated", info.auto_translated);
    add_bool(object, "privileged", info.privileged);
    add_int(object, "grant_version", info.grant_version);
    add_int(object, "grant_frames", info.nr_grant_frames);
    add_int(object, "max_grant_frames", info.max_grant_frames);
    add_int(object, "maptrack_in_use", info.maptrack_in_use);
    add_int(object, "pages", info.tot_pages);
    add_int(object, "paged_out", info.paged_pages);
    add_int(object, "ports", info.nr_ports);
}

json_object *dump_domain(struct machine *m, struct domain *d)
{
    json_object *object = json_object_new_object();

    add_int(object, "domain", d->id);
    add_text(object, "profile", d->profile->name);
    add_text(object, "state", d->dead ? "dead" : "alive");
    add_int(object, "open_files", d->open_files);
    if (d->dead)
        return object;           /* the number may be another domain's */
    add_domain_info(object, m, d->id);
    add_int(object, "deferred", gnttab_nr_deferred(d->kernel));
    return object;
}

json_object *dump_outside(struct machine *m, const struct outside *o)
{
    json_object *object = json_object_new_object();

    add_int(object, "domain", o->id);
    add_text(object, "profile", "process");
    add_int(object, "kernel", (uint64_t)o->pid);
    add_text(object, "state", "alive");
    add_int(object, "open_files", 0);
    add_domain_info(object, m, o->id);
    return object;
}

/* Dead, but others still hold frames of it. */
json_object *dump_dying(struct machine *m, domid_t id)
{
    json_object *object = json_object_new_object();

    add_int(object, "domain", id);
    add_text(object, "profile", "-");
    add_text(object, "state", "dying");
    add_int(object, "open_files", 0);
    add_domain_info(object, m, id);
    return object;
}

/* ---- dump ------------------------------------------------------------------------------------ */

/* clang-format off */
/* The columns of each table: the kind of the value, its name, the value, and when a row has it. */
#define ENTRIES(COLUMN) \
    COLUMN(int, "domain", id, true) \
    COLUMN(int, "ref", info.ref, true) \
    COLUMN(int, "flags", info.flags, true) \
    COLUMN(int, "to", info.domid, true) \
    COLUMN(int, "frame", info.frame, true) \
    COLUMN(int, "host_read", info.pin_host_read, true) \
    COLUMN(int, "host_write", info.pin_host_write, true) \
    COLUMN(int, "dev_read", info.pin_dev_read, true) \
    COLUMN(int, "dev_write", info.pin_dev_write, true)

#define MAPTRACK(COLUMN) \
    COLUMN(int, "domain", id, true) \
    COLUMN(int, "handle", info.handle, true) \
    COLUMN(int, "granter", info.granter, true) \
    COLUMN(int, "ref", info.ref, true) \
    COLUMN(int, "flags", info.gntmap_flags, true)

#define FRAMES(COLUMN) \
    COLUMN(int, "domain", id, true) \
    COLUMN(int, "mfn", mfn, true) \
    COLUMN(int, "gfn", info.gfn, info.gfn != UINT64_MAX) \
    COLUMN(int, "refs", info.refs, true) \
    COLUMN(int, "writable_types", info.writable_types, true)

#define PORTS(COLUMN) \
    COLUMN(int, "domain", id, true) \
    COLUMN(int, "port", info.port, true) \
    COLUMN(text, "state", state_name(info.status), true) \
    COLUMN(int, "remote_domain", info.remote_dom, \
           info.status == EVTCHNSTAT_unbound || info.status == EVTCHNSTAT_interdomain) \
    COLUMN(int, "remote_port", info.remote_port, info.status == EVTCHNSTAT_interdomain) \
    COLUMN(int, "virq", info.virq, info.status == EVTCHNSTAT_virq) \
    COLUMN(bool, "pending", info.pending, true) \
    COLUMN(bool, "masked", info.masked, true)

#define NAME(kind, name, value, when) name,
#define ADD(kind, name, value, when) \
    if (when) \
        add_##kind(row, name, value);
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
    COLUMN(int, "domains", domains, true) \
    COLUMN(int, "open_files", open_files, true) \
    COLUMN(int, "mappings", maps_count(m->maps), true) \
    COLUMN(int, "frames_free", hv_nr_free_frames(m->hv), true) \
    COLUMN(int, "frames_total", hv_nr_frames(m->hv), true) \
    COLUMN(int, "fuse_requests", fuse_way_requests(m), true) \
    COLUMN(int, "socket_requests", sock_way_requests(m), true) \
    COLUMN(int, "notifications", fuse_way_notifications(m), true) \
    COLUMN(int, "mappings_made", m->stats.mappings_made, true) \
    COLUMN(int, "mmap_eagain", m->stats.mmap_eagain, true) \
    COLUMN(int, "hypercalls", hv_nr_hypercalls(m->hv), true) \
    COLUMN(int, "events", m->stats.events, true)

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
    add_int(object, "violations", violations);
    json_object_object_add(object, "lines", lines);
    return object;
}
