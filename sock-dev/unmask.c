/* SPDX-License-Identifier: MIT */
/* Unmasks the ports that programs unmasked without a message, before the next operation. */
#include "sock_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utlist.h>

#include "faults.h"
#include "saying.h"
#include "trace.h"

/* What an evtchn device shares with its programs. They may write anything there, at any time. */
struct sock_page {
    struct sock_events_page *shared;
    struct sock_file *file;
    int fd;
    struct sock_page *prev, *next;
};

static uint64_t bit_of(evtchn_port_t port)
{
    return UINT64_C(1) << port % 64;
}

/* ---- What programs did ----------------------------------------------------------------------- */

static void unmask(struct sock_page *page, evtchn_port_t port)
{
    __atomic_fetch_and(&page->shared->late[port / 64], ~bit_of(port), __ATOMIC_SEQ_CST);
    kernel_write(page->file->file, &port, sizeof port);
}

static void catch_up(struct sock_page *page)
{
    struct sock_events_page *shared = page->shared;

    if (!__atomic_load_n(&shared->any, __ATOMIC_SEQ_CST))
        return;
    __atomic_store_n(&shared->any, 0, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < SOCK_EVENTS_WORDS; i++) {
        uint64_t ports = __atomic_load_n(&shared->unmasked[i], __ATOMIC_SEQ_CST);

        if (ports)
            ports = __atomic_exchange_n(&shared->unmasked[i], 0, __ATOMIC_SEQ_CST);
        for (; ports; ports &= ports - 1)
            unmask(page, i * 64 + (unsigned)__builtin_ctzll(ports));
    }
}

void pages_catch_up(struct machine *m)
{
    for (struct sock_page *page = sock_of(m)->pages.first; page; page = page->next)
        catch_up(page);
}

/* ---- What programs must know ----------------------------------------------------------------- */

/* The kernel is in a hypercall, so what the program unmasked meanwhile waits until it is over. */
void pages_masked(struct machine *m, domid_t id, evtchn_port_t port)
{
    struct sock_server *server = sock_of(m);

    for (struct sock_page *page = server->pages.first; page; page = page->next) {
        if (page->file->domain->id != id || port / 64 >= SOCK_EVENTS_WORDS)
            continue;
        __atomic_fetch_or(&page->shared->late[port / 64], bit_of(port), __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&page->shared->unmasked[port / 64], __ATOMIC_SEQ_CST) & bit_of(port))
            server->pages.late = m->attention = true;
    }
}

void pages_attend(struct machine *m)
{
    struct sock_server *server = sock_of(m);

    if (!server->pages.late)
        return;
    server->pages.late = false;
    for (struct sock_page *page = server->pages.first; page; page = page->next) {
        /* The bit is there, but its program may not have set this yet. */
        __atomic_store_n(&page->shared->any, 1, __ATOMIC_SEQ_CST);
        catch_up(page);
    }
}

void pages_settle(struct machine *m)
{
    struct sock_server *server = sock_of(m);
    bool may = !server->stopping && !machine_is_observed(m);

    if (may == server->pages.may)
        return;
    server->pages.may = may;
    for (struct sock_page *page = server->pages.first; page; page = page->next) {
        __atomic_store_n(&page->shared->may, may, __ATOMIC_SEQ_CST);
        catch_up(page);
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* The file can neither shrink nor grow, so that no access of ours is a SIGBUS. */
static int page_create(struct sock_file *file)
{
    struct sock_page *page = calloc(1, sizeof *page);
    int rc = -ENOMEM;

    if (!page)
        return rc;
    page->file = file;
    page->shared = MAP_FAILED;
    page->fd = memfd_create("gntsim-events", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (page->fd < 0 || ftruncate(page->fd, SOCK_EVENTS_PAGE_SIZE) ||
        fcntl(page->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
        goto fail;
    page->shared = mmap(NULL, SOCK_EVENTS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, page->fd,
                        0);
    if (page->shared == MAP_FAILED)
        goto fail;
    page->shared->may = file->server->pages.may;
    DL_APPEND(file->server->pages.first, page);
    file->page = page;
    return 0;

fail:
    rc = -errno;
    if (page->fd >= 0)
        close(page->fd);
    free(page);
    return rc;
}

void page_free(struct sock_page *page)
{
    DL_DELETE(page->file->server->pages.first, page);
    munmap(page->shared, SOCK_EVENTS_PAGE_SIZE);
    close(page->fd);
    free(page);
}

int page_of(struct sock_file *file)
{
    int rc = file->page ? 0 : page_create(file), fd;

    if (rc)
        return rc;
    fd = fcntl(file->page->fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}
