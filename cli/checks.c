/* SPDX-License-Identifier: MIT */
/* Finds out what this host allows, by trying it in child processes. */
#include "checks.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch.h"
#include "filter.h"
#include "libraries.h"
#include "ns.h"
#include "sock_way.h"

static void found(struct finding *finding, bool ok, const char *detail, const char *remedy)
{
    finding->ok = ok;
    snprintf(finding->detail, sizeof finding->detail, "%s", detail);
    snprintf(finding->remedy, sizeof finding->remedy, "%s", ok ? "" : remedy);
}

/* Runs try in a child and returns its errno-like result; nothing of what it changes stays. */
static int in_child(int (*try)(void))
{
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return errno;
    if (!pid) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (null >= 0)
            dup2(null, STDERR_FILENO);
        _exit(try());
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

/* ---- The checks ------------------------------------------------------------------------------- */

static void check_fuse(struct finding *finding)
{
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC), error = errno;
    char text[sizeof finding->detail];

    if (fd >= 0) {
        close(fd);
        found(finding, true, "/dev/fuse can be opened", "");
    } else if (error == EACCES || error == EPERM) {
        found(finding, false, "/dev/fuse may not be opened by this user",
              "as root: chmod 0666 /dev/fuse   (udev does this on an ordinary Debian; containers need --device /dev/fuse)");
    } else {
        snprintf(text, sizeof text, "/dev/fuse: %s", strerror(error));
        found(finding, false, text,
              "as root: modprobe fuse   (in a container: start it with --device /dev/fuse)");
    }
}

static int try_mount_ns(void)
{
    return unshare(CLONE_NEWNS) ? errno : 0;
}

static int try_user_ns(void)
{
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) ? errno : 0;
}

static void check_namespaces(struct finding *finding)
{
    int error;

    if (!in_child(try_mount_ns))
        found(finding, true, "mount namespaces can be made directly (privileged)", "");
    else if (!(error = in_child(try_user_ns)))
        found(finding, true, "user namespaces can be made", "");
    else if (ns_only_for_root(error))
        found(finding, false, "this is a chroot, in which an ordinary user can make no user namespace",
              "run gntsim outside of the chroot, as root, or in a container, which has a root of its own");
    else
        found(finding, false, "neither mount nor user namespaces can be made",
              "as root: sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1 "
              "kernel.apparmor_restrict_unprivileged_userns=0   (those that exist)");
}

static int try_mounts(void)
{
    char options[64];
    int fd;

    if (ns_try_machine())
        return EPERM;
    fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other", fd, geteuid(), getegid());
    return mount("gntsim", STAGE_FS, "fuse.gntsim", MS_NOSUID | MS_NODEV, options) ? errno : 0;
}

static void check_mounts(struct finding *finding)
{
    int error = in_child(try_mounts);

    if (!error)
        found(finding, true, "a FUSE file system and a private /dev can be mounted", "");
    else
        found(finding, false, "a FUSE file system or a private /dev cannot be mounted",
              "in a container: allow mount(2) (--cap-add SYS_ADMIN and an unconfined AppArmor profile), or run outside of it");
}

static int try_listener(void)
{
    int fd = filter_install(false);

    return fd < 0 ? -fd : 0;
}

static int try_filter(void)
{
    return ns_try_machine() ? EPERM : try_listener();
}

static void check_seccomp(struct finding *finding)
{
    int error = in_child(try_filter);

    if (!error)
        found(finding, true, "seccomp user notification works", "");
    else if (error == EBUSY)
        found(finding, false, "this process is supervised through seccomp already",
              "run gntsim outside of the container manager or machine that supervises it");
    else
        found(finding, false, "seccomp user notification is not available",
              "needs Linux 5.9 or newer with CONFIG_SECCOMP_FILTER, and in a container a seccomp profile that allows seccomp(2)");
}

static int try_tracing(void)
{
    int value = 4711, seen = 0, status, rc = 0;
    struct iovec local = { &seen, sizeof seen }, remote = { &value, sizeof value };
    pid_t pid = fork();

    if (pid < 0)
        return errno;
    if (!pid)
        for (;;)
            pause();
    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != sizeof seen || seen != value)
        rc = errno;
    else if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) ||
             waitpid(pid, &status, __WALL) != pid)
        rc = errno;
    kill(pid, SIGKILL);
    waitpid(pid, &status, __WALL);
    return rc;
}

static int try_trace(void)
{
    return ns_try_machine() ? EPERM : try_tracing();
}

static void check_tracing(struct finding *finding)
{
    const char *problem = ARCH_NO_DEVICE_FILES;

    if (problem)
        found(finding, false, problem, "none yet: here programs use the socket way");
    else if (!in_child(try_trace))
        found(finding, true, "another process can be traced and its memory read", "");
    else
        found(finding, false, "processes cannot be traced",
              "in a container: --cap-add SYS_PTRACE, or a seccomp profile that allows ptrace and process_vm_readv; "
              "else as root: sysctl -w kernel.yama.ptrace_scope=0");
}

static void check_processor(struct finding *finding)
{
    found(finding, true, ARCH_NAME, "");
}

static void check_socket(struct finding *finding)
{
    const char *problem = sock_way_problem();

    found(finding, !problem, problem ? problem : "sockets, and a directory that shows the end of mappings",
          "set GNTSIM_TMPDIR to a directory of a tmpfs, or of a local file system other than an overlay");
}

static void check_libraries(struct finding *finding)
{
    const char *problem = libraries_problem();

    found(finding, !problem, problem ? problem : "gntsim's own libxengnttab and libxenevtchn are there",
          "install gntsim, or build all of it");
}

const struct check checks[] = {
    { "processor", check_processor, true, true, { NULL } },
    { "fuse", check_fuse, true, false, { NULL } },
    { "namespaces", check_namespaces, true, false, { NULL } },
    { "mounts", check_mounts, true, false, { "fuse", "namespaces" } },
    { "seccomp", check_seccomp, true, false, { "namespaces" } },
    { "tracing", check_tracing, true, false, { "namespaces" } },
    { "socket", check_socket, false, true, { NULL } },
    { "libraries", check_libraries, false, true, { NULL } },
    { .name = NULL },
};

/* ---- For run and serve ------------------------------------------------------------------------ */

static int try_device_way(void)
{
    int rc = try_mounts();

    /* What comes last forbids calls that the others make. */
    if (!rc)
        rc = try_tracing();
    if (!rc)
        rc = try_listener();
    return rc;
}

bool checks_device_way(char *why, size_t size)
{
    struct finding finding;
    const char *problem = ARCH_NO_DEVICE_FILES;
    int fd = problem ? -1 : open("/dev/fuse", O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    if (fd >= 0 && !in_child(try_device_way))
        return true;
    if (problem) {
        snprintf(why, size, "%s", problem);
        return false;
    }
    snprintf(why, size, "it cannot be set up");
    for (const struct check *check = checks; check->name; check++) {
        if (!check->for_devices)
            continue;
        check->check(&finding);
        if (!finding.ok) {
            snprintf(why, size, "%s", finding.detail);
            break;
        }
    }
    return false;
}
