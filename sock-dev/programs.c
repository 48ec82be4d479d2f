/* SPDX-License-Identifier: MIT */
/* Finds the programs of a domain: those that were started with its socket in their environment. */
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

/*
 * Whether a process is in the middle of an execve: it has a program, but no arguments yet and no
 * environment.
 */
static bool is_being_executed(pid_t pid)
{
    FILE *arguments = open_of(pid, "cmdline");
    bool so = arguments && fgetc(arguments) == EOF && has_program(pid);

    if (arguments)
        fclose(arguments);
    return so;
}

/* *some: it has an environment at all. */
static char *socket_in(FILE *environment, bool *some)
{
    char *line = NULL, *socket = NULL;
    size_t size = 0, name = strlen(SOCK_ENV);

    while (!socket && getdelim(&line, &size, 0, environment) > 0) {
        *some = true;
        if (!strncmp(line, SOCK_ENV "=", name + 1))
            socket = strdup(line + name + 1);
    }
    free(line);
    return socket;
}

char *programs_socket_of(pid_t pid)
{
    FILE *file = open_of(pid, "environ");
    char *socket = NULL;
    bool some;

    if (file) {
        socket = socket_in(file, &some);
        fclose(file);
    }
    return socket;
}

static enum kill_verdict has_socket(const void *path, pid_t pid)
{
    FILE *file = open_of(pid, "environ");
    bool found, some = false;
    char *socket;

    if (!file)
        return KILL_NOT;
    socket = socket_in(file, &some);
    fclose(file);
    found = socket && !strcmp(socket, path);
    free(socket);
    return found ? KILL_IT : !some && is_being_executed(pid) ? KILL_ASK_AGAIN : KILL_NOT;
}

void programs_kill(const char *path, bool wait)
{
    kill_processes(has_socket, path, wait);
}
