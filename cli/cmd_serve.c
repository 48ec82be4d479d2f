/* SPDX-License-Identifier: MIT */
/* `gntsim serve`: keeps a machine until it is told to stop. */
#include <stdio.h>

#include "cli.h"
#include "host.h"
#include "machine_dir.h"
#include "options.h"

static void say_ready(void *ctx)
{
    printf("gntsim: ready: %s\n", ((struct machine_dir *)ctx)->addr.sun_path);
    fflush(stdout);
}

int cmd_serve(int argc, char **argv)
{
    struct host_config config = { .owner_fd = -1, .ready = say_ready };
    struct machine_dir dir;
    struct options options;
    int rc;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (!options.dir)
        return usage_error("serve needs --dir DIR, where the machine's control socket will be");
    if (options.nr_rest)
        return usage_error("unexpected argument '%s'; see gntsim serve --help", options.rest[0]);
    config.listen_fd = machine_dir_listen(&dir, options.dir);
    if (config.listen_fd < 0)
        return 1;
    config.options = &options;
    config.owner_pid = options.owner;
    config.ctx = &dir;
    rc = host_machine(&config);
    machine_dir_leave(&dir);
    return rc;
}
