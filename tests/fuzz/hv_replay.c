/* SPDX-License-Identifier: MIT */
/* Runs recorded inputs of the hypervisor fuzzer again, in any build; -v prints each step. */
#include "hv_fuzz_i.h"
#include "inputs.h"

struct replay {
    const char *program;
    bool verbose;
};

static void run(void *ctx, const char *path, const uint8_t *data, size_t size)
{
    const struct replay *replay = ctx;
    char command[4096];

    snprintf(command, sizeof command, "%s -v %s", replay->program, path);
    fuzz_run(data, size, command, replay->verbose);
}

int main(int argc, char **argv)
{
    struct replay replay = { argv[0], argc > 1 && !strcmp(argv[1], "-v") };
    unsigned runs = 0;

    if (argc < 2 + replay.verbose) {
        fprintf(stderr, "usage: %s [-v] FILE-OR-DIRECTORY...\n", argv[0]);
        return 2;
    }
    for (int i = 1 + replay.verbose; i < argc; i++)
        runs += inputs_each(argv[i], run, &replay);
    printf("%u inputs, no finding\n", runs);
    return runs ? 0 : 1;
}
