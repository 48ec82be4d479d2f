/* SPDX-License-Identifier: MIT */
/*
 * Times processes of domain 1 that copy, wake and map, and a crowd in any domain, for bench/run.
 *
 * devices gcopy NULL-FILE ROUNDS OPERATIONS
 *     a grant copy of 4 KiB, and a null ioctl with a memcpy of as much: "COPY-NS NULL-NS" per round
 * devices wake BELL-FILE ROUNDS
 *     from a notify, a write to a pipe, or a write to a FUSE file that does nothing else, until a
 *     peer blocked in poll goes on: "EVENT-NS PIPE-NS FILE-NS" per round
 * devices pages PAGES ROUNDS OPERATIONS
 *     map + unmap of PAGES grants in one call, and of one: "MANY-NS ONE-NS" per round
 * devices granter PEER SECONDS, devices mapper PEER
 *     share, map, write and notify for so long, with the mapper at descriptors 3 (from it) and
 *     4 (to it); the granter prints how often
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xen/grant_table.h>

#include "measure.h"

#define DOMID 1
#define PAGE 4096ul
#define MAX_PAGES 1024

/* ---- Grant copy ------------------------------------------------------------------------------ */

static double copy_block(xengnttab_handle *gnttab, uint32_t ref, void *from, unsigned operations)
{
    double start = now_ns();

    for (unsigned i = 0; i < operations; i++) {
        xengnttab_grant_copy_segment_t segment = { .source.virt = from,
                                                   .dest.foreign = { .ref = ref, .domid = DOMID },
                                                   .len = PAGE,
                                                   .flags = GNTCOPY_dest_gref };

        MUST(!xengnttab_grant_copy(gnttab, 1, &segment) && segment.status == GNTST_okay);
    }
    return (now_ns() - start) / operations;
}

static double null_block(int fd, char *to, const char *from, unsigned operations)
{
    double start = now_ns();

    for (unsigned i = 0; i < operations; i++) {
        MUST(!ioctl(fd, _IO('n', 0), 0));
        memcpy(to, from, PAGE);
        __asm__ volatile("" : : "r"(to) : "memory");
    }
    return (now_ns() - start) / operations;
}

static void gcopy(const char *path, unsigned rounds, unsigned operations)
{
    int fd = open(path, O_RDWR);
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    char *from = aligned_alloc(PAGE, PAGE), *to = aligned_alloc(PAGE, PAGE);
    uint32_t ref;

    MUST(fd >= 0 && gntshr && gnttab && from && to &&
         xengntshr_share_pages(gntshr, DOMID, 1, &ref, 1));
    memset(from, 1, PAGE);
    copy_block(gnttab, ref, from, operations);
    null_block(fd, to, from, operations);
    for (unsigned i = 0; i < rounds; i++) {
        double null = null_block(fd, to, from, operations),
            grant = copy_block(gnttab, ref, from, operations);

        printf("%.0f %.0f\n", grant, null);
    }
}

/* ---- Waking a peer --------------------------------------------------------------------------- */

enum { EVENT, PIPE, FILE_OF_FUSE, NR_BELLS };

/* The peer: polls one thing after the other, in the order of the rounds, and tells when it went
 * on. */
static void peer(int tell_fd, xenevtchn_handle *evtchn, const int fds[NR_BELLS], unsigned rounds)
{
    for (unsigned i = 0; i < NR_BELLS * rounds; i++) {
        struct pollfd fd = { .fd = fds[i % NR_BELLS], .events = POLLIN };
        double woke;
        char byte;

        MUST(poll(&fd, 1, -1) == 1);
        woke = now_ns();
        if (i % NR_BELLS == EVENT)
            MUST(!xenevtchn_unmask(evtchn, xenevtchn_pending(evtchn)));
        else
            MUST(read(fd.fd, &byte, 1) == (i % NR_BELLS == PIPE));
        MUST(write(tell_fd, &woke, sizeof woke) == sizeof woke);
    }
}

static void wake(const char *path, unsigned rounds)
{
    xenevtchn_handle *ours = xenevtchn_open(NULL, 0), *theirs = xenevtchn_open(NULL, 0);
    int pipe_fds[2], told[2], file = open(path, O_RDWR),
        port = xenevtchn_bind_unbound_port(ours, DOMID), status;
    double started, woke;
    pid_t pid;

    MUST(port > 0 && file >= 0 && !pipe(pipe_fds) && !pipe(told) &&
         xenevtchn_bind_interdomain(theirs, DOMID, port) > 0);
    MUST(!xenevtchn_unmask(theirs, xenevtchn_pending(theirs)));
    pid = fork();
    MUST(pid >= 0);
    if (!pid) {
        peer(told[1], theirs, (int[]){ xenevtchn_fd(theirs), pipe_fds[0], file }, rounds);
        exit(0);
    }
    for (unsigned i = 0; i < NR_BELLS * rounds; i++) {
        usleep(500);                /* by now it is asleep */
        started = now_ns();
        if (i % NR_BELLS == EVENT)
            MUST(!xenevtchn_notify(ours, port));
        else
            MUST(write(i % NR_BELLS == PIPE ? pipe_fds[1] : file, "x", 1) == 1);
        MUST(read(told[0], &woke, sizeof woke) == sizeof woke);
        printf("%.0f%c", woke - started, (i + 1) % NR_BELLS ? ' ' : '\n');
    }
    MUST(waitpid(pid, &status, 0) == pid && !status);
}

/* ---- Many pages at once ---------------------------------------------------------------------- */

static double map_block(xengnttab_handle *gnttab, uint32_t *refs, unsigned pages,
                        unsigned operations)
{
    double start = now_ns();

    for (unsigned i = 0; i < operations; i++) {
        void *mapped = xengnttab_map_domain_grant_refs(gnttab, pages, DOMID, refs,
                                                       PROT_READ | PROT_WRITE);

        MUST(mapped && !xengnttab_unmap(gnttab, mapped, pages));
    }
    return (now_ns() - start) / operations;
}

static void many(unsigned pages, unsigned rounds, unsigned operations)
{
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    uint32_t refs[MAX_PAGES];

    MUST(gntshr && gnttab && pages <= MAX_PAGES &&
         xengntshr_share_pages(gntshr, DOMID, pages, refs, 1));
    map_block(gnttab, refs, pages, operations);
    for (unsigned i = 0; i < rounds; i++) {
        double one = map_block(gnttab, refs, 1, operations),
            all = map_block(gnttab, refs, pages, operations);

        printf("%.0f %.0f\n", all, one);
    }
}

/* ---- One pair of a crowd --------------------------------------------------------------------- */

enum { FROM_PEER = 3, TO_PEER = 4 };

static void wait_event(xenevtchn_handle *evtchn)
{
    struct pollfd fd = { .fd = xenevtchn_fd(evtchn), .events = POLLIN };

    MUST(poll(&fd, 1, -1) == 1);
    MUST(!xenevtchn_unmask(evtchn, xenevtchn_pending(evtchn)));
}

static void granter(uint32_t peer_domid, double seconds)
{
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);
    int port = xenevtchn_bind_unbound_port(evtchn, peer_domid);
    unsigned rounds = 0;
    uint32_t ref = 0;
    double end;
    char byte;

    MUST(gntshr && port > 0 && write(TO_PEER, &port, sizeof port) == sizeof port);
    /* all are there */
    MUST(read(FROM_PEER, &byte, 1) == 1 && read(STDIN_FILENO, &byte, 1) == 1);
    for (end = now_ns() + seconds * 1e9; now_ns() < end; rounds++) {
        volatile unsigned char *page = xengntshr_share_pages(gntshr, peer_domid, 1, &ref, 1);

        MUST(page && write(TO_PEER, &ref, sizeof ref) == sizeof ref);
        wait_event(evtchn);
        MUST(page[rounds % PAGE] == (unsigned char)ref);
        MUST(!xengntshr_unshare(gntshr, (void *)(uintptr_t)page, 1));
    }
    ref = 0;
    MUST(write(TO_PEER, &ref, sizeof ref) == sizeof ref);
    printf("%u\n", rounds);
}

static void mapper(uint32_t peer_domid)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);
    unsigned rounds = 0;
    uint32_t ref;
    int port;

    MUST(gnttab && read(FROM_PEER, &port, sizeof port) == sizeof port);
    port = xenevtchn_bind_interdomain(evtchn, peer_domid, port);
    MUST(port > 0 && write(TO_PEER, "x", 1) == 1);
    while (read(FROM_PEER, &ref, sizeof ref) == sizeof ref && ref) {
        unsigned char *page = xengnttab_map_grant_ref(gnttab, peer_domid, ref,
                                                      PROT_READ | PROT_WRITE);

        MUST(page);
        page[rounds++ % PAGE] = (unsigned char)ref;
        MUST(!xengnttab_unmap(gnttab, page, 1) && !xenevtchn_notify(evtchn, port));
    }
}

int main(int argc, char **argv)
{
    MUST(argc >= 3);
    if (!strcmp(argv[1], "gcopy") && argc == 5)
        gcopy(argv[2], atoi(argv[3]), atoi(argv[4]));
    else if (!strcmp(argv[1], "wake") && argc == 4)
        wake(argv[2], atoi(argv[3]));
    else if (!strcmp(argv[1], "pages") && argc == 5)
        many(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
    else if (!strcmp(argv[1], "granter") && argc == 4)
        granter(atoi(argv[2]), atof(argv[3]));
    else if (!strcmp(argv[1], "mapper"))
        mapper(atoi(argv[2]));
    else
        return 2;
    return 0;
}
