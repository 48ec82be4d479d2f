/* SPDX-License-Identifier: MIT */
/* Commands about processes: children, exec, what the kernel thinks of this one. */
#include "agent_i.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

void do_fork(struct agent *a)
{
    int down[2], up[2];
    struct child *c = &a->children[a->nr_children];

    if (a->nr_children == MAX_CHILDREN || pipe(down) || pipe(up) || (c->pid = fork()) < 0) {
        ok_or_errno(a, -1);
        return;
    }
    if (!c->pid) {
        close(down[1]);
        close(up[0]);
        a->in = fdopen(down[0], "r");
        a->out = fdopen(up[1], "w");
        a->nr_children = 0;
        serve(a);
        _exit(0);
    }
    close(down[0]);
    close(up[1]);
    c->to = fdopen(down[1], "w");
    c->from = fdopen(up[0], "r");
    reply(a, "ok %u %d", a->nr_children++, c->pid);
}

/* child N COMMAND...: the child does it and its answer is ours. */
void do_child(struct agent *a)
{
    struct child *c = &a->children[number(a, 1) % MAX_CHILDREN];
    char line[1024];
    int status;

    for (int i = 2; i < a->nr_words; i++)
        fprintf(c->to, "%s ", a->words[i]);
    fputc('\n', c->to);
    fflush(c->to);
    if (fgets(line, sizeof line, c->from)) {
        line[strcspn(line, "\n")] = 0;
        reply(a, "%s", line);
        return;
    }
    waitpid(c->pid, &status, 0);
    if (WIFSIGNALED(status))
        reply(a, "err SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        reply(a, "ok exit %d", WEXITSTATUS(status));
}

void do_exec(struct agent *a)
{
    a->words[a->nr_words] = NULL;
    execvp(a->words[1], a->words + 1);
    ok_or_errno(a, -1);
}

void do_exit(struct agent *a)
{
    (void)a;
    _exit(0);
}

/* As a program that holds secrets: nobody else of this user may look into it. */
void do_undumpable(struct agent *a)
{
    ok_or_errno(a, prctl(PR_SET_DUMPABLE, 0));
}

void do_no_files(struct agent *a)
{
    struct rlimit limit = { 0, 0 };

    ok_or_errno(a, setrlimit(RLIMIT_NOFILE, &limit));
}

void do_pid(struct agent *a)
{
    reply(a, "ok %d", getpid());
}
