/* SPDX-License-Identifier: MIT */
/* The programs of a domain: those that were started with its socket in their environment. */
#include "sock_i.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kill.h"

/* Whether the environment that a process was started with has SOCK_ENV=path. */
static bool has_socket(const void *path, pid_t pid)
{
    size_t size = 0, name = strlen(SOCK_ENV);
    char environ_path[64], *line = NULL;
    bool found = false;
    FILE *file;

    snprintf(environ_path, sizeof environ_path, "/proc/%d/environ", pid);
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
    kill_processes(has_socket, path, wait);
}
