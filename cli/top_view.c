/* SPDX-License-Identifier: MIT */
/* What `gntsim top` asks of a machine, and how it shows the answers. */
#include "top_view.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "json_add.h"
#include "table.h"

static const struct {
    const char *name, *request;
    enum json_type type; /* of the answer, or of its member table */
    const char *table;
} rows[NR_TOP_ANSWERS] = {
    [TOP_CLOCK] = { "clock", "{\"verb\":\"clock\"}", json_type_object, NULL },
    [TOP_STATS] = { "stats", "{\"verb\":\"stats\"}", json_type_object, NULL },
    [TOP_DOMAINS] = { "domains", "{\"verb\":\"domain-list\"}", json_type_array, NULL },
    [TOP_ENTRIES] = { "entries", "{\"verb\":\"dump\",\"what\":\"entries\"}", json_type_array,
                      "entries" },
    [TOP_MAPTRACK] = { "maptrack", "{\"verb\":\"dump\",\"what\":\"maptrack\"}", json_type_array,
                       "maptrack" },
};
/* Of an entry: whoever has it mapped. */
static const char *const pins[] = { "host_read", "host_write", "dev_read", "dev_write" };

const char *top_request(enum top_answer answer)
{
    return rows[answer].request;
}

static json_object *table_of(enum top_answer answer, json_object *result)
{
    return rows[answer].table ? json_object_object_get(result, rows[answer].table) : result;
}

int top_is_good(enum top_answer answer, json_object *result)
{
    json_object *table;

    if (rows[answer].table && !json_object_is_type(result, json_type_object))
        return 0;
    table = table_of(answer, result);
    if (!json_object_is_type(table, rows[answer].type))
        return 0;
    if (rows[answer].type == json_type_array)
        for (size_t i = 0; i < json_object_array_length(table); i++)
            if (!json_object_is_type(json_object_array_get_idx(table, i), json_type_object))
                return 0;
    return 1;
}

void top_free(struct top_sample *sample)
{
    for (unsigned i = 0; i < NR_TOP_ANSWERS; i++)
        json_object_put(sample->answers[i]);
    *sample = (struct top_sample){ .ns = 0 };
}

static int64_t number(json_object *object, const char *key)
{
    return json_object_get_int64(json_object_object_get(object, key));
}

static json_object *table(const struct top_sample *sample, enum top_answer answer)
{
    return table_of(answer, sample->answers[answer]);
}

/* ---- For people ------------------------------------------------------------------------------ */

static void print_counters(FILE *out, const struct top_sample *now, const struct top_sample *before)
{
    double seconds = before->answers[TOP_STATS] ? (double)(now->ns - before->ns) / 1e9 : 0;

    json_object_object_foreach(now->answers[TOP_STATS], key, value) {
        int64_t grown = seconds ? json_object_get_int64(value) -
                                      number(before->answers[TOP_STATS], key) : 0;

        fprintf(out, "  %-16s %12s", key, table_text(value));
        if (grown > 0)
            fprintf(out, "  %10.0f/s", (double)grown / seconds);
        putc('\n', out);
    }
}

static bool is_mapped(json_object *entry)
{
    for (size_t i = 0; i < sizeof pins / sizeof *pins; i++)
        if (number(entry, pins[i]))
            return true;
    return false;
}

/* A domain's row, with its grants counted. The caller puts it. */
static json_object *domain_row(json_object *domain, json_object *entries)
{
    static const char *const shown[] = { "domain", "profile", "state", "open_files", "grant_frames",
                                         "maptrack_in_use", "ports", "deferred", "pages" };
    json_object *row = json_object_new_object(), *value;
    uint64_t grants = 0, mapped = 0;

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (json_object_object_get_ex(domain, shown[i], &value))
            json_object_object_add(row, shown[i], json_object_get(value));
    for (size_t i = 0; i < json_object_array_length(entries); i++) {
        json_object *entry = json_object_array_get_idx(entries, i);

        if (number(entry, "domain") != number(domain, "domain"))
            continue;
        grants++;
        mapped += is_mapped(entry);
    }
    json_add_uint(row, "grants", grants);
    json_add_uint(row, "mapped", mapped);
    return row;
}

static void print_domains(FILE *out, const struct top_sample *now)
{
    json_object *domains = table(now, TOP_DOMAINS), *list = json_object_new_array();

    for (size_t i = 0; i < json_object_array_length(domains); i++)
        json_object_array_add(list, domain_row(json_object_array_get_idx(domains, i),
                                               table(now, TOP_ENTRIES)));
    if (json_object_array_length(list))
        table_print(out, list);
    else
        fputs("none\n", out);
    json_object_put(list);
}

static void print_rows(FILE *out, const char *title, json_object *list)
{
    fprintf(out, "\n%s (%zu)\n", title, json_object_array_length(list));
    if (json_object_array_length(list))
        table_print(out, list);
}

void top_print(FILE *out, const char *dir, const struct top_sample *now,
               const struct top_sample *before)
{
    json_object *clock = now->answers[TOP_CLOCK];

    fprintf(out, "gntsim top  %s  clock %s %.3f s\n\n", dir,
            table_text(json_object_object_get(clock, "mode")),
            (double)number(clock, "now") / 1e9);
    print_counters(out, now, before);
    fputs("\nDomains\n", out);
    print_domains(out, now);
    print_rows(out, "Grants", table(now, TOP_ENTRIES));
    print_rows(out, "Mappings", table(now, TOP_MAPTRACK));
}

/* ---- For programs ---------------------------------------------------------------------------- */

json_object *top_json(const struct top_sample *sample)
{
    json_object *all = json_object_new_object();

    for (unsigned i = 0; i < NR_TOP_ANSWERS; i++)
        json_object_object_add(all, rows[i].name,
                               json_object_get(table(sample, (enum top_answer)i)));
    return all;
}
