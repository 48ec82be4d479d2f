/* SPDX-License-Identifier: MIT */
/* Makes the machine's namespaces and one set for each domain. */
#include "ns_i.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kill.h"

#define SYS_PLACE  "/sys/hypervisor"
#define LOCKS_DIR  "/run/xen"
#define NOTES_DIR  "/var/lib/xen"
#define PROC_PLACE "/proc/xen"
/* Where libxenstore looks, by both names: they may be one directory. */
static const char *const store_places[] = { "/run/xenstored", "/var/run/xenstored" };
#define NR_STORE_PLACES (sizeof store_places / sizeof *store_places)

#define HOST_MODULES ".host"      /* under /sys/module: the host's own */
/* Under /dev: the host's own, as one mounted tree, where terminals need it. */
#define HOST_DEV_NAME ".host"
#define HOST_DEV      "/dev/" HOST_DEV_NAME

int ns_complain(const char *format, ...)
{
    int error = errno;
    va_list ap;

    fputs("gntsim: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, ": %s\n", strerror(error));
    return -error;
}

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

    if (fd < 0)
        return -errno;
    if (write(fd, text, strlen(text)) < 0)
        rc = -errno;
    close(fd);
    return rc;
}

/* ---- The machine's namespace ----------------------------------------------------------------- */

/* The number that stands behind key in a file of /proc; other if there is none. */
static long number_in(const char *path, const char *key, long other)
{
    FILE *file = fopen(path, "re");
    char line[256];

    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key)))
            continue;
        other = strtol(line + strlen(key), NULL, 10);
        break;
    }
    if (file)
        fclose(file);
    return other;
}

/* Linux does not say so. But nothing else forbids it, neither the host's setting nor a sandbox. */
bool ns_only_for_root(int error)
{
    return error == EPERM && number_in("/proc/sys/kernel/unprivileged_userns_clone", "", 1) &&
           number_in("/proc/self/status", "Seccomp:", 2) == 0;
}

static int enter_user_ns(int *user_ns_fd)
{
    unsigned uid = geteuid(), gid = getegid();
    char map[64];

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) {
        int error = errno;

        ns_complain("cannot create a user namespace");
        fputs(ns_only_for_root(error)
                  ? "gntsim: this is a chroot, in which an ordinary user cannot have one: run "
                    "gntsim outside of it, as root, or in a container\n"
                  : "gntsim: `gntsim doctor` says what to change (root: sysctl "
                    "kernel.unprivileged_userns_clone=1 or "
                    "user.max_user_namespaces=10000)\n",
              stderr);
        return -EPERM;
    }
    write_file("/proc/self/setgroups", "deny");      /* absent on old kernels, needed on others */
    snprintf(map, sizeof map, "%u %u 1\n", uid, uid);
    errno = -write_file("/proc/self/uid_map", map);
    if (errno)
        return ns_complain("cannot map user %u", uid);
    snprintf(map, sizeof map, "%u %u 1\n", gid, gid);
    errno = -write_file("/proc/self/gid_map", map);
    if (errno)
        return ns_complain("cannot map group %u", gid);
    *user_ns_fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    return *user_ns_fd < 0 ? ns_complain("cannot open /proc/self/ns/user") : 0;
}

/*
 * What of the host's /dev is shown as it is: not what is made here, nor what a machine around this
 * one made.
 */
static bool is_shown(const char *name)
{
    static const char *const hidden[] = { "xen",        "ptmx",        STAGE_NAME,
                                          SOCKETS_NAME, HOST_DEV_NAME, XENFS_NAME };

    for (unsigned i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (!strcmp(name, hidden[i]))
            return false;
    return true;
}

/* Shows the host's /dev, tree, as /dev/.host, without its own /dev/xen. */
static bool show_host_dev(int tree)
{
    if (tree < 0 || mkdir(HOST_DEV, 0755))
        return false;
    if (syscall(SYS_move_mount, tree, "", AT_FDCWD, HOST_DEV, MOVE_MOUNT_F_EMPTY_PATH)) {
        rmdir(HOST_DEV);
        return false;
    }
    if (access(HOST_DEV "/xen", F_OK) ||
        !mount("gntsim", HOST_DEV "/xen", "tmpfs", MS_RDONLY, "mode=0755,size=4k"))
        return true;
    umount2(HOST_DEV, MNT_DETACH);
    return false;
}

/*
 * Whoever opens ptmx gets a terminal of the devpts that is mounted on "pts" beside it. So a bind
 * mount of that one node would be useless: the kernel finds nothing beside it. It is a node of our
 * own beside /dev/pts; or, for those who may make none, leads into tree, the host's /dev. (A link,
 * as in most containers, needs none of this.)
 */
static void build_ptmx(int host_dev, int tree)
{
    struct stat st;

    if (!fstatat(host_dev, "ptmx", &st, AT_SYMLINK_NOFOLLOW) && S_ISCHR(st.st_mode)) {
        if (!mknod("/dev/ptmx", st.st_mode, st.st_rdev) &&
            !chown("/dev/ptmx", st.st_uid, st.st_gid) && !chmod("/dev/ptmx", st.st_mode & 07777))
            return;
        unlink("/dev/ptmx");
        if (show_host_dev(tree) && !symlink(HOST_DEV_NAME "/ptmx", "/dev/ptmx"))
            return;
    }
    ns_show_entry(host_dev, "ptmx", "/dev");
}

/* What a trial shows of the host's /dev, and needs. */
static bool is_tried(const char *name)
{
    return !strcmp(name, "fuse");
}

/* Covers /dev with what is shown of it. */
static int show_dev(bool trial)
{
    /* Before /dev is covered: the copy would carry the cover along. */
    int tree = trial ? -1 : (int)syscall(SYS_open_tree, AT_FDCWD, "/dev",
                                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    int fd = ns_cover_showing("/dev", trial ? is_tried : is_shown);

    if (fd >= 0 && !trial)
        build_ptmx(fd, tree);
    if (tree >= 0)
        close(tree);
    if (fd < 0) {
        errno = -fd;
        return ns_complain("cannot mount a tmpfs over /dev");
    }
    close(fd);
    return 0;
}

static int build_dev(bool trial)
{
    int rc = show_dev(trial);

    if (rc)
        return rc;
    if (mkdir("/dev/xen", 0755) || mkdir(STAGE_DIR, 0700) || mkdir(STAGE_MEM, 0700) ||
        mkdir(STAGE_FS, 0755) || mkdir(SOCKETS_DIR, 0700) || mkdir(XENFS_DIR, 0755))
        return ns_complain("cannot make directories in the machine's /dev");
    if (mount("gntsim-memory", STAGE_MEM, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700,size=100%"))
        return ns_complain("cannot mount a tmpfs for the machine's memory");
    return 0;
}

/* Whose parameters are a domain's own. */
static const char *const modules[] = { "xen_gntdev", "xen_gntalloc", "grant_table", "xen_privcmd" };
#define NR_MODULES (sizeof modules / sizeof *modules)

static bool is_ours(const char *module)
{
    for (unsigned i = 0; i < NR_MODULES; i++)
        if (!strcmp(modules[i], module))
            return true;
    return false;
}

/* Module parameters are a comfort: without a /sys the machine works all the same. */
static void build_modules(void)
{
    struct dirent *entry;
    DIR *dir;
    char from[64];
    int fd = ns_cover("/sys/module");

    if (fd < 0)
        return;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return;
    }
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    if (mkdir("/sys/module/" HOST_MODULES, 0755) ||
        mount(from, "/sys/module/" HOST_MODULES, NULL, MS_BIND | MS_REC, NULL)) {
        umount2("/sys/module", MNT_DETACH);
        closedir(dir);
        return;
    }
    while ((entry = readdir(dir))) {
        char link[32 + NAME_MAX], to[32 + NAME_MAX];

        if (entry->d_name[0] == '.' || is_ours(entry->d_name))
            continue;
        snprintf(link, sizeof link, HOST_MODULES "/%s", entry->d_name);
        snprintf(to, sizeof to, "/sys/module/%s", entry->d_name);
        if (symlink(link, to))
            continue;
    }
    closedir(dir);
    for (unsigned i = 0; i < NR_MODULES; i++) {
        char path[64];

        snprintf(path, sizeof path, "/sys/module/%s", modules[i]);
        if (mkdir(path, 0755))
            return;
    }
}

/*
 * In a chroot whose root is not a mount there is nothing to be made private but all of the
 * namespace, from its own root: which we are in for a moment, as setns leaves there whoever enters
 * a namespace.
 */
static int make_all_private(void)
{
    int ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC),
        root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
        place = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), rc = 0;

    if (ns < 0 || root < 0 || place < 0 || setns(ns, CLONE_NEWNS) ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || fchdir(root) || chroot(".") ||
        fchdir(place))
        rc =
            ns_complain("cannot make the mounts of this chroot private, whose root is not a mount");
    if (ns >= 0)
        close(ns);
    if (root >= 0)
        close(root);
    if (place >= 0)
        close(place);
    return rc;
}

static int make_private(void)
{
    if (!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return 0;
    return errno == EINVAL ? make_all_private() : ns_complain("cannot make the mounts private");
}

static int enter(int *user_ns_fd, bool trial)
{
    int rc;

    *user_ns_fd = -1;
    if (unshare(CLONE_NEWNS)) {
        if (errno != EPERM)
            return ns_complain("cannot create a mount namespace");
        rc = enter_user_ns(user_ns_fd);
        if (rc)
            return rc;
    }
    rc = make_private();
    return rc ? rc : build_dev(trial);
}

int ns_enter_machine(int *user_ns_fd)
{
    int rc = enter(user_ns_fd, false);

    if (rc)
        return rc;
    ns_make_room(SYS_PLACE);
    build_modules();
    return 0;
}

int ns_try_machine(void)
{
    int user_ns_fd;

    return enter(&user_ns_fd, true);
}

/* ---- A domain's namespace -------------------------------------------------------------------- */

static int bind(const char *from_format, domid_t id, const char *module, const char *to)
{
    char from[PATH_MAX];

    snprintf(from, sizeof from, from_format, id, module);
    return mount(from, to, NULL, MS_BIND, NULL) ? -errno : 0;
}

/* What programs find of Xen outside of /dev, where the host has room for it. */
static void show_places(domid_t id)
{
    bool is_own;
    int fd;

    bind(STAGE_FS "/%u.hypervisor%s", id, "", SYS_PLACE);
    bind(STAGE_FS "/%u.proc%s", id, "", access(PROC_PLACE, F_OK) ? XENFS_DIR : PROC_PLACE);
    /* The store's socket is the initial domain's. */
    if (id || access(STORE_DIR, F_OK))
        return;
    is_own = access(store_places[0], F_OK);
    for (unsigned i = 0; i < NR_STORE_PLACES; i++)
        ns_show(STORE_DIR, store_places[i]);
    /* xl keeps locks and notes of domains in these: its own ones, and not the host's. */
    if (is_own)
        mkdir(LOCKS_DIR, 0755);
    fd = ns_cover_showing(NOTES_DIR, NULL);
    if (fd >= 0)
        close(fd);
}

struct make_domain {
    domid_t id;
    int result, root_fd;
};

/* A thread can have a mount namespace of its own; it lives on in the descriptor. */
static void *make_domain(void *arg)
{
    struct make_domain *make = arg;
    int rc;

    if (unshare(CLONE_FS | CLONE_NEWNS)) {
        make->result = -errno;
        return NULL;
    }
    rc = bind(STAGE_FS "/%u%s", make->id, "", "/dev/xen");
    /* Comforts, as above, all of these. */
    if (!rc)
        show_places(make->id);
    for (unsigned i = 0; !rc && i < NR_MODULES; i++) {
        char to[64];

        snprintf(to, sizeof to, "/sys/module/%s", modules[i]);
        bind(STAGE_FS "/%u.module/%s", make->id, modules[i], to);
    }
    if (!rc && umount2(STAGE_FS, MNT_DETACH))
        rc = -errno;
    if (!rc && umount2(STAGE_MEM, MNT_DETACH))
        rc = -errno;
    /* Out of sight, and out of reach: removing a mount point here would detach the machine's
     * mount. */
    if (!rc && mount("gntsim", STAGE_DIR, "tmpfs", MS_RDONLY, "mode=0000,size=4k"))
        rc = -errno;
    if (!rc) {
        make->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        rc = make->root_fd < 0 ? -1 : open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
        if (rc < 0)
            rc = -errno;
    }
    if (rc < 0 && make->root_fd >= 0)
        close(make->root_fd);
    make->result = rc;
    return NULL;
}

int ns_make_domain(domid_t id, int *root_fd)
{
    struct make_domain make = { .id = id, .root_fd = -1 };
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, make_domain, &make);

    if (rc)
        return -rc;
    pthread_join(thread, NULL);
    *root_fd = make.root_fd;
    return make.result;
}

static enum kill_verdict is_in(const void *ctx, pid_t pid)
{
    const struct stat *ns = ctx;
    char path[64];
    struct stat st;

    snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
    return !stat(path, &st) && st.st_ino == ns->st_ino && st.st_dev == ns->st_dev
        ? KILL_IT : KILL_NOT;
}

void ns_kill_all(int ns_fd, bool wait)
{
    struct stat ns;

    if (ns_fd >= 0 && !fstat(ns_fd, &ns))
        kill_processes(is_in, &ns, wait);
}
