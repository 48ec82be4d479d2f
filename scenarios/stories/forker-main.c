/* SPDX-License-Identifier: MIT */
/* What every forker does, right or wrong; forker.h says how it is used. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "forker.h"

int main(int argc, char **argv)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    char line[64], *page;
    unsigned nr;
    int status, begun[2];
    pid_t pid;

    if (argc != 3 || !gnttab)
        die("forker DOMID REF");
    page = xengnttab_map_grant_ref(gnttab, (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2]),
                                   PROT_READ | PROT_WRITE);
    if (!page)
        die("xengnttab_map_grant_ref");
    say("mapped %.32s", page);
    if (pipe2(begun, O_CLOEXEC))
        die("pipe2");
    pid = fork();
    if (pid < 0)
        die("fork");
    if (!pid) {
        helper(gnttab, page, begun[1]);
        _exit(0);
    }
    close(begun[1]);
    while (read(begun[0], line, sizeof line) > 0)
        ;
    say("helper %d", pid);
    if (!next_command(line, sizeof line, NULL, 0, &nr))
        return 1;
    if (xengnttab_unmap(gnttab, page, 1))
        die("xengnttab_unmap");
    xengnttab_close(gnttab);
    say("unmapped");
    while (next_command(line, sizeof line, NULL, 0, &nr))
        ;
    kill(pid, SIGTERM);
    if (waitpid(pid, &status, 0) != pid)
        die("waitpid");
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGTERM)
        say("helper killed by %s", strsignal(WTERMSIG(status)));
    else
        say("helper ended");
    return 0;
}
