/* SPDX-License-Identifier: MIT */
/*
 * signals calls GROUP ROUNDS MICROSECONDS [SERVER]
 *                      makes each call of a group so many times under a timer whose handler has no
 *                      SA_RESTART. Prints "interrupted CALL" for each that gave EINTR, then "end
 *                      SIGNALS", and waits. Before that "early SIGNALS" if handlers ran between an
 *                      ioctl and its mmap. SERVER: the process that the group pauses holds up.
 * signals read plain|restart|none
 *                      waits for events of a port that domain 2 may bind. Prints "port PORT",
 *                      "reading" before each read, and what it gave: "event", "EINTR". The handler
 *                      of SIGUSR1, if there is one, prints "handler".
 * signals sigsys ROUNDS
 *                      maps so many times while another process sends it SIGSYS. Prints "end".
 * signals stream ROUNDS MICROSECONDS
 *                      reads the events that another thread sends one by one, under such a timer.
 *                      Prints "read EVENTS left 0|1".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#include "must.h"

#define PAGE 4096
#define DOMID 1

static int gntalloc, gntdev, evtchn;
static volatile unsigned long ticks, early;
#define NOT_YET (~0ull)
static struct ioctl_gntdev_map_grant_ref due = { .index = NOT_YET };   /* for an mmap of place */
static volatile char *volatile place;      /* 0 is there before, 1 behind it */

static void tick(int sig)
{
    (void)sig;
    ticks++;
    early += *(volatile __typeof__(due.index) *)&due.index != NOT_YET && !*place;
}

static void start_timer(long microseconds)
{
    struct sigaction action = { .sa_handler = tick };
    struct itimerval timer = { { 0, microseconds }, { 0, microseconds } };

    must(!sigaction(SIGALRM, &action, NULL));
    must(!setitimer(ITIMER_REAL, &timer, NULL));
}

static void stop_timer(void)
{
    must(!setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL));
}

/* Makes a call until it is not interrupted. */
#define call(name, expression) ({ \
    __typeof__(expression) result; \
    while (errno = 0, result = (expression), (long)result == -1 && errno == EINTR) \
        printf("interrupted %s\n", name); \
    must((long)result != -1); \
    result; })

/* ---- The calls ------------------------------------------------------------------------------- */

struct shared {
    uint64_t index, map_index;
    uint32_t ref;
};

static void grant(struct shared *shared)
{
    struct ioctl_gntalloc_alloc_gref alloc = { .domid = DOMID, .flags = GNTALLOC_FLAG_WRITABLE,
                                               .count = 1 };

    call("ALLOC_GREF", ioctl(gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, &alloc));
    shared->index = alloc.index;
    shared->ref = alloc.gref_ids[0];
}

static void end_grant(const struct shared *shared)
{
    struct ioctl_gntalloc_dealloc_gref dealloc = { .index = shared->index, .count = 1 };

    call("DEALLOC_GREF", ioctl(gntalloc, IOCTL_GNTALLOC_DEALLOC_GREF, &dealloc));
}

static void map(struct shared *shared)
{
    struct ioctl_gntdev_map_grant_ref map = { .count = 1,
                                              .refs = { { .domid = DOMID, .ref = shared->ref } } };

    call("MAP_GRANT_REF", ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &map));
    shared->map_index = map.index;
}

static void unmap(const struct shared *shared)
{
    struct ioctl_gntdev_unmap_grant_ref unmap = { .index = shared->map_index, .count = 1 };

    call("UNMAP_GRANT_REF", ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap));
}

static void ioctls(void)
{
    struct ioctl_evtchn_bind_unbound_port bind = { .remote_domain = DOMID };
    struct ioctl_evtchn_unbind unbind;
    struct shared shared;

    grant(&shared);
    map(&shared);
    unmap(&shared);
    end_grant(&shared);
    unbind.port = call("BIND_UNBOUND_PORT", ioctl(evtchn, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind));
    call("UNBIND", ioctl(evtchn, IOCTL_EVTCHN_UNBIND, &unbind));
}

/* Each behind the ioctl that comes before it in every program. */
static void mmaps(void)
{
    struct shared shared;
    char *ours, *theirs;

    grant(&shared);
    ours = call("mmap of gntalloc", mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntalloc,
                                         shared.index));
    map(&shared);
    theirs = call("mmap of gntdev", mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntdev,
                                         shared.map_index));
    *ours = 1;
    must(*theirs == 1);
    call("munmap of gntdev", munmap(theirs, PAGE));
    call("munmap of gntalloc", munmap(ours, PAGE));
    unmap(&shared);
    end_grant(&shared);
}

static uint64_t now_us(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* As a thread that waits for its siblings, and one that computes slowly, as with a sanitizer. */
static void pause_for(unsigned microseconds)
{
    const struct timespec moment = { .tv_nsec = (long)microseconds * 1000 };
    uint64_t until = now_us(CLOCK_MONOTONIC) + microseconds;

    while (now_us(CLOCK_MONOTONIC) < until)
        nanosleep(&moment, NULL);
    until = now_us(CLOCK_THREAD_CPUTIME_ID) + microseconds;
    while (now_us(CLOCK_THREAD_CPUTIME_ID) < until)
        ;
}

static pid_t server;
static int holding;              /* to who has it go on */

/* Has a child continue the server a while after it was stopped. */
static void hold_up(pid_t pid)
{
    int fds[2];
    char one;

    server = pid;
    must(!pipe(fds));
    if (!fork()) {
        close(fds[1]);
        while (read(fds[0], &one, 1) == 1) {
            usleep(20000);
            kill(pid, SIGCONT);
        }
        _exit(0);
    }
    close(fds[0]);
    holding = fds[1];
}

/* The mmap does not follow the ioctl at once, and many signals come before the server sees it. */
static void pauses(void)
{
    struct shared shared;
    char *page;

    grant(&shared);
    pause_for(25000);
    must(write(holding, "", 1) == 1 && !kill(server, SIGSTOP));
    page = call("mmap of gntalloc", mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntalloc,
                                         shared.index));
    call("munmap of gntalloc", munmap(page, PAGE));
    end_grant(&shared);
}

/* Where the program itself wants to see the other's page. */
static void places(void)
{
    struct shared shared;
    char *ours;

    place = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    grant(&shared);
    ours = call("mmap of gntalloc", mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntalloc,
                                         shared.index));
    *ours = 1;
    due.count = 1;
    due.refs[0].domid = DOMID;
    due.refs[0].ref = shared.ref;
    call("MAP_GRANT_REF", ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &due));
    call("mmap of gntdev", mmap((char *)place, PAGE, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_FIXED, gntdev, due.index));
    shared.map_index = due.index;
    due.index = NOT_YET;
    call("munmap of gntdev", munmap((char *)place, PAGE));
    call("munmap of gntalloc", munmap(ours, PAGE));
    unmap(&shared);
    end_grant(&shared);
}

/* As libxengnttab maps what was paged out. */
static void again(void)
{
    struct shared shared;
    void *theirs;

    grant(&shared);
    map(&shared);
    while ((theirs = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, gntdev, shared.map_index)) ==
           MAP_FAILED) {
        must(errno == EAGAIN || errno == EINTR);
        if (errno == EINTR)
            puts("interrupted mmap after EAGAIN");
        usleep(1000);
    }
    call("munmap of gntdev", munmap(theirs, PAGE));
    unmap(&shared);
    end_grant(&shared);
}

static char *barred;             /* a page that must not be accessed */
static volatile unsigned long faults;

static void must_be_open(void)
{
    sigset_t blocked;

    must(!sigprocmask(SIG_BLOCK, NULL, &blocked) && sigisemptyset(&blocked));
}

static void let_pass(int sig)
{
    (void)sig;
    faults++;
    must(!mprotect(barred, PAGE, PROT_READ | PROT_WRITE));
}

/* A thread that does not map behind the ioctl, but calls something else, or causes a signal. */
static void others(void)
{
    struct shared shared;

    if (!barred) {
        barred = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(!sigaction(SIGSEGV, &(struct sigaction){ .sa_handler = let_pass }, NULL));
    }
    grant(&shared);
    must_be_open();
    end_grant(&shared);
    must(!mprotect(barred, PAGE, PROT_NONE));
    grant(&shared);
    *(volatile char *)barred = 1;
    must_be_open();
    end_grant(&shared);
}

/* Calls on other files and memory. */
static void ordinary(void)
{
    static int file = -1;
    void *page;

    if (file < 0)
        must((file = open("/proc/self/exe", O_RDONLY)) >= 0);
    page = call("mmap of a file", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0));
    call("munmap of a file", munmap(page, PAGE));
    call("F_GETFL", fcntl(file, F_GETFL));
    call("F_SETFL", fcntl(file, F_SETFL, O_NONBLOCK));
    call("F_SETOWN", fcntl(file, F_SETOWN, getpid()));
    page = call("mmap", mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                             0));
    page = call("mremap", mremap(page, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    call("mprotect", mprotect(page, PAGE, PROT_READ));
    call("munmap", munmap(page, 2 * PAGE));
}

static const struct group {
    const char *name;
    void (*round)(void);
} groups[] = {
    { "ioctls", ioctls },
    { "mmaps", mmaps },
    { "pauses", pauses },
    { "places", places },
    { "again", again },
    { "others", others },
    { "ordinary", ordinary },
};

/* SIGSYS, which somebody sends, is none that our making calls has caused. */
static void sent_sigsys(unsigned rounds)
{
    struct sigaction action = { .sa_handler = tick };
    pid_t parent = getpid(), sender;

    must(!sigaction(SIGSYS, &action, NULL));
    sender = fork();
    while (!sender && getppid() == parent) {
        kill(parent, SIGSYS);
        usleep(100);
    }
    must(sender > 0);
    while (rounds-- || !ticks)
        mmaps();
    kill(sender, SIGKILL);
    puts("end");
}

static void calls(const char *name, unsigned rounds, long microseconds)
{
    const struct group *group = groups;

    while (strcmp(group->name, name))
        must(++group < groups + sizeof groups / sizeof *groups);
    start_timer(microseconds);
    while (rounds--)
        group->round();
    stop_timer();
    if (early)
        printf("early %lu\n", early);
    printf("end %lu\n", ticks);
    getchar();
}

/* ---- Reads ----------------------------------------------------------------------------------- */

static void say_handler(int sig)
{
    (void)sig;
    must(write(1, "handler\n", 8) == 8);
}

static void reads(const char *how)
{
    struct ioctl_evtchn_bind_unbound_port bind = { .remote_domain = 2 };
    struct sigaction action = { .sa_handler = say_handler,
                                .sa_flags = strcmp(how, "plain") ? SA_RESTART : 0 };
    uint32_t port;
    ssize_t size;

    if (strcmp(how, "none"))
        must(!sigaction(SIGUSR1, &action, NULL));
    printf("port %d\n", ioctl(evtchn, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind));
    for (;;) {
        puts("reading");
        size = read(evtchn, &port, sizeof port);
        must(size == sizeof port || errno == EINTR);
        puts(size < 0 ? "EINTR" : "event");
        must(size < 0 || write(evtchn, &port, sizeof port) == sizeof port);
    }
}

struct stream {
    unsigned rounds;
    uint32_t port;
    sem_t read;
};

static void *send_events(void *arg)
{
    struct stream *stream = arg;
    struct ioctl_evtchn_notify notify = { .port = stream->port };

    for (unsigned i = 0; i < stream->rounds; i++) {
        must(!ioctl(evtchn, IOCTL_EVTCHN_NOTIFY, &notify));
        must(!sem_wait(&stream->read));
    }
    return NULL;
}

/* Both ends of a channel are this process's. What is sent to one is read from the other. */
static void streams(unsigned rounds, long microseconds)
{
    struct ioctl_evtchn_bind_unbound_port unbound = { .remote_domain = DOMID };
    struct ioctl_evtchn_bind_interdomain bind = { .remote_domain = DOMID };
    struct stream stream = { .rounds = rounds };
    struct pollfd ready = { .fd = evtchn, .events = POLLIN };
    unsigned events = 0;
    pthread_t sender;
    uint32_t port;
    sigset_t alarm;

    stream.port = ioctl(evtchn, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &unbound);
    bind.remote_port = stream.port;
    must(ioctl(evtchn, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind) > 0 && !sem_init(&stream.read, 0, 0));
    while (poll(&ready, 1, 0) > 0)
        must(read(evtchn, &port, sizeof port) == sizeof port &&
             write(evtchn, &port, sizeof port) == sizeof port);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    must(!pthread_sigmask(SIG_BLOCK, &alarm, NULL) &&
         !pthread_create(&sender, NULL, send_events, &stream));
    must(!pthread_sigmask(SIG_UNBLOCK, &alarm, NULL));
    start_timer(microseconds);
    while (events < rounds) {
        ssize_t size = read(evtchn, &port, sizeof port);

        if (size < 0 && errno == EINTR)
            continue;
        must(size == sizeof port && write(evtchn, &port, sizeof port) == sizeof port);
        events++;
        sem_post(&stream.read);
    }
    stop_timer();
    pthread_join(sender, NULL);
    printf("read %u left %d\n", events, poll(&ready, 1, 0));
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    gntalloc = open("/dev/xen/gntalloc", O_RDWR);
    gntdev = open("/dev/xen/gntdev", O_RDWR);
    evtchn = open("/dev/xen/evtchn", O_RDWR);
    must(gntalloc >= 0 && gntdev >= 0 && evtchn >= 0 && argc > 2);
    if (!strcmp(argv[1], "read"))
        reads(argv[2]);
    else if (!strcmp(argv[1], "sigsys"))
        sent_sigsys(atoi(argv[2]));
    else if (!strcmp(argv[1], "stream"))
        streams(atoi(argv[2]), atol(argv[3]));
    else {
        if (argc > 5)
            hold_up(atoi(argv[5]));
        calls(argv[2], atoi(argv[3]), atol(argv[4]));
    }
    return 0;
}
