/* SPDX-License-Identifier: MIT */
/* Runs inputs again, files and all files of directories: without libFuzzer, in any build. */
#include <stdio.h>

#include "inputs.h"
#include "socket_fuzz_i.h"

static void run(void *fuzz, const char *path, const uint8_t *data, size_t size)
{
    (void)path;
    fuzz_run(fuzz, data, size);
}

int main(int argc, char **argv)
{
    struct fuzz *fuzz;
    unsigned runs = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE-OR-DIRECTORY...\n", argv[0]);
        return 2;
    }
    fuzz = fuzz_start();
    for (int i = 1; i < argc; i++)
        runs += inputs_each(argv[i], run, fuzz);
    fuzz_stop(fuzz);
    printf("%u inputs, no finding\n", runs);
    return runs ? 0 : 1;
}
