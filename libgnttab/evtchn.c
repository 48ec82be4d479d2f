/* SPDX-License-Identifier: MIT */
/* libxenevtchn's functions. None of them logs. */
#include "evtchn_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <xen/sys/evtchn.h>

#include "container_of.h"

/* ---- Life of a handle ------------------------------------------------------------------------ */

static int restrict_handle(Xentoolcore__Active_Handle *active_handle, domid_t domid)
{
    struct xenevtchn_handle *h = container_of(active_handle, struct xenevtchn_handle,
                                              active_handle);

    return h->fd < 0 ? 0 : xenevtchn_restrict(h, domid);
}

static struct xenevtchn_handle *new_handle(xentoollog_logger *logger,
                                           const struct evtchn_backend *backend)
{
    struct xenevtchn_handle *h = malloc(sizeof *h);

    if (!h)
        return NULL;
    *h = (struct xenevtchn_handle) { .backend = backend, .fd = -1, .logger = logger,
                                     .active_handle.restrict_callback = restrict_handle };
    /* Before the device is open: a restrict_all() of another thread must not miss it. */
    xentoolcore__register_active_handle(&h->active_handle);
    if (!h->logger) {
        h->logger_tofree =
            (xentoollog_logger *)xtl_createlogger_stdiostream(stderr, XTL_PROGRESS, 0);
        h->logger = h->logger_tofree;
        if (!h->logger) {
            xenevtchn_close(h);
            return NULL;
        }
    }
    return h;
}

/* By the domain's socket if there is one in sight. */
static int open_device(struct xenevtchn_handle *h, int flags)
{
    int rc = SOCK_UNREACHABLE;

    h->backend = &evtchn_socket;
    if (sock_client_path())
        rc = h->backend->open(h, flags);
    if (rc != SOCK_UNREACHABLE)
        return rc;
    h->backend = &evtchn_devfile;
    return h->backend->open(h, flags);
}

/* NULL with errno, and nothing left open, if rc is not 0. */
static struct xenevtchn_handle *opened(struct xenevtchn_handle *h, int rc)
{
    int saved_errno = errno;

    if (!rc)
        return h;
    xenevtchn_close(h);
    errno = saved_errno;
    return NULL;
}

xenevtchn_handle *xenevtchn_open(xentoollog_logger *logger, unsigned int flags)
{
    struct xenevtchn_handle *h;

    if (flags & ~(unsigned)XENEVTCHN_NO_CLOEXEC) {
        errno = EINVAL;
        return NULL;
    }
    h = new_handle(logger, &evtchn_devfile);
    if (!h)
        return NULL;
    return opened(h, open_device(h, O_RDWR | (flags & XENEVTCHN_NO_CLOEXEC ? 0 : O_CLOEXEC)));
}

xenevtchn_handle *xenevtchn_fdopen(xentoollog_logger *logger, int fd, unsigned int flags)
{
    struct xenevtchn_handle *h;
    struct stat st;

    if (flags) {
        errno = EINVAL;
        return NULL;
    }
    /* The real library does not check it; an event socket cannot be taken for anything else. */
    h = new_handle(logger,
                   !fstat(fd, &st) && S_ISSOCK(st.st_mode) ? &evtchn_socket : &evtchn_devfile);
    return h ? opened(h, h->backend->fdopen(h, fd)) : NULL;
}

int xenevtchn_close(xenevtchn_handle *h)
{
    int rc = 0;

    if (!h)
        return 0;
    xentoolcore__deregister_active_handle(&h->active_handle);
    if (h->fd >= 0)
        rc = h->backend->close(h);
    xtl_logger_destroy(h->logger_tofree);
    free(h);
    return rc;
}

int xenevtchn_fd(xenevtchn_handle *h)
{
    return h->fd;
}

/* ---- Ports ----------------------------------------------------------------------------------- */

int xenevtchn_notify(xenevtchn_handle *h, evtchn_port_t port)
{
    struct ioctl_evtchn_notify notify = { .port = port };

    return h->backend->ioctl(h, IOCTL_EVTCHN_NOTIFY, &notify, sizeof notify);
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *h, uint32_t domid)
{
    struct ioctl_evtchn_bind_unbound_port bind = { .remote_domain = domid };

    return h->backend->ioctl(h, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind, sizeof bind);
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *h, uint32_t domid,
                                                     evtchn_port_t remote_port)
{
    struct ioctl_evtchn_bind_interdomain bind = { .remote_domain = domid,
                                                  .remote_port = remote_port };

    return h->backend->ioctl(h, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind, sizeof bind);
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *h, unsigned int virq)
{
    struct ioctl_evtchn_bind_virq bind = { .virq = virq };

    return h->backend->ioctl(h, IOCTL_EVTCHN_BIND_VIRQ, &bind, sizeof bind);
}

int xenevtchn_unbind(xenevtchn_handle *h, evtchn_port_t port)
{
    struct ioctl_evtchn_unbind unbind = { .port = port };

    return h->backend->ioctl(h, IOCTL_EVTCHN_UNBIND, &unbind, sizeof unbind);
}

int xenevtchn_restrict(xenevtchn_handle *h, domid_t domid)
{
    struct ioctl_evtchn_restrict_domid restrict_domid = { .domid = domid };

    return h->backend->ioctl(h, IOCTL_EVTCHN_RESTRICT_DOMID, &restrict_domid,
                             sizeof restrict_domid);
}

/* ---- Events ---------------------------------------------------------------------------------- */

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *h)
{
    evtchn_port_t port;

    return h->backend->read(h, &port) == sizeof port ? (xenevtchn_port_or_error_t)port : -1;
}

int xenevtchn_unmask(xenevtchn_handle *h, evtchn_port_t port)
{
    return h->backend->write(h, &port) == sizeof port ? 0 : -1;
}
