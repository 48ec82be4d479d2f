/* SPDX-License-Identifier: MIT */
/* What this host allows, found out by trying it in child processes. */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
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

#include "cli.h"
#include "filter.h"
#include "ns.h"
#include "options.h"

/* What a check found. */
struct finding {
    bool ok;
    char detail[160];            /* what was seen */
    char remedy[240];            /* one line, if not ok */
};

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

    if (fd >= 0) {
        close(fd);
        found(finding, true, "/dev/fuse can be opened", "");
    } else if (error == EACCES || error == EPERM) {
        found(finding, false, "/dev/fuse may not be opened by this user",
              "as root: chmod 0666 /dev/fuse   (udev does this on an ordinary Debian; containers need --device /dev/fuse)");
    } else {
        found(finding, false, strerror(error),
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
    if (!in_child(try_mount_ns))
        found(finding, true, "mount namespaces can be made directly (privileged)", "");
    else if (!in_child(try_user_ns))
        found(finding, true, "user namespaces can be made", "");
    else
        found(finding, false, "neither mount nor user namespaces can be made",
              "as root: sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1 "
              "kernel.apparmor_restrict_unprivileged_userns=0   (those that exist)");
}

static int try_mounts(void)
{
    int user_ns, fd;
    char options[64];

    if (ns_enter_machine(&user_ns))
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

static int try_filter(void)
{
    int user_ns, fd;

    if (ns_enter_machine(&user_ns))
        return EPERM;
    fd = filter_install();
    return fd < 0 ? -fd : 0;
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

static int try_trace(void)
{
    int value = 4711, seen = 0, status, rc = 0, user_ns;
    struct iovec local = { &seen, sizeof seen }, remote = { &value, sizeof value };
    pid_t pid;

    if (ns_enter_machine(&user_ns))
        return EPERM;
    pid = fork();
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

static void check_tracing(struct finding *finding)
{
    if (!in_child(try_trace))
        found(finding, true, "another process can be traced and its memory read", "");
    else
        found(finding, false, "processes cannot be traced",
              "in a container: --cap-add SYS_PTRACE, or a seccomp profile that allows ptrace and process_vm_readv; "
              "else as root: sysctl -w kernel.yama.ptrace_scope=0");
}

static void check_processor(struct finding *finding)
{
    found(finding, sizeof(void *) == 8, "x86-64", "gntsim runs on x86-64 only");
}

static const struct check {
    const char *name;
    void (*check)(struct finding *finding);
} checks[] = {
    { "processor", check_processor },
    { "fuse", check_fuse },
    { "namespaces", check_namespaces },
    { "mounts", check_mounts },
    { "seccomp", check_seccomp },
    { "tracing", check_tracing },
};
#define NR_CHECKS (sizeof checks / sizeof *checks)

static const char *way(bool all)
{
    if (!all)
        return "none: the devices cannot be served here";
    return in_child(try_mount_ns) ? "device files over FUSE, in a user namespace" : "device files over FUSE, in a mount namespace";
}

int cmd_doctor(int argc, char **argv)
{
    struct finding findings[NR_CHECKS];
    struct options options;
    bool all = true;
    int rc = options_parse(&options, OPT_JSON, argc, argv);

    if (rc)
        return rc - 1;
    if (options.nr_rest)
        return usage_error("unexpected argument '%s'; see gntsim doctor --help", options.rest[0]);
    for (unsigned i = 0; i < NR_CHECKS; i++) {
        checks[i].check(&findings[i]);
        all &= findings[i].ok;
    }
    if (options.json) {
        json_object *result = json_object_new_object(), *list = json_object_new_array();

        for (unsigned i = 0; i < NR_CHECKS; i++) {
            json_object *row = json_object_new_object();

            json_object_object_add(row, "check", json_object_new_string(checks[i].name));
            json_object_object_add(row, "ok", json_object_new_boolean(findings[i].ok));
            json_object_object_add(row, "detail", json_object_new_string(findings[i].detail));
            if (!findings[i].ok)
                json_object_object_add(row, "remedy", json_object_new_string(findings[i].remedy));
            json_object_array_add(list, row);
        }
        json_object_object_add(result, "checks", list);
        json_object_object_add(result, "usable", json_object_new_boolean(all));
        json_object_object_add(result, "way", json_object_new_string(way(all)));
        puts(json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN));
        json_object_put(result);
        return all ? 0 : 1;
    }
    for (unsigned i = 0; i < NR_CHECKS; i++) {
        printf("%-8s %-11s %s\n", findings[i].ok ? "ok" : "MISSING", checks[i].name, findings[i].detail);
        if (!findings[i].ok)
            printf("         %-11s %s\n", "remedy:", findings[i].remedy);
    }
    printf("way      %s\n", way(all));
    return all ? 0 : 1;
}
