/* SPDX-License-Identifier: MIT */
/* `gntsim doctor`: says what this host allows and which way a machine would use. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "checks.h"
#include "cli.h"
#include "json_add.h"
#include "options.h"

/* The way that run and serve choose, and why. */
struct verdict {
    const char *way, *text;      /* for programs, for people */
    char why[200];
};

static bool all_ok(const struct finding *findings, bool devices)
{
    bool ok = true;

    for (unsigned i = 0; checks[i].name; i++)
        if (devices ? checks[i].for_devices : checks[i].for_socket)
            ok &= findings[i].ok;
    return ok;
}

/* The check that fails, too, and that this one cannot do without; NULL: it fails by itself. */
static const char *cause(const struct finding *findings, const struct check *check)
{
    for (unsigned n = 0; n < 2 && check->needs[n]; n++)
        for (unsigned i = 0; checks[i].name; i++)
            if (!strcmp(checks[i].name, check->needs[n]) && !findings[i].ok)
                return check->needs[n];
    return NULL;
}

static void decide(const struct finding *findings, struct verdict *verdict)
{
    if (all_ok(findings, true)) {
        *verdict = (struct verdict){ "device",
                                     "device files over FUSE, for any program; gntsim's own "
                                     "libraries for those that are linked with them" };
        snprintf(verdict->why, sizeof verdict->why, "nothing is missing");
        return;
    }
    *verdict = (struct verdict){ "none", "none: programs cannot be served here" };
    if (all_ok(findings, false))
        *verdict = (struct verdict){
            "socket", "a socket and gntsim's own libraries, for dynamically linked programs"
        };
    for (unsigned i = 0; checks[i].name; i++) {
        if (!findings[i].ok && checks[i].for_devices) {
            snprintf(verdict->why, sizeof verdict->why, "no device files: %s", findings[i].detail);
            return;
        }
    }
}

static void print_json(const struct finding *findings, const struct verdict *verdict)
{
    json_object *result = json_object_new_object(), *list = json_object_new_array();

    for (unsigned i = 0; checks[i].name; i++) {
        json_object *row = json_object_new_object();

        json_add_text(row, "check", checks[i].name);
        json_add_bool(row, "ok", findings[i].ok);
        json_add_text(row, "detail", findings[i].detail);
        if (!findings[i].ok && cause(findings, &checks[i]))
            json_add_text(row, "because", cause(findings, &checks[i]));
        else if (!findings[i].ok)
            json_add_text(row, "remedy", findings[i].remedy);
        json_object_array_add(list, row);
    }
    json_object_object_add(result, "checks", list);
    json_add_bool(result, "usable", strcmp(verdict->way, "none") != 0);
    json_add_text(result, "way", verdict->way);
    json_add_text(result, "why", verdict->why);
    puts(json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN));
    json_object_put(result);
}

int cmd_doctor(int argc, char **argv)
{
    struct finding findings[MAX_CHECKS];
    struct verdict verdict;
    struct options options;
    bool all = true;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (options.nr_rest)
        return usage_error("unexpected argument '%s'; see gntsim doctor --help", options.rest[0]);
    for (unsigned i = 0; checks[i].name; i++) {
        checks[i].check(&findings[i]);
        all &= findings[i].ok;
    }
    decide(findings, &verdict);
    if (options.json) {
        print_json(findings, &verdict);
        return all ? 0 : 1;
    }
    for (unsigned i = 0; checks[i].name; i++) {
        const char *because = findings[i].ok ? NULL : cause(findings, &checks[i]);

        if (because)
            printf("%-8s %-11s not without %s\n", "-", checks[i].name, because);
        else
            printf("%-8s %-11s %s\n", findings[i].ok ? "ok" : "MISSING", checks[i].name,
                   findings[i].detail);
        if (!findings[i].ok && !because)
            printf("         %-11s %s\n", "remedy:", findings[i].remedy);
    }
    printf("way      %-11s %s\n", verdict.way, verdict.text);
    printf("         %-11s %s\n", "because:", verdict.why);
    return all ? 0 : 1;
}
