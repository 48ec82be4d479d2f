/* SPDX-License-Identifier: MIT */
/*
 * Times a process of domain 1 that grants to itself, for bench/run.
 *
 * client calls NULL-FILE ROUNDS OPERATIONS
 *     map + unmap of a page with the distribution's library, and three null ioctls on NULL-FILE,
 *     in alternating blocks: "MAP-NS NULL-NS" per round
 * client copy PAGES ROUNDS COPIES
 *     memcpy to and from PAGES of a mapped grant, and of shared tmpfs memory:
 *     "GRANT-BYTES/US PLAIN-BYTES/US" per round
 * client trips - ROUNDS OPERATIONS
 *     map + unmap; two round trips over pipes to another process; and two requests to a server that
 *     does nothing, in alternating blocks: "MAP-NS TRIPS-NS LIMIT-NS" per round
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xengnttab.h>

#include "follow.h"
#include "measure.h"

#define DOMID 1
#define PAGE 4096ul
#define MAX_PAGES 1024

static double null_block(int fd, unsigned operations)
{
    double start = now_ns();

    for (unsigned i = 0; i < operations; i++)
        for (int j = 0; j < 3; j++)
            MUST(!ioctl(fd, _IO('n', 0), 0));
    return (now_ns() - start) / operations;
}

static double map_block(xengnttab_handle *gnttab, uint32_t ref, unsigned operations)
{
    double start = now_ns();

    for (unsigned i = 0; i < operations; i++) {
        void *page = xengnttab_map_grant_ref(gnttab, DOMID, ref, PROT_READ | PROT_WRITE);

        MUST(page && !xengnttab_unmap(gnttab, page, 1));
    }
    return (now_ns() - start) / operations;
}

static void calls(const char *path, unsigned rounds, unsigned operations)
{
    int fd = open(path, O_RDWR);
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    uint32_t ref;

    MUST(fd >= 0 && gntshr && gnttab && xengntshr_share_pages(gntshr, DOMID, 1, &ref, 1));
    null_block(fd, operations);
    map_block(gnttab, ref, operations);
    for (unsigned i = 0; i < rounds; i++) {
        double null = null_block(fd, operations), map = map_block(gnttab, ref, operations);

        printf("%.0f %.0f\n", map, null);
    }
}

/* ---- Round trips ----------------------------------------------------------------------------- */

struct echo {
    int to, from;
    pid_t pid;
};

/* A process that sends back what it gets. */
static struct echo start_echo(void)
{
    struct echo echo;
    int there[2], back[2];
    char byte;

    MUST(!pipe(there) && !pipe(back));
    echo.pid = fork();
    MUST(echo.pid >= 0);
    if (!echo.pid) {
        close(there[1]);
        while (read(there[0], &byte, 1) == 1)
            MUST(write(back[1], &byte, 1) == 1);
        _exit(0);
    }
    echo.to = there[1];
    echo.from = back[0];
    return echo;
}

static double trips_block(const struct echo *echo, unsigned operations)
{
    double start = now_ns();
    char byte = 'x';

    for (unsigned i = 0; i < 2 * operations; i++)
        MUST(write(echo->to, &byte, 1) == 1 && read(echo->from, &byte, 1) == 1);
    return (now_ns() - start) / operations;
}

static double limit_block(int fd, unsigned operations)
{
    double start = now_ns();

    for (unsigned i = 0; i < 2 * operations; i++)
        follow_ask(fd);
    return (now_ns() - start) / operations;
}

static void trips(unsigned rounds, unsigned operations)
{
    struct follow follow;
    struct echo echo;
    int fds[2];
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    uint32_t ref;

    MUST(gntshr && gnttab && xengntshr_share_pages(gntshr, DOMID, 1, &ref, 1));
    MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds));
    follow = (struct follow){ fds[1], -1 };
    follow_start(&follow, 1);
    echo = start_echo();         /* later: else the server would keep its pipes open */
    trips_block(&echo, operations);
    limit_block(fds[0], operations);
    map_block(gnttab, ref, operations);
    for (unsigned i = 0; i < rounds; i++) {
        double trip = trips_block(&echo, operations), map = map_block(gnttab, ref, operations),
               limit = limit_block(fds[0], operations);

        printf("%.0f %.0f %.0f\n", map, trip, limit);
    }
    close(echo.to);
    MUST(waitpid(echo.pid, NULL, 0) == echo.pid);
}

static double copy_block(char *there, char *here, size_t size, unsigned copies)
{
    double start = now_ns();

    for (unsigned i = 0; i < copies; i++) {
        memcpy(there, here, size);
        __asm__ volatile("" : : "r"(there) : "memory");
        memcpy(here, there, size);
        __asm__ volatile("" : : "r"(here) : "memory");
    }
    return 2.0 * copies * size / ((now_ns() - start) / 1000);
}

static void copy(unsigned pages, unsigned rounds, unsigned copies)
{
    size_t size = pages * PAGE;
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    uint32_t refs[MAX_PAGES];
    int fd = memfd_create("plain", MFD_CLOEXEC);
    char *mapped, *plain, *here = aligned_alloc(PAGE, size);

    MUST(pages && pages <= MAX_PAGES && here && gntshr && gnttab && fd >= 0 &&
         !ftruncate(fd, size));
    MUST(xengntshr_share_pages(gntshr, DOMID, pages, refs, 1));
    mapped = xengnttab_map_domain_grant_refs(gnttab, pages, DOMID, refs, PROT_READ | PROT_WRITE);
    plain = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(mapped && plain != MAP_FAILED);
    memset(here, 1, size);
    copy_block(mapped, here, size, copies);
    copy_block(plain, here, size, copies);
    for (unsigned i = 0; i < rounds; i++) {
        double grant, other;

        /* Which comes first alternates, too. */
        if (i % 2)
            other = copy_block(plain, here, size, copies),
            grant = copy_block(mapped, here, size, copies);
        else
            grant = copy_block(mapped, here, size, copies),
            other = copy_block(plain, here, size, copies);
        printf("%.0f %.0f\n", grant, other);
    }
}

int main(int argc, char **argv)
{
    MUST(argc == 5);
    if (!strcmp(argv[1], "calls"))
        calls(argv[2], atoi(argv[3]), atoi(argv[4]));
    else if (!strcmp(argv[1], "trips"))
        trips(atoi(argv[3]), atoi(argv[4]));
    else
        copy(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
    return 0;
}
