/* SPDX-License-Identifier: MIT */
/*
 * spy DOMID ROUNDS: a hostile client. One thread maps a granted page again and again; others watch
 * the process's descriptors all the time and try to get at machine memory through whatever
 * descriptor turns up there: by reading it, mapping it, or keeping a copy. Prints "caught N" with
 * the number of times that they got hold of anything larger than the page.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xengnttab.h>

#include "must.h"

#define PAGE 4096
#define FIRST_FD 3
#define LAST_FD 24

static atomic_bool stop;
static atomic_ulong caught, looks;
static dev_t devices;            /* the file system of what the program opened itself */

/* Reads one byte through fd that no grant of ours covers. */
static void look_through(int fd)
{
    struct stat st;
    char byte;

    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= PAGE || st.st_dev == devices)
        return;
    /* A file of many pages that this program never opened. */
    if (pread(fd, &byte, 1, 1 * PAGE) == 1)
        caught++;
    void *p = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED) {
        caught++;
        munmap(p, st.st_size);
    }
    int copy = dup(fd);
    if (copy >= 0) {
        caught++;
        close(copy);
    }
}

static void *watch(void *arg)
{
    (void)arg;
    while (!stop) {
        for (int fd = FIRST_FD; fd <= LAST_FD; fd++)
            look_through(fd);
        looks++;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned domid = atoi(argv[1]), rounds = argc > 2 ? atoi(argv[2]) : 100;
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    struct stat st;
    pthread_t watchers[2];
    uint32_t ref;
    char *shared;

    must(gntshr && gnttab && (shared = xengntshr_share_pages(gntshr, domid, 1, &ref, 1)));
    if (!stat("/dev/xen", &st))
        devices = st.st_dev;
    for (int i = 0; i < 2; i++)
        must(!pthread_create(&watchers[i], NULL, watch, NULL));
    while (!looks)
        sched_yield();
    for (unsigned i = 0; i < rounds; i++) {
        char *mapped = xengnttab_map_grant_ref(gnttab, domid, ref, PROT_READ | PROT_WRITE);

        must(mapped);
        mapped[0]++;
        must(shared[0] == mapped[0] && !xengnttab_unmap(gnttab, mapped, 1));
    }
    stop = true;
    for (int i = 0; i < 2; i++)
        pthread_join(watchers[i], NULL);
    printf("caught %lu\n", (unsigned long)caught);
    return 0;
}
