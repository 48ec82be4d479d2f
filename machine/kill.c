/* SPDX-License-Identifier: MIT */
/* Kills processes that only a search through all of /proc finds. */
#include "kill.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MAX_ROUNDS 2000

void kill_processes(enum kill_verdict (*verdict)(const void *ctx, pid_t pid), const void *ctx,
                    bool wait)
{
    struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };
    pid_t self = getpid();
    bool again = true;

    /* A killed process needs a moment to go; one that forks meanwhile needs another round. */
    for (int round = 0; again && round < (wait ? MAX_ROUNDS : 1); round++) {
        struct dirent *entry;
        DIR *proc = opendir("/proc");

        if (!proc)
            return;
        again = false;
        while ((entry = readdir(proc))) {
            pid_t pid = atoi(entry->d_name);
            enum kill_verdict it = pid <= 0 || pid == self ? KILL_NOT : verdict(ctx, pid);

            if (it == KILL_IT)
                kill(pid, SIGKILL);
            again |= it != KILL_NOT;
        }
        closedir(proc);
        if (again && wait)
            nanosleep(&pause, NULL);
    }
}
