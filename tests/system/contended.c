/* SPDX-License-Identifier: MIT */
/*
 * contended HOW ROUNDS    A process of domain 1 that maps its own eight pages ROUNDS times over
 * what was there, while another thread takes single pages of the same area away. HOW: by munmap,
 * madvise, mmap or mremap. Prints "done", or what a call said that a real kernel does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <xen/sys/gntalloc.h>

#define PAGE 4096ul
#define PAGES 8u
#define BOTH (PROT_READ | PROT_WRITE)

#define must(condition) do { \
    if (!(condition)) { \
        printf("line %d: %s: errno %d, %s\n", __LINE__, #condition, errno, strerror(errno)); \
        exit(1); \
    } \
} while (0)

static char *area;
static atomic_bool over;

static void take(const char *how, char *page)
{
    if (!strcmp(how, "munmap"))
        must(!munmap(page, PAGE));
    else if (!strcmp(how, "madvise"))
        must(!madvise(page, PAGE, MADV_DONTNEED) || errno == ENOMEM);      /* nothing is there */
    else if (!strcmp(how, "mmap"))
        must(mmap(page, PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
    else
        must(mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page + PAGES * PAGE) == page +
             PAGES * PAGE || errno == EFAULT);
}

static void *taker(void *how)
{
    for (unsigned i = 0; !atomic_load(&over); i++)
        take(how, area + i * 5 % PAGES * PAGE);
    return NULL;
}

int main(int argc, char **argv)
{
    union {
        struct ioctl_gntalloc_alloc_gref op;
        uint32_t words[8 + PAGES];
    } alloc = { .op = { .domid = 1, .flags = GNTALLOC_FLAG_WRITABLE, .count = PAGES } };
    int gntalloc = open("/dev/xen/gntalloc", O_RDWR);
    pthread_t id;

    must(argc == 3 && gntalloc >= 0 && !ioctl(gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, &alloc.op));
    area = mmap(NULL, 2 * PAGES * PAGE, BOTH, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(area != MAP_FAILED && !pthread_create(&id, NULL, taker, argv[1]));
    for (int i = atoi(argv[2]); i > 0; i--)
        must(mmap(area, PAGES * PAGE, BOTH, MAP_SHARED | MAP_FIXED, gntalloc,
                  (off_t)alloc.op.index) == area);
    atomic_store(&over, true);
    must(!pthread_join(id, NULL));
    puts("done");
    return 0;
}
