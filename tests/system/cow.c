/* SPDX-License-Identifier: MIT */
/*
 * cow DOM PAGES THREADS    Shares pages with a domain and prints their references. Then so many
 *                          threads add to a number in each page, interrupted by a timer's signals.
 *                          Each line on standard input is answered with the additions so far. At
 *                          its end: prints "done", or which page lost some.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include <xengnttab.h>

#define PAGE 4096ul
#define MAX_PAGES 64u
#define MAX_THREADS 8u

static char *area;
static unsigned nr_pages;
static atomic_bool over;
static atomic_ulong added[MAX_PAGES];
static volatile sig_atomic_t signals;

static void on_alarm(int sig)
{
    (void)sig;
    signals++;
}

static _Atomic uint64_t *number_in(unsigned page)
{
    return (_Atomic uint64_t *)(void *)(area + page * PAGE);
}

static void *adder(void *arg)
{
    (void)arg;
    while (!atomic_load(&over))
        for (unsigned page = 0; page < nr_pages; page++) {
            atomic_fetch_add(number_in(page), 1);
            atomic_fetch_add(&added[page], 1);
        }
    return NULL;
}

int main(int argc, char **argv)
{
    const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
    unsigned nr_threads = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    xengntshr_handle *shr = xengntshr_open(NULL, 0);
    pthread_t threads[MAX_THREADS];
    uint32_t refs[MAX_PAGES];
    char line[64];

    nr_pages = argc > 3 ? (unsigned)atoi(argv[2]) : 0;
    if (!shr || !nr_pages || nr_pages > MAX_PAGES || nr_threads > MAX_THREADS)
        return 2;
    area = xengntshr_share_pages(shr, (uint32_t)atoi(argv[1]), (int)nr_pages, refs, 1);
    if (!area)
        return 3;
    for (unsigned i = 0; i < nr_pages; i++)
        printf("%u%c", refs[i], i + 1 < nr_pages ? ' ' : '\n');
    fflush(stdout);
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned i = 0; i < nr_threads; i++)
        pthread_create(&threads[i], NULL, adder, NULL);
    while (fgets(line, sizeof line, stdin)) {
        printf("%lu\n", atomic_load(&added[nr_pages - 1]));
        fflush(stdout);
    }
    atomic_store(&over, true);
    for (unsigned i = 0; i < nr_threads; i++)
        pthread_join(threads[i], NULL);
    setitimer(ITIMER_REAL, &never, NULL);
    for (unsigned i = 0; i < nr_pages; i++)
        if (atomic_load(number_in(i)) != atomic_load(&added[i])) {
            printf("page %u: %lu of %lu\n", i, (unsigned long)atomic_load(number_in(i)),
                   atomic_load(&added[i]));
            return 1;
        }
    printf(signals ? "done\n" : "no signals\n");
    return 0;
}
