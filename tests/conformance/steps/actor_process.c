/* SPDX-License-Identifier: MIT */
/* The actor's commands that begin and end processes. */
#include "actor_i.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* fork NAME: the child answers `in NAME COMMAND...` from now on. */
static void do_fork(struct actor *a)
{
    int down[2], up[2];
    struct thing *child;
    pid_t pid;

    if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
        bad_script("pipe: %s", strerror(errno));
    pid = fork();
    if (!pid) {
        a->in = down[0];
        a->out = up[1];
        close(down[1]);
        close(up[0]);
        for (struct thing *t = a->things; t < a->things + MAX_NAMES; t++)
            if (t->kind == CHILD) {
                /* or the brother would never see the end of what it is told */
                fclose(t->to);
                fclose(t->from);
                t->kind = FREE;
            }
        serve(a);
        _exit(0);
    }
    close(down[0]);
    close(up[1]);
    answer_rc(a, pid < 0 ? -1 : 0);
    child = name_thing(a, CHILD, word(a, 1));
    child->value = pid;
    child->to = fdopen(down[1], "w");
    child->from = fdopen(up[0], "r");
}

static void answer_end(struct actor *a, int status)
{
    if (WIFSIGNALED(status))
        answer(a, "ended SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        answer(a, "ended %d", WEXITSTATUS(status));
}

/* in NAME COMMAND...: what the child answers, or how it ended */
static void do_in(struct actor *a)
{
    struct thing *child = need(a, CHILD, word(a, 1));
    char *tab;
    int status;

    for (int i = 2; i < a->nr_words; i++)
        fprintf(child->to, "%s ", a->words[i]);
    fputc('\n', child->to);
    fflush(child->to);
    if (fgets(a->answer, sizeof a->answer, child->from)) {
        a->answer[strcspn(a->answer, "\n")] = 0;
        tab = strchr(a->answer, '\t');
        if (tab) {
            snprintf(a->hidden, sizeof a->hidden, "%s", tab + 1);
            *tab = 0;
        }
        return;
    }
    fclose(child->to);
    fclose(child->from);
    waitpid((pid_t)child->value, &status, 0);
    child->kind = FREE;
    answer_end(a, status);
}

/* end NAME: closes the child's input, which ends it in good order */
static void do_end(struct actor *a)
{
    struct thing *child = need(a, CHILD, word(a, 1));
    int status;

    fclose(child->to);
    waitpid((pid_t)child->value, &status, 0);
    fclose(child->from);
    child->kind = FREE;
    answer_end(a, status);
}

/* kill SIGNAL: itself */
static void do_kill(struct actor *a)
{
    raise((int)number(a, 1));
    answer(a, "alive");
}

/* exit STATUS: by the system call alone */
static void do_exit(struct actor *a)
{
    _exit((int)number(a, 1));
}

static void do_segv(struct actor *a)
{
    answer(a, "alive");
    *(volatile int *)8 = 1;
}

/*
 * exec: begins anew as the same program, on the same standard streams; what has been named is
 * forgotten, but descriptors that are not close-on-exec stay. The new program is the one that
 * answers.
 */
static void do_exec(struct actor *a)
{
    static char program[] = "actor", mode[] = "executed";     /* main answers then */
    char *argv[] = { program, mode, NULL };

    dup2(a->in, STDIN_FILENO);
    dup2(a->out, STDOUT_FILENO);
    execv("/proc/self/exe", argv);
    _exit(7);
}

static void *run_thread(void *ctx)
{
    struct actor *a = ctx;

    a->nr_words--;
    for (int i = 0; i < a->nr_words; i++)
        a->words[i] = a->words[i + 1];
    for (const struct command *const *table =
             (const struct command *const[]){ device_commands, evtchn_commands, library_commands,
                                              memory_commands, NULL };
         *table; table++)
        for (const struct command *c = *table; c->name; c++)
            if (!strcmp(c->name, a->words[0])) {
                c->handler(a);
                return NULL;
            }
    bad_script("no command %s in a thread", a->words[0]);
}

/* thread COMMAND...: done by another thread, which then ends */
static void do_thread(struct actor *a)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run_thread, a))
        bad_script("no thread");
    pthread_join(thread, NULL);
}

static void do_sleep(struct actor *a)
{
    usleep((useconds_t)number(a, 1) * 1000);
    answer(a, "ok");
}

/* param MODULE NAME [VALUE]: reads, or writes, a parameter of a kernel module */
static void do_param(struct actor *a)
{
    char path[256], text[32] = "";
    bool set = a->nr_words > 3;
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/sys/module/%s/parameters/%s", word(a, 1), word(a, 2));
    fd = open(path, (set ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    n = fd < 0 ? -1 : set ? write(fd, word(a, 3), strlen(word(a, 3)))
               : read(fd, text, sizeof text - 1);
    answer_rc(a, n < 0 ? -1 : 0);
    if (!set && n > 0)
        answer(a, " value=%.*s", (int)strcspn(text, "\n"), text);
    if (fd >= 0)
        close(fd);
}

static volatile sig_atomic_t signals_seen;

static void count_signal(int sig)
{
    (void)sig;
    signals_seen++;
}

/* async FD: SIGIO for it from now on */
static void do_async(struct actor *a)
{
    signal(SIGIO, count_signal);
    fcntl(fd_of(a, 1), F_SETOWN, getpid());
    answer_rc(a, fcntl(fd_of(a, 1), F_SETFL, fcntl(fd_of(a, 1), F_GETFL) | O_ASYNC));
}

/* signals N: waits until N have come; N = 0: waits a while */
static void do_signals(struct actor *a)
{
    int wanted = (int)number(a, 1);

    for (int i = 0; i < (wanted ? 400 : 15) && (!wanted || signals_seen < wanted); i++)
        usleep(20000);
    answer(a, "signals=%d", (int)signals_seen);
    signals_seen = 0;
}

/* interrupted-read FD SIZE: a read that a signal interrupts, again and again until it is noticed */
static void do_interrupted_read(struct actor *a)
{
    struct sigaction action = { .sa_handler = count_signal }, old;
    struct itimerval timer = { { 0, 100000 }, { 0, 100000 } }, none = { 0 };
    char buf[4096];
    ssize_t n;

    sigaction(SIGALRM, &action, &old);
    setitimer(ITIMER_REAL, &timer, NULL);
    n = read(fd_of(a, 1), buf, number(a, 2) % sizeof buf);
    setitimer(ITIMER_REAL, &none, NULL);
    answer_rc(a, n);
    sigaction(SIGALRM, &old, NULL);
    signals_seen = 0;
}

const struct command process_commands[] = {
    { "fork", do_fork },                /* NAME */
    { "in", do_in },                    /* NAME COMMAND... */
    { "end", do_end },                  /* NAME */
    { "kill", do_kill },                /* SIGNAL */
    { "exit", do_exit },                /* STATUS */
    { "segv", do_segv },
    { "exec", do_exec },
    { "thread", do_thread },            /* COMMAND... */
    { "param", do_param },              /* MODULE NAME [VALUE] */
    { "async", do_async },              /* FD */
    { "signals", do_signals },          /* N */
    { "interrupted-read", do_interrupted_read },    /* FD SIZE */
    { "sleep", do_sleep },              /* MILLISECONDS */
    { 0 },
};
