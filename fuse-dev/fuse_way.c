/* SPDX-License-Identifier: MIT */
#include "fuse_way.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attendant.h"
#include "dev_fs.h"
#include "loops.h"
#include "member.h"
#include "ns.h"
#include "space.h"
#include "supervisor.h"

struct killed_ns {
    int fd;
    struct killed_ns *next;
};

static int fuse_prepare(struct machine *m, int *memory_fd)
{
    char root[NS_ROOT_NAME];
    int rc = ns_root_name(root);

    if (!rc && !(m->root = strdup(root)))
        rc = -ENOMEM;
    if (rc)
        fprintf(stderr, "gntsim: cannot look at the root directory: %s\n", strerror(-rc));
    else
        rc = ns_enter_machine(&m->user_ns_fd);
    if (!rc) {
        *memory_fd = open(STAGE_MEM, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = *memory_fd < 0 ? -errno : 0;
        if (rc)
            fprintf(stderr, "gntsim: cannot open the place of the machine's memory: %s\n", strerror(-rc));
    }
    if (!rc)
        m->socket_dir = SOCKETS_DIR;
    if (rc && m->user_ns_fd >= 0) {
        close(m->user_ns_fd);
        m->user_ns_fd = -1;
    }
    if (rc) {
        free(m->root);
        m->root = NULL;
    }
    return rc;
}

static int fuse_start(struct machine *m)
{
    int rc = dev_fs_create(&m->fs, m, STAGE_FS);
    sigset_t stops;

    /* Of threads that we trace: for watch.c alone. */
    sigemptyset(&stops);
    sigaddset(&stops, SIGCHLD);
    sigprocmask(SIG_BLOCK, &stops, NULL);
    if (!rc)
        rc = loops_start(m->loops, dev_fs_step, NULL, m->fs);
    return rc;
}

static void fuse_kill(struct domain *d)
{
    struct killed_ns *killed;

    if (d->ns_fd < 0)
        return;
    close(d->root_fd);
    d->root_fd = -1;
    ns_kill_all(d->ns_fd, false);
    killed = malloc(sizeof *killed);
    if (!killed)
        return;
    killed->fd = d->ns_fd;
    killed->next = d->machine->killed;
    d->machine->killed = killed;
    d->ns_fd = -1;
}

static void fuse_wait_killed(struct machine *m)
{
    struct killed_ns *killed, *next;

    machine_lock(m);
    killed = m->killed;
    m->killed = NULL;
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
    if (d->ns_fd >= 0)
        close(d->ns_fd);
    if (d->root_fd >= 0)
        close(d->root_fd);
}

static void fuse_stop(struct machine *m)
{
    supervisors_stop(m);
    spaces_stop(m);
    dev_fs_abort(m->fs);
}

static void fuse_close_all(struct machine *m)
{
    dev_fs_close_all(m->fs);
}

static void fuse_destroy(struct machine *m)
{
    dev_fs_destroy(m->fs);
    if (m->user_ns_fd >= 0)
        close(m->user_ns_fd);
    free(m->root);
    fuse_wait_killed(m);      /* of domains that were crashed, which nobody waited for */
}

/* What waits for the file system, the server itself in the worst case, waits no more. */
static void fuse_bereaved(struct machine *m)
{
    (void)m;
    umount2(STAGE_FS, MNT_FORCE | MNT_DETACH);
}

static void make_domain(const uint64_t args[2], struct attendant_answer *answer)
{
    answer->fds[0] = ns_make_domain((domid_t)args[0], &answer->fds[1]);
    answer->rc = answer->fds[0] < 0 ? answer->fds[0] : 0;
}

int fuse_way_make_domain(struct machine *m, domid_t id, int *root_fd)
{
    struct attendant_answer answer;

    attendant_ask(m, make_domain, (uint64_t[2]){ id }, &answer);
    *root_fd = answer.fds[1];
    return answer.rc ? answer.rc : answer.fds[0];
}

bool fuse_way_serves(struct machine *m, uint64_t number)
{
    struct stat ns;

    for (const struct domain *d = m->domains; d; d = d->next)
        if (d->ns_fd >= 0 && !fstat(d->ns_fd, &ns) && ns.st_ino == number)
            return true;
    return false;
}

const struct machine_way fuse_way = {
    .prepare = fuse_prepare,
    .start = fuse_start,
    .kill = fuse_kill,
    .wait_killed = fuse_wait_killed,
    .forget = fuse_forget,
    .domain_of = fuse_domain_of,
    .stop = fuse_stop,
    .close_all = fuse_close_all,
    .destroy = fuse_destroy,
    .bereaved = fuse_bereaved,
};
