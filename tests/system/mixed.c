/* SPDX-License-Identifier: MIT */
/*
 * mixed DOMID PROFILE: a process of domain DOMID that uses the libraries, the descriptors of their
 * handles with plain system calls, and device files of its own, side by side. Prints "done", or
 * what was not as on a real machine.
 */
#include <errno.h>
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

#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define PAGE 4096u
#define must(what)                                                         \
    do {                                                                   \
        if (!(what)) {                                                     \
            printf("line %d: %s: %s\n", __LINE__, #what, strerror(errno)); \
            exit(1);                                                       \
        }                                                                  \
    } while (0)

static int domid;
static int loses_pages;

static int pending(int fd)
{
    struct pollfd pfd = { fd, POLLIN, 0 };

    return poll(&pfd, 1, 0);
}

/* The library's handle, and its descriptor used as the device's. */
static void events(void)
{
    xenevtchn_handle *ev = xenevtchn_open(NULL, 0);
    int fd = xenevtchn_fd(ev), raw = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC), low, high, port;
    struct ioctl_evtchn_bind_unbound_port unbound = { .remote_domain = (unsigned)domid };
    struct ioctl_evtchn_bind_interdomain bind = { .remote_domain = (unsigned)domid };
    struct ioctl_evtchn_notify notify;
    struct ioctl_evtchn_unbind unbind;
    int status;

    must(ev && fd >= 0 && raw >= 0);
    low = ioctl(fd, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &unbound);
    must(low > 0);
    bind.remote_port = (unsigned)low;
    high = ioctl(raw, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind);
    must(high > 0);
    must(read(raw, &port, sizeof port) == sizeof port && port == high &&
         write(raw, &port, sizeof port) == sizeof port);
    /* Each to the other, by each of the three. */
    notify.port = (unsigned)high;
    must(!ioctl(raw, IOCTL_EVTCHN_NOTIFY, &notify));
    must(pending(fd) == 1 && xenevtchn_pending(ev) == low &&
         !xenevtchn_unmask(ev, (evtchn_port_t)low));
    notify.port = (unsigned)low;
    must(!ioctl(fd, IOCTL_EVTCHN_NOTIFY, &notify) && pending(raw) == 1);
    must(read(raw, &port, sizeof port) == sizeof port && port == high &&
         write(raw, &port, sizeof port) == sizeof port);
    must(!xenevtchn_notify(ev, (evtchn_port_t)low) && pending(raw) == 1);
    must(read(raw, &port, sizeof port) == sizeof port && port == high &&
         write(raw, &port, sizeof port) == sizeof port);
    notify.port = (unsigned)high;
    must(!ioctl(raw, IOCTL_EVTCHN_NOTIFY, &notify) && read(fd, &port, sizeof port) == sizeof port &&
         port == low);
    must(write(fd, &port, sizeof port) == sizeof port);
    /* Another file's port is none of this one's; what does not exist is as wrong as ever. */
    must(ioctl(fd, IOCTL_EVTCHN_NOTIFY, &notify) == -1 && errno == ENOTCONN);
    must(ioctl(fd, IOCTL_EVTCHN_NOTIFY, NULL) == -1 && errno == EFAULT);
    must(ioctl(fd, _IOC(0, 'E', 99, 4), &notify) == -1);
    must(!ioctl(fd, IOCTL_EVTCHN_RESET, NULL));
    /* A child has the parent's open device. */
    if (!fork()) {
        notify.port = (unsigned)low;
        _exit(ioctl(fd, IOCTL_EVTCHN_NOTIFY, &notify) ? errno : 0);
    }
    must(wait(&status) > 0 && !status && pending(raw) == 1);
    unbind.port = (unsigned)low;
    must(!ioctl(fd, IOCTL_EVTCHN_UNBIND, &unbind));
    must(xenevtchn_notify(ev, (evtchn_port_t)low) == -1 && errno == ENOTCONN);
    must(!xenevtchn_close(ev) && !close(raw));
}

static int end_map(int fd, uint64_t index)
{
    struct ioctl_gntdev_unmap_grant_ref unmap = { .index = index, .count = 1 };

    return ioctl(fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
}

/* Maps a page with plain calls on fd. */
static char *map_by(int fd, uint32_t ref, uint64_t *index)
{
    struct ioctl_gntdev_map_grant_ref map = { .count = 1, .refs[0] = { (uint32_t)domid, ref } };
    void *page;

    must(!ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, &map));
    *index = map.index;
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)map.index);
    must(page != MAP_FAILED);
    return page;
}

static void pages(void)
{
    xengntshr_handle *shr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnt = xengnttab_open(NULL, 0);
    int raw = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
    struct ioctl_gntalloc_alloc_gref alloc = { .domid = (uint16_t)domid,
                                               .flags = GNTALLOC_FLAG_WRITABLE, .count = 1 };
    char *shared, *views[3], *granted;
    uint32_t ref;
    uint64_t index[2];

    must(shr && gnt && raw >= 0);
    shared = xengntshr_share_pages(shr, (uint32_t)domid, 1, &ref, 1);
    must(shared);
    views[0] = xengnttab_map_grant_ref(gnt, (uint32_t)domid, ref, PROT_READ | PROT_WRITE);
    must(views[0]);
    views[1] = map_by(xengnttab_fd(gnt), ref, &index[0]);
    views[2] = map_by(raw, ref, &index[1]);
    for (int i = 0; i < 3; i++) {
        views[i][i] = (char)(i + 1);
        must(shared[i] == i + 1);
    }
    /* None grows into somebody else's page, however it was made. */
    for (int i = 0; i < 3; i++)
        must(mremap(views[i], PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
    must(mremap(shared, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
    /* Each end in the way of the other. */
    must(!xengnttab_unmap(gnt, views[1], 1));
    must(end_map(xengnttab_fd(gnt), index[0]) == -1 && errno == ENOENT);
    must(!munmap(views[2], PAGE) && !end_map(raw, index[1]));
    must(views[0][1] == 2 && !xengnttab_unmap(gnt, views[0], 1));
    must(!xengntshr_unshare(shr, shared, 1));
    /* A page that the library's descriptor granted. */
    must(!ioctl(xengntshr_fd(shr), IOCTL_GNTALLOC_ALLOC_GREF, &alloc));
    granted = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, xengntshr_fd(shr),
                   (off_t)alloc.index);
    must(granted != MAP_FAILED);
    views[0] = xengnttab_map_grant_ref(gnt, (uint32_t)domid, alloc.gref_ids[0],
                                       PROT_READ | PROT_WRITE);
    must(views[0]);
    granted[7] = 77;
    must(views[0][7] == 77 && !xengnttab_unmap(gnt, views[0], 1) && !munmap(granted, PAGE));
    must(!xengnttab_close(gnt) && !xengntshr_close(shr) && !close(raw));
}

/* The page's byte and the event of a mapping that ends, set on the library's descriptor with a
 * plain call. */
static void notification(void)
{
    xengntshr_handle *shr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnt = xengnttab_open(NULL, 0);
    xenevtchn_handle *ev = xenevtchn_open(NULL, 0);
    int low = xenevtchn_bind_unbound_port(ev, (uint32_t)domid),
        high = xenevtchn_bind_interdomain(ev, (uint32_t)domid, (evtchn_port_t)low);
    struct ioctl_gntdev_unmap_notify notify = { .action = UNMAP_NOTIFY_CLEAR_BYTE |
                                                UNMAP_NOTIFY_SEND_EVENT };
    char *shared, *view;
    uint32_t ref;
    uint64_t index;

    must(low > 0 && high > 0 && xenevtchn_pending(ev) == high &&
         !xenevtchn_unmask(ev, (evtchn_port_t)high));
    shared = xengntshr_share_pages(shr, (uint32_t)domid, 1, &ref, 1);
    must(shared);
    shared[9] = 1;
    view = map_by(xengnttab_fd(gnt), ref, &index);
    notify.index = index + 9;
    notify.event_channel_port = (unsigned)high;
    must(!ioctl(xengnttab_fd(gnt), IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &notify));
    must(!xengnttab_unmap(gnt, view, 1));
    /* An auto-translated domain has lost the page. */
    must(shared[9] == (loses_pages ? -1 : 0) && xenevtchn_pending(ev) == low);
    must(!xengntshr_unshare(shr, shared, 1) && !xengnttab_close(gnt) && !xengntshr_close(shr) &&
         !xenevtchn_close(ev));
}

int main(int argc, char **argv)
{
    domid = argc > 1 ? atoi(argv[1]) : 0;
    loses_pages = argc > 2 && !strcmp(argv[2], "pvh");
    events();
    pages();
    notification();
    puts("done");
    return 0;
}
