/* SPDX-License-Identifier: MIT */
/*
 * gone PLACE HOW WHO    A process of domain 1 grants eight pages to itself and maps the first four
 * of them at PLACE, with a notification that clears a byte of the second. Then WHO does HOW with
 * the second page. Prints "answer NAME byte VALUE left PAGES" with what it sees at once, and ends
 * when its standard input does. PLACE: window         where gntsim places it fixed          at an
 * address of its own reserved       in the middle of an area that it reserved among its libraries
 * WHO:   main, thread, vfork (a child that shares the memory until it ends), clone (one that goes
 * on sharing it) HOW:   a row of the table below
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#include "must.h"

#define PAGE 4096ul
#define BOTH (PROT_READ | PROT_WRITE)

static int gntdev, gntalloc;
static uint32_t refs[8];
static char *mapped, *spare;
static int error;

/* ---- What is done ---------------------------------------------------------------------------- */

static uint64_t request(const uint32_t *first, unsigned count)
{
    struct {
        struct ioctl_gntdev_map_grant_ref op;
        struct ioctl_gntdev_grant_ref more[8];
    } map = { .op.count = count };

    for (unsigned i = 0; i < count; i++)
        (&map.op.refs[0])[i] = (struct ioctl_gntdev_grant_ref){ 1, first[i] };
    must(!ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &map));
    return map.op.index;
}

static bool done(void *result)
{
    return result != MAP_FAILED;
}

static bool by_munmap(char *at) { return !munmap(at, PAGE); }
static bool by_munmap_all(char *at) { return !munmap(at - PAGE, 4 * PAGE); }
static bool by_anonymous(char *at)
{
    return done(mmap(at, PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}
static bool by_anonymous_all(char *at)
{
    return done(mmap(at - PAGE, 4 * PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}
static bool by_mremap_onto(char *at)
{
    return done(mremap(spare, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at));
}
static bool by_shrink(char *at) { return done(mremap(at - PAGE, 4 * PAGE, PAGE, 0)); }
static bool by_grow(char *at)
{
    return done(mremap(at - PAGE, 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE));
}
static bool by_move(char *at)
{
    return done(mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, spare));
}
static bool by_dontunmap(char *at)
{
    return done(mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
}
static bool by_mprotect(char *at) { return !mprotect(at, PAGE, PROT_READ); }
static bool by_dontneed(char *at) { return !madvise(at, PAGE, MADV_DONTNEED); }
static bool by_free(char *at) { return !madvise(at, PAGE, MADV_FREE); }
static bool by_remove(char *at) { return !madvise(at, PAGE, MADV_REMOVE); }
static bool by_guard(char *at) { return !madvise(at, PAGE, 102); }

static bool by_file(char *at)
{
    int fd = open("/proc/self/exe", O_RDONLY);

    return done(mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0));
}

static bool by_gntdev(char *at)
{
    return done(mmap(at, PAGE, BOTH, MAP_SHARED | MAP_FIXED, gntdev, (off_t)request(refs + 5, 1)));
}

static bool by_shmat(char *at)
{
    int id = shmget(IPC_PRIVATE, PAGE, 0600);
    void *result = shmat(id, at, SHM_REMAP);

    shmctl(id, IPC_RMID, NULL);
    return done(result);
}

static bool by_rearranging(char *at)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    return !remap_file_pages(at, PAGE, 0, 0, 0);
#pragma GCC diagnostic pop
}

static bool by_process_madvise(char *at)
{
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    struct iovec range = { at, PAGE };

    return syscall(SYS_process_madvise, pidfd, &range, 1, MADV_DONTNEED, 0) == (long)PAGE;
}

static const struct way {
    const char *name;
    bool (*go)(char *at);
} ways[] = {
    { "munmap", by_munmap }, { "munmap-all", by_munmap_all }, { "anonymous", by_anonymous },
    { "anonymous-all", by_anonymous_all },
    { "file", by_file }, { "gntdev", by_gntdev }, { "mremap-onto", by_mremap_onto },
    { "shrink", by_shrink }, { "grow", by_grow },
    { "move", by_move }, { "dontunmap", by_dontunmap }, { "shmat", by_shmat },
    { "mprotect", by_mprotect }, { "dontneed", by_dontneed },
    { "free", by_free }, { "remove", by_remove }, { "guard", by_guard },
    { "rearrange", by_rearranging },
    { "process-madvise", by_process_madvise },
};

/* ---- Who does it ----------------------------------------------------------------------------- */

static const struct way *way;

static void go(void)
{
    errno = 0;
    error = way->go(mapped + PAGE) ? 0 : errno ? errno : -1;
}

static void *thread(void *unused)
{
    go();
    return unused;
}

static int child(void *unused)
{
    (void)unused;
    go();
    return 0;
}

static void let(const char *who)
{
    static char stack[65536] __attribute__((aligned(16)));
    int status;

    if (!strcmp(who, "thread")) {
        pthread_t id;

        must(!pthread_create(&id, NULL, thread, NULL) && !pthread_join(id, NULL));
    } else if (!strcmp(who, "vfork") || !strcmp(who, "clone")) {
        pid_t pid = clone(child, stack + sizeof stack,
                          CLONE_VM | SIGCHLD | (*who == 'v' ? CLONE_VFORK : 0), NULL);

        must(pid > 0 && waitpid(pid, &status, 0) == pid && !status);
    } else {
        go();
    }
}

/* ---- The mapping ----------------------------------------------------------------------------- */

static char *share(void)
{
    struct {
        struct ioctl_gntalloc_alloc_gref op;
        uint32_t more[8];
    } alloc = { .op = { .domid = 1, .flags = 1, .count = 8 } };
    char *shared;

    must(!ioctl(gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, &alloc.op));
    memcpy(refs, alloc.op.gref_ids, sizeof refs);
    shared = mmap(NULL, 8 * PAGE, BOTH, MAP_SHARED, gntalloc, (off_t)alloc.op.index);
    must(done(shared));
    return shared;
}

static void *mapper(void *place)
{
    uint64_t index = request(refs, 4);
    struct ioctl_gntdev_unmap_notify notify = { .index = index + PAGE + 7,
                                                .action = UNMAP_NOTIFY_CLEAR_BYTE };

    mapped = mmap(place, 4 * PAGE, BOTH, MAP_SHARED | (place ? MAP_FIXED : 0), gntdev,
                  (off_t)index);
    must(done(mapped) && !ioctl(gntdev, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &notify));
    return NULL;
}

int main(int argc, char **argv)
{
    void *place = NULL;
    pthread_t id;
    char *shared;

    must(argc == 4);
    for (way = ways; strcmp(way->name, argv[2]); way++)
        must(way + 1 < ways + sizeof ways / sizeof *ways);
    gntdev = open("/dev/xen/gntdev", O_RDWR);
    gntalloc = open("/dev/xen/gntalloc", O_RDWR);
    must(gntdev >= 0 && gntalloc >= 0);
    shared = share();
    spare = mmap(NULL, PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(done(spare));
    if (!strcmp(argv[1], "fixed"))
        place = (void *)0x500000000000;
    else if (!strcmp(argv[1], "reserved"))
        place = (char *)mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) +
            8 * PAGE;
    /* The thread that mapped is gone by the time. */
    must(!pthread_create(&id, NULL, mapper, place) && !pthread_join(id, NULL));
    shared[PAGE + 7] = 1;
    shared[PAGE] = 42;
    printf("refs");
    for (unsigned i = 0; i < 8; i++)
        printf(" %u", refs[i]);
    let(argv[3]);
    printf("\nanswer %s byte %d page %d\n", error < 0 ? "?" : error ? strerrorname_np(error) : "ok",
           shared[PAGE + 7], shared[PAGE]);
    fflush(stdout);
    return getchar() != EOF;
}
