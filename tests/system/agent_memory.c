/* SPDX-License-Identifier: MIT */
/* Commands that touch and move memory, and those that use the devices without a library. */
#include "agent_i.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Memory ---------------------------------------------------------------------------------- */

static sigjmp_buf fault_return;
static volatile sig_atomic_t fault_expected;

static void on_fault(int sig)
{
    if (!fault_expected) {
        signal(sig, SIG_DFL);
        return;
    }
    siglongjmp(fault_return, sig);
}

void agent_survives_faults(void)
{
    struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

void do_peek_poke(struct agent *a)
{
    volatile unsigned char *p = (unsigned char *)region(a, 1)->addr + number(a, 2);
    volatile int value = 0;
    int sig;

    fault_expected = 1;
    sig = sigsetjmp(fault_return, 1);
    if (!sig) {
        if (!strcmp(a->words[0], "poke"))
            *p = number(a, 3);
        value = *p;
    }
    fault_expected = 0;
    if (sig)
        reply(a, "err SIG%s", sigabbrev_np(sig));
    else
        reply(a, "ok %d", value);
}

void do_munmap(struct agent *a)
{
    struct region *r = region(a, 1);
    unsigned long first = number(a, 2), nr = a->nr_words > 3 ? number(a, 3) : r->nr_pages;

    ok_or_errno(a, munmap(r->addr + first * PAGE, nr * PAGE));
}

void do_mprotect(struct agent *a)
{
    struct region *r = region(a, 1);

    ok_or_errno(a, mprotect(r->addr, r->nr_pages * PAGE, prot_of(word(a, 2))));
}

/* mremap R PAGES: grows, shrinks or (same size) moves the region. */
void do_mremap(struct agent *a)
{
    struct region *r = region(a, 1);
    unsigned long nr = number(a, 2);
    int flags = MREMAP_MAYMOVE;
    void *to = NULL, *p;

    if (nr == r->nr_pages) {
        to = mmap(NULL, nr * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        flags |= MREMAP_FIXED;
    }
    p = mremap(r->addr, r->nr_pages * PAGE, nr * PAGE, flags, to);
    if (p == MAP_FAILED) {
        ok_or_errno(a, -1);
        return;
    }
    *r = (struct region){ p, nr };
    ok_or_errno(a, 0);
}

void do_addr(struct agent *a)
{
    reply(a, "ok %#lx", (unsigned long)region(a, 1)->addr);
}

/* anon PAGES: ordinary memory of the process, as a region. file PATH PAGES: of a file, shared. */
void do_anon(struct agent *a)
{
    reply_region(a, mmap(NULL, number(a, 1) * PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), number(a, 1),
                 NULL, 0);
}

void do_file(struct agent *a)
{
    int fd = open(word(a, 1), O_RDWR | O_CLOEXEC);
    void *p = MAP_FAILED;

    if (fd >= 0) {
        p = mmap(NULL, number(a, 2) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    reply_region(a, p, number(a, 2), NULL, 0);
}

/* ---- The devices themselves ------------------------------------------------------------------ */

void do_open(struct agent *a)
{
    char path[256];
    const char *mode = word(a, 2);
    int flags = !strcmp(mode, "r") ? O_RDONLY : !strcmp(mode, "w") ? O_WRONLY : O_RDWR;

    snprintf(path, sizeof path, "/dev/xen/%s", word(a, 1));
    ok_or_errno(a, open(path, flags | O_CLOEXEC | (!strcmp(mode, "nb") ? O_NONBLOCK : 0)));
}

/* ioctl FD CMD HEX: with the bytes as argument; the answer ends with the bytes as they are
 * afterwards. */
void do_ioctl(struct agent *a)
{
    const char *hex = a->nr_words > 3 ? a->words[3] : "";
    size_t size = strlen(hex) / 2;
    unsigned char *bytes = malloc(size + 1);
    int rc;

    for (size_t i = 0; i < size; i++)
        if (sscanf(hex + 2 * i, "%2hhx", &bytes[i]) != 1)
            exit(9);
    rc = ioctl(number(a, 1), number(a, 2), bytes);
    if (rc < 0) {
        ok_or_errno(a, rc);
    } else {
        fprintf(a->out, "ok %d ", rc);
        for (size_t i = 0; i < size; i++)
            fprintf(a->out, "%02x", bytes[i]);
        reply(a, "");
    }
    free(bytes);
}

/* ioctl-at FD CMD ADDRESS: with an address of the test's choice. */
void do_ioctl_at(struct agent *a)
{
    ok_or_errno(a, ioctl(number(a, 1), number(a, 2), (void *)number(a, 3)));
}

/* mmap FD OFFSET PAGES PROT shared|private|fixed: fixed is shared, and over memory of the
 * process. */
void do_mmap(struct agent *a)
{
    unsigned long size = number(a, 3) * PAGE;
    int flags = !strcmp(word(a, 5), "private") ? MAP_PRIVATE : MAP_SHARED;
    void *p = NULL;

    if (!strcmp(word(a, 5), "fixed")) {
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        flags |= MAP_FIXED;
    }
    p = mmap(p, size, prot_of(word(a, 4)), flags, number(a, 1), number(a, 2));
    reply_region(a, p, number(a, 3), NULL, 0);
}

void do_read_write(struct agent *a)
{
    char buf[64] = "";
    size_t size = number(a, 2) % (sizeof buf + 1);

    ok_or_errno(a, a->words[0][0] == 'r' ? read(number(a, 1), buf, size)
                                         : write(number(a, 1), buf, size));
}
