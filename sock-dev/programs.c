/* SPDX-License-Identifier: MIT */
/* The programs of a domain: those that were started with its socket in their environment. */
#include "sock_i.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Whether the environment that a process was started with has SOCK_ENV=path. */
static bool has_socket(const char *pid, const char *path)
{
    size_t size = 0, name = strlen(SOCK_ENV);
    char environ_path[64], *line = NULL;
    bool found = false;
    FILE *file;

    snprintf(environ_path, sizeof environ_path, "/proc/%.20s/environ", pid);
    file = fopen(environ_path, "re");
    while (file && !found && getdelim(&line, &size, 0, file) > 0)
        found = !strncmp(line, SOCK_ENV "=", name + 1) && !strcmp(line + name + 1, path);
    free(line);
    if (file)
        fclose(file);
    return found;
}

void programs_kill(const char *path, bool wait)
{
    struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };
    bool found = true;

    /* A killed process needs a moment to go; one that forks meanwhile needs another round. */
    for (int round = 0; found && round < (wait ? 2000 : 1); round++) {
        struct dirent *entry;
        DIR *proc = opendir("/proc");

        if (!proc)
            return;
        found = false;
        while ((entry = readdir(proc))) {
            if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid() || !has_socket(entry->d_name, path))
                continue;
            kill(atoi(entry->d_name), SIGKILL);
            found = true;
        }
        closedir(proc);
        if (found && wait)
            nanosleep(&pause, NULL);
    }
}
