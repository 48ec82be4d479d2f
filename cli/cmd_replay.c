/* SPDX-License-Identifier: MIT */
/* `gntsim replay`: repeats a trace and names the first event that differs. */
#include <stdio.h>

#include "cli.h"
#include "options.h"
#include "replay.h"

int cmd_replay(int argc, char **argv)
{
    struct replay_result result;
    struct options options;
    int rc;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (options.nr_rest != 1)
        return usage_error("replay needs one trace: gntsim replay TRACE");
    rc = replay_file(options.rest[0], &result);
    if (!rc && !result.differs) {
        printf("replay: %zu events, all as recorded\n", result.events);
    } else if (!rc) {
        printf("replay: %zu events as recorded, then the model differs\n", result.events);
        printf("recorded: %s\n", result.was ? result.was : "nothing more");
        printf("now:      %s\n", result.now ? result.now : "nothing of the kind");
        rc = 1;
    }
    replay_result_free(&result);
    return rc;
}
