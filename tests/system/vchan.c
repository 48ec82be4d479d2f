/* SPDX-License-Identifier: MIT */
/* libxenvchan, a typical consumer of both libraries: vchan server|client DOMAIN SIZE. A stream to
 * the server, its sum back. xenstore, which gntsim does not have, is files in the directory
 * XENSTORE here. */
#include <libxenvchan.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

enum { TOTAL = 200000 };

static void name_of(char *name, size_t size, const char *path)
{
    size_t at = (size_t)snprintf(name, size, "%s/", getenv("XENSTORE"));

    snprintf(name + at, size - at, "%s", path);
    for (char *c = name + at; *c; c++)
        *c = *c == '/' ? '_' : *c;
}

struct xs_handle *xs_open(unsigned long flags) { (void)flags; return malloc(1); }
void xs_close(struct xs_handle *xs) { free(xs); }
bool xs_rm(struct xs_handle *xs, xs_transaction_t t, const char *path) { (void)xs, (void)t,
                                                                         (void)path; return true; }
xs_transaction_t xs_transaction_start(struct xs_handle *xs) { (void)xs; return 1; }
bool xs_transaction_end(struct xs_handle *xs, xs_transaction_t t, bool abort)
{
    (void)xs, (void)t, (void)abort;
    return true;
}

bool xs_set_permissions(struct xs_handle *xs, xs_transaction_t t, const char *path,
                        struct xs_permissions *perms, unsigned n)
{
    (void)xs, (void)t, (void)path, (void)perms, (void)n;
    return true;
}

void *xs_read(struct xs_handle *xs, xs_transaction_t t, const char *path, unsigned *len)
{
    char name[300], *text = calloc(1, 100);
    ssize_t n = -1;
    int fd;

    (void)xs, (void)t;
    name_of(name, sizeof name, path);
    fd = open(name, O_RDONLY);
    if (fd >= 0) {
        n = read(fd, text, 99);
        close(fd);
    }
    if (n < 0) {
        free(text);
        return NULL;
    }
    if (len)
        *len = (unsigned)n;
    return text;
}

bool xs_write(struct xs_handle *xs, xs_transaction_t t, const char *path, const void *data,
              unsigned len)
{
    char name[300];
    int fd;
    bool ok;

    (void)xs, (void)t;
    name_of(name, sizeof name, path);
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ok = fd >= 0 && write(fd, data, len) == (ssize_t)len;
    if (fd >= 0)
        close(fd);
    return ok;
}

static int serve(int domain, size_t size)
{
    struct libxenvchan *chan = libxenvchan_server_init(NULL, domain, "data/vchan", size, size);
    long sum = 0, n = 0;
    unsigned char bytes[5000];
    int got;

    if (!chan)
        return 1;
    chan->blocking = 1;
    puts("serving");
    fflush(stdout);
    while (libxenvchan_is_open(chan) == 2)
        libxenvchan_wait(chan);
    while (n < TOTAL && (got = libxenvchan_read(chan, bytes, sizeof bytes)) > 0) {
        for (int i = 0; i < got; i++)
            sum += bytes[i];
        n += got;
    }
    if (libxenvchan_send(chan, &sum, sizeof sum) != sizeof sum)
        return 1;
    while (libxenvchan_is_open(chan) == 1)
        libxenvchan_wait(chan);
    printf("%ld bytes, then the client was gone\n", n);
    libxenvchan_close(chan);
    return 0;
}

static int client(int domain)
{
    struct libxenvchan *chan = libxenvchan_client_init(NULL, domain, "data/vchan");
    unsigned char bytes[1000];
    long sum = 0, theirs = -1;

    if (!chan)
        return 1;
    chan->blocking = 1;
    for (int n = 0; n < TOTAL; n += (int)sizeof bytes) {
        for (size_t i = 0; i < sizeof bytes; i++)
            sum += bytes[i] = (unsigned char)(n / 1000 * 7 + (int)i);
        if (libxenvchan_send(chan, bytes, sizeof bytes) != sizeof bytes)
            return 1;
    }
    if (libxenvchan_recv(chan, &theirs, sizeof theirs) != sizeof theirs)
        return 1;
    printf("%s\n", sum == theirs ? "the same sum" : "another sum");
    libxenvchan_close(chan);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    return !strcmp(argv[1], "server") ? serve(atoi(argv[2]), (size_t)atoi(argv[3]))
                                      : client(atoi(argv[2]));
}
