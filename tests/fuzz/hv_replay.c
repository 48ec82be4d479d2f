/* SPDX-License-Identifier: MIT */
/* Runs inputs again, files and all files of directories: without libFuzzer, in any build. -v tells each step. */
#include <dirent.h>
#include <sys/stat.h>

#include "hv_fuzz_i.h"

static unsigned runs;

static void replay_file(const char *program, const char *path, bool verbose)
{
    static uint8_t data[1 << 16];
    char command[4096];
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!file) {
        perror(path);
        exit(2);
    }
    size = fread(data, 1, sizeof data, file);
    fclose(file);
    snprintf(command, sizeof command, "%s -v %s", program, path);
    fuzz_run(data, size, command, verbose);
    runs++;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay(const char *program, const char *path, bool verbose)
{
    struct dirent **names;
    char inside[4096];
    struct stat st;
    int n;

    if (stat(path, &st)) {
        perror(path);
        exit(2);
    }
    if (!S_ISDIR(st.st_mode)) {
        replay_file(program, path, verbose);
        return;
    }
    n = scandir(path, &names, not_hidden, alphasort);
    if (n < 0) {
        perror(path);
        exit(2);
    }
    for (int i = 0; i < n; i++) {
        snprintf(inside, sizeof inside, "%s/%s", path, names[i]->d_name);
        replay_file(program, inside, verbose);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && !strcmp(argv[1], "-v");

    if (argc < 2 + verbose) {
        fprintf(stderr, "usage: %s [-v] FILE-OR-DIRECTORY...\n", argv[0]);
        return 2;
    }
    for (int i = 1 + verbose; i < argc; i++)
        replay(argv[0], argv[i], verbose);
    printf("%u inputs, no finding\n", runs);
    return runs ? 0 : 1;
}
