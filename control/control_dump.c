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

/* ---- dump ------------------------------------------------------------------------------------- */

static void dump_entries(struct machine *m, domid_t id, json_object *list)
{
    struct hv_entry_info info;

    for (uint32_t ref = 0; !hv_entry_info(m->hv, id, ref, &info); ref++) {
        unsigned pins = info.pin_host_read + info.pin_host_write + info.pin_dev_read + info.pin_dev_write;
        json_object *object;

        if (!info.flags && !pins)
            continue;
        object = json_object_new_object();
        add_int(object, "domain", id);
        add_int(object, "ref", info.ref);
        add_int(object, "flags", info.flags);
        add_int(object, "to", info.domid);
        add_int(object, "frame", info.frame);
        add_int(object, "host_read", info.pin_host_read);
        add_int(object, "host_write", info.pin_host_write);
        add_int(object, "dev_read", info.pin_dev_read);
        add_int(object, "dev_write", info.pin_dev_write);
        json_object_array_add(list, object);
    }
}

static void dump_maptrack(struct machine *m, domid_t id, json_object *list)
{
    struct hv_mapping_info info;

    for (uint32_t from = 0; !hv_mapping_next(m->hv, id, from, &info); from = info.handle + 1) {
        json_object *object = json_object_new_object();

        add_int(object, "domain", id);
        add_int(object, "handle", info.handle);
        add_int(object, "granter", info.granter);
        add_int(object, "ref", info.ref);
        add_int(object, "flags", info.gntmap_flags);
        json_object_array_add(list, object);
    }
}

static void dump_frames(struct machine *m, domid_t id, json_object *list)
{
    struct hv_frame_info info;

    for (uint64_t mfn = 0; mfn < hv_nr_frames(m->hv); mfn++) {
        json_object *object;

        if (hv_frame_info(m->hv, mfn, &info) || info.owner != id)
            continue;
        object = json_object_new_object();
        add_int(object, "domain", id);
        add_int(object, "mfn", mfn);
        if (info.gfn != UINT64_MAX)
            add_int(object, "gfn", info.gfn);
        add_int(object, "refs", info.refs);
        add_int(object, "writable_types", info.writable_types);
        json_object_array_add(list, object);
    }
}

static void dump_ports(struct machine *m, domid_t id, json_object *list)
{
    static const char *const states[] = { "closed", "unbound", "interdomain", "pirq", "virq", "ipi" };
    struct hv_port_info info;

    for (uint32_t from = 0; !hv_port_next(m->hv, id, from, &info); from = info.port + 1) {
        json_object *object = json_object_new_object();

        add_int(object, "domain", id);
        add_int(object, "port", info.port);
        add_text(object, "state", info.status < sizeof states / sizeof *states ? states[info.status] : "?");
        if (info.status == EVTCHNSTAT_unbound || info.status == EVTCHNSTAT_interdomain)
            add_int(object, "remote_domain", info.remote_dom);
        if (info.status == EVTCHNSTAT_interdomain)
            add_int(object, "remote_port", info.remote_port);
        if (info.status == EVTCHNSTAT_virq)
            add_int(object, "virq", info.virq);
        add_bool(object, "pending", info.pending);
        add_bool(object, "masked", info.masked);
        json_object_array_add(list, object);
    }
}

static const struct part {
    const char *name;
    void (*dump)(struct machine *m, domid_t id, json_object *list);
} parts[] = {
    { "entries", dump_entries },
    { "maptrack", dump_maptrack },
    { "frames", dump_frames },
    { "ports", dump_ports },
};

json_object *dump_machine(struct machine *m, const char *what, int only)
{
    json_object *result = json_object_new_object();
    bool found = false;

    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        json_object *list;

        if (what && strcmp(what, parts[i].name))
            continue;
        found = true;
        list = json_object_new_array();
        for (int id = hv_domain_next(m->hv, 0); id >= 0; id = hv_domain_next(m->hv, id + 1))
            if (only < 0 || only == id)
                parts[i].dump(m, (domid_t)id, list);
        json_object_object_add(result, parts[i].name, list);
    }
    if (found)
        return result;
    json_object_put(result);
    return NULL;
}

/* ---- stats and audit -------------------------------------------------------------------------- */

json_object *dump_stats(struct machine *m)
{
    json_object *object = json_object_new_object();
    uint64_t domains = 0, open_files = 0;

    for (struct domain *d = m->domains; d; d = d->next) {
        domains += !d->dead;
        open_files += d->open_files;
    }
    for (const struct outside *o = m->outsiders; o; o = o->next)
        domains++;
    add_int(object, "domains", domains);
    add_int(object, "open_files", open_files);
    add_int(object, "mappings", maps_count(m->maps));
    add_int(object, "frames_free", hv_nr_free_frames(m->hv));
    add_int(object, "frames_total", hv_nr_frames(m->hv));
    add_int(object, "fuse_requests", fuse_way_requests(m));
    add_int(object, "socket_requests", sock_way_requests(m));
    add_int(object, "notifications", fuse_way_notifications(m));
    add_int(object, "mappings_made", m->stats.mappings_made);
    add_int(object, "mmap_eagain", m->stats.mmap_eagain);
    add_int(object, "hypercalls", hv_nr_hypercalls(m->hv));
    add_int(object, "events", m->stats.events);
    return object;
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
