/* SPDX-License-Identifier: MIT */
/*
 * habits WHAT DOMID: a process of domain DOMID that opens the libraries' handles, does what daemons
 * do, and then uses them. Prints "done", or what was not as on a real machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xentoolcore.h>

#define PAGE 4096u
#define must(what)                                                         \
    do {                                                                   \
        if (!(what)) {                                                     \
            printf("line %d: %s: %s\n", __LINE__, #what, strerror(errno)); \
            exit(1);                                                       \
        }                                                                  \
    } while (0)

static uint32_t domid;
static xengntshr_handle *shr;
static xengnttab_handle *gnt;
static xenevtchn_handle *ev;
static int low, high;

static void open_all(void)
{
    shr = xengntshr_open(NULL, 0);
    gnt = xengnttab_open(NULL, 0);
    ev = xenevtchn_open(NULL, 0);
    must(shr && gnt && ev);
    low = xenevtchn_bind_unbound_port(ev, domid);
    high = xenevtchn_bind_interdomain(ev, domid, (evtchn_port_t)low);
    must(low > 0 && high > 0);
    must(xenevtchn_pending(ev) == high && !xenevtchn_unmask(ev, (evtchn_port_t)high));
}

static void send_one(void)
{
    must(!xenevtchn_notify(ev, (evtchn_port_t)low));
}

static void use_all(void)
{
    uint32_t ref;
    char *shared = xengntshr_share_pages(shr, domid, 1, &ref, 1), *mapped;

    must(shared);
    mapped = xengnttab_map_grant_ref(gnt, domid, ref, PROT_READ | PROT_WRITE);
    must(mapped);
    mapped[3] = 33;
    must(shared[3] == 33);
    must(!xengnttab_unmap(gnt, mapped, 1) && !xengntshr_unshare(shr, shared, 1));
    send_one();
    must(xenevtchn_pending(ev) == high && !xenevtchn_unmask(ev, (evtchn_port_t)high));
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static int is_known(int fd)
{
    return fd == xengntshr_fd(shr) || fd == xengnttab_fd(gnt) || fd == xenevtchn_fd(ev);
}

static void close_others(void)
{
    for (int fd = 3; fd < 1024; fd++)
        if (!is_known(fd))
            close(fd);
}

/* All that the program did not open, and the numbers are somebody else's then. */
static void closes_what_it_does_not_know(void)
{
    int fds[2];
    char byte;

    close_others();
    use_all();
    close_others();
    must(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds));
    for (int fd = 3; fd < 1024; fd++)
        if (!is_known(fd) && fd != fds[1])
            must(dup2(fds[0], fd) == fd || fd == fds[0]);
    must(!xenevtchn_notify(ev, (evtchn_port_t)low) || errno == EMFILE);
    must(recv(fds[1], &byte, 1, 0) == -1 && errno == EAGAIN);
    must(!xengnttab_close(gnt) && !xengntshr_close(shr) && !xenevtchn_close(ev));
    must(!fcntl(fds[0], F_SETFD, 0) && !fcntl(fds[1], F_SETFD, 0));
    must(write(fds[0], "x", 1) == 1 && read(fds[1], &byte, 1) == 1);
}

/* Even those: every call fails, and nobody else gets what was meant for the device. */
static void closes_everything(void)
{
    int fds[2];
    uint32_t ref;
    char byte;

    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    must(!xengntshr_share_pages(shr, domid, 1, &ref, 1) && errno == EBADF);
    must(xenevtchn_notify(ev, (evtchn_port_t)low) == -1 && errno == EBADF);
    must(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds));
    for (int fd = 3; fd < 1024; fd++)
        if (fd != fds[1])
            must(dup2(fds[0], fd) == fd || fd == fds[0]);
    must(!xengntshr_share_pages(shr, domid, 1, &ref, 1) && errno == ENOTTY);
    must(!xengnttab_map_grant_ref(gnt, domid, 8, PROT_READ) && errno == ENOTTY);
    must(recv(fds[1], &byte, 1, 0) == -1 && errno == EAGAIN);
}

static void has_few_descriptors(void)
{
    use_all();
    must(xenevtchn_fd(ev) < 64);
}

/* ---- Elsewhere ------------------------------------------------------------------------------- */

static void changes_its_root(void)
{
    char place[] = "/tmp/habits.XXXXXX";

    must(mkdtemp(place) && !chdir(place) && !chroot("."));
    must(!rmdir(place) || errno == ENOENT || errno == EBUSY);
    use_all();
    must(!xengnttab_open(NULL, 0) && errno == ENOENT);
}

/* A daemon: the parent is gone, a child of a child goes on. */
static void becomes_a_daemon(void)
{
    int status;

    if (!fork()) {
        setsid();
        if (!fork()) {
            must(!chdir("/"));
            use_all();
            exit(0);
        }
        must(wait(&status) > 0);
        exit(status != 0);
    }
    must(wait(&status) > 0 && !status);
    use_all();
}

/* A child that has used the parent's handles, against the rules, and restricts itself then. */
static void is_restricted_in_a_child(void)
{
    int status;

    if (!fork()) {
        use_all();
        must(!xentoolcore_restrict_all((domid_t)(domid + 1)));
        must(!xengnttab_map_grant_ref(gnt, domid, 8, PROT_READ) && errno == ENOTTY);
        exit(0);
    }
    must(wait(&status) > 0 && !status);
    use_all();
}

/* ---- Signals --------------------------------------------------------------------------------- */

static volatile int ticks;

/* As an ioctl may be made in a handler, so may this. */
static void tick(int sig)
{
    (void)sig;
    ticks++;
    if (xenevtchn_notify(ev, (evtchn_port_t)low))
        _exit(9);
}

static void every(int sig, int microseconds)
{
    struct itimerval timer = { { 0, microseconds }, { 0, microseconds } };

    (void)sig;
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* A timer's handler without SA_RESTART that uses the handle itself: no call may fail, or wait for
 * ever. */
static void has_a_timer(void)
{
    struct sigaction action = { .sa_handler = tick };
    uint32_t ref;

    sigaction(SIGALRM, &action, NULL);
    every(SIGALRM, 1000);
    for (int i = 0; i < 300 || ticks < 20; i++) {
        char *shared = xengntshr_share_pages(shr, domid, 1, &ref, 1), *mapped;

        must(shared);
        mapped = xengnttab_map_grant_ref(gnt, domid, ref, PROT_READ);
        must(mapped && !xengnttab_unmap(gnt, mapped, 1) && !xengntshr_unshare(shr, shared, 1));
        send_one();
    }
    every(SIGALRM, 0);
    must(xenevtchn_pending(ev) == high);
}

static sigjmp_buf back;

static void jump(int sig)
{
    (void)sig;
    ticks++;
    siglongjmp(back, 1);
}

/* A handler that does not come back: the handle is not left in the middle of a call. */
static void jumps_out(void)
{
    struct sigaction action = { .sa_handler = jump };

    sigaction(SIGALRM, &action, NULL);
    if (!sigsetjmp(back, 1) || ticks < 20) {
        every(SIGALRM, 700);
        for (;;)
            send_one();
    }
    every(SIGALRM, 0);
    use_all();
}

/* ---- A sandbox ------------------------------------------------------------------------------- */

/* What is not needed on a real machine is EPERM from now on. */
static void locks_itself_in(void)
{
    static const int allowed[] = { SYS_read, SYS_write, SYS_close, SYS_ioctl, SYS_mmap, SYS_munmap,
                                   SYS_brk, SYS_futex, SYS_exit_group,
                                   SYS_clock_nanosleep, SYS_rt_sigreturn, SYS_rt_sigprocmask,
                                   SYS_madvise, SYS_newfstatat, SYS_poll };
    enum { N = sizeof allowed / sizeof *allowed };
    struct sock_filter code[N + 3] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                offsetof(struct seccomp_data, nr)) };
    struct sock_fprog program = { N + 3, code };

    for (unsigned i = 0; i < N; i++)
        code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i],
                                                   (unsigned char)(N - i), 0);
    code[N + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    code[N + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    setvbuf(stdout, NULL, _IOLBF, 0);
    must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    must(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
    use_all();
}

/* ---- Which ----------------------------------------------------------------------------------- */

static const struct habit {
    const char *name;
    void (*have)(void);
} habits[] = {
    { "closes-what-it-does-not-know", closes_what_it_does_not_know },
    { "closes-everything", closes_everything },
    { "has-few-descriptors", has_few_descriptors },
    { "changes-its-root", changes_its_root },
    { "becomes-a-daemon", becomes_a_daemon },
    { "is-restricted-in-a-child", is_restricted_in_a_child },
    { "has-a-timer", has_a_timer },
    { "jumps-out", jumps_out },
    { "locks-itself-in", locks_itself_in },
    { "uses", use_all },
};

int main(int argc, char **argv)
{
    must(argc == 3);
    domid = (uint32_t)atoi(argv[2]);
    open_all();
    for (unsigned i = 0; i < sizeof habits / sizeof *habits; i++) {
        if (!strcmp(argv[1], habits[i].name)) {
            habits[i].have();
            puts("done");
            return 0;
        }
    }
    return 2;
}
