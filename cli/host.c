/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli.h"
#include "control.h"
#include "fuse_way.h"
#include "machine.h"

static void signal_ready(void *ctx, unsigned events)
{
    (void)events;
    machine_request_stop(ctx);
}

static void owner_ended(void *ctx, unsigned events)
{
    (void)events;
    machine_request_stop(ctx);
}

/* A descriptor that is readable once the process has ended. A process that is gone already is an error, ESRCH. */
static int watch_owner(struct machine *machine, struct watch *watch, int pid)
{
    *watch = (struct watch){ (int)syscall(SYS_pidfd_open, pid, 0), owner_ended, machine };
    return watch->fd < 0 ? -errno : machine_watch(machine, watch, EPOLLIN);
}

int host_machine(const struct host_config *config)
{
    struct machine_config machine_config = {
        .profile = config->profile ? kernel_profile_find(config->profile) : NULL,
        .verbose = config->verbose,
        .ways = { &fuse_way },
    };
    struct control *control = NULL;
    struct machine machine;
    struct watch signals, owner = { .fd = -1 };
    sigset_t mask;
    int rc;

    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (machine_start(&machine, &machine_config))
        return 1;
    signals = (struct watch){ signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK), signal_ready, &machine };
    rc = machine_watch(&machine, &signals, EPOLLIN);
    if (!rc)
        rc = control_create(&control, &machine);
    if (!rc && config->listen_fd >= 0)
        rc = control_listen(control, config->listen_fd);
    if (!rc && config->owner_fd >= 0)
        rc = control_serve_owner(control, config->owner_fd);
    if (!rc && config->owner_pid) {
        rc = watch_owner(&machine, &owner, config->owner_pid);
        if (rc)
            fail("cannot watch the process %d of --owner: %s", config->owner_pid, strerror(-rc));
    } else if (rc) {
        fail("cannot serve the control socket: %s", strerror(-rc));
    }
    if (!rc) {
        if (config->ready)
            config->ready(config->ctx);
        machine_run(&machine);
    }
    machine_stop(&machine);
    control_destroy(control);
    close(signals.fd);
    if (owner.fd >= 0)
        close(owner.fd);
    return rc ? 1 : 0;
}
