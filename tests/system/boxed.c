/* SPDX-License-Identifier: MIT */
/*
 * boxed THREADS ANSWER    A process of domain 1 opens its devices, starts its threads and then
 * locks itself in: only the calls that such a program needs stay allowed, any other gets the ANSWER
 * errno or kill. Then it shares, maps, unmaps, and says "done".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#define PAGE 4096ul
#define BOTH (PROT_READ | PROT_WRITE)

static void say(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        _exit(9);
}

#define must(condition) do { \
    if (!(condition)) { \
        say(#condition ": "); \
        say(strerrorname_np(errno)); \
        _exit(1); \
    } \
} while (0)

static void *idle(void *started)
{
    atomic_fetch_add((atomic_int *)started, 1);
    for (;;)
        syscall(SYS_nanosleep, &(struct timespec){ 1, 0 }, NULL);
    return NULL;
}

static void lock_in(const char *answer)
{
    static const unsigned short allowed[] = { SYS_read, SYS_write, SYS_close, SYS_ioctl, SYS_mmap,
                                              SYS_munmap, SYS_nanosleep, SYS_exit_group };
    enum { NR = sizeof allowed / sizeof *allowed };
    struct sock_filter code[NR + 3] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                 offsetof(struct seccomp_data, nr)) };
    struct sock_fprog program = { NR + 3, code };

    for (unsigned i = 0; i < NR; i++)
        code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
                                                   (unsigned char)(NR - i), 0);
    code[NR + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                                !strcmp(answer, "errno") ? SECCOMP_RET_ERRNO | EPERM
                                                : SECCOMP_RET_KILL_PROCESS);
    code[NR + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    must(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program));
}

int main(int argc, char **argv)
{
    struct {
        struct ioctl_gntalloc_alloc_gref op;
        uint32_t more[4];
    } alloc = { .op = { .domid = 1, .flags = 1, .count = 4 } };
    struct {
        struct ioctl_gntdev_map_grant_ref op;
        struct ioctl_gntdev_grant_ref more[4];
    } map = { .op.count = 4 };
    struct ioctl_gntdev_unmap_grant_ref unmap = { .count = 4 };
    int gntdev = open("/dev/xen/gntdev", O_RDWR), gntalloc = open("/dev/xen/gntalloc", O_RDWR);
    atomic_int started = 0;
    char *shared, *mapped;

    must(argc == 3 && gntdev >= 0 && gntalloc >= 0);
    for (int i = 1; i < atoi(argv[1]); i++) {
        pthread_t id;

        must(!pthread_create(&id, NULL, idle, &started));
        while (atomic_load(&started) < i)
            usleep(100);
    }
    lock_in(argv[2]);
    must(!ioctl(gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, &alloc.op));
    shared = mmap(NULL, 4 * PAGE, BOTH, MAP_SHARED, gntalloc, (off_t)alloc.op.index);
    must(shared != MAP_FAILED);
    shared[PAGE] = 42;
    for (unsigned i = 0; i < 4; i++)
        (&map.op.refs[0])[i] = (struct ioctl_gntdev_grant_ref){ 1, alloc.op.gref_ids[i] };
    must(!ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &map));
    mapped = mmap(NULL, 4 * PAGE, BOTH, MAP_SHARED, gntdev, (off_t)map.op.index);
    must(mapped != MAP_FAILED && mapped[PAGE] == 42);
    unmap.index = map.op.index;
    must(!munmap(mapped, 4 * PAGE) && !ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap));
    say("done");
    _exit(0);
}
