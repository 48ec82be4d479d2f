/* SPDX-License-Identifier: MIT */
/*
 * single HOW [notify]    A process of domain 1 grants a page to itself, maps it, which takes one
 *                        page, and takes it away by HOW: munmap, dontneed, or over (another
 *                        mapping). notify: with a notification that clears the first byte, asked
 *                        for when the page is mapped. Prints "byte VALUE" with what it sees at
 *                        once, and ends when its standard input does.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#include "must.h"

#define PAGE 4096ul
#define BOTH (PROT_READ | PROT_WRITE)

static char *map(int fd, uint64_t index)
{
    char *page = mmap(NULL, PAGE, BOTH, MAP_SHARED, fd, (off_t)index);

    must(page != MAP_FAILED);
    return page;
}

static void take_away(const char *how, char *page)
{
    if (!strcmp(how, "munmap"))
        must(!munmap(page, PAGE));
    else if (!strcmp(how, "dontneed"))
        must(!madvise(page, PAGE, MADV_DONTNEED));
    else
        must(mmap(page, PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
}

int main(int argc, char **argv)
{
    struct ioctl_gntalloc_alloc_gref alloc = { .domid = 1, .flags = GNTALLOC_FLAG_WRITABLE,
                                               .count = 1 };
    struct ioctl_gntdev_map_grant_ref request = { .count = 1 };
    struct ioctl_gntdev_unmap_notify notify = { .action = UNMAP_NOTIFY_CLEAR_BYTE };
    int gntalloc = open("/dev/xen/gntalloc", O_RDWR), gntdev = open("/dev/xen/gntdev", O_RDWR);
    volatile char *own;
    char *mapped;

    must(argc >= 2 && gntalloc >= 0 && gntdev >= 0);
    must(!ioctl(gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, &alloc));
    own = map(gntalloc, alloc.index);
    request.refs[0] = (struct ioctl_gntdev_grant_ref){ 1, alloc.gref_ids[0] };
    must(!ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &request));
    mapped = map(gntdev, request.index);
    mapped[0] = 42;
    notify.index = request.index;
    must(argc < 3 || !ioctl(gntdev, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &notify));
    take_away(argv[1], mapped);
    printf("byte %d\n", own[0]);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}
