# SPDX-License-Identifier: MIT
"""Small programs, each wrong in one way, or right though it looks wrong. Threads, children, library
calls and C++ do what the pages of docs/checks do plainly."""
from typing import NamedTuple

HEAD = """
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __cplusplus
extern "C" {
#endif
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>
#ifdef __cplusplus
}
#else
#include <xen/sys/gntdev.h>
#endif

static xengntshr_handle *shr;
static xengnttab_handle *tab;
static char *mine, *theirs;
static uint32_t refs[4], nr;

/* Shares so many pages, and opens what maps them. */
static void begin(uint32_t pages)
{
    nr = pages;
    shr = xengntshr_open(NULL, 0);
    tab = xengnttab_open(NULL, 0);
    mine = (char *)xengntshr_share_pages(shr, 0, (int)pages, refs, 1);
}

static void end(void)
{
    xengntshr_unshare(shr, mine, nr);
    xengnttab_close(tab);
    xengntshr_close(shr);
}

static char *map(int prot)
{
    return (char *)xengnttab_map_domain_grant_refs(tab, nr, 0, refs, prot); /* mapped */
}

static void in_thread(void *(*fn)(void *))
{
    pthread_t thread;
    pthread_create(&thread, NULL, fn, NULL);
    pthread_join(thread, NULL);
}
"""


class Case(NamedTuple):
    """A program's name, its text behind HEAD, and the kind that is reported ("": none)."""
    name: str
    kind: str
    text: str
    status: int = 0         # of a right program; a wrong one's follows from its kind
    ways: tuple = ("device", "socket")
    cxx: bool = False
    head: str = HEAD


DEVICE = ("device",)
CASES = [
    # ---- use-after-unmap
    Case("another thread writes after the unmap", "use-after-unmap", """
static void *use(void *arg) { theirs[0] = 'x'; return arg; } /* reported */
int main(void) { begin(1); theirs = map(3); xengnttab_unmap(tab, theirs, 1); in_thread(use); }
"""),
    Case("memcpy reads after the unmap", "use-after-unmap", """
int main(void)
{
    char room[64];
    begin(1); theirs = map(1); xengnttab_unmap(tab, theirs, 1);
    memcpy(room, theirs + 8, nr * sizeof room); /* reported */
    return room[0];
}
"""),
    Case("a page is read after munmap took it away", "use-after-unmap", """
int main(void) { begin(1); theirs = map(1); munmap(theirs, 4096); return theirs[9]; } /* reported */
"""),
    Case("a page is read after it was unshared", "use-after-unmap", """
int main(void)
{
    begin(1);
    xengntshr_unshare(shr, mine, 1);
    return mine[0]; /* reported */
}
"""),
    Case("the last of four pages is read after the unmap", "use-after-unmap", """
int main(void)
{
    begin(4); theirs = map(1);
    xengnttab_unmap(tab, theirs, 4);
    return theirs[3 * 4096 + 7]; /* reported */
}
"""),
    Case("a child uses what it has unmapped", "use-after-unmap", """
int main(void)
{
    int status;
    begin(1);
    if (!fork()) {
        theirs = map(1); xengnttab_unmap(tab, theirs, 1);
        _exit(theirs[0]); /* reported */
    }
    wait(&status); end();
    kill(getpid(), WTERMSIG(status));
}
"""),
    Case("an object is used after its destructor unmapped it", "use-after-unmap", """
struct mapping {
    char *page;
    mapping() : page(map(1)) {}
    ~mapping() { xengnttab_unmap(tab, page, 1); }
};
int main()
{
    char *page;
    begin(1);
    { mapping one; page = one.page; }
    return page[0]; /* reported */
}
""", cxx=True),
    Case("a page is mapped again after the unmap and used", "", """
int main(void)
{
    begin(1); theirs = map(1); xengnttab_unmap(tab, theirs, 1);
    theirs = map(1); putchar(theirs[0]); xengnttab_unmap(tab, theirs, 1);
    end();
    return 0;
}
"""),
    Case("a handler of its own survives the access", "", """
static sigjmp_buf back;
static void handle(int number) { siglongjmp(back, number); }
int main(void)
{
    signal(SIGSEGV, handle);
    begin(1); theirs = map(1); xengnttab_unmap(tab, theirs, 1);
    if (!sigsetjmp(back, 1)) putchar(theirs[0]);
    end();
    return 0;
}
"""),
    Case("write of an unmapped page fails and is looked at", "", """
int main(void)
{
    begin(1); theirs = map(1); xengnttab_unmap(tab, theirs, 1);
    if (write(1, theirs, 8) >= 0 || errno != EFAULT) return 1;
    end();
    return 0;
}
"""),
    # ---- readonly-write
    Case("memset writes a page that is mapped read-only", "readonly-write", """
int main(void)
{
    begin(2); theirs = map(PROT_READ);
    memset(theirs + 4096, 0, 64); /* reported */
    xengnttab_unmap(tab, theirs, 2); end();
}
"""),
    Case("a thread writes a page that is mapped read-only", "readonly-write", """
static void *use(void *arg) { theirs[5] = 1; return arg; } /* reported */
int main(void) { begin(1); theirs = map(1); in_thread(use); end(); }
"""),
    Case("an assignment in C++ writes a page that is mapped read-only", "readonly-write", """
struct ring { uint32_t produced, consumed; };
int main()
{
    begin(1);
    ring *own = (ring *)map(PROT_READ);
    own->consumed++; /* reported */
    xengnttab_unmap(tab, own, 1); end();
}
""", cxx=True),
    Case("the granter writes a page that it granted read-only", "", """
int main(void)
{
    begin(1); xengntshr_unshare(shr, mine, 1);
    mine = xengntshr_share_pages(shr, 0, 1, refs, 0);
    theirs = map(1); mine[0] = 'x'; putchar(theirs[0]);
    xengnttab_unmap(tab, theirs, 1); end();
    return 0;
}
"""),
    # ---- crash-explained
    Case("a loop runs over the end of a mapping", "crash-explained", """
int main(void)
{
    int sum = 0;
    begin(1); theirs = map(1);
    for (int i = 0; i <= 8192; i++) sum += theirs[i]; /* reported */
    return sum;
}
"""),
    Case("more pages than the limit are shared and used", "crash-explained", """
int main(void)
{
    static uint32_t many[5000];
    begin(1);
    mine = xengntshr_share_pages(shr, 0, 5000, many, 1); /* reported */
    mine[0] = 'x'; /* reported */
}
"""),
    Case("MAP_FAILED is used", "crash-explained", """
int main(void)
{
    int fd = open("/dev/xen/gntdev", O_RDWR);
    theirs = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 1 << 20);
    return *(char *)(theirs + 0x10); /* reported */
}
""", ways=DEVICE),
    Case("NULL is used, and no call had failed", "", """
int main(void)
{
    begin(1); theirs = map(1); xengnttab_unmap(tab, theirs, 1); end();
    *(volatile int *)(uintptr_t)nr = 1;
}
""", status=139),
    Case("NULL is used long after a call that failed", "", """
int main(void)
{
    begin(1); refs[0] += 900;
    if (map(1)) return 1;
    refs[0] -= 900; theirs = map(1);
    *(volatile int *)(uintptr_t)nr = 1;
}
""", status=139),
    Case("somebody sends SIGSEGV", "", """
int main(void) { begin(1); theirs = map(1); kill(getpid(), SIGSEGV); return 0; }
""", status=139),
    Case("the stack overflows", "", """
__attribute__((noinline)) static int deep(volatile int n)
{
    volatile char room[4096];
    room[0] = (char)n;
    return n ? deep(n + 1) + room[0] : 0;
}
int main(void) { begin(1); theirs = map(1); return deep(1); }
""", status=139),
    # ---- double-unmap, bad-unmap
    Case("two threads unmap one mapping", "double-unmap", """
static void *unmap(void *arg) { xengnttab_unmap(tab, theirs, 1); return arg; } /* reported */
int main(void) { begin(1); theirs = map(1); in_thread(unmap); in_thread(unmap); end(); return 0; }
"""),
    Case("a port is unbound twice", "double-unmap", """
int main(void)
{
    xenevtchn_handle *events = xenevtchn_open(NULL, 0);
    int port = xenevtchn_bind_unbound_port(events, 0);
    xenevtchn_unbind(events, port);
    xenevtchn_unbind(events, port); /* reported */
    xenevtchn_close(events);
    return 0;
}
"""),
    Case("a destructor unmaps a copy once more", "double-unmap", """
struct mapping {
    char *page;
    mapping() : page(map(1)) {}
    ~mapping() { xengnttab_unmap(tab, page, 1); } /* reported */
};
int main() { begin(1); { mapping one; mapping two(one); } end(); return 0; }
""", cxx=True),
    Case("an address is unmapped that malloc gave", "bad-unmap", """
int main(void)
{
    begin(1); theirs = map(1);
    xengnttab_unmap(tab, aligned_alloc(4096, 4096), 1); /* reported */
    xengnttab_unmap(tab, theirs, 1); end();
    return 0;
}
"""),
    Case("one address is mapped and unmapped again and again", "", """
int main(void)
{
    begin(2);
    for (int i = 0; i < 5; i++) { theirs = map(1); xengnttab_unmap(tab, theirs, 2); }
    end();
    return 0;
}
"""),
    # ---- leaks
    Case("C++ forgets what new and an exception left", "slot-leak", """
static void serve(int request)
{
    theirs = map(1);
    if (request == 1) throw request;
    xengnttab_unmap(tab, theirs, 1);
}
int main()
{
    begin(1);
    for (int request = 0; request < 3; request++)
        try { serve(request); } catch (int) { puts("refused"); }
    xengntshr_unshare(shr, mine, 1);
    return 0;
}
""", cxx=True),
    Case("a child shares and forgets", "share-leak", """
int main(void)
{
    if (!fork()) { begin(1); exit(0); }
    wait(NULL);
    return 0;
}
"""),
    Case("a thread shares and forgets", "share-leak", """
static void *share(void *arg) { begin(1); return arg; }
int main(void) { in_thread(share); return 0; }
"""),
    Case("pages are unshared after the handle was closed", "", """
int main(void)
{
    begin(1);
    xengntshr_close(shr); xengntshr_unshare(shr, mine, 1); xengnttab_close(tab);
    return 0;
}
"""),
    Case("threads bind ports and forget them", "port-leak", """
static xenevtchn_handle *events;
static void *bind_port(void *arg)
{
    xenevtchn_bind_unbound_port(events, 0); /* reported */
    return arg;
}
int main(void)
{
    events = xenevtchn_open(NULL, 0);
    for (int i = 0; i < 3; i++) in_thread(bind_port);
    return 0;
}
"""),
    Case("one port is kept for life", "", """
int main(void)
{
    xenevtchn_handle *events = xenevtchn_open(NULL, 0);
    return xenevtchn_bind_unbound_port(events, 0) < 0;
}
"""),
    Case("an index whose mmap failed is mapped later", "", """
int main(void)
{
    int fd = open("/dev/xen/gntdev", O_RDWR);
    struct ioctl_gntdev_map_grant_ref op = { .count = 1 };
    struct ioctl_gntdev_unmap_grant_ref back = { .count = 1 };
    begin(1);
    op.refs[0].ref = refs[0];
    if (ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, &op)) return 1;
    if (mmap(NULL, 8192, 1, MAP_SHARED, fd, (off_t)op.index) != MAP_FAILED) return 1;
    theirs = mmap(NULL, 4096, 1, MAP_SHARED, fd, (off_t)op.index);
    munmap(theirs, 4096);
    back.index = op.index;
    ioctl(fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &back);
    end();
    return 0;
}
""", ways=DEVICE),
    # ---- late-unmap
    Case("two pages are unmapped late", "late-unmap", """
int main(void)
{
    uint32_t ring_ref;
    void *ring;
    begin(2);
    ring = xengntshr_share_pages(shr, 0, 1, &ring_ref, 1);
    theirs = map(1);
    xengntshr_unshare(shr, mine, 2);
    xengnttab_unmap(tab, theirs, 2);
    xengntshr_unshare(shr, ring, 1);
    return 0;
}
"""),
    Case("the last page, a ring, ends before its mapping", "", """
int main(void)
{
    begin(1); theirs = map(3);
    xengntshr_unshare(shr, mine, 1);
    xengnttab_unmap(tab, theirs, 1);
    return 0;
}
"""),
    # ---- stale-reference
    Case("a program that shares anew maps the number that it read before", "", """
int main(void)
{
    struct xs_handle *store = xs_open(0);
    char text[12];
    begin(1);
    snprintf(text, sizeof text, "%u", refs[0]);
    xs_write(store, XBT_NULL, "/local/domain/0/data/ref", text, strlen(text));
    free(xs_read(store, XBT_NULL, "/local/domain/0/data/ref", NULL));
    xengntshr_unshare(shr, mine, 1);
    mine = xengntshr_share_pages(shr, 0, 1, refs, 1);
    theirs = map(1);
    xengnttab_unmap(tab, theirs, 1); end(); xs_close(store);
    return 0;
}
"""),
]
