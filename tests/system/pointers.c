/* SPDX-License-Identifier: MIT */
/*
 * pointers DOMID PROFILE sweep       every ioctl of every device with every kind of invalid
 * argument, and with every pointer in its argument invalid: prints what did not get the errno that
 * it should, then "calls N" pointers DOMID PROFILE flip ROUNDS the same ioctls with arguments that
 * another thread rewrites all the time; any answer will do
 *
 * A process of domain DOMID, which grants to itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>
#include <xen/sys/privcmd.h>

#include "must.h"

#define PAGE 4096ul

enum { WRITES = 1, IGNORES_ARG = 2, PV_ONLY = 4, NEEDS_RIGHTS = 8, COPY = 16 };

/* An ioctl with an argument that would do something, in words of 8 bytes; P: a pointer to further
 * memory. */
struct command {
    const char *device;
    const char *name;
    unsigned cmd;
    unsigned flags;
    size_t size;                    /* of all of the argument */
    int pointer[2];                 /* words that are pointers, -1: none */
    uint64_t words[8];
};
#define C(device, name, ...) { device, #name, name, __VA_ARGS__ }

static const struct command commands[] = {
    C("gntdev", IOCTL_GNTDEV_MAP_GRANT_REF, WRITES, 32, { -1, -1 },
      { 2, 0, 1ull | 8ull << 32, 1ull | 9ull << 32 }),
    C("gntdev", IOCTL_GNTDEV_UNMAP_GRANT_REF, 0, 16, { -1, -1 }, { 0, 1 }),
    C("gntdev", IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, 0, 24, { -1, -1 }, { 0, 0, 0 }),
    C("gntdev", IOCTL_GNTDEV_SET_UNMAP_NOTIFY, 0, 16, { -1, -1 }, { 0, 1 }),
    C("gntdev", IOCTL_GNTDEV_GRANT_COPY, COPY, 16, { 1, -1 }, { 1, 0 }),
    C("gntalloc", IOCTL_GNTALLOC_ALLOC_GREF, WRITES, 24, { -1, -1 },
      { 1ull | 1ull << 16 | 2ull << 32, 0, 0 }),
    C("gntalloc", IOCTL_GNTALLOC_DEALLOC_GREF, 0, 16, { -1, -1 }, { 1 << 20, 1 }),
    C("gntalloc", IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, 0, 16, { -1, -1 }, { 1 << 20, 1 }),
    C("evtchn", IOCTL_EVTCHN_BIND_VIRQ, 0, 4, { -1, -1 }, { 77 }),
    C("evtchn", IOCTL_EVTCHN_BIND_INTERDOMAIN, 0, 8, { -1, -1 }, { 1ull | 99ull << 32 }),
    C("evtchn", IOCTL_EVTCHN_BIND_UNBOUND_PORT, 0, 4, { -1, -1 }, { 1 }),
    C("evtchn", IOCTL_EVTCHN_UNBIND, 0, 4, { -1, -1 }, { 99 }),
    C("evtchn", IOCTL_EVTCHN_NOTIFY, 0, 4, { -1, -1 }, { 99 }),
    C("evtchn", IOCTL_EVTCHN_RESET, IGNORES_ARG, 0, { -1, -1 }, { 0 }),
    C("evtchn", IOCTL_EVTCHN_RESTRICT_DOMID, 0, 2, { -1, -1 }, { 0x7ff5 }),
    C("privcmd", IOCTL_PRIVCMD_HYPERCALL, NEEDS_RIGHTS, 48, { 2, -1 },
      { __HYPERVISOR_grant_table_op, GNTTABOP_query_size, 0, 1, 0, 0 }),
    C("privcmd", IOCTL_PRIVCMD_MMAP, PV_ONLY, 16, { 1, -1 }, { 1ull | 0x7fffull << 32, 0 }),
    C("privcmd", IOCTL_PRIVCMD_MMAPBATCH, 0, 24, { 2, -1 }, { 1ull | 0x7fffull << 32, 0x10000, 0 }),
    C("privcmd", IOCTL_PRIVCMD_MMAPBATCH_V2, 0, 32, { 2, 3 },
      { 1ull | 0x7fffull << 32, 0x10000, 0, 0 }),
    C("privcmd", IOCTL_PRIVCMD_DM_OP, 0, 16, { 1, -1 }, { 0x7fffull | 1ull << 16, 0 }),
    C("privcmd", IOCTL_PRIVCMD_RESTRICT, 0, 2, { -1, -1 }, { 0x7fff }),
    C("privcmd", IOCTL_PRIVCMD_MMAP_RESOURCE, 0, 32, { -1, -1 },
      { 0x7fffull | 1ull << 32, 0, 1, 0x10000 }),
};
#define NR_COMMANDS (sizeof commands / sizeof *commands)

static unsigned domid;
static const char *profile;
static unsigned long calls;

/*
 * Pages one after the other: writable, then read-only, writable, unmapped, writable, PROT_NONE, two
 * writable. The last one is PROT_NONE, too: a count that is too large would have the device write
 * over what else lies there.
 */
static char *memory;
enum { RW = 0, RO = 1, BEFORE_HOLE = 2, HOLE = 3, BEFORE_NONE = 4, NONE = 5, MORE = 6, END = 8,
       NR_PAGES = 9 };

static void map_memory(void)
{
    memory = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                  0);
    must(memory != MAP_FAILED);
    must(!munmap(memory + HOLE * PAGE, PAGE) && !mprotect(memory + NONE * PAGE, PAGE, PROT_NONE));
    must(!mprotect(memory + END * PAGE, PAGE, PROT_NONE));
}

static int do_ioctl(const struct command *c, void *arg)
{
    char path[32];
    int fd, rc, error;

    snprintf(path, sizeof path, "/dev/xen/%s", c->device);
    fd = open(path, O_RDWR | O_CLOEXEC);
    must(fd >= 0);
    calls++;
    rc = ioctl(fd, c->cmd, arg);
    error = rc < 0 ? errno : 0;
    close(fd);
    return error;
}

static void expect(const struct command *c, const char *what, unsigned long at, int error,
                   int expected)
{
    if (error != expected)
        printf("%s, %s %#lx: %s instead of %s\n", c->name, what, at,
               error ? strerrorname_np(error) : "0", expected ? strerrorname_np(expected) : "0");
}

/* What must come first, whatever the argument is; -1: nothing. */
static int first_error(const struct command *c)
{
    if (c->flags & IGNORES_ARG)
        return 0;
    if (c->flags & PV_ONLY && !strcmp(profile, "pvh"))
        return ENOSYS;
    if (c->flags & NEEDS_RIGHTS && domid && strcmp(profile, "legacy"))
        return EPERM;
    if (c->flags & COPY && !strcmp(profile, "legacy"))
        return ENOTTY;
    return -1;
}

static void *put(const struct command *c, char *at, const uint64_t *words)
{
    memcpy(at, words, c->size);
    return at;
}

/* The argument itself in places that cannot be read, or not all of it. */
static void sweep_argument(const struct command *c)
{
    const uint64_t wild[] = { 0, 1, 7, PAGE - 1, 0xdead0000, (uintptr_t)memory + HOLE * PAGE,
                              (uintptr_t)memory + HOLE * PAGE + 8,
                              (uintptr_t)memory + NONE * PAGE, 0x7ffffffff000 - 1, 0x7ffffffff000,
                              0x800000000000, 0xffff800000000000,
                              0xffff888000000000, UINT64_MAX - 4095, UINT64_MAX - 7, UINT64_MAX };
    int first = first_error(c), expected = first < 0 ? EFAULT : first;

    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++)
        expect(c, "argument at", wild[i], do_ioctl(c, (void *)(uintptr_t)wild[i]), expected);
    for (size_t there = 1; there < c->size; there++) {
        memcpy(memory + HOLE * PAGE - there, c->words, there);
        expect(c, "bytes before a hole", there, do_ioctl(c, memory + HOLE * PAGE - there),
               expected);
        memcpy(memory + NONE * PAGE - there, c->words, there);
        expect(c, "bytes before PROT_NONE", there, do_ioctl(c, memory + NONE * PAGE - there),
               expected);
    }
    if (!(c->flags & WRITES) || first >= 0)
        return;
    put(c, memory + RO * PAGE, c->words);
    must(!mprotect(memory + RO * PAGE, PAGE, PROT_READ));
    expect(c, "read-only", 0, do_ioctl(c, memory + RO * PAGE), EFAULT);
    must(!mprotect(memory + RO * PAGE, PAGE, PROT_READ | PROT_WRITE));
}

/* Memory that the argument points to: one of everything that a pointer here may lead to. */
static void *pointee(const struct command *c, char *at)
{
    struct ioctl_gntdev_grant_copy_segment segment = { .source.virt = memory + MORE * PAGE,
                                                       .dest.foreign = { .ref = 8 },
                                                       .flags = GNTCOPY_dest_gref, .len = 8 };

    memset(at, 0, 64);
    if (c->flags & COPY)
        memcpy(at, &segment, sizeof segment);
    else if (c->cmd == IOCTL_PRIVCMD_DM_OP)
        memcpy(at, (privcmd_dm_op_buf_t[1]){ { memory + MORE * PAGE, 8 } },
               sizeof(privcmd_dm_op_buf_t));
    return at;
}

static void sweep_pointers(const struct command *c)
{
    const uint64_t wild[] = { 0, 1, 0xdead0000, (uintptr_t)memory + HOLE * PAGE - 1,
                              (uintptr_t)memory + HOLE * PAGE, (uintptr_t)memory + NONE * PAGE - 1,
                              0x7ffffffff000, 0x800000000000, 0xffff888000000000, UINT64_MAX - 4095,
                              UINT64_MAX };
    char *good = pointee(c, memory + MORE * PAGE + 1024);
    uint64_t words[8];
    int first = first_error(c);

    for (unsigned p = 0; p < 2 && c->pointer[p] >= 0; p++) {
        for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
            memcpy(words, c->words, sizeof words);
            for (unsigned other = 0; other < 2 && c->pointer[other] >= 0; other++)
                words[c->pointer[other]] = (uintptr_t)good;
            words[c->pointer[p]] = wild[i];
            expect(c, "pointer to", wild[i], do_ioctl(c, put(c, memory, words)),
                   first < 0 ? EFAULT : first);
        }
    }
    /* A grant copy and a device model's operation lead on. */
    if (!(c->flags & COPY) && c->cmd != IOCTL_PRIVCMD_DM_OP)
        return;
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        good = pointee(c, memory + MORE * PAGE + 1024);
        memcpy(good, &wild[i], sizeof wild[i]);
        memcpy(words, c->words, sizeof words);
        words[1] = (uintptr_t)good;
        expect(c, "pointer behind a pointer to", wild[i], do_ioctl(c, put(c, memory, words)),
               first < 0 ? EFAULT : first);
    }
}

/* Counts that nobody can mean. They must be refused, whatever the errno, in no time and without
 * memory to match. */
static void sweep_counts(const struct command *c)
{
    const uint32_t counts[] = { 0x10001, 0xfffffff, 0x7fffffff, 0x80000000, 0xffffffff };
    uint64_t words[8];

    for (unsigned w = 0; w < c->size / 8; w++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            for (unsigned half = 0; half < 2; half++) {
                memcpy(words, c->words, sizeof words);
                for (unsigned p = 0; p < 2 && c->pointer[p] >= 0; p++)
                    words[c->pointer[p]] = (uintptr_t)pointee(c, memory + MORE * PAGE + 1024);
                words[w] = half ? (words[w] & 0xffffffff) | (uint64_t)counts[i] << 32
                                : (words[w] & ~0xffffffffull) | counts[i];
                do_ioctl(c, put(c, memory, words));
            }
        }
    }
}

/* ---- Arguments that change ------------------------------------------------------------------- */

static volatile bool stop;

static void *flip(void *arg)
{
    uint64_t *words = (uint64_t *)(void *)memory, x = 88172645463325252ull;

    (void)arg;
    while (!stop) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        switch (x >> 61) {
        case 0: words[x % 8] = x; break;
        case 1: words[x % 8] = UINT64_MAX; break;
        case 2: words[x % 8] = (uintptr_t)memory + x % (NR_PAGES * PAGE); break;
        default: words[x % 8] = x % 3; break;
        }
    }
    return NULL;
}

static void change(unsigned rounds)
{
    pthread_t thread;

    must(!pthread_create(&thread, NULL, flip, NULL));
    for (unsigned i = 0; i < rounds; i++) {
        const struct command *c = &commands[i % NR_COMMANDS];

        put(c, memory, c->words);
        /* No hypercall with arguments that just anything can write. */
        if (!(c->flags & NEEDS_RIGHTS))
            do_ioctl(c, memory);
    }
    stop = true;
    must(!pthread_join(thread, NULL));
}

int main(int argc, char **argv)
{
    must(argc >= 4);
    domid = (unsigned)atoi(argv[1]);
    profile = argv[2];
    map_memory();
    if (!strcmp(argv[3], "flip")) {
        change((unsigned)atoi(argv[4]));
    } else {
        for (size_t i = 0; i < NR_COMMANDS; i++) {
            sweep_argument(&commands[i]);
            sweep_pointers(&commands[i]);
            sweep_counts(&commands[i]);
        }
    }
    printf("calls %lu\n", calls);
    return 0;
}
