/* SPDX-License-Identifier: MIT */
/* See fakedev.h. Only one thread, only one case at a time: this is a test program's own state. */
/* The plain names are defined here, not the 64 ones that the headers would put in their place. */
#undef _FILE_OFFSET_BITS

#include "fakedev.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#define MAX_DEVICES 8
#define MAX_TABLE 64
#define PAGE 4096u
#define MAP_LIMIT 200000u       /* pages of one request, as gntdev's module parameter */
#define ALLOC_LIMIT 1024u       /* as gntalloc's */
#define DMABUF_FD 77u

/* What a device hands out an index for: grants to map, or pages of its own. */
struct entry {
    int fd;
    uint64_t index;
    uint32_t count;
};

struct mapping {
    uint8_t *start;
    size_t length;
    uint64_t index;
};

static struct {
    bool armed, quiet;
    struct fake_fault faults[FAKE_MAX_FAULTS];
    int fault_count, eagain, calls, mmaps, sleeps;
    enum fake_call kinds[FAKE_MAX_CALLS];
    struct { int fd; const char *name; uint64_t next_index; } devices[MAX_DEVICES];
    struct entry table[MAX_TABLE];
    struct mapping mappings[MAX_TABLE];
    int table_count, mapping_count;
    char log[1 << 16];
    size_t log_length;
} fake;

/* ---- log ---- */

void fake_log(const char *format, ...)
{
    int saved = errno;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(fake.log + fake.log_length, sizeof fake.log - fake.log_length, format, ap);
    va_end(ap);
    assert(n >= 0 && fake.log_length + (size_t)n + 2 < sizeof fake.log);
    fake.log_length += (size_t)n;
    fake.log[fake.log_length++] = '\n';
    fake.log[fake.log_length] = 0;
    errno = saved;
}

const char *fake_log_text(void)
{
    return fake.log;
}

static struct mapping *find_mapping(const void *p)
{
    for (int i = 0; i < fake.mapping_count; i++) {
        struct mapping *m = &fake.mappings[i];
        if (m->start && (const uint8_t *)p >= m->start && (const uint8_t *)p < m->start + m->length)
            return m;
    }
    return NULL;
}

const char *fake_address(const void *p)
{
    static char text[4][40];
    static int turn;
    char *t = text[turn++ % 4];
    struct mapping *m = find_mapping(p);

    if (!p)
        return "NULL";
    if (!m)
        return "?";
    snprintf(t, sizeof text[0], "M%d+%zu", (int)(m - fake.mappings),
             (size_t)((const uint8_t *)p - m->start));
    return t;
}

/* ---- the plan ---- */

/* Numbers an armed call; the fault planned for it, if any. */
static const struct fake_fault *next_call(enum fake_call kind)
{
    int nth = fake.calls++;

    if (nth < FAKE_MAX_CALLS)
        fake.kinds[nth] = kind;
    for (int i = 0; i < fake.fault_count; i++)
        if (fake.faults[i].nth == nth)
            return &fake.faults[i];
    return NULL;
}

#define CALL_LOG(...) do { if (!fake.quiet) fake_log(__VA_ARGS__); } while (0)

static int fail(const char *what, const struct fake_fault *fault)
{
    if (fault->positive) {
        CALL_LOG("  %s = %d", what, fault->positive);
        return fault->positive;
    }
    CALL_LOG("  %s = -1 %s", what, strerrorname_np(fault->error));
    errno = fault->error;
    return -1;
}

static int device_of(int fd)
{
    for (int i = 0; i < MAX_DEVICES; i++)
        if (fake.devices[i].name && fake.devices[i].fd == fd)
            return i;
    return -1;
}

const char *fake_fd_name(int fd)
{
    int d = device_of(fd);

    return fd == -1 ? "none" : d < 0 ? "other" : fake.devices[d].name;
}

void fake_reset(const struct fake_fault *faults, int count)
{
    assert(count <= FAKE_MAX_FAULTS);
    for (int i = 0; i < fake.mapping_count; i++)
        if (fake.mappings[i].start)
            syscall(SYS_munmap, fake.mappings[i].start, fake.mappings[i].length);
    for (int i = 0; i < MAX_DEVICES; i++)
        if (fake.devices[i].name)
            syscall(SYS_close, fake.devices[i].fd);
    memset(&fake, 0, sizeof fake);
    for (int i = 0; i < count; i++)
        fake.faults[i] = faults[i];
    fake.fault_count = count;
}

void fake_eagain(int times) { fake.eagain = times; }
void fake_arm(void) { fake.armed = true; }
void fake_disarm(void) { fake.armed = false; }
void fake_quiet(bool quiet) { fake.quiet = quiet; }
int fake_calls(void) { return fake.calls; }
int fake_mmaps(void) { return fake.mmaps; }
int fake_sleeps(void) { return fake.sleeps; }

enum fake_call fake_kind(int nth)
{
    assert(nth < fake.calls && nth < FAKE_MAX_CALLS);
    return fake.kinds[nth];
}

void fake_log_leftovers(void)
{
    int fds = 0, mapped = 0;

    for (int i = 0; i < MAX_DEVICES; i++)
        fds += fake.devices[i].name != NULL;
    for (int i = 0; i < fake.mapping_count; i++)
        mapped += fake.mappings[i].start != NULL;
    fake_log("left: devices=%d table=%d mappings=%d", fds, fake.table_count, mapped);
}

/* ---- the two devices ---- */

static struct entry *find_entry(int fd, uint64_t index, uint32_t count)
{
    for (int i = 0; i < fake.table_count; i++) {
        struct entry *e = &fake.table[i];
        if (e->fd == fd && e->index == index && (!count || e->count == count))
            return e;
    }
    return NULL;
}

static uint64_t add_entry(int device, uint32_t count)
{
    struct entry *e = &fake.table[fake.table_count++];

    assert(fake.table_count <= MAX_TABLE);
    *e = (struct entry) { fake.devices[device].fd, fake.devices[device].next_index, count };
    fake.devices[device].next_index += (uint64_t)count * PAGE;
    return e->index;
}

static int drop_entry(int fd, uint64_t index, uint32_t count, int error)
{
    struct entry *e = find_entry(fd, index, count);

    if (!e)
        return -error;
    *e = fake.table[--fake.table_count];
    return 0;
}

/* The first pages of an entry get a recognisable byte, so that a test sees where it landed. */
static void mark_page(int fd, uint64_t index, uint32_t page, uint32_t ref)
{
    uint8_t byte = (uint8_t)ref;

    if (page < 16) {
        assert(!ftruncate(fd, (off_t)(index + (page + 1) * (uint64_t)PAGE)));
        assert(pwrite(fd, &byte, 1, (off_t)(index + page * (uint64_t)PAGE)) == 1);
    }
}

static uint32_t sum(uint32_t s, uint32_t v)
{
    return (s ^ v) * 16777619u;
}

static int map_grant_ref(int d, struct ioctl_gntdev_map_grant_ref *a)
{
    struct ioctl_gntdev_grant_ref *refs = a->refs;
    uint32_t s = 0;

    CALL_LOG("    MAP_GRANT_REF count=%u", a->count);
    if (!a->count || a->count > MAP_LIMIT)
        return -EINVAL;
    for (uint32_t i = 0; i < a->count; i++) {
        if (i < 4)
            CALL_LOG("      domid=%u ref=%u", refs[i].domid, refs[i].ref);
        s = sum(sum(s, refs[i].domid), refs[i].ref);
    }
    CALL_LOG("      all=%08x", s);
    a->index = add_entry(d, a->count);
    for (uint32_t i = 0; i < a->count; i++)
        mark_page(fake.devices[d].fd, a->index, i, refs[i].ref);
    return 0;
}

static int get_offset(struct ioctl_gntdev_get_offset_for_vaddr *a)
{
    struct mapping *m = find_mapping((const void *)(uintptr_t)a->vaddr);

    CALL_LOG("    GET_OFFSET_FOR_VADDR vaddr=%s", fake_address((const void *)(uintptr_t)a->vaddr));
    if (!m)
        return -EINVAL;
    a->offset = m->index;
    a->count = (uint32_t)(m->length / PAGE);
    return 0;
}

static int set_unmap_notify(int d, struct ioctl_gntdev_unmap_notify *a)
{
    CALL_LOG("    SET_UNMAP_NOTIFY index=%llu action=%u port=%d", (unsigned long long)a->index,
             a->action, a->action & UNMAP_NOTIFY_SEND_EVENT ? (int)a->event_channel_port : -1);
    return find_entry(fake.devices[d].fd, a->index & ~(uint64_t)(PAGE - 1), 0) ? 0 : -ENOENT;
}

static int grant_copy(struct ioctl_gntdev_grant_copy *a)
{
    CALL_LOG("    GRANT_COPY count=%u segments=%s", a->count, a->segments ? "some" : "NULL");
    if (a->count && !a->segments)
        return -EFAULT;
    for (uint32_t i = 0; i < a->count; i++) {
        struct ioctl_gntdev_grant_copy_segment *s = &a->segments[i];
        CALL_LOG("      flags=%u len=%u source=%u/%u/%u", s->flags, s->len, s->source.foreign.ref,
                 s->source.foreign.offset, s->source.foreign.domid);
        s->status = (int16_t)-(int)i;
    }
    return 0;
}

static int dmabuf_exp(struct ioctl_gntdev_dmabuf_exp_from_refs *a)
{
    uint32_t *refs = a->refs, s = 0;

    for (uint32_t i = 0; i < a->count; i++)
        s = sum(s, refs[i]);
    CALL_LOG("    DMABUF_EXP_FROM_REFS flags=%u count=%u domid=%u all=%08x", a->flags, a->count,
             a->domid, s);
    a->fd = DMABUF_FD;
    return 0;
}

static int dmabuf_imp(struct ioctl_gntdev_dmabuf_imp_to_refs *a)
{
    uint32_t *refs = a->refs;

    CALL_LOG("    DMABUF_IMP_TO_REFS fd=%u count=%u domid=%u", a->fd, a->count, a->domid);
    if (a->count > MAP_LIMIT)
        return -EINVAL;
    for (uint32_t i = 0; i < a->count; i++)
        refs[i] = 500 + i;
    return 0;
}

static int gntdev_ioctl(int d, unsigned long cmd, void *arg)
{
    switch (cmd) {
    case IOCTL_GNTDEV_MAP_GRANT_REF:
        return map_grant_ref(d, arg);
    case IOCTL_GNTDEV_UNMAP_GRANT_REF: {
        struct ioctl_gntdev_unmap_grant_ref *a = arg;
        CALL_LOG("    UNMAP_GRANT_REF index=%llu count=%u", (unsigned long long)a->index, a->count);
        return drop_entry(fake.devices[d].fd, a->index, a->count, ENOENT);
    }
    case IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR:
        return get_offset(arg);
    case IOCTL_GNTDEV_SET_MAX_GRANTS:
        CALL_LOG("    SET_MAX_GRANTS count=%u", ((struct ioctl_gntdev_set_max_grants *)arg)->count);
        return 0;
    case IOCTL_GNTDEV_SET_UNMAP_NOTIFY:
        return set_unmap_notify(d, arg);
    case IOCTL_GNTDEV_GRANT_COPY:
        return grant_copy(arg);
    case IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS:
        return dmabuf_exp(arg);
    case IOCTL_GNTDEV_DMABUF_EXP_WAIT_RELEASED: {
        struct ioctl_gntdev_dmabuf_exp_wait_released *a = arg;
        CALL_LOG("    DMABUF_EXP_WAIT_RELEASED fd=%u wait_to_ms=%u", a->fd, a->wait_to_ms);
        return a->fd == DMABUF_FD ? 0 : -ENOENT;
    }
    case IOCTL_GNTDEV_DMABUF_IMP_TO_REFS:
        return dmabuf_imp(arg);
    case IOCTL_GNTDEV_DMABUF_IMP_RELEASE:
        CALL_LOG("    DMABUF_IMP_RELEASE fd=%u",
                 ((struct ioctl_gntdev_dmabuf_imp_release *)arg)->fd);
        return 0;
    }
    return -ENOTTY;
}

static int alloc_gref(int d, struct ioctl_gntalloc_alloc_gref *a)
{
    uint32_t *refs = a->gref_ids;

    CALL_LOG("    ALLOC_GREF domid=%u flags=%u count=%u", a->domid, a->flags, a->count);
    if (a->count > ALLOC_LIMIT)
        return -ENOSPC;
    a->index = add_entry(d, a->count);
    for (uint32_t i = 0; i < a->count; i++) {
        refs[i] = (uint32_t)(8 + a->index / PAGE + i);
        mark_page(fake.devices[d].fd, a->index, i, refs[i]);
    }
    return 0;
}

static int gntalloc_ioctl(int d, unsigned long cmd, void *arg)
{
    switch (cmd) {
    case IOCTL_GNTALLOC_ALLOC_GREF:
        return alloc_gref(d, arg);
    case IOCTL_GNTALLOC_DEALLOC_GREF: {
        struct ioctl_gntalloc_dealloc_gref *a = arg;
        CALL_LOG("    DEALLOC_GREF index=%llu count=%u", (unsigned long long)a->index, a->count);
        return drop_entry(fake.devices[d].fd, a->index, a->count, EINVAL);
    }
    case IOCTL_GNTALLOC_SET_UNMAP_NOTIFY:
        return set_unmap_notify(d, arg);
    }
    return -ENOTTY;
}

/* ---- the calls that the libraries' are bound to ---- */

static int result(const char *what, int rc)
{
    if (rc >= 0) {
        CALL_LOG("  %s = ok", what);
        return rc;
    }
    CALL_LOG("  %s = -1 %s", what, strerrorname_np(-rc));
    errno = -rc;
    return -1;
}

int open(const char *path, int flags, ...)
{
    const struct fake_fault *fault;
    const char *name = strrchr(path, '/');
    int fd, d = 0;
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    if (!fake.armed)
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);

    CALL_LOG("  open %s flags=%#x", path, (unsigned)flags);
    fault = next_call(CALL_OPEN);
    if (fault && !fault->positive)
        return fail("open", fault);
    if (strncmp(path, "/dev/xen/", 9))
        return result("open", (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode));
    while (fake.devices[d].name)
        d++;
    assert(d < MAX_DEVICES);
    fd = memfd_create("fakedev", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    assert(fd >= 0);
    fake.devices[d].fd = fd;
    fake.devices[d].name = strcmp(name, "/gntdev") ? "gntalloc" : "gntdev";
    return result("open", fd);
}

int close(int fd)
{
    const struct fake_fault *fault;
    int d = device_of(fd);

    if (!fake.armed)
        return (int)syscall(SYS_close, fd);
    fault = next_call(CALL_CLOSE);
    CALL_LOG("  close %s", fake_fd_name(fd));
    if (d >= 0)     /* gone even if close reports an error, as in Linux */
        fake.devices[d].name = NULL;
    syscall(SYS_close, fd);
    return fault && !fault->positive ? fail("close", fault) : result("close", 0);
}

int ioctl(int fd, unsigned long cmd, ...)
{
    const struct fake_fault *fault;
    int d = device_of(fd), rc;
    va_list ap;
    void *arg;

    va_start(ap, cmd);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (!fake.armed)
        return (int)syscall(SYS_ioctl, fd, cmd, arg);
    CALL_LOG("  ioctl %s %#lx", fake_fd_name(fd), cmd);
    fault = next_call(CALL_IOCTL);
    if (d < 0)
        return result("ioctl", syscall(SYS_ioctl, fd, cmd, arg) < 0 ? -errno : 0);
    if (fault)
        return fail("ioctl", fault);
    rc = strcmp(fake.devices[d].name, "gntdev") ? gntalloc_ioctl(d, cmd, arg)
                                                : gntdev_ioctl(d, cmd, arg);
    return result("ioctl", rc);
}

void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
    const struct fake_fault *fault;
    int d = device_of(fd);
    struct mapping *m = &fake.mappings[fake.mapping_count];
    void *p;

    if (!fake.armed)
        return (void *)syscall(SYS_mmap, addr, length, prot, flags, fd, offset);
    /* How a library gets itself memory is its own business; that it does, and what it does without,
     * is not. */
    CALL_LOG(d < 0 ? "  mmap of memory" : "  mmap %s addr=%s length=%zu prot=%d flags=%#x "
             "offset=%lld", fake_fd_name(fd),
             fake_address(addr), length, prot, (unsigned)flags, (long long)offset);
    fault = next_call(CALL_MMAP);
    if (fault && !fault->positive) {
        fail("mmap", fault);
        return MAP_FAILED;
    }
    if (d >= 0) {
        fake.mmaps++;
        if (fake.eagain > 0) {
            fake.eagain--;
            result("mmap", -EAGAIN);
            return MAP_FAILED;
        }
        assert(!length || !ftruncate(fd, (off_t)((size_t)offset + length)));
    }
    p = (void *)syscall(SYS_mmap, addr, length, prot, flags, fd, offset);
    if (p == MAP_FAILED) {
        result("mmap", -errno);
        return p;
    }
    assert(fake.mapping_count < MAX_TABLE);
    *m = (struct mapping) { p, length, (uint64_t)offset };
    fake.mapping_count++;
    CALL_LOG("  mmap = %s", fake_address(p));
    return p;
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
void *mmap64(void *addr, size_t length, int prot, int flags, int fd,
             off64_t offset) __attribute__((alias("mmap")));

int munmap(void *addr, size_t length)
{
    const struct fake_fault *fault;
    struct mapping *m = find_mapping(addr);
    long rc;

    if (!fake.armed)
        return (int)syscall(SYS_munmap, addr, length);
    CALL_LOG("  munmap %s length=%zu", fake_address(addr), length);
    fault = next_call(CALL_MUNMAP);
    if (fault && !fault->positive)
        return fail("munmap", fault);
    /* Only what was mapped here: a stray address must not take the test program apart. */
    if (!m && length && !((uintptr_t)addr % PAGE))
        return result("munmap", 0);
    rc = syscall(SYS_munmap, addr, length);
    if (rc)
        return result("munmap", -errno);
    if (m->start == addr && m->length <= ((length + PAGE - 1) & ~(size_t)(PAGE - 1)))
        m->start = NULL;
    return result("munmap", 0);
}

int dup2(int oldfd, int newfd)
{
    int d = device_of(newfd);

    if (fake.armed) {
        CALL_LOG("  dup2 over %s", fake_fd_name(newfd));
        if (d >= 0)
            fake.devices[d].name = NULL;
    }
    return (int)syscall(SYS_dup2, oldfd, newfd);
}

int usleep(useconds_t us)
{
    if (!fake.armed) {
        struct timespec t = { us / 1000000, us % 1000000 * 1000 };
        return (int)syscall(SYS_nanosleep, &t, NULL);
    }
    fake.sleeps++;
    CALL_LOG("  usleep %u", (unsigned)us);
    return 0;
}

#if FAKE_MALLOC
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);

/* Whether the plan lets the library have memory. */
static bool may_allocate(void)
{
    const struct fake_fault *fault;

    if (!fake.armed)
        return true;
    fault = next_call(CALL_MALLOC);
    CALL_LOG("  malloc");
    if (!fault || fault->positive)
        return true;
    fail("malloc", fault);
    return false;
}

void *malloc(size_t size)
{
    return may_allocate() ? __libc_malloc(size) : NULL;
}

/* Compilers make one of a malloc whose memory is cleared. */
void *calloc(size_t count, size_t size)
{
    return may_allocate() ? __libc_calloc(count, size) : NULL;
}
#endif
