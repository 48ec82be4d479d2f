/* SPDX-License-Identifier: MIT */
/*
 * stress-worker SEED DOMID MICROSECONDS THREADS: shares, maps, copies, notifies, reads events,
 * forks, in random order, until its machine is gone; then it ends with 0. Every so many
 * microseconds (0: never) a signal comes whose handler interrupts system calls. It says on stdout,
 * a line each: "ready" once it has mapped something; "EINTR CALL" for a call that no real kernel
 * lets a signal end; "ODD CALL ERROR" for an error that nothing explains that may happen to its
 * domain.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#define PAGE 4096u
#define MOST_PAGES 6u
#define NR_SLOTS 6u
#define MOST_THREADS 4u
#define GONE_AFTER 400           /* opens in a row that fail, a millisecond apart */
#define WHOLE_NUMBERS 32u        /* numbers that a suspended domain may have got, from the first on */

/* In every page that a worker shares, behind its bytes. */
static const unsigned char tag[] = { 'w', 'o', 'r', 'k', 'e', 'r', 's', '\'' };

/* Pages that this worker shares; with them, perhaps, its own mapping of them. */
struct slot {
    unsigned char *shared, *mapped;
    uint32_t refs[MOST_PAGES];
    unsigned nr, byte;
};

struct worker {
    pthread_t thread;
    uint64_t seed;
    uint32_t first, domid;
    unsigned bad;                /* steps in a row that did not work */
    xengntshr_handle *gntshr;
    xengnttab_handle *gnttab;
    xenevtchn_handle *evtchn;
    struct slot slots[NR_SLOTS];
    unsigned char *local;        /* a page of its own, for copies */
};

static atomic_bool is_ready;

static uint64_t draw(struct worker *w, uint64_t below)
{
    uint64_t x = w->seed += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (x ^ x >> 31) % below;
}

static void say(const char *line)
{
    /* One write, so that lines of several threads do not mix. */
    if (write(STDOUT_FILENO, line, strlen(line)) < 0)
        _exit(3);
}

/* A call failed. What the end of a domain, of a machine, or a limit explains is nothing to speak
 * of. */
static void failed(struct worker *w, const char *call)
{
    static const int explained[] = { ENODEV,   ENOENT,       ESTALE,     EINVAL,       ENOSPC,
                                     ENOTCONN, ECONNABORTED, ECONNRESET, ECONNREFUSED, EPIPE,
                                     ENOSYS,   EAGAIN,       EMFILE,     ENXIO,        ESRCH,
                                     ENOTTY,   EEXIST };
    int error = errno;
    char line[128];

    w->bad += error != EINTR;
    for (size_t i = 0; i < sizeof explained / sizeof *explained; i++)
        if (error == explained[i])
            return;
    if (error == EINTR)
        snprintf(line, sizeof line, "EINTR %s\n", call);
    else
        snprintf(line, sizeof line, "ODD %s %s\n", call, strerror(error));
    say(line);
}

/* ---- Handles --------------------------------------------------------------------------------- */

static void close_all(struct worker *w)
{
    for (struct slot *slot = w->slots; slot < w->slots + NR_SLOTS; slot++) {
        if (slot->mapped)
            munmap(slot->mapped, slot->nr * PAGE);
        if (slot->shared)
            munmap(slot->shared, slot->nr * PAGE);
        *slot = (struct slot){ .shared = NULL };
    }
    if (w->gntshr)
        xengntshr_close(w->gntshr);
    if (w->gnttab)
        xengnttab_close(w->gnttab);
    if (w->evtchn)
        xenevtchn_close(w->evtchn);
    w->gntshr = NULL;
    w->gnttab = NULL;
    w->evtchn = NULL;
}

/* False: the machine, or the domain for good, is gone. */
static bool open_all(struct worker *w)
{
    for (int tries = 0; tries < GONE_AFTER; tries++) {
        w->gntshr = xengntshr_open(NULL, 0);
        if (w->gntshr)
            w->gnttab = xengnttab_open(NULL, 0);
        if (w->gnttab)
            w->evtchn = xenevtchn_open(NULL, 0);
        if (w->evtchn)
            return true;
        failed(w, "open");
        close_all(w);
        usleep(1000);
    }
    return false;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/*
 * A suspended domain goes on under another number, which its workers guess. Two that take each
 * other's number for their own grant pages to each other: what they map then is a worker's page,
 * but not the expected one, and perhaps one that nobody has written to yet.
 */
static bool is_anothers(const struct worker *w, const unsigned char *behind)
{
    static const unsigned char nothing[sizeof tag];

    return !memcmp(behind, tag, sizeof tag) ||
           (w->domid != w->first && !memcmp(behind, nothing, sizeof nothing));
}

static void check(const struct worker *w, const struct slot *slot)
{
    for (unsigned i = 0; slot->mapped && i < slot->nr; i++)
        if ((slot->mapped[i * PAGE + 100] != slot->byte &&
             !is_anothers(w, slot->mapped + i * PAGE + 200)) ||
            slot->shared[i * PAGE + 100] != slot->byte)
            say("ODD bytes differ\n");
}

static void share(struct worker *w, struct slot *slot)
{
    slot->nr = 1 + (unsigned)draw(w, MOST_PAGES);
    slot->byte = 1 + (unsigned)draw(w, 250);
    if (draw(w, 3)) {
        slot->shared = xengntshr_share_pages(w->gntshr, w->domid, (int)slot->nr, slot->refs, 1);
    } else {
        slot->nr = 1;
        slot->shared = xengntshr_share_page_notify(w->gntshr, w->domid, slot->refs, 1, 7, -1);
    }
    if (!slot->shared) {
        failed(w, "share");
        return;
    }
    for (unsigned i = 0; i < slot->nr; i++) {
        memset(slot->shared + i * PAGE + 100, (int)slot->byte, 100);
        memcpy(slot->shared + i * PAGE + 200, tag, sizeof tag);
    }
}

static void map(struct worker *w, struct slot *slot)
{
    uint32_t domids[MOST_PAGES];

    for (unsigned i = 0; i < slot->nr; i++)
        domids[i] = w->domid;
    slot->mapped = xengnttab_map_grant_refs(w->gnttab, slot->nr, domids, slot->refs,
                                            PROT_READ | PROT_WRITE);
    if (!slot->mapped) {
        failed(w, "map");
        return;
    }
    w->bad = 0;
    check(w, slot);
    if (!atomic_exchange(&is_ready, true))
        say("ready\n");
}

/* By the library, or past it. */
static void unmap(struct worker *w, struct slot *slot)
{
    bool plain = !draw(w, 5);

    check(w, slot);
    if (plain ? munmap(slot->mapped, slot->nr * PAGE)
              : xengnttab_unmap(w->gnttab, slot->mapped, slot->nr))
        failed(w, "unmap");
    slot->mapped = NULL;
}

static void stop_sharing(struct worker *w, struct slot *slot)
{
    if (slot->mapped)
        unmap(w, slot);
    if (xengntshr_unshare(w->gntshr, slot->shared, slot->nr))
        failed(w, "unshare");
    slot->shared = NULL;
}

static void step_slot(struct worker *w)
{
    struct slot *slot = &w->slots[draw(w, NR_SLOTS)];

    if (!slot->shared)
        share(w, slot);
    else if (!slot->mapped && draw(w, 4))
        map(w, slot);
    else if (slot->mapped && draw(w, 2))
        unmap(w, slot);
    else
        stop_sharing(w, slot);
}

/* Whatever another domain may grant at the moment. */
static void step_guess(struct worker *w)
{
    uint32_t other = w->first + (uint32_t)draw(w, 4), ref = 8 + (uint32_t)draw(w, 60);
    volatile unsigned char *page = xengnttab_map_grant_ref(w->gnttab, other, ref, PROT_READ);

    if (!page) {
        if (errno == EINTR)
            failed(w, "map of another domain's");
        return;
    }
    (void)page[5];
    if (xengnttab_unmap(w->gnttab, (void *)(uintptr_t)page, 1))
        failed(w, "unmap of another domain's");
}

static void step_copy(struct worker *w)
{
    struct slot *slot = &w->slots[draw(w, NR_SLOTS)];
    xengnttab_grant_copy_segment_t segment = { .len = 100, .flags = GNTCOPY_source_gref };

    if (!slot->shared)
        return;
    segment.source.foreign.ref = slot->refs[0];
    segment.source.foreign.offset = 110;
    segment.source.foreign.domid = (uint16_t)w->domid;
    segment.dest.virt = w->local;
    if (xengnttab_grant_copy(w->gnttab, 1, &segment))
        failed(w, "copy");
    else if (!segment.status && w->local[0] != slot->byte && !is_anothers(w, w->local + 90))
        say("ODD bytes copied\n");
}

/* Takes the events that are there. A wait that a signal ends is the program's own business. */
static void take_events(struct worker *w, int milliseconds)
{
    struct pollfd fd = { xenevtchn_fd(w->evtchn), POLLIN, 0 };

    while (poll(&fd, 1, milliseconds) == 1 && fd.revents & POLLIN) {
        int port = xenevtchn_pending(w->evtchn);

        /* Real kernels let a signal end a read that would wait, and one that finds something at
         * once is never ended. */
        if (port < 0) {
            if (errno != EAGAIN)
                failed(w, "pending");
            return;
        }
        if (xenevtchn_unmask(w->evtchn, (evtchn_port_t)port))
            failed(w, "unmask");
    }
}

static void step_event(struct worker *w)
{
    int port = xenevtchn_bind_unbound_port(w->evtchn, w->domid), peer;

    if (port < 0) {
        failed(w, "bind_unbound");
        return;
    }
    peer = xenevtchn_bind_interdomain(w->evtchn, w->domid, (evtchn_port_t)port);
    if (peer >= 0) {
        if (xenevtchn_notify(w->evtchn, (evtchn_port_t)port))
            failed(w, "notify");
        take_events(w, (int)draw(w, 3));
        if (xenevtchn_unbind(w->evtchn, (evtchn_port_t)peer))
            failed(w, "unbind");
    } else {
        failed(w, "bind_interdomain");
    }
    if (xenevtchn_unbind(w->evtchn, (evtchn_port_t)port))
        failed(w, "unbind");
    take_events(w, 0);
}

/* A child that sees the shared pages, and ends before or after the parent lets go of them. */
static void step_fork(struct worker *w)
{
    unsigned stay = (unsigned)draw(w, 3000);
    pid_t child = fork();

    if (!child) {
        for (struct slot *slot = w->slots; slot < w->slots + NR_SLOTS; slot++)
            if (slot->shared)
                slot->shared[100] = (unsigned char)slot->byte;
        usleep(stay);
        _exit(0);
    }
    if (child < 0) {
        if (errno != EAGAIN && errno != ENOMEM)
            failed(w, "fork");
        return;
    }
    step_slot(w);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* Calls that a filter may see, but which are none of the devices' business. */
static void step_ordinary(struct worker *w)
{
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    void *file = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), *moved;
    void *own = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (file == MAP_FAILED)
        failed(w, "mmap of a file");
    else if (munmap(file, PAGE))
        failed(w, "munmap of a file");
    if (fcntl(fd, F_GETFL) < 0)
        failed(w, "fcntl");
    moved = own == MAP_FAILED ? MAP_FAILED : mremap(own, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED)
        failed(w, "mremap of its own");
    else if (mprotect(moved, PAGE, PROT_READ) || munmap(moved, 64 * PAGE))
        failed(w, "mprotect or munmap of its own");
    close(fd);
}

/* Its domain may go on under another number. */
static void next_number(struct worker *w)
{
    w->bad = 0;
    w->domid = w->domid + 1 < w->first + WHOLE_NUMBERS ? w->domid + 1 : w->first;
}

static void *work(void *arg)
{
    static void (*const steps[])(struct worker * w) = { step_slot, step_slot,    step_slot,
                                                        step_slot, step_slot,    step_guess,
                                                        step_copy, step_event,   step_event,
                                                        step_fork, step_ordinary };
    struct worker *w = arg;

    while (open_all(w)) {
        unsigned left = 20 + (unsigned)draw(w, 300);

        while (left-- && w->bad < 6)
            steps[draw(w, sizeof steps / sizeof *steps)](w);
        if (w->bad >= 6)
            next_number(w);
        close_all(w);
    }
    return NULL;
}

/* ---- The process ----------------------------------------------------------------------------- */

static void on_signal(int sig)
{
    (void)sig;
}

/* Dies of it, but says where. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
    const ucontext_t *at = context;
    char line[128];

    snprintf(line, sizeof line, "FAULT signal %d, address %p, instruction %llx, stack %llx\n", sig,
             info->si_addr, (unsigned long long)at->uc_mcontext.gregs[REG_RIP],
             (unsigned long long)at->uc_mcontext.gregs[REG_RSP]);
    say(line);
}

static void tell_of_faults(void)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_RESETHAND };

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGTRAP, &action, NULL);
}

/* No SA_RESTART: what a signal may end, it ends. */
static void be_interrupted(unsigned microseconds)
{
    struct sigaction action = { .sa_handler = on_signal };
    struct itimerval timer = { .it_interval.tv_usec = microseconds,
                               .it_value.tv_usec = microseconds };

    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

int main(int argc, char **argv)
{
    static struct worker workers[MOST_THREADS];
    unsigned nr = argc > 4 ? (unsigned)atoi(argv[4]) : 1;

    if (argc < 4 || !nr || nr > MOST_THREADS) {
        fputs("usage: stress-worker SEED DOMID MICROSECONDS [THREADS]\n", stderr);
        return 2;
    }
    /* The libraries comment each guess that was wrong. */
    if (!freopen("/dev/null", "w", stderr))
        return 3;
    tell_of_faults();
    be_interrupted((unsigned)atoi(argv[3]));
    for (unsigned i = 0; i < nr; i++) {
        workers[i] = (struct worker){ .seed = strtoull(argv[1], NULL, 0) + i,
                                      .first = (uint32_t)atoi(argv[2]) };
        workers[i].domid = workers[i].first;
        workers[i].local = aligned_alloc(PAGE, PAGE);
        if (!workers[i].local || (i && pthread_create(&workers[i].thread, NULL, work, &workers[i])))
            return 3;
    }
    work(&workers[0]);
    for (unsigned i = 1; i < nr; i++)
        pthread_join(workers[i].thread, NULL);
    say("gone\n");
    return 0;
}
