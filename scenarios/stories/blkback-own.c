/* SPDX-License-Identifier: MIT */
/* The bug: it talks to the device itself, and takes EAGAIN, which means that a page is paged out at
 * the moment, for the end. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <xen/sys/gntdev.h>

#include "blkback.h"

void *map_request(xengnttab_handle *gnttab, uint32_t granter, uint32_t nr, uint32_t *refs)
{
    struct {
        struct ioctl_gntdev_map_grant_ref head;
        struct ioctl_gntdev_grant_ref more[MAX_REFS];
    } map = { .head.count = nr };
    struct ioctl_gntdev_unmap_grant_ref unmap = { .count = nr };
    void *pages = MAP_FAILED;
    int fd = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);

    (void)gnttab;
    for (uint32_t i = 0; i < nr; i++) {
        struct ioctl_gntdev_grant_ref *ref = i ? &map.more[i - 1] : &map.head.refs[0];

        ref->domid = granter;
        ref->ref = refs[i];
    }
    if (fd >= 0 && !ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, &map)) {
        unmap.index = map.head.index;
        pages = mmap(NULL, (size_t)nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                     (off_t)map.head.index);
        ioctl(fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
    }
    if (pages == MAP_FAILED)
        fprintf(stderr, "cannot map: %s\n", strerror(errno));
    close(fd);
    return pages == MAP_FAILED ? NULL : pages;
}

int unmap_request(xengnttab_handle *gnttab, void *pages, uint32_t nr)
{
    (void)gnttab;
    return munmap(pages, (size_t)nr * PAGE);
}
