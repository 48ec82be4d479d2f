/* SPDX-License-Identifier: MIT */
/*
 * Measures what a program waits that writes to a page which a pager has, beside a userfaultfd fault
 * that another process answers.
 *
 * paged writer ROUNDS: a program of an auto-translated domain. It prints the reference of its page,
 * then for each round, which a byte on descriptor 3 begins, "PAGED-NS NULL-NS". A byte to
 * descriptor 4 says that the round is over.
 *
 * paged null NULL-FILE ROUNDS: the fault of a null pager that makes as many null ioctls as a pager
 * makes calls, and of one that makes none. It prints "CALLS-NS NULL-NS" per round.
 *
 * paged pager DOMID GFN ROUNDS: pages it out, and in again when it is asked. Descriptors 3 and 4
 * are the other ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <xenctrl.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xen/hvm/params.h>
#include <xen/vm_event.h>

#include "measure.h"

#define PAGE     4096u
#define RING_GFN 0x4000u
#define HEARS    3
#define SAYS     4

static double write_to(volatile char *page)
{
    double begin = now_ns();

    *page = 1;
    return now_ns() - begin;
}

/* ---- A null pager ---------------------------------------------------------------------------- */

/* A pager polls, reads its event, unmasks its port, maps a buffer, loads, unmaps and notifies. */
#define PAGER_CALLS 7

struct null_pager {
    int file;                    /* of a null FUSE file system; -1: it makes no calls */
    int uffd;
    pid_t pid;
    char *page;
};

/* Each fault is answered by a page, as a pager's load is. */
static void serve_null(const struct null_pager *null)
{
    static char content[PAGE] __attribute__((aligned(PAGE)));
    struct uffd_msg msg;

    while (read(null->uffd, &msg, sizeof msg) == sizeof msg) {
        struct uffdio_copy copy = { .dst = (uintptr_t)null->page, .src = (uintptr_t)content,
                                    .len = PAGE };

        for (int i = 0; null->file >= 0 && i < PAGER_CALLS; i++)
            MUST(!ioctl(null->file, _IO('n', 0), 0));
        if (msg.event == UFFD_EVENT_PAGEFAULT)
            MUST(!ioctl(null->uffd, UFFDIO_COPY, &copy));
    }
    exit(0);
}

static double null_fault(const struct null_pager *null)
{
    MUST(!madvise(null->page, PAGE, MADV_DONTNEED));
    return write_to(null->page);
}

static void begin_null(struct null_pager *null, int file)
{
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register area = { .range.len = PAGE, .mode = UFFDIO_REGISTER_MODE_MISSING };

    null->file = file;
    null->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    null->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(null->uffd >= 0 && null->page != MAP_FAILED && !ioctl(null->uffd, UFFDIO_API, &api));
    area.range.start = (uintptr_t)null->page;
    MUST(!ioctl(null->uffd, UFFDIO_REGISTER, &area));
    null->pid = fork();
    MUST(null->pid >= 0);
    if (!null->pid)
        serve_null(null);
}

static void nulls(const char *path, unsigned rounds)
{
    struct null_pager calling, idle;
    double calls;

    begin_null(&calling, open(path, O_RDWR | O_CLOEXEC));
    MUST(calling.file >= 0);
    begin_null(&idle, -1);
    for (unsigned i = 0; i < rounds; i++) {
        calls = null_fault(&calling);
        printf("%.0f %.0f\n", calls, null_fault(&idle));
    }
    kill(calling.pid, SIGKILL);
    kill(idle.pid, SIGKILL);
}

/* ---- The program ----------------------------------------------------------------------------- */

static void writer(unsigned rounds)
{
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    struct null_pager null;
    double paged;
    uint32_t ref;
    char *page, byte;

    MUST(gntshr);
    begin_null(&null, -1);
    page = xengntshr_share_pages(gntshr, 0, 1, &ref, 1);
    MUST(page);
    *page = 1;
    printf("%u\n", ref);
    fflush(stdout);
    for (unsigned i = 0; i < rounds; i++) {
        MUST(read(HEARS, &byte, 1) == 1);
        paged = write_to(page);
        printf("%.0f %.0f\n", paged, null_fault(&null));
        MUST(write(SAYS, "x", 1) == 1);
    }
    fflush(stdout);
    MUST(!xengntshr_unshare(gntshr, page, 1));
    kill(null.pid, SIGKILL);
}

/* ---- The pager ------------------------------------------------------------------------------- */

struct pager {
    xc_interface *xc;
    xenevtchn_handle *evtchn;
    uint32_t domid;
    vm_event_back_ring_t ring;
    evtchn_port_t port;
};

static void begin_paging(struct pager *p)
{
    xenforeignmemory_handle *memory = xenforeignmemory_open(NULL, 0);
    xen_pfn_t gfn = RING_GFN;
    uint32_t port;
    int error = 0, local;
    void *page;

    MUST(memory && !xc_hvm_param_set(p->xc, p->domid, HVM_PARAM_PAGING_RING_PFN, gfn));
    MUST(!xc_domain_populate_physmap_exact(p->xc, p->domid, 1, 0, 0, &gfn));
    page = xenforeignmemory_map(memory, p->domid, PROT_READ | PROT_WRITE, 1, &gfn, &error);
    MUST(page && !error && !xc_mem_paging_enable(p->xc, p->domid, &port));
    SHARED_RING_INIT((vm_event_sring_t *)page);
    BACK_RING_INIT(&p->ring, (vm_event_sring_t *)page, PAGE);
    local = xenevtchn_bind_interdomain(p->evtchn, p->domid, port);
    MUST(local >= 0);
    p->port = (evtchn_port_t)local;
}

/* Loads the page for whoever asked, and lets it go on. */
static void serve(struct pager *p, void *content)
{
    vm_event_request_t request;
    int port = xenevtchn_pending(p->evtchn);

    MUST(port >= 0 && !xenevtchn_unmask(p->evtchn, (evtchn_port_t)port));
    while (RING_HAS_UNCONSUMED_REQUESTS(&p->ring)) {
        request = *RING_GET_REQUEST(&p->ring, p->ring.req_cons);
        p->ring.req_cons++;
        p->ring.sring->req_event = p->ring.req_cons + 1;
        MUST(!xc_mem_paging_load(p->xc, p->domid, request.u.mem_paging.gfn, content));
        *RING_GET_RESPONSE(&p->ring, p->ring.rsp_prod_pvt) = request;
        p->ring.rsp_prod_pvt++;
        RING_PUSH_RESPONSES(&p->ring);
        MUST(!xenevtchn_notify(p->evtchn, p->port));
    }
}

static void pager(uint32_t domid, uint64_t gfn, unsigned rounds)
{
    struct pager p = { .xc = xc_interface_open(NULL, NULL, 0),
                       .evtchn = xenevtchn_open(NULL, 0),
                       .domid = domid };
    static char content[PAGE] __attribute__((aligned(PAGE)));
    struct pollfd fds[2];
    char byte;

    MUST(p.xc && p.evtchn);
    begin_paging(&p);
    fds[0] = (struct pollfd){ .fd = HEARS, .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = xenevtchn_fd(p.evtchn), .events = POLLIN };
    for (unsigned i = 0; i < rounds; i++) {
        MUST(!xc_mem_paging_nominate(p.xc, domid, gfn) && !xc_mem_paging_evict(p.xc, domid, gfn));
        MUST(write(SAYS, "x", 1) == 1);
        do {
            MUST(poll(fds, 2, -1) > 0);
            if (fds[1].revents)
                serve(&p, content);
        } while (!fds[0].revents);
        MUST(read(HEARS, &byte, 1) == 1);
    }
    MUST(!xc_mem_paging_disable(p.xc, domid));
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "writer"))
        writer((unsigned)atoi(argv[2]));
    else if (argc == 4 && !strcmp(argv[1], "null"))
        nulls(argv[2], (unsigned)atoi(argv[3]));
    else if (argc == 5 && !strcmp(argv[1], "pager"))
        pager((uint32_t)atoi(argv[2]), strtoull(argv[3], NULL, 0), (unsigned)atoi(argv[4]));
    else
        return 2;
    return 0;
}
