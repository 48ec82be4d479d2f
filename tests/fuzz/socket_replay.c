/* SPDX-License-Identifier: MIT */
/* Runs inputs again, files and all files of directories: without libFuzzer, in any build. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "socket_fuzz_i.h"

static unsigned runs;

static void replay_file(struct fuzz *fuzz, const char *path)
{
    static uint8_t data[1 << 16];
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!file) {
        perror(path);
        exit(2);
    }
    size = fread(data, 1, sizeof data, file);
    fclose(file);
    fuzz_run(fuzz, data, size);
    runs++;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay(struct fuzz *fuzz, const char *path)
{
    struct dirent **names;
    char inside[4096];
    struct stat st;
    int n;

    if (!stat(path, &st) && !S_ISDIR(st.st_mode)) {
        replay_file(fuzz, path);
        return;
    }
    n = scandir(path, &names, not_hidden, alphasort);
    if (n < 0) {
        perror(path);
        exit(2);
    }
    for (int i = 0; i < n; i++) {
        snprintf(inside, sizeof inside, "%s/%s", path, names[i]->d_name);
        replay_file(fuzz, inside);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    struct fuzz *fuzz;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE-OR-DIRECTORY...\n", argv[0]);
        return 2;
    }
    fuzz = fuzz_start();
    for (int i = 1; i < argc; i++)
        replay(fuzz, argv[i]);
    fuzz_stop(fuzz);
    printf("%u inputs, no finding\n", runs);
    return runs ? 0 : 1;
}
