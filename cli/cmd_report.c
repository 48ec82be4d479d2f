/* SPDX-License-Identifier: MIT */
/* `gntsim report`: makes a page of traces, which the Python package puts together. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "options.h"
#include "python.h"

int cmd_report(int argc, char **argv)
{
    struct options options;
    const char **args;
    int rc;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (!options.nr_rest)
        return usage_error("report needs a trace (gntsim run --trace FILE), or a directory of them "
                           "(gntsim scenario run --trace DIR); see gntsim report --help");
    args = calloc((size_t)options.nr_rest + 1, sizeof *args);
    if (!args)
        return failure("out of memory");
    args[0] = options.output ? options.output : DEFAULT_REPORT;
    memcpy(args + 1, options.rest, (size_t)options.nr_rest * sizeof *args);
    rc = python_become(argv[0], "gntsim.report", (char *const *)args, options.nr_rest + 1);
    free(args);
    return rc;
}
