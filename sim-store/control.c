/* SPDX-License-Identifier: MIT */
/* CONTROL: the commands for an administrator of the store. */
#include "store_i.h"

#define TEXT_MAX XENSTORE_PAYLOAD_MAX

/* A text that is being written; what does not fit is left out. */
struct text {
    char bytes[TEXT_MAX];
    size_t len;
};

static void say(struct text *text, const char *what, unsigned long long value)
{
    int n = snprintf(text->bytes + text->len, TEXT_MAX - text->len, "%s: %llu\n", what, value);

    if (n > 0 && (size_t)n < TEXT_MAX - text->len)
        text->len += (size_t)n;
}

static int reply_text(struct request *r, struct text *text)
{
    text->bytes[text->len] = '\0';
    store_reply(r, text->bytes, text->len + 1);
    return 0;
}

static int run_nothing(struct request *r, const char **params, size_t nr)
{
    (void)params;
    (void)nr;
    return store_reply_done(r, 0);
}

static int run_log(struct request *r, const char **params, size_t nr)
{
    (void)nr;
    if (strcmp(params[0], "on") && strcmp(params[0], "off"))
        return EINVAL;
    return store_reply_done(r, 0);
}

/* ---- quota ----------------------------------------------------------------------------------- */

static int set_quota(struct request *r, const char *name, const char *value)
{
    int number = atoi(value);
    unsigned i = 0;

    while (i < STORE_NR_QUOTAS && strcmp(store_quota_name(i), name))
        i++;
    if (i == STORE_NR_QUOTAS || number < 1)
        return EINVAL;
    store_set_quota(r->store, i, (unsigned)number);
    return store_reply_done(r, 0);
}

static int tell_domain(struct request *r, unsigned domid)
{
    struct store_domain_info info;
    struct text text = { .len = 0 };

    if (store_domain_next(r->store, domid, &info) || info.domid != domid)
        return ENOENT;
    say(&text, "nodes", info.nodes);
    say(&text, "watches", info.watches);
    say(&text, "transactions", info.transactions);
    say(&text, "outstanding", info.outstanding);
    say(&text, "memory", info.memory);
    return reply_text(r, &text);
}

static int run_quota(struct request *r, const char **params, size_t nr)
{
    struct text text = { .len = 0 };

    if (nr == 3 && !strcmp(params[0], "set"))
        return set_quota(r, params[1], params[2]);
    if (nr == 1)
        return tell_domain(r, (unsigned)atoi(params[0]));
    if (nr)
        return EINVAL;
    for (unsigned i = 0; i < STORE_NR_QUOTAS; i++)
        say(&text, store_quota_name(i), r->store->quotas[i]);
    return reply_text(r, &text);
}

/* ---- The commands ---------------------------------------------------------------------------- */

static int run_help(struct request *r, const char **params, size_t nr);

static const struct command {
    const char *name;
    int (*run)(struct request *r, const char **params, size_t nr);
    size_t min, max;                /* parameters */
} commands[] = {
    { "check", run_nothing, 0, 0 },
    { "log", run_log, 1, 1 },
    { "logfile", run_nothing, 1, 1 },
    { "memreport", run_nothing, 0, 1 },
    { "print", run_nothing, 1, 1 },
    { "quota", run_quota, 0, 3 },
    { "help", run_help, 0, 0 },
};
#define NR_COMMANDS (sizeof commands / sizeof *commands)
#define MOST_PARAMS 3

static int run_help(struct request *r, const char **params, size_t nr)
{
    struct text text = { .len = 0 };

    (void)params;
    (void)nr;
    for (size_t i = 0; i < NR_COMMANDS; i++)
        text.len += (size_t)sprintf(text.bytes + text.len, "%s\n", commands[i].name);
    return reply_text(r, &text);
}

int store_do_control(struct request *r)
{
    const char *strings[1 + MOST_PARAMS];
    size_t nr = store_request_strings(r, strings, 1 + MOST_PARAMS);

    for (size_t i = 0; nr && i < NR_COMMANDS; i++) {
        const struct command *command = &commands[i];

        if (strcmp(command->name, strings[0]))
            continue;
        if (nr - 1 < command->min || nr - 1 > command->max)
            return EINVAL;
        return command->run(r, strings + 1, nr - 1);
    }
    return EINVAL;
}
