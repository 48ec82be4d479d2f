/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli.h"
#include "client.h"
#include "host.h"
#include "options.h"

/* A listening socket at DIR/control, -1 after a message. One left by a machine that was killed is replaced. */
static int listen_at(const char *dir, struct sockaddr_un *addr)
{
    struct stat st;
    int fd, probe;

    if (!client_address(dir, addr))
        return -1;
    if (mkdir(dir, 0700) && errno != EEXIST) {
        fail("cannot make %s: %s", dir, strerror(errno));
        return -1;
    }
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe >= 0 && !connect(probe, (struct sockaddr *)addr, sizeof *addr)) {
        close(probe);
        fail("a machine is running at %s already (end it with `gntsim ctl --dir %s shutdown`)", dir, dir);
        return -1;
    }
    if (errno == ECONNREFUSED && !lstat(addr->sun_path, &st) && S_ISSOCK(st.st_mode))
        unlink(addr->sun_path);
    if (probe >= 0)
        close(probe);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)addr, sizeof *addr) || listen(fd, 64)) {
        fail("cannot listen at %s: %s", addr->sun_path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    chmod(addr->sun_path, 0600);
    return fd;
}

static void say_ready(void *ctx)
{
    printf("gntsim: ready: %s\n", ((struct sockaddr_un *)ctx)->sun_path);
    fflush(stdout);
}

int cmd_serve(int argc, char **argv)
{
    struct host_config config = { .owner_fd = -1, .ready = say_ready };
    struct sockaddr_un addr;
    struct options options;
    int rc = options_parse(&options, OPT_DIR | OPT_MACHINE | OPT_OWNER, argc, argv);

    if (rc)
        return rc - 1;
    if (!options.dir)
        return usage_error("serve needs --dir DIR, where the machine's control socket will be");
    if (options.nr_rest)
        return usage_error("unexpected argument '%s'; see gntsim serve --help", options.rest[0]);
    config.listen_fd = listen_at(options.dir, &addr);
    if (config.listen_fd < 0)
        return 1;
    config.options = &options;
    config.owner_pid = options.owner;
    config.ctx = &addr;
    rc = host_machine(&config);
    unlink(addr.sun_path);
    return rc;
}
