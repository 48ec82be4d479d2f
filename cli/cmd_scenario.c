/* SPDX-License-Identifier: MIT */
/* `gntsim scenario`: becomes the runner of the Python package. */
#include "cli.h"
#include "python.h"

int cmd_scenario(int argc, char **argv)
{
    return python_become(argv[0], "gntsim.scenario", argv + 1, argc - 1);
}
