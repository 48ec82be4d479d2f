/* SPDX-License-Identifier: MIT */
/* Keeps call stacks, and the files and mappings that their addresses are in. */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <uthash.h>

#include "loops.h"
#include "module_i.h"
#include "saying.h"

#define MAX_FRAMES 64u
#define MAX_THREADS 64u         /* whose mappings are remembered */
#define STACK_BYTES (16u << 10) /* of a thread that are looked at */
#define RED_ZONE 128u

struct frame {
    struct module *module; /* NULL: the address is in no file */
    uint64_t offset;       /* in the file, or the address */
};

struct witness {
    struct witness *next; /* of the same hash */
    bool approximate;
    bool from_pc; /* the first frame is where the thread is, not where a call returns */
    uint32_t nr;
    struct frame frames[];
};

/* The mappings of a thread's process. */
struct mapped {
    pid_t tid;
    struct area *areas;
    size_t nr;
    UT_hash_handle hh;
};

#define BUCKETS 1024u

struct depot {
    pthread_mutex_t lock;
    struct witness *buckets[BUCKETS];
    struct module *modules;
    struct mapped *threads;
};

int depot_create(struct depot **out)
{
    struct depot *depot = calloc(1, sizeof *depot);

    if (!depot)
        return -ENOMEM;
    pthread_mutex_init(&depot->lock, NULL);
    *out = depot;
    return 0;
}

static void mapped_free(struct depot *depot, struct mapped *mapped)
{
    HASH_DEL(depot->threads, mapped);
    free(mapped->areas);
    free(mapped);
}

void depot_destroy(struct depot *depot)
{
    struct mapped *mapped, *after;

    if (!depot)
        return;
    HASH_ITER(hh, depot->threads, mapped, after)
        mapped_free(depot, mapped);
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct witness *w = depot->buckets[i], *next; w; w = next) {
            next = w->next;
            free(w);
        }
    }
    for (struct module *module = depot->modules, *next; module; module = next) {
        next = module->next;
        module_free(module);
    }
    pthread_mutex_destroy(&depot->lock);
    free(depot);
}

/* ---- Files and mappings ---------------------------------------------------------------------- */

/* The very file that is mapped. It may have another name by now, or none. */
static int open_mapped(pid_t tid, const char *path, const char *range, dev_t dev, ino_t ino)
{
    char names[2][PATH_MAX + 32];
    struct stat st;

    snprintf(names[0], sizeof names[0], "/proc/%d/root%s", tid, path);
    snprintf(names[1], sizeof names[1], "/proc/%d/map_files/%s", tid, range);
    for (unsigned i = 0; i < 2; i++) {
        int fd = open(names[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_ino == ino &&
            (i || st.st_dev == dev || !dev))
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

static struct module *find_module(struct depot *depot, pid_t tid, const char *path,
                                  const char *range, dev_t dev, ino_t ino)
{
    struct module *module = depot->modules;

    while (module && (module->ino != ino || module->dev != dev || strcmp(module->path, path)))
        module = module->next;
    if (module)
        return module;
    module = calloc(1, sizeof *module);
    if (!module || !(module->path = strdup(path))) {
        free(module);
        return NULL;
    }
    module->dev = dev;
    module->ino = ino;
    module->fd = open_mapped(tid, path, range, dev, ino);
    module->next = depot->modules;
    depot->modules = module;
    return module;
}

/* A line of /proc/PID/maps, if it is of a file's code. */
static bool parse_area(struct depot *depot, pid_t tid, char *line, struct area *area)
{
    unsigned major, minor;
    char rights[5], range[64], *path;
    unsigned long long start, end, offset, ino;
    int at = 0;

    if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end, rights, &offset, &major,
               &minor, &ino, &at) < 7 ||
        rights[2] != 'x' || !ino)
        return false;
    path = line + at;
    path[strcspn(path, "\n")] = 0;
    snprintf(range, sizeof range, "%llx-%llx", start, end);
    *area = (struct area){ start, end, offset,
                           find_module(depot, tid, path, range, makedev(major, minor), ino) };
    return area->module;
}

static void read_areas(struct depot *depot, struct mapped *mapped)
{
    char path[32], *line = NULL;
    size_t size = 0;
    FILE *file;

    free(mapped->areas);
    mapped->areas = NULL;
    mapped->nr = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", mapped->tid);
    file = fopen(path, "re");
    while (file && getline(&line, &size, file) > 0) {
        struct area area, *areas;

        if (!parse_area(depot, mapped->tid, line, &area))
            continue;
        areas = reallocarray(mapped->areas, mapped->nr + 1, sizeof *areas);
        if (!areas)
            break;
        mapped->areas = areas;
        areas[mapped->nr++] = area;
    }
    free(line);
    if (file)
        fclose(file);
}

const struct area *area_find(const struct area *areas, size_t nr, uint64_t address)
{
    size_t low = 0, high = nr;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (areas[mid].end > address)
            high = mid;
        else
            low = mid + 1;
    }
    return low < nr && areas[low].start <= address ? &areas[low] : NULL;
}

/* The thread's, read if it is new. */
static struct mapped *mapped_of(struct depot *depot, pid_t tid)
{
    struct mapped *mapped;

    HASH_FIND(hh, depot->threads, &tid, sizeof tid, mapped);
    if (mapped)
        return mapped;
    if (HASH_COUNT(depot->threads) >= MAX_THREADS)
        mapped_free(depot, depot->threads);
    mapped = calloc(1, sizeof *mapped);
    if (!mapped)
        return NULL;
    mapped->tid = tid;
    HASH_ADD(hh, depot->threads, tid, sizeof mapped->tid, mapped);
    read_areas(depot, mapped);
    return mapped;
}

void depot_forget(struct depot *depot, pid_t tid)
{
    struct mapped *mapped;

    pthread_mutex_lock(&depot->lock);
    HASH_FIND(hh, depot->threads, &tid, sizeof tid, mapped);
    if (mapped)
        mapped_free(depot, mapped);
    pthread_mutex_unlock(&depot->lock);
}

/* ---- Seeing ---------------------------------------------------------------------------------- */

/* Where a thread is that waits in a system call. */
static bool read_registers(pid_t tid, uint64_t *sp, uint64_t *pc)
{
    char path[40], line[256], *sp_at = NULL, *pc_at;
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/syscall", tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    line[n] = 0;
    pc_at = strrchr(line, ' '); /* the last two fields */
    if (!pc_at)
        return false;
    *pc_at++ = 0;
    sp_at = strrchr(line, ' ');
    if (!sp_at)
        return false;
    *sp = strtoull(sp_at, NULL, 16);
    *pc = strtoull(pc_at, NULL, 16);
    return *sp && *pc;
}

/* The answer may come a moment before the thread sleeps. */
static bool find_thread(pid_t tid, uint64_t *sp, uint64_t *pc)
{
    for (unsigned tries = 0; tries < 20; tries++) {
        if (read_registers(tid, sp, pc))
            return true;
        usleep(50);
    }
    return false;
}

/* Bytes from addr on, as many as there are in whole pages. */
static size_t read_stack(pid_t tid, uint64_t addr, unsigned char *to, size_t size)
{
    struct iovec local = { to, size }, remote = { (void *)(uintptr_t)addr, size };
    ssize_t n;

    loops_access_begin();
    while ((n = process_vm_readv(tid, &local, 1, &remote, 1, 0)) < 0 && size > 4096) {
        size = size / 2; /* it ends before */
        local.iov_len = remote.iov_len = size;
    }
    loops_access_end();
    return n < 0 ? 0 : (size_t)n;
}

/* Equal stacks are one. */
static const struct witness *keep(struct depot *depot, const struct mapped *mapped,
                                  const uint64_t *addresses, size_t nr, const struct walk *walk)
{
    struct witness *new = malloc(sizeof *new + nr * sizeof *new->frames), **link;
    uint64_t hash = 14695981039346656037u;

    if (!new)
        return NULL;
    *new = (struct witness){ .approximate = walk && walk->approximate,
                             .from_pc = walk,
                             .nr = (uint32_t)nr };
    for (size_t i = 0; i < nr; i++) {
        const struct area *area = area_find(mapped->areas, mapped->nr, addresses[i]);

        memset(&new->frames[i], 0, sizeof new->frames[i]);
        new->frames[i].module = area ? area->module : NULL;
        new->frames[i].offset = area ? addresses[i] - area->start + area->offset : addresses[i];
        hash = (hash ^ new->frames[i].offset) * 1099511628211u;
    }
    for (link = &depot->buckets[(hash >> 20) % BUCKETS]; *link; link = &(*link)->next) {
        if ((*link)->nr == nr && (*link)->from_pc == new->from_pc &&
            !memcmp((*link)->frames, new->frames, nr * sizeof *new->frames)) {
            free(new);
            return *link;
        }
    }
    *link = new;
    return new;
}

/* Whether an address is in no file that is known: the program may have loaded one since. */
static bool is_strange(const struct mapped *mapped, const uint64_t *addresses, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        if (!area_find(mapped->areas, mapped->nr, addresses[i]))
            return true;
    return false;
}

/* Others may let go of the mappings while the thread's memory is read. */
static size_t walk_copy(const struct mapped *mapped, struct walk *walk, uint64_t *walked)
{
    struct area *areas = malloc(mapped->nr * sizeof *areas + 1);
    size_t nr;

    if (!areas)
        return 0;
    if (mapped->nr)
        memcpy(areas, mapped->areas, mapped->nr * sizeof *areas);
    walk->areas = areas;
    walk->nr_areas = mapped->nr;
    nr = walk_stack(walk, walked, MAX_FRAMES);
    free(areas);
    return nr;
}

/* Its mappings, read again if one of these addresses is in none. With the lock. */
static struct mapped *mapped_with(struct depot *depot, pid_t tid, const uint64_t *addresses,
                                  size_t nr)
{
    struct mapped *mapped = mapped_of(depot, tid);

    if (mapped && is_strange(mapped, addresses, nr))
        read_areas(depot, mapped);
    return mapped;
}

/* Walks the stack of a thread whose program counter and stack pointer are in walk. */
static const struct witness *walk_and_keep(struct depot *depot, struct walk *walk)
{
    unsigned char *bytes = malloc(STACK_BYTES);
    const struct witness *seen = NULL;
    uint64_t walked[MAX_FRAMES];
    struct mapped *mapped;
    size_t nr;

    if (!bytes)
        return NULL;
    walk->start = walk->sp - RED_ZONE;
    walk->size = read_stack(walk->tid, walk->start, bytes, STACK_BYTES);
    walk->bytes = bytes;
    walk->lock = &depot->lock;
    pthread_mutex_lock(&depot->lock);
    mapped = mapped_with(depot, walk->tid, &walk->pc, 1);
    if (mapped) {
        nr = walk_copy(mapped, walk, walked);
        mapped = mapped_of(depot, walk->tid);
        seen = mapped ? keep(depot, mapped, walked, nr, walk) : NULL;
    }
    pthread_mutex_unlock(&depot->lock);
    free(bytes);
    return seen;
}

const struct witness *depot_see(struct depot *depot, pid_t tid, const uint64_t *addresses,
                                size_t nr)
{
    struct walk walk = { .tid = tid };
    const struct witness *seen = NULL;
    struct mapped *mapped;

    if (!addresses)
        return find_thread(tid, &walk.sp, &walk.pc) ? walk_and_keep(depot, &walk) : NULL;
    if (nr > MAX_FRAMES)
        nr = MAX_FRAMES;
    pthread_mutex_lock(&depot->lock);
    mapped = mapped_with(depot, tid, addresses, nr);
    if (mapped)
        seen = keep(depot, mapped, addresses, nr, NULL);
    pthread_mutex_unlock(&depot->lock);
    return seen;
}

const struct witness *depot_see_at(struct depot *depot, pid_t tid,
                                   const struct machine_registers *registers)
{
    struct walk walk = { .tid = tid,
                         .pc = registers->pc,
                         .sp = registers->sp,
                         .bp = registers->bp,
                         .has_bp = true };

    return walk_and_keep(depot, &walk);
}

/* ---- Reading --------------------------------------------------------------------------------- */

void witness_read(struct depot *depot, const struct witness *witness,
                  void (*tell)(void *ctx, const struct frame_text *frame), void *ctx)
{
    pthread_mutex_lock(&depot->lock);
    for (uint32_t i = 0; witness && i < witness->nr; i++) {
        const struct frame *frame = &witness->frames[i];
        struct frame_text unknown = { .offset = frame->offset };

        if (frame->module)
            module_read(frame->module, frame->offset, !i && witness->from_pc, tell, ctx);
        else
            tell(ctx, &unknown);
    }
    pthread_mutex_unlock(&depot->lock);
}

bool witness_is_approximate(const struct witness *witness)
{
    return witness && witness->approximate;
}
