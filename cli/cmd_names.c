/* SPDX-License-Identifier: MIT */
/* `gntsim names`: prints the names that fault rules, traces and scenario files may use. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "names.h"
#include "options.h"

#define COLUMNS 80
#define INDENT 13

/* One group of names, as many in a line as fit. */
static void print_group(const char *group, json_object *list)
{
    size_t column = (size_t)printf("%-*s", INDENT - 1, group);

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *item = json_object_array_get_idx(list, i), *name = item;
        const char *text;

        if (json_object_is_type(item, json_type_object))
            json_object_object_get_ex(item, "name", &name);
        text = json_object_get_string(name);
        if (column + 1 + strlen(text) > COLUMNS)
            column = (size_t)printf("\n%*s", INDENT - 1, "") - 1;
        column += (size_t)printf(" %s", text);
    }
    putchar('\n');
}

static void print_groups(json_object *groups)
{
    json_object_object_foreach(groups, group, list) {
        if (json_object_is_type(list, json_type_object))
            print_groups(list);
        else
            print_group(group, list);
    }
}

int cmd_names(int argc, char **argv)
{
    struct options options;
    json_object *names;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (options.nr_rest)
        return usage_error("unexpected argument '%s'; see gntsim names --help", options.rest[0]);
    names = names_as_json();
    if (options.json)
        puts(json_object_to_json_string_ext(names, JSON_C_TO_STRING_PLAIN));
    else
        print_groups(names);
    json_object_put(names);
    return 0;
}
