/* SPDX-License-Identifier: MIT */
/* The libFuzzer target of the socket protocol. */
#include <stdlib.h>

#include "socket_fuzz_i.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fuzz *the_fuzz;

static void stop(void)
{
    fuzz_stop(the_fuzz);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    the_fuzz = fuzz_start();
    atexit(stop);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_run(the_fuzz, data, size);
    return 0;
}
