/* SPDX-License-Identifier: MIT */
/*
 * neighbours    Several threads of domain 0 share pages with themselves and map them, so that
 * mappings of pages which follow each other in the machine's memory come and go beside each other.
 * Prints "done".
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <xengnttab.h>

#define THREADS 6
#define ROUNDS 60
#define must(what)                                        \
    do {                                                  \
        if (!(what)) {                                    \
            printf("line %d: %s: %m\n", __LINE__, #what); \
            exit(1);                                      \
        }                                                 \
    } while (0)

static xengntshr_handle *shr;
static xengnttab_handle *gnt;

static void *share_and_map(void *ctx)
{
    uint32_t refs[4], domids[4] = { 0 };

    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t count = 1 + i % 4;
        char *shared = xengntshr_share_pages(shr, 0, (int)count, refs, 1), *mapped;

        must(shared);
        mapped = xengnttab_map_grant_refs(gnt, count, domids, refs, PROT_READ | PROT_WRITE);
        must(mapped);
        mapped[0] = (char)i;
        must(shared[0] == (char)i);
        must(!xengnttab_unmap(gnt, mapped, count) && !xengntshr_unshare(shr, shared, count));
    }
    return ctx;
}

int main(void)
{
    pthread_t threads[THREADS];

    shr = xengntshr_open(NULL, 0);
    gnt = xengnttab_open(NULL, 0);
    must(shr && gnt);
    for (unsigned i = 0; i < THREADS; i++)
        must(!pthread_create(&threads[i], NULL, share_and_map, NULL));
    for (unsigned i = 0; i < THREADS; i++)
        must(!pthread_join(threads[i], NULL));
    must(!xengnttab_close(gnt) && !xengntshr_close(shr));
    puts("done");
    return 0;
}
