/* SPDX-License-Identifier: MIT */
/* What every vchan-end does, right or wrong; vchan-end.h says how it is used. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vchan-end.h"

static struct libxenvchan *open_end(const char *role, int peer, const char *path)
{
    struct libxenvchan *vchan = strcmp(role, "server")
                                  ? libxenvchan_client_init(NULL, peer, path)
                                  : libxenvchan_server_init(NULL, peer, path, 1024, 1024);

    if (vchan)
        vchan->blocking = 0;
    return vchan;
}

static void hear(struct libxenvchan *vchan)
{
    char data[512];
    int n = libxenvchan_data_ready(vchan) ? libxenvchan_read(vchan, data, sizeof data) : 0;

    if (n > 0)
        printf("heard %.*s", n, data);
}

int main(int argc, char **argv)
{
    struct libxenvchan *vchan = argc == 4 ? open_end(argv[1], atoi(argv[2]), argv[3]) : NULL;
    struct pollfd fds[2] = { { .fd = 0, .events = POLLIN }, { .events = POLLIN } };
    char line[256];
    ssize_t n;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!vchan) {
        printf("cannot open: %s\n", strerror(errno));
        return 1;
    }
    puts(strcmp(argv[1], "server") ? "connected" : "serving");
    fds[1].fd = libxenvchan_fd_for_select(vchan);
    while (poll(fds, 2, -1) > 0) {
        if (fds[0].revents) {
            n = read(0, line, sizeof line);
            if (n > 0)
                libxenvchan_write(vchan, line, (size_t)n);
            else
                fds[0].fd = -1;
        }
        if (!fds[1].revents)
            continue;
        libxenvchan_wait(vchan);
        hear(vchan);
        if (!goes_on(vchan))
            break;
    }
    libxenvchan_close(vchan);
    puts("closed");
    return 0;
}
