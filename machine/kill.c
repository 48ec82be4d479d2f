/* SPDX-License-Identifier: MIT */
#include "kill.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void kill_processes(bool (*is_one)(const void *ctx, pid_t pid), const void *ctx, bool wait)
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
            pid_t pid = atoi(entry->d_name);

            if (pid <= 0 || pid == getpid() || !is_one(ctx, pid))
                continue;
            kill(pid, SIGKILL);
            found = true;
        }
        closedir(proc);
        if (found && wait)
            nanosleep(&pause, NULL);
    }
}
