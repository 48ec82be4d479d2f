/* SPDX-License-Identifier: MIT */
/* Makes the device way a part of the machine: start, domains, and the end of their programs. */
#include "fuse_way_i.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utlist.h>

#include "attendant.h"
#include "cow.h"
#include "dev_fs.h"
#include "loops.h"
#include "member.h"
#include "ns.h"
#include "orphans.h"
#include "space.h"
#include "supervisor.h"

struct killed_ns {
    int fd;
    struct killed_ns *next;
};

/* What it has in a domain; -1: nobody asked for it. */
struct fuse_domain {
    int ns_fd, root_fd;
};

static struct fuse_domain *in_domain(const struct domain *d)
{
    return part_of_domain(d, &fuse_way);
}

static int fuse_prepare(struct machine *m, int *memory_fd)
{
    struct fuse_machine *fuse = fuse_of(m);
    char root[NS_ROOT_NAME];
    int rc = ns_root_name(root);

    fuse->user_ns_fd = -1;
    pthread_cond_init(&fuse->shown, NULL);
    if (!rc && (!(fuse->root = strdup(root)) || !(fuse->orphans = orphans_create())))
        rc = -ENOMEM;
    if (rc)
        fprintf(stderr, "gntsim: cannot look at the root directory: %s\n", strerror(-rc));
    else
        rc = ns_enter_machine(&fuse->user_ns_fd);
    if (!rc) {
        *memory_fd = open(STAGE_MEM, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = *memory_fd < 0 ? -errno : 0;
        if (rc)
            fprintf(stderr, "gntsim: cannot open the place of the machine's memory: %s\n",
                    strerror(-rc));
    }
    if (!rc)
        m->inner_dir = SOCKETS_DIR;
    if (rc && fuse->user_ns_fd >= 0)
        close(fuse->user_ns_fd);
    if (rc) {
        free(fuse->root);
        orphans_destroy(fuse->orphans);
    }
    return rc;
}

static int fuse_start(struct machine *m)
{
    struct fuse_machine *fuse = fuse_of(m);
    int rc = dev_fs_create(&fuse->fs, m, STAGE_FS);
    sigset_t stops;

    /* Of threads that we trace: for watch.c alone. */
    sigemptyset(&stops);
    sigaddset(&stops, SIGCHLD);
    sigprocmask(SIG_BLOCK, &stops, NULL);
    if (!rc)
        rc = loops_start(m->loops, dev_fs_step, NULL, fuse->fs);
    return rc;
}

static void fuse_domain_created(struct domain *d)
{
    *in_domain(d) = (struct fuse_domain){ -1, -1 };
}

static void fuse_kill(struct domain *d)
{
    struct fuse_domain *fd = in_domain(d);
    struct killed_ns *killed;

    if (fd->ns_fd < 0)
        return;
    close(fd->root_fd);
    fd->root_fd = -1;
    ns_kill_all(fd->ns_fd, false);
    killed = malloc(sizeof *killed);
    if (!killed)
        return;
    killed->fd = fd->ns_fd;
    LL_PREPEND(fuse_of(d->machine)->killed, killed);
    fd->ns_fd = -1;
}

static void fuse_wait_killed(struct machine *m)
{
    struct fuse_machine *fuse = fuse_of(m);
    struct killed_ns *killed, *next;

    machine_lock(m);
    killed = fuse->killed;
    fuse->killed = NULL;
    machine_unlock(m);
    for (; killed; killed = next) {
        next = killed->next;
        ns_kill_all(killed->fd, true);
        close(killed->fd);
        free(killed);
    }
}

static void fuse_forget(struct domain *d)
{
    const struct fuse_domain *fd = in_domain(d);

    if (fd->ns_fd >= 0)
        close(fd->ns_fd);
    if (fd->root_fd >= 0)
        close(fd->root_fd);
}

static void fuse_stop(struct machine *m)
{
    supervisors_stop(m);
    spaces_stop(m);
    dev_fs_abort(fuse_of(m)->fs);
}

static void fuse_close_all(struct machine *m)
{
    dev_fs_close_all(fuse_of(m)->fs);
}

static void fuse_destroy(struct machine *m)
{
    struct fuse_machine *fuse = fuse_of(m);

    dev_fs_destroy(fuse->fs);
    orphans_destroy(fuse->orphans);
    if (fuse->user_ns_fd >= 0)
        close(fuse->user_ns_fd);
    free(fuse->root);
    fuse_wait_killed(m);      /* of domains that were crashed, which nobody waited for */
}

/* What waits for the file system, the server itself in the worst case, waits no more. */
static void fuse_bereaved(struct machine *m)
{
    (void)m;
    umount2(STAGE_FS, MNT_FORCE | MNT_DETACH);
}

static void fuse_outlive(struct machine *m)
{
    orphans_serve(fuse_of(m)->orphans);
}

static void make_domain(const uint64_t args[2], struct attendant_answer *answer)
{
    answer->fds[0] = ns_make_domain((domid_t)args[0], &answer->fds[1]);
    answer->rc = answer->fds[0] < 0 ? answer->fds[0] : 0;
}

/* In the attendant: it makes requests to the file system, which the server must never do itself. */
static int make_namespace(struct domain *d)
{
    struct machine *m = d->machine;
    struct fuse_domain *fd = in_domain(d);
    struct attendant_answer answer;
    int rc = 0;

    domain_enter(d);
    machine_unlock(m);
    attendant_ask(m, make_domain, (uint64_t[2]){ d->place }, &answer);
    machine_lock(m);
    if (answer.rc)
        rc = answer.rc;
    else if (d->dead)
        rc = -ESRCH;
    if (!rc && fd->ns_fd < 0) {
        *fd = (struct fuse_domain){ answer.fds[0], answer.fds[1] };
        dev_fs_new_nodes(fuse_of(m)->fs, d->place);
    } else if (!answer.rc) {     /* the domain ended, or somebody else was faster */
        close(answer.fds[0]);
        close(answer.fds[1]);
    }
    domain_leave(d);
    return rc;
}

int fuse_way_enter(struct domain *d, struct fuse_way_entry *entry)
{
    const struct fuse_domain *fd = in_domain(d);
    int user_ns_fd = fuse_of(d->machine)->user_ns_fd, rc = fd->ns_fd < 0 ? make_namespace(d) : 0;

    if (!rc)
        *entry = (struct fuse_way_entry){ fd->ns_fd, fd->root_fd, user_ns_fd };
    return rc;
}

bool fuse_way_other_root(const struct machine *m, const char *root)
{
    const struct fuse_machine *fuse = fuse_of(m);

    return fuse && !(root && ns_same_root(root, fuse->root));
}

uint64_t fuse_way_requests(const struct machine *m)
{
    return fuse_of(m) ? dev_fs_requests(fuse_of(m)->fs) : 0;
}

uint64_t fuse_way_notifications(const struct machine *m)
{
    return fuse_of(m) ? fuse_of(m)->notifications : 0;
}

bool fuse_way_serves(struct machine *m, uint64_t number)
{
    struct stat ns;

    for (const struct domain *d = m->domains; fuse_of(m) && d; d = d->next)
        if (in_domain(d)->ns_fd >= 0 && !fstat(in_domain(d)->ns_fd, &ns) && ns.st_ino == number)
            return true;
    return false;
}

static bool fuse_find_file(struct machine *m, dev_t dev, ino_t ino, struct machine_file *file)
{
    return dev_fs_find_ino(fuse_of(m)->fs, dev, ino, file);
}

static void fuse_see_closed(struct machine *m)
{
    dev_fs_catch_up(fuse_of(m)->fs);
}

const struct machine_part fuse_way = {
    .machine_size = sizeof(struct fuse_machine),
    .domain_size = sizeof(struct fuse_domain),
    .prepare = fuse_prepare,
    .start = fuse_start,
    .domain_created = fuse_domain_created,
    .kill = fuse_kill,
    .wait_killed = fuse_wait_killed,
    .forget = fuse_forget,
    .domain_of = fuse_domain_of,
    .can_follow = cow_can_follow,
    .follow = cow_follow,
    .find_file = fuse_find_file,
    .see_closed = fuse_see_closed,
    .stop = fuse_stop,
    .close_all = fuse_close_all,
    .destroy = fuse_destroy,
    .bereaved = fuse_bereaved,
    .outlive = fuse_outlive,
};
