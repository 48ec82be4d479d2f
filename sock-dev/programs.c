/* SPDX-License-Identifier: MIT */
/* The programs of a domain: those that were started with its socket in their environment. */
#include "sock_i.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kill.h"

static FILE *open_of(pid_t pid, const char *what)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
    return fopen(path, "re");
}

static bool has_program(pid_t pid)
{
    char path[64], target[1];

    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    return readlink(path, target, sizeof target) > 0;
}

/* Whether a process is in the middle of an execve: it has a program, but no arguments yet and no environment. */
static bool is_being_executed(pid_t pid)
{
    FILE *arguments = open_of(pid, "cmdline");
    bool so = arguments && fgetc(arguments) == EOF && has_program(pid);

    if (arguments)
        fclose(arguments);
    return so;
}

/* Whether the environment that a process was started with has SOCK_ENV=path. */
static enum kill_verdict has_socket(const void *path, pid_t pid)
{
    size_t size = 0, name = strlen(SOCK_ENV);
    bool found = false, some = false;
    FILE *file = open_of(pid, "environ");
    char *line = NULL;

    while (file && !found && getdelim(&line, &size, 0, file) > 0) {
        some = true;
        found = !strncmp(line, SOCK_ENV "=", name + 1) && !strcmp(line + name + 1, path);
    }
    free(line);
    if (!file)
        return KILL_NOT;
    fclose(file);
    return found ? KILL_IT : !some && is_being_executed(pid) ? KILL_ASK_AGAIN : KILL_NOT;
}

void programs_kill(const char *path, bool wait)
{
    kill_processes(has_socket, path, wait);
}
