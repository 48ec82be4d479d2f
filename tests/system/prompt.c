/* SPDX-License-Identifier: MIT */
/*
 * prompt TIMES    A process of domain 1 shares a page with a notification that clears its first
 * byte, maps it once more by its grant, and unmaps the shared page right behind that, so often.
 * Prints how often it still found the byte: "late N". The byte is cleared before munmap returns.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#include "must.h"

#define PAGE 4096ul

static char *map(int fd, uint64_t index)
{
    char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)index);

    must(page != MAP_FAILED);
    return page;
}

/* Whether the byte was still there. */
static int once(int gntalloc, int gntdev)
{
    struct ioctl_gntalloc_alloc_gref alloc = { .domid = 1, .flags = GNTALLOC_FLAG_WRITABLE,
                                               .count = 1 };
    struct ioctl_gntalloc_unmap_notify notify = { .action = UNMAP_NOTIFY_CLEAR_BYTE };
    struct ioctl_gntalloc_dealloc_gref dealloc = { .count = 1 };
    struct ioctl_gntdev_map_grant_ref request = { .count = 1 };
    struct ioctl_gntdev_unmap_grant_ref unmap = { .count = 1 };
    volatile char *own, *peers;
    int late;

    must(!ioctl(gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, &alloc));
    notify.index = dealloc.index = alloc.index;
    must(!ioctl(gntalloc, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &notify));
    own = map(gntalloc, alloc.index);
    own[0] = 42;
    must(!ioctl(gntalloc, IOCTL_GNTALLOC_DEALLOC_GREF, &dealloc));
    request.refs[0] = (struct ioctl_gntdev_grant_ref){ 1, alloc.gref_ids[0] };
    must(!ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &request));
    /* The server may still be busy with the one call when the other one comes. */
    peers = map(gntdev, request.index);
    munmap((char *)(uintptr_t)own, PAGE);
    late = peers[0];
    must(!munmap((char *)(uintptr_t)peers, PAGE));
    unmap.index = request.index;
    must(!ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap));
    return late != 0;
}

int main(int argc, char **argv)
{
    int gntalloc = open("/dev/xen/gntalloc", O_RDWR), gntdev = open("/dev/xen/gntdev", O_RDWR);
    int times = argc > 1 ? atoi(argv[1]) : 0, late = 0;

    must(times > 0 && gntalloc >= 0 && gntdev >= 0);
    for (int i = 0; i < times; i++)
        late += once(gntalloc, gntdev);
    printf("late %d\n", late);
    return 0;
}
