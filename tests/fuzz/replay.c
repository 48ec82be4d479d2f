/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target on files and directories without libFuzzer, in any build. */
#include <stdio.h>

#include "inputs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(void *ctx, const char *path, const uint8_t *data, size_t size)
{
    (void)ctx;
    /* So that a crash names its input. */
    fprintf(stderr, "\r%s", path);
    LLVMFuzzerTestOneInput(data, size);
}

int main(int argc, char **argv)
{
    unsigned runs = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE-OR-DIRECTORY...\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++)
        runs += inputs_each(argv[i], run, NULL);
    printf("\n%u inputs, no finding\n", runs);
    return runs ? 0 : 1;
}
