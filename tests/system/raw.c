/* SPDX-License-Identifier: MIT */
/*
 * raw DOMID: the devices by hand, without any Xen library: shares two pages with DOMID itself, maps
 * them in reverse order, and sends itself an event. What a Go or Rust program would do. Prints
 * "done" at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#include "must.h"

#define PAGE 4096

int main(int argc, char **argv)
{
    unsigned domid = argc > 1 ? atoi(argv[1]) : 0;
    int gntalloc = open("/dev/xen/gntalloc", O_RDWR), gntdev = open("/dev/xen/gntdev", O_RDWR);
    int evtchn = open("/dev/xen/evtchn", O_RDWR);
    struct ioctl_gntalloc_alloc_gref *alloc = calloc(1, sizeof *alloc + sizeof(uint32_t));
    struct ioctl_gntdev_map_grant_ref *map = calloc(1,
                                                    sizeof *map +
                                                    sizeof(struct ioctl_gntdev_grant_ref));
    struct ioctl_gntdev_unmap_grant_ref unmap = { .count = 2 };
    struct ioctl_evtchn_bind_unbound_port unbound = { .remote_domain = domid };
    struct ioctl_evtchn_notify notify;
    char *shared, *mapped;
    uint32_t port, *refs;

    must(alloc && map);
    *alloc = (struct ioctl_gntalloc_alloc_gref){ .domid = domid, .flags = GNTALLOC_FLAG_WRITABLE,
                                                 .count = 2 };
    refs = alloc->gref_ids;
    must(gntalloc >= 0 && gntdev >= 0 && evtchn >= 0);
    must(!ioctl(gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, alloc));
    shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntalloc, alloc->index);
    must(shared != MAP_FAILED);
    strcpy(shared, "first");
    strcpy(shared + PAGE, "second");

    map->count = 2;
    for (int i = 0; i < 2; i++)
        map->refs[i] = (struct ioctl_gntdev_grant_ref){ .domid = domid, .ref = refs[1 - i] };
    must(!ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, map));
    mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntdev, map->index);
    must(mapped != MAP_FAILED);
    must(!strcmp(mapped, "second") && !strcmp(mapped + PAGE, "first"));
    strcpy(mapped, "answer");
    must(!strcmp(shared + PAGE, "answer"));
    must(!munmap(mapped, 2 * PAGE));
    unmap.index = map->index;
    must(!ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap));
    must(ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap) == -1 && errno == ENOENT);

    notify.port = ioctl(evtchn, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &unbound);
    must((int)notify.port > 0);
    struct ioctl_evtchn_bind_interdomain bind = { .remote_domain = domid,
                                                  .remote_port = notify.port };
    int peer = ioctl(evtchn, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind);
    must(peer > 0 && read(evtchn, &port, sizeof port) == sizeof port && port == (uint32_t)peer);
    must(write(evtchn, &port, sizeof port) == sizeof port);
    must(!ioctl(evtchn, IOCTL_EVTCHN_NOTIFY, &notify));
    must(read(evtchn, &port, sizeof port) == sizeof port && port == (uint32_t)peer);

    must(!munmap(shared, 2 * PAGE));
    free(alloc);
    free(map);
    must(!close(gntalloc) && !close(gntdev) && !close(evtchn));
    puts("done");
    return 0;
}
