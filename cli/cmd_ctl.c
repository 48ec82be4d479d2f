/* SPDX-License-Identifier: MIT */
/* `gntsim ctl`: makes one request of a machine and prints the answer. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "client.h"
#include "ctl_arguments.h"
#include "ctl_follow.h"
#include "json_add.h"
#include "options.h"
#include "table.h"
#include "verbs.h"

#define NONSENSE CTL_NONSENSE

/* ---- Printing for people --------------------------------------------------------------------- */

static bool is_list_of(json_object *list, enum json_type type)
{
    if (!json_object_is_type(list, json_type_array))
        return false;
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (!json_object_is_type(json_object_array_get_idx(list, i), type))
            return false;
    return true;
}

static int print_list(json_object *result)
{
    if (!is_list_of(result, json_type_object))
        return NONSENSE;
    if (json_object_array_length(result))
        table_print(stdout, result);
    else
        puts("none");
    return 0;
}

static int print_parts(json_object *result)
{
    if (!json_object_is_type(result, json_type_object))
        return NONSENSE;
    json_object_object_foreach(result, key, rows) {
        printf("%s:\n", key);
        if (print_list(rows))
            return NONSENSE;
    }
    return 0;
}

static int print_fields(json_object *result)
{
    if (!json_object_is_type(result, json_type_object))
        return NONSENSE;
    json_object_object_foreach(result, key, value)
        printf("%-15s %s\n", key, table_text(value));
    return 0;
}

static int print_points(json_object *result)
{
    json_object *points, *total;

    if (!json_object_object_get_ex(result, "points", &points) ||
        !json_object_object_get_ex(result, "total", &total) || print_list(points))
        return NONSENSE;
    printf("total %s\n", table_text(total));
    return 0;
}

static int print_value(json_object *result)
{
    json_object *value;
    char *bytes;

    if (!json_object_object_get_ex(result, "value", &value) ||
        !json_object_is_type(value, json_type_string))
        return NONSENSE;
    bytes = malloc((size_t)json_object_get_string_len(value) + 1);
    if (!bytes)
        return failure("no memory");
    fwrite(bytes, 1, ctl_bytes(value, bytes), stdout);
    putchar('\n');
    free(bytes);
    return 0;
}

static int print_lines(json_object *list)
{
    if (!is_list_of(list, json_type_string))
        return NONSENSE;
    for (size_t i = 0; i < json_object_array_length(list); i++)
        puts(json_object_get_string(json_object_array_get_idx(list, i)));
    return 0;
}

/* A list of texts, a line for each; or an object that has nothing else. */
static int print_texts(json_object *result)
{
    if (!json_object_is_type(result, json_type_object))
        return print_lines(result);
    json_object_object_foreach(result, key, list) {
        (void)key;
        if (print_lines(list))
            return NONSENSE;
    }
    return 0;
}

static int print_nothing(json_object *result)
{
    return json_object_is_type(result, json_type_object) ? 0 : NONSENSE;
}

static int audit_status(json_object *result)
{
    json_object *violations;

    if (!json_object_object_get_ex(result, "violations", &violations) ||
        !json_object_is_type(violations, json_type_int))
        return NONSENSE;
    return json_object_get_int64(violations) ? 1 : 0;
}

static int print_audit(json_object *result)
{
    int status = audit_status(result);
    json_object *lines, *violations;

    if (status == NONSENSE || !json_object_object_get_ex(result, "lines", &lines) ||
        !is_list_of(lines, json_type_string))
        return NONSENSE;
    for (size_t i = 0; i < json_object_array_length(lines); i++)
        puts(json_object_get_string(json_object_array_get_idx(lines, i)));
    json_object_object_get_ex(result, "violations", &violations);
    if (status)
        printf("audit: %s violations\n", json_object_get_string(violations));
    else
        puts("audit: clean");
    return status;
}

/* ---- Verbs ----------------------------------------------------------------------------------- */

static int (*const print[])(json_object *result) = {
    [ANSWER_NOTHING] = print_nothing, [ANSWER_LIST] = print_list, [ANSWER_PARTS] = print_parts,
    [ANSWER_FIELDS] = print_fields, [ANSWER_POINTS] = print_points, [ANSWER_AUDIT] = print_audit,
    [ANSWER_VALUE] = print_value, [ANSWER_TEXTS] = print_texts,
};

/* These print, too, and go on asking. */
static int (*const follow[])(struct ctl_call *call) = {
    [ANSWER_EVENTS] = ctl_follow_events, [ANSWER_WAIT] = ctl_follow_wait,
    [ANSWER_DETACH] = ctl_follow_detach, [ANSWER_DEVICE] = ctl_follow_device,
};

void ctl_list_verbs(FILE *out)
{
    for (const struct verb *verb = control_verbs; verb->name; verb++)
        if (verb->words)
            fprintf(out, "  %-15s %s\n", verb->words, verb->help);
}

static int need_verb(void)
{
    fputs("gntsim: ctl needs a verb:\n", stderr);
    ctl_list_verbs(stderr);
    return EXIT_USAGE;
}

/* How many of the arguments are the verb's words, 0 if they are another's. */
static int match(const struct verb *verb, int argc, char **argv)
{
    char words[32], *save, *word;
    int n = 0;

    snprintf(words, sizeof words, "%s", verb->words);
    for (word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save), n++)
        if (n >= argc || strcmp(word, argv[n]))
            return 0;
    return n;
}

/* The one with the most words: "clock advance" is not "clock". */
static const struct verb *find_verb(int argc, char **argv, int *words)
{
    const struct verb *found = NULL;

    *words = 0;
    for (const struct verb *verb = control_verbs; verb->name; verb++) {
        int n = verb->words ? match(verb, argc, argv) : 0;

        if (n > *words) {
            found = verb;
            *words = n;
        }
    }
    return found;
}

static int add_options(const struct verb *verb, const struct options *options,
                       json_object *request)
{
    const struct {
        bool given;
        const char *name;
        unsigned flags;
    } rows[] = {
        { options->profile, "profile", VERB_PROFILE },
        { options->type, "type", VERB_PROFILE },
        { options->backend, "backend", VERB_DEVICE },
        { options->params, "params", VERB_DEVICE },
        { options->force, "force", VERB_DETACH },
        { options->timeout, "timeout", VERB_TIMEOUT | VERB_DETACH },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].given && !(verb->flags & rows[i].flags))
            return usage_error("--%s means nothing to %s", rows[i].name, verb->words);
    json_add_text(request, "verb", verb->name);
    if (options->profile)
        json_add_text(request, "profile", options->profile);
    if (options->type)
        json_add_text(request, "type", options->type);
    if (options->force)
        json_add_bool(request, "force", true);
    if (options->json && verb->flags & VERB_DETAIL)
        json_add_bool(request, "detail", true);
    if (options->params)
        ctl_add_key(request, "params", options->params);
    return options->backend ? ctl_add_key(request, "backend", options->backend) : 0;
}

static int build(const struct verb *verb, const struct options *options, int argc, char **argv,
                 json_object *request)
{
    const char *kind = verb->arguments;

    int rc = add_options(verb, options, request);

    if (rc)
        return rc;
    for (int i = 0; i < argc; i++, kind += *kind != 'm') {

        /* "dump 3": the word is left out */
        if (*kind == 'w' && isdigit((unsigned char)*argv[i]))
            kind++;
        if (!*kind)
            return usage_error("unexpected argument '%s' after %s", argv[i], verb->words);
        rc = ctl_add_argument(request, *kind, argv[i]);
        if (rc)
            return rc;
    }
    if (*kind && *kind < 'a')
        return usage_error("%s needs more arguments: %s", verb->words, verb->help);
    return 0;
}

static int show(struct ctl_call *call)
{
    enum verb_answer answer = call->verb->answer;

    if (answer < sizeof follow / sizeof *follow && follow[answer])
        return follow[answer](call);
    if (!call->options->json)
        return print[answer](call->result);
    puts(json_object_to_json_string_ext(call->result, JSON_C_TO_STRING_PLAIN));
    return answer == ANSWER_AUDIT ? audit_status(call->result) : 0;
}

static int call(const struct verb *verb, const struct options *options, json_object *request)
{
    struct ctl_call call = { verb, options, client_connect(options->dir), request, NULL };
    json_object *reply;
    int rc = 1;

    if (call.fd >= 0) {
        reply = client_call(call.fd, json_object_get(request), -1, NULL, 0);
        if (reply && json_object_object_get_ex(reply, "result", &call.result))
            rc = show(&call);
        json_object_put(reply);
        close(call.fd);
    }
    json_object_put(request);
    return rc == NONSENSE
             ? failure("what answers is no gntsim machine: that is no answer to %s", verb->words)
             : rc;
}

int cmd_ctl(int argc, char **argv)
{
    const struct verb *verb;
    struct options options;
    int words;
    int rc;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (!options.dir)
        return usage_error("ctl needs --dir DIR, the directory of a running machine");
    if (!options.nr_rest)
        return need_verb();
    verb = find_verb(options.nr_rest, options.rest, &words);
    if (verb) {
        json_object *request = json_object_new_object();

        rc = build(verb, &options, options.nr_rest - words, options.rest + words, request);
        if (!rc)
            return call(verb, &options, request);
        json_object_put(request);
        return rc;
    }
    usage_error("unknown verb '%s'", options.rest[0]);
    return need_verb();
}
