/* SPDX-License-Identifier: MIT */
/*
 * Measures what the hypervisor model's hooks cost. It maps and unmaps one reference with hooks off
 * and with a trace that keeps each event, against the same model built without hooks. It prints
 * medians of alternating rounds.
 *
 * hook-bench [--quick] DIRECTORY       DIRECTORY holds hook-bench-with.so and hook-bench-without.so
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

#define ROUNDS 101

struct side;
struct build {
    struct side *(*create)(void);
    void (*destroy)(struct side *side);
    double (*time)(struct side *side, unsigned n, int trace);
    struct side *side;
};

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);

    if (!found) {
        fprintf(stderr, "hook-bench: %s\n", dlerror());
        exit(1);
    }
    return found;
}

static void load(struct build *build, const char *directory, const char *name)
{
    char path[4096];
    void *library;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "hook-bench: %s\n", dlerror());
        exit(1);
    }
    *(void **)&build->create = symbol(library, "side_create");
    *(void **)&build->destroy = symbol(library, "side_destroy");
    *(void **)&build->time = symbol(library, "side_time");
    build->side = build->create();
}

static void line(const char *what, double value, double target)
{
    printf("%-58s %9.3f      at most %6g      %s\n", what, value, target, value <= target ? "met" : "MISSED");
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && !strcmp(argv[1], "--quick");
    unsigned rounds = quick ? 3 : ROUNDS;
    double off[ROUNDS], on[ROUNDS], ns[ROUNDS];
    struct build with, without;

    if (argc != 2 + quick) {
        fprintf(stderr, "usage: hook-bench [--quick] DIRECTORY\n");
        return 2;
    }
    load(&with, argv[argc - 1], "hook-bench-with.so");
    load(&without, argv[argc - 1], "hook-bench-without.so");
    for (unsigned r = 0; r < rounds; r++) {
        double none = without.time(without.side, 20000, 0);

        ns[r] = none;
        off[r] = with.time(with.side, 20000, 0) / none;
        on[r] = with.time(with.side, 20000, 1) / none;
    }
    printf("%-58s %9.2f ns\n", "map and unmap of one reference, built without hooks", median(ns, rounds));
    line("the same, faults and trace off / without hooks", median(off, rounds), 1.03);
    printf("%-58s %9.3f      at most   none\n", "the same, trace on / without hooks", median(on, rounds));
    with.destroy(with.side);
    without.destroy(without.side);
    return 0;
}
