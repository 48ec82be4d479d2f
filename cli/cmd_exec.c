/* SPDX-License-Identifier: MIT */
/* `gntsim exec`: becomes a command in a domain of a machine that is running. */
#include "cli.h"
#include "client.h"
#include "options.h"

int cmd_exec(int argc, char **argv)
{
    struct options options;
    int fd;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (!options.dir)
        return usage_error("exec needs --dir DIR, the directory of a running machine");
    if (!options.nr_rest)
        return usage_error("exec needs a command: gntsim exec --dir DIR --domain N -- CMD...");
    fd = client_connect(options.dir);
    return fd < 0 ? 1
                  : client_exec(fd, options.domain < 0 ? 0 : options.domain, options.profile,
                                options.way, options.rest);
}
