/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a real xenstored: the part of Xen that it needs. Domains, ring pages and event
 * channels are those of the shared file (world.h).
 */
/* With it open() would have the name open64 here. */
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#include "world.h"

/* What the real libraries keep behind their handles is this program's environment. */
static int number(unsigned which)
{
    const char *text = getenv(WORLD_VARIABLE);
    int numbers[2] = { -1, -1 };

    if (!text || sscanf(text, "%d,%d", &numbers[0], &numbers[1]) != 2)
        abort();
    return numbers[which];
}

static int memory_fd(void)
{
    return number(0);
}

static int events_fd(void)
{
    return number(1);
}

static uint32_t state_of(uint32_t domid)
{
    uint32_t state = WORLD_GONE;

    if (domid < WORLD_DOMAINS &&
        pread(memory_fd(), &state, sizeof state,
              (off_t)(offsetof(struct world, states) + domid * sizeof state)) != sizeof state)
        abort();
    return state;
}

/* ---- libxenctrl ------------------------------------------------------------------------------ */

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild,
                                unsigned flags)
{
    (void)logger;
    (void)dombuild;
    (void)flags;
    return malloc(1);
}

int xc_interface_close(xc_interface *xch)
{
    free(xch);
    return 0;
}

int xc_domain_getinfo(xc_interface *xch, uint32_t first, unsigned max, xc_dominfo_t *info)
{
    (void)xch;
    while (first < WORLD_DOMAINS && state_of(first) == WORLD_GONE)
        first++;
    if (!max || first >= WORLD_DOMAINS) {
        errno = ESRCH;
        return -1;
    }
    memset(info, 0, sizeof *info);
    info->domid = first;
    info->shutdown = state_of(first) == WORLD_SHUT;
    return 1;
}

/* ---- libxenevtchn ---------------------------------------------------------------------------- */

xenevtchn_handle *xenevtchn_open(xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return malloc(1);
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
    (void)xce;
    return events_fd();
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned virq)
{
    (void)xce;
    (void)virq;
    return WORLD_VIRQ_PORT;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
                                                     evtchn_port_t port)
{
    (void)xce;
    if (state_of(domid) != WORLD_GONE && port < WORLD_PORTS)
        return (int)(WORLD_VIRQ_PORT + 1 + domid);
    errno = EINVAL;
    return -1;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
    (void)xce;
    (void)port;
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
    uint32_t port;

    (void)xce;
    return recv(events_fd(), &port, sizeof port, MSG_DONTWAIT) == sizeof port ? (int)port : -1;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
    (void)xce;
    (void)port;
    return 0;
}

/* The other side looks at the pages itself. */
int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
    (void)xce;
    (void)port;
    return 0;
}

/* ---- libxengnttab, and domain 0's kernel ----------------------------------------------------- */

xengnttab_handle *xengnttab_open(xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return malloc(1);
}

int xengnttab_close(xengnttab_handle *xgt)
{
    free(xgt);
    return 0;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t count)
{
    (void)xgt;
    (void)count;
    return 0;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
    void *page;

    (void)xgt;
    if (state_of(domid) == WORLD_GONE || ref != 1) {
        errno = EINVAL;
        return NULL;
    }
    page = mmap(NULL, WORLD_PAGE, prot, MAP_SHARED, memory_fd(), (off_t)(domid * WORLD_PAGE));
    return page == MAP_FAILED ? NULL : page;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start, uint32_t count)
{
    (void)xgt;
    return munmap(start, count * WORLD_PAGE);
}

/* ---- libc ------------------------------------------------------------------------------------ */

/*
 * The daemon takes a domain's requests more slowly when it writes much while transactions are open.
 * Here a moment is long enough for all of them.
 */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    static struct timespec past;    /* the daemon has one thread */

    (void)clock;
    past.tv_nsec += 50000000;
    past.tv_sec += past.tv_nsec / 1000000000;
    past.tv_nsec %= 1000000000;
    *now = past;
    return 0;
}

/* The daemon's two files in /proc/xen; all others are the host's. */
int open(const char *path, int flags, ...)
{
    unsigned mode = 0600;           /* as the daemon opens what it makes */
    int fd;

    if (!strcmp(path, "/proc/xen/xsd_kva"))
        return dup(memory_fd());
    if (strcmp(path, "/proc/xen/xsd_port"))
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    fd = memfd_create("xsd_port", 0);
    if (fd >= 0 && pwrite(fd, "2", 1, 0) != 1)
        abort();
    return fd;
}
