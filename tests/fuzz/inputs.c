/* SPDX-License-Identifier: MIT */
/* Reads the inputs that a program repeats: files, and all files of directories. */
#include "inputs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static _Noreturn void unreadable(const char *path)
{
    perror(path);
    exit(2);
}

static void run_file(const char *path, inputs_run *run, void *ctx)
{
    static uint8_t data[1 << 16];
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!file)
        unreadable(path);
    size = fread(data, 1, sizeof data, file);
    fclose(file);
    run(ctx, path, data, size);
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

unsigned inputs_each(const char *path, inputs_run *run, void *ctx)
{
    struct dirent **names;
    char inside[4096];
    unsigned runs = 0;
    struct stat st;
    int n;

    if (stat(path, &st))
        unreadable(path);
    if (!S_ISDIR(st.st_mode)) {
        run_file(path, run, ctx);
        return 1;
    }
    n = scandir(path, &names, not_hidden, alphasort);
    if (n < 0)
        unreadable(path);
    for (int i = 0; i < n; i++) {
        snprintf(inside, sizeof inside, "%s/%s", path, names[i]->d_name);
        runs += inputs_each(inside, run, ctx);
        free(names[i]);
    }
    free(names);
    return runs;
}
