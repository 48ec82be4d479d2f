/* SPDX-License-Identifier: MIT */
/* `gntsim explain`: says what a kind of finding means, and what to do. */
#include <stdio.h>

#include "checks_part.h"
#include "cli.h"
#include "options.h"

static void list_kinds(void)
{
    for (const struct check_kind *kind = check_kinds; kind->name; kind++)
        printf("%-14s %s.\n", kind->name, kind->says);
}

int cmd_explain(int argc, char **argv)
{
    const struct check_kind *kind;
    struct options options;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (options.nr_rest > 1)
        return usage_error("explain takes one kind of finding; see gntsim explain");
    if (!options.nr_rest) {
        list_kinds();
        return 0;
    }
    kind = check_kind_find(options.rest[0]);
    if (!kind)
        return usage_error("there is no kind of finding '%s'; gntsim explain lists them",
                           options.rest[0]);
    printf("%s: %s.\n\nWhat to do: %s.\n\nExamples, a wrong and a right one: docs/checks/%s.md\n",
           kind->name, kind->says, kind->repair, kind->name);
    return 0;
}
