/* SPDX-License-Identifier: MIT */
/* What programs do around the devices, a case each: corners NAME. Prints what it sees, the same in
 * a replay. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

struct devices {
    xengntshr_handle *gntshr;
    xengnttab_handle *gnttab;
    xenevtchn_handle *evtchn;
    int fd;                     /* evtchn's */
};

static void say(const char *what, long value)
{
    printf("%s=%ld", what, value);
    if (value < 0)
        printf(" %s", strerrorname_np(errno));
    putchar('\n');
    fflush(stdout);
}

/* ---- Signals --------------------------------------------------------------------------------- */

static void soon(void (*handler)(int), int flags, long us, bool again)
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
    struct itimerval timer = { { 0, again ? us : 0 }, { 0, us } };

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void nothing(int sig)
{
    (void)sig;
}

static void interrupted(struct devices *d)
{
    struct pollfd fd = { d->fd, POLLIN, 0 };

    soon(nothing, 0, 200000, false);
    say("poll", poll(&fd, 1, 20000));
}

/* Until a process is in one of the states, as /proc tells. */
static void await(pid_t pid, const char *states)
{
    char path[32], state = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    while (!strchr(states, state) || !state) {
        sched_yield();
        file = fopen(path, "re");
        if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
            _exit(1);
        fclose(file);
    }
}

/* A process is stopped and goes on while it waits: no call ends. */
static void stopped(struct devices *d)
{
    struct pollfd fd = { d->fd, POLLIN, 0 };
    pid_t child = fork();

    if (!child) {
        await(getppid(), "S");
        kill(getppid(), SIGSTOP);
        await(getppid(), "Tt");
        kill(getppid(), SIGCONT);
        _exit(0);
    }
    say("poll", poll(&fd, 1, 500));
    say("child", waitpid(child, NULL, 0) == child);
}

static void busy(int sig)
{
    (void)sig;
    for (volatile int i = 0; i < 500000; i++)
        ;
}

static void signals_while_mapping(struct devices *d)
{
    uint32_t ref;

    soon(busy, SA_RESTART, 9000, true);
    for (int i = 0; i < 3; i++) {
        void *page = xengntshr_share_pages(d->gntshr, 0, 1, &ref, 1);

        say("shared", page != NULL);
        if (page)
            say("unshare", xengntshr_unshare(d->gntshr, page, 1));
    }
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static void replaced(struct devices *d)
{
    int null = open("/dev/null", O_RDWR);
    char bytes[8];

    say("dup2", dup2(null, d->fd) == d->fd);
    say("read", read(d->fd, bytes, sizeof bytes));
    say("write", write(d->fd, bytes, sizeof bytes));
}

static void replaced_by_another(struct devices *d)
{
    int other = open("/dev/xen/evtchn", O_RDWR | O_NONBLOCK);
    char bytes[8];

    (void)d;
    say("same", dup2(other, other) == other);
    say("dup2", dup2(other, d->fd) == d->fd);
    say("read", read(d->fd, bytes, sizeof bytes));
}

static void closed_range(struct devices *d)
{
    char bytes[8];
    int null;

    say("close_range", close_range((unsigned)d->fd, (unsigned)d->fd, 0));
    null = open("/dev/null", O_RDWR);
    say("same", null == d->fd);
    say("read", read(null, bytes, sizeof bytes));
}

static void of_all_files(struct devices *d)
{
    char bytes[8];
    int on = 1;

    say("cloexec", ioctl(d->fd, FIOCLEX));
    say("nonblocking", ioctl(d->fd, FIONBIO, &on));
    say("read", read(d->fd, bytes, sizeof bytes));
}

/* The data of both is the same. */
static void twins(struct devices *d)
{
    struct epoll_event asked = { EPOLLIN, { .u64 = 0 } }, got[4];
    int pipes[2], epoll = epoll_create1(0), port;

    if (epoll < 0 || pipe(pipes))
        return;
    port = xenevtchn_bind_unbound_port(d->evtchn, 0);
    say("bound", xenevtchn_bind_interdomain(d->evtchn, 0, port) > 0);
    say("pipe", epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &asked));
    say("device", epoll_ctl(epoll, EPOLL_CTL_ADD, d->fd, &asked));
    say("one", epoll_wait(epoll, got, 4, 10000));
    close(pipes[0]);
    say("still", epoll_wait(epoll, got, 4, 0));
}

/* ---- Memory and processes -------------------------------------------------------------------- */

static void *share(struct devices *d, unsigned count, uint32_t *refs)
{
    void *pages = xengntshr_share_pages(d->gntshr, 0, (int)count, refs, 1);

    say("shared", pages != NULL);
    return pages;
}

static void *child_of_thread(void *arg)
{
    if (!fork())
        _exit(0);
    wait(NULL);
    return arg;
}

static void thread_forks(struct devices *d)
{
    uint32_t refs[2];
    void *shared = share(d, 2, refs),
         *mapped = xengnttab_map_domain_grant_refs(d->gnttab, 2, 0, refs, PROT_READ | PROT_WRITE);
    pthread_t thread;

    if (!pthread_create(&thread, NULL, child_of_thread, NULL))
        pthread_join(thread, NULL);
    say("unmap", xengnttab_unmap(d->gnttab, mapped, 2));
    say("unshare", xengntshr_unshare(d->gntshr, shared, 2));
}

static void read_only(struct devices *d)
{
    uint32_t ref;
    char *shared = share(d, 1, &ref), *mapped;

    strcpy(shared, "hello");
    mapped = xengnttab_map_grant_ref(d->gnttab, 0, ref, PROT_READ);
    printf("[%s]\n", mapped ? mapped : "nothing");
}

/* A child has no copy of a mapping, and what it puts there is its own; the parent puts something
 * over it. */
static void mapped_over(struct devices *d)
{
    uint32_t ref;
    void *shared = share(d, 1, &ref),
         *mapped = xengnttab_map_grant_ref(d->gnttab, 0, ref, PROT_READ | PROT_WRITE), *own;

    if (!fork()) {
        own = mmap(mapped, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(own, 4096);
        _exit(0);
    }
    wait(NULL);
    own = mmap(mapped, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
               0);
    say("over", own == mapped);
    say("munmap", munmap(own, 4096));
    say("unmap-again", xengnttab_unmap(d->gnttab, mapped, 1));
    say("unshare", xengntshr_unshare(d->gntshr, shared, 1));
}

static const struct {
    const char *name;
    void (*run)(struct devices *d);
} cases[] = {
    { "interrupted", interrupted }, { "stopped", stopped },
    { "signals-while-mapping", signals_while_mapping }, { "replaced", replaced },
    { "replaced-by-another", replaced_by_another }, { "closed-range", closed_range },
    { "of-all-files", of_all_files }, { "twins", twins },
    { "thread-forks", thread_forks }, { "read-only", read_only }, { "mapped-over", mapped_over },
};

int main(int argc, char **argv)
{
    struct devices d = { xengntshr_open(NULL, 0), xengnttab_open(NULL, 0), xenevtchn_open(NULL, 0),
                         -1 };

    if (argc != 2 || !d.gntshr || !d.gnttab || !d.evtchn)
        return 1;
    d.fd = xenevtchn_fd(d.evtchn);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!strcmp(cases[i].name, argv[1])) {
            cases[i].run(&d);
            return 0;
        }
    return 2;
}
