/* SPDX-License-Identifier: MIT */
/* Builds and installs the seccomp filter of a domain's programs. */
#include "filter.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gntsim/ioctls.h>
#include <gntsim/kernel.h>

#include "arch.h"
#include "maps.h"
#include "stub.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)      /* Linux 5.19 */
#endif

#define IN_WINDOW SCMP_A0(SCMP_CMP_MASKED_EQ, ~((1ull << WINDOW_BITS) - 1), WINDOW_START)

/*
 * The window, and where programs place what they place themselves: device mappings may be there.
 * Not among them is where every program has its heap, its libraries and its large blocks: calls on
 * these are many, and one that is reported can fail with EINTR.
 */
static const struct scmp_arg_cmp places[] = {
    { 0, SCMP_CMP_MASKED_EQ, ~((1ull << WINDOW_BITS) - 1), WINDOW_START },
    { 0, SCMP_CMP_LT, 0x550000000000, 0 },
    { 0, SCMP_CMP_MASKED_EQ, 0xfffff80000000000, 0x580000000000 },
    { 0, SCMP_CMP_MASKED_EQ, 0xfffff00000000000, 0x600000000000 },
    { 0, SCMP_CMP_MASKED_EQ, 0xfffff80000000000, 0x700000000000 },
};

static_assert((SOCK_PLACES & 0xfffff80000000000) == 0x700000000000,
              "gntsim's libraries map where mremap is reported");

/* Calls on memory that the server wants to know of at these places. */
static const struct placed_call {
    int nr;
    unsigned nr_others;
    struct scmp_arg_cmp other;
} placed_calls[] = {
    { SCMP_SYS(mprotect), 0, { 0 } },
    { SCMP_SYS(pkey_mprotect), 0, { 0 } },
    { SCMP_SYS(mremap), 1, { 5, SCMP_CMP_NE, INJECTED_MAGIC, 0 } },
    { SCMP_SYS(madvise), 1, { 2, SCMP_CMP_EQ, ADVICE_GUARD_INSTALL, 0 } },
    { SCMP_SYS(madvise), 1, { 2, SCMP_CMP_EQ, ADVICE_GUARD_REMOVE, 0 } },
};

/* Rare calls, wherever they are: the harm would be somebody else's. */
static const struct any_call {
    int nr;
    uint32_t action;
    unsigned nr_args;
    struct scmp_arg_cmp args[2];
} any_calls[] = {
    { SCMP_SYS(remap_file_pages),
      SCMP_ACT_NOTIFY,
      1,
      { { 4, SCMP_CMP_NE, INJECTED_MAGIC, 0 } } },
    { SCMP_SYS(madvise), SCMP_ACT_NOTIFY, 1, { { 2, SCMP_CMP_EQ, MADV_REMOVE, 0 } } },
    { SCMP_SYS(shmat),
      SCMP_ACT_NOTIFY,
      2,
      { { 2, SCMP_CMP_MASKED_EQ, SHM_REMAP, SHM_REMAP }, { 3, SCMP_CMP_NE, INJECTED_MAGIC, 0 } } },
    /* As before Linux 6.13. */
    { SCMP_SYS(process_madvise),
      SCMP_ACT_ERRNO(EINVAL),
      1,
      { { 3, SCMP_CMP_EQ, MADV_REMOVE, 0 } } },
    { SCMP_SYS(process_madvise),
      SCMP_ACT_ERRNO(EINVAL),
      1,
      { { 3, SCMP_CMP_EQ, ADVICE_GUARD_INSTALL, 0 } } },
    { SCMP_SYS(process_madvise),
      SCMP_ACT_ERRNO(EINVAL),
      1,
      { { 3, SCMP_CMP_EQ, ADVICE_GUARD_REMOVE, 0 } } },
};

/* Pages leave a mapping by them, and its link does not tell. */
static const unsigned dont_need[] = { MADV_DONTNEED, MADV_DONTNEED_LOCKED };

/* Calls that end, move or rearrange mappings. */
static int add_memory_rules(scmp_filter_ctx ctx)
{
    int rc = seccomp_rule_add(
        ctx, SCMP_ACT_NOTIFY, SCMP_SYS(munmap), 2,
        SCMP_A0(SCMP_CMP_MASKED_EQ, ~((1ull << WINDOW_HALF_BITS) - 1), WINDOW_START),
        SCMP_A2(SCMP_CMP_NE, INJECTED_MAGIC));

    for (size_t i = 0; i < sizeof placed_calls / sizeof *placed_calls; i++)
        for (size_t j = 0; !rc && j < sizeof places / sizeof *places; j++)
            rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, placed_calls[i].nr,
                                  1 + placed_calls[i].nr_others, places[j], placed_calls[i].other);
    for (size_t i = 0; !rc && i < sizeof any_calls / sizeof *any_calls; i++)
        rc = seccomp_rule_add_array(ctx, any_calls[i].action, any_calls[i].nr, any_calls[i].nr_args,
                                    any_calls[i].args);
    for (size_t i = 0; !rc && i < sizeof dont_need / sizeof *dont_need; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(madvise), 2, IN_WINDOW,
                              SCMP_A2(SCMP_CMP_EQ, dont_need[i]));
    if (!rc)    /* no device can be synced; the memory behind it can */
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(msync), 2, IN_WINDOW,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, MS_SYNC, MS_SYNC));
    return rc;
}

/* The Xen devices' commands are of three types. */
static const unsigned char types[] = { 'G', 'E', 'P' };

/* Those that fill pages of their caller need a descriptor lent. */
bool filter_reports_ioctl(unsigned cmd)
{
    for (const struct kernel_ioctl *row = kernel_ioctls; row->device; row++)
        if (row->flags & KERNEL_IOCTL_FILLS && row->cmd == cmd)
            return true;
    return _IOC_DIR(cmd) != _IOC_NONE;
}

/*
 * Descriptors of devices, and of what our own library has in their place. (libseccomp mixes up
 * rules that compare an argument with different limits in the same way.)
 */
static const struct scmp_arg_cmp descriptors[] = {
    { 0, SCMP_CMP_MASKED_EQ, 0xffffffff & ~(SOCK_FILES_MIN_FD - FILTER_MIN_FD - 1u),
      FILTER_MIN_FD },
    { 0, SCMP_CMP_GE, SOCK_FILES_MIN_FD, 0 },
};
_Static_assert(SOCK_FILES_MIN_FD == 2 * FILTER_MIN_FD, "one mask tells the devices' descriptors");

/* What Linux answers itself: for any file, or for regular ones, which the devices are for it. */
static const unsigned generic[] = { FIOASYNC, FIONREAD };

static int add_ioctl_rules(scmp_filter_ctx ctx)
{
    int rc = 0;

    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
        for (size_t j = 0; !rc && j < sizeof generic / sizeof *generic; j++)
            rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 2, descriptors[i],
                                  SCMP_A1_32(SCMP_CMP_EQ, generic[j]));
    for (const struct kernel_ioctl *row = kernel_ioctls; !rc && row->device; row++)
        if (row->flags & KERNEL_IOCTL_FILLS)
            rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 1,
                                  SCMP_A1_32(SCMP_CMP_EQ, row->cmd));
    for (unsigned i = 0; !rc && i < sizeof types / sizeof *types; i++) {
        unsigned type = (unsigned)types[i] << _IOC_TYPESHIFT, mask = _IOC(0u, 0xff, 0, 0);

        /* Our own library's file is none of FUSE's. */
        rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 2, descriptors[1],
                              SCMP_A1(SCMP_CMP_MASKED_EQ, mask, type));
        /* With a direction FUSE would copy. */
        for (unsigned direction = _IOC_WRITE; !rc && direction <= _IOC_READ; direction++)
            rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 2, descriptors[0],
                                  SCMP_A1(SCMP_CMP_MASKED_EQ, mask | direction << _IOC_DIRSHIFT,
                                          type | direction << _IOC_DIRSHIFT));
    }
    return rc;
}

/* Neither the loader's mmaps, which have MAP_DENYWRITE, nor our own. */
#define OTHER_MMAPS ((unsigned)(MAP_ANONYMOUS | MAP_DENYWRITE | INJECTED_MMAP_FLAG))

/* Shared ones of any file, since a descriptor may be a copy. */
bool filter_reports_mmap(uint64_t flags, uint64_t fd)
{
    return !(flags & OTHER_MMAPS) && (flags & MAP_SHARED || (uint32_t)fd >= FILTER_MIN_FD);
}

/* exits: also the ends of programs, by exit and by an access that faults. */
static int add_rules(scmp_filter_ctx ctx, bool exits)
{
    static const unsigned fcntls[] = { F_GETFL, F_SETFL, F_SETOWN, F_SETOWN_EX, F_SETSIG };
    int rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(mmap), 1,
                              SCMP_A3(SCMP_CMP_MASKED_EQ, OTHER_MMAPS | MAP_SHARED, MAP_SHARED));

    if (!rc)
        rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(mmap), 2,
                              SCMP_A3(SCMP_CMP_MASKED_EQ, OTHER_MMAPS, 0),
                              SCMP_A4_32(SCMP_CMP_GE, FILTER_MIN_FD));
    if (!rc)
        rc = add_memory_rules(ctx);
    /* Who wants signals of an event channel. */
    for (size_t i = 0; !rc && i < sizeof fcntls / sizeof *fcntls; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(fcntl), 2,
                              SCMP_A0_32(SCMP_CMP_GE, FILTER_MIN_FD),
                              SCMP_A1_32(SCMP_CMP_EQ, fcntls[i]));
    if (!rc)
        rc = add_ioctl_rules(ctx);
    if (!rc && exits)
        rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(exit_group), 0);
    if (!rc && exits)
        rc = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 2,
                              SCMP_A0_32(SCMP_CMP_EQ, UINT32_MAX),
                              SCMP_A1_32(SCMP_CMP_EQ, STUB_FAULT));
    return rc;
}

/*
 * The calls of 32-bit programs, which a 64-bit one can make, too (int $0x80), and what the server
 * could not see of them. Such programs get no device mappings, so theirs that fail are ordinary:
 * they get a new block instead of a larger one.
 */
static int add_other_entry(scmp_filter_ctx ctx)
{
    static const struct any_call calls[] = {
        { SCMP_SYS(mremap), SCMP_ACT_ERRNO(ENOMEM), 0, { { 0 } } },
        { SCMP_SYS(remap_file_pages), SCMP_ACT_ERRNO(EINVAL), 0, { { 0 } } },
        { SCMP_SYS(madvise), SCMP_ACT_ERRNO(EINVAL), 1, { { 2, SCMP_CMP_EQ, MADV_REMOVE, 0 } } },
    };
    scmp_filter_ctx other = seccomp_init(SCMP_ACT_ALLOW);
    int rc = other ? seccomp_attr_set(other, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW) : -ENOMEM;

    if (!rc)
        rc = seccomp_arch_add(other, ARCH_COMPAT);
    if (!rc)
        rc = seccomp_arch_remove(other, SCMP_ARCH_NATIVE);
    for (size_t i = 0; !rc && i < sizeof calls / sizeof *calls; i++)
        rc = seccomp_rule_add_array(other, calls[i].action, calls[i].nr, calls[i].nr_args,
                                    calls[i].args);
    if (!rc)
        rc = seccomp_merge(ctx, other);
    if (rc && other)
        seccomp_release(other);
    return rc;
}

/* libseccomp compiles; it cannot pass the flags we need, so its program is loaded by hand. */
static int load(int program_fd)
{
    struct sock_fprog program;
    struct stat st;
    void *code;
    int rc;

    if (fstat(program_fd, &st))
        return -errno;
    code = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, program_fd, 0);
    if (code == MAP_FAILED)
        return -errno;
    program.len = (unsigned short)((size_t)st.st_size / sizeof *program.filter);
    program.filter = code;
    rc = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV |
                          SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                      &program);
    if (rc < 0 && errno == EINVAL)
        rc = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER |
                          SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
    return rc < 0 ? -errno : rc;
}

int filter_install(bool exits)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int fd = -1, rc = -ENOMEM;

    if (!ctx)
        return rc;
    /* Programs of another architecture run, without device mappings. */
    rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
    if (!rc)
        rc = add_rules(ctx, exits);
    if (!rc)
        rc = add_other_entry(ctx);
    if (rc)
        goto out;
    fd = memfd_create("gntsim-filter", MFD_CLOEXEC);
    rc = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);
    if (!rc)
        rc = load(fd);
out:
    if (fd >= 0)
        close(fd);
    seccomp_release(ctx);
    return rc;
}
