/* SPDX-License-Identifier: MIT */
/* Prints the tables of verbs, options and control verbs, of which documents are made. */
#include <stdio.h>

#include <json-c/json.h>

#include "cli.h"
#include "json_add.h"
#include "options.h"
#include "verbs.h"

static json_object *names_of(unsigned flags)
{
    json_object *names = json_object_new_array();

    for (const struct option_row *row = option_rows; row->name; row++)
        if (flags & row->flag)
            json_object_array_add(names, json_object_new_string(row->name));
    return names;
}

static json_object *usages_of(const struct command *command)
{
    json_object *list = json_object_new_array(), *one;

    for (unsigned i = 0; i < 2 && command->usages[i].rest; i++) {
        one = json_object_new_object();
        json_object_object_add(one, "options", names_of(command->usages[i].options));
        json_object_object_add(one, "required", names_of(command->usages[i].required));
        json_add_text(one, "rest", command->usages[i].rest);
        json_object_array_add(list, one);
    }
    return list;
}

static json_object *all_commands(void)
{
    json_object *list = json_object_new_array(), *one;

    for (const struct command *command = commands; command->name; command++) {
        one = json_object_new_object();
        json_add_text(one, "name", command->name);
        json_add_text(one, "summary", command->summary);
        json_object_object_add(one, "usages", usages_of(command));
        json_object_array_add(list, one);
    }
    return list;
}

static json_object *all_options(void)
{
    json_object *list = json_object_new_array(), *one;

    for (const struct option_row *row = option_rows; row->name; row++) {
        one = json_object_new_object();
        json_add_text(one, "name", row->name);
        json_add_text(one, "argument", row->argument);
        json_add_text(one, "values", row->values);
        json_add_text(one, "letter", (char[]){ row->letter, 0 });
        json_add_text(one, "help", row->help);
        json_object_array_add(list, one);
    }
    return list;
}

static json_object *all_verbs(void)
{
    json_object *list = json_object_new_array(), *one;

    for (const struct verb *verb = control_verbs; verb->name; verb++) {
        if (!verb->words)
            continue;
        one = json_object_new_object();
        json_add_text(one, "words", verb->words);
        json_add_text(one, "help", verb->help);
        json_object_array_add(list, one);
    }
    return list;
}

int describe(void)
{
    json_object *all = json_object_new_object();

    json_add_text(all, "version", GNTSIM_VERSION);
    json_object_object_add(all, "commands", all_commands());
    json_object_object_add(all, "options", all_options());
    json_object_object_add(all, "verbs", all_verbs());
    puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY));
    json_object_put(all);
    return 0;
}
