/* SPDX-License-Identifier: MIT */
/* Reads and writes a client's memory by process id. */
#include "user_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loops.h"
#include "machine.h"
#include "maps.h"

typedef ssize_t transfer(pid_t, const struct iovec *, unsigned long, const struct iovec *,
                         unsigned long, unsigned long);

static int access_client(struct user_mem *user_mem, transfer *move, void *ours, uint64_t theirs,
                         size_t size)
{
    struct machine *m = user_mem->machine;
    struct iovec local = { ours, size };
    struct iovec remote = { (void *)(uintptr_t)theirs, size };
    ssize_t done;

    if (!size)
        return 0;
    machine_unlock_only(m);
    if (user_mem->before)
        user_mem->before(user_mem);
    loops_access_begin();
    done = move(user_mem->tid, &local, 1, &remote, 1, 0);
    loops_access_end();
    /* the operation has begun: what ended meanwhile is for the next one */
    machine_lock_only(m);
    return done == (ssize_t)size ? 0 : -EFAULT;
}

/*
 * What may be written can be read on x86, but the host's kernel lets another process read only what
 * says so.
 */
static ssize_t read_anyhow(pid_t tid, const struct iovec *local, unsigned long nr_local,
                           const struct iovec *remote, unsigned long nr_remote, unsigned long flags)
{
    char path[32];
    ssize_t done;
    int fd;

    (void)nr_local;
    (void)nr_remote;
    (void)flags;
    snprintf(path, sizeof path, "/proc/%d/mem", tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    done = pread(fd, local->iov_base, local->iov_len, (off_t)(uintptr_t)remote->iov_base);
    close(fd);
    return done;
}

static bool was_seen(const struct user_mem *user_mem, uint64_t from, size_t size)
{
    return size <= user_mem->nr_seen && from >= user_mem->seen_at &&
           from - user_mem->seen_at <= user_mem->nr_seen - size;
}

static int user_mem_read(void *ctx, void *to, uint64_t from, size_t size)
{
    struct user_mem *user_mem = ctx;
    const struct vma *vma;
    uint64_t page;
    int rc;

    if (was_seen(user_mem, from, size)) {
        memcpy(to, user_mem->seen + (from - user_mem->seen_at), size);
        return 0;
    }
    rc = access_client(ctx, process_vm_readv, to, from, size);
    if (!rc && size <= sizeof user_mem->seen) {
        memcpy(user_mem->seen, to, size);
        user_mem->seen_at = from;
        user_mem->nr_seen = size;
    }
    if (rc != -EFAULT)
        return rc;
    vma = maps_vma_at(user_mem->machine->maps, user_mem->tid, from, &page);
    return vma && vma->prot == PROT_WRITE ? access_client(ctx, read_anyhow, to, from, size) : rc;
}

static int user_mem_write(void *ctx, uint64_t to, const void *from, size_t size)
{
    user_mem_forget(ctx);
    return access_client(ctx, process_vm_writev, (void *)from, to, size);
}

static struct vma *user_mem_find_vma(void *ctx, uint64_t addr)
{
    struct user_mem *user_mem = ctx;

    return maps_find_vma(user_mem->machine->maps, user_mem->tid, addr);
}

static struct vma *user_mem_vma_at(void *ctx, uint64_t addr, uint64_t *page)
{
    struct user_mem *user_mem = ctx;

    return maps_vma_at(user_mem->machine->maps, user_mem->tid, addr, page);
}

static const struct user_memory_ops user_mem_ops = {
    .read = user_mem_read,
    .write = user_mem_write,
    .find_vma = user_mem_find_vma,
    .vma_at = user_mem_vma_at,
};

struct user_memory user_mem_of(struct user_mem *user_mem)
{
    return (struct user_memory){ &user_mem_ops, user_mem };
}
