/* SPDX-License-Identifier: MIT */
/*
 * An actor in another domain, through xenstore: what one side writes to its standard input, line by
 * line, the actor in the domU reads, and the other way round.
 *
 *   remote start U     in dom0: is the actor, as far as anybody here can see
 *   remote serve ACTOR in the domU: starts an ACTOR for each that is asked for, for ever
 *
 * Below data/ch/N of the domU: start (anything), in and out (SEQUENCE LINE), close (anything).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenstore.h>

#define LINE_SIZE 4096
#define MAX_CHANNELS 16

static bool read_line(int fd, char *line)
{
    size_t used = 0;

    while (used + 1 < LINE_SIZE) {
        if (read(fd, line + used, 1) <= 0)
            return false;
        if (line[used] == '\n')
            break;
        used++;
    }
    line[used] = 0;
    return true;
}

static void put(struct xs_handle *xs, const char *base, unsigned n, const char *key,
                const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%u/%s", base, n, key);
    if (!xs_write(xs, XBT_NULL, path, text, (unsigned)strlen(text)))
        fprintf(stderr, "remote: %s: %s\n", path, strerror(errno));
}

static char *get(struct xs_handle *xs, const char *base, unsigned n, const char *key)
{
    char path[128];
    unsigned length;

    snprintf(path, sizeof path, "%s/%u/%s", base, n, key);
    return xs_read(xs, XBT_NULL, path, &length);
}

/* ---- dom0 ------------------------------------------------------------------------------------ */

static int be_actor(unsigned domid)
{
    struct xs_handle *xs = xs_open(0);
    static char line[LINE_SIZE], message[LINE_SIZE + 32];
    unsigned n = (unsigned)getpid(), sent = 0, seen = 0, count;
    bool closed = false;
    char base[64];

    if (!xs)
        return 1;
    snprintf(base, sizeof base, "/local/domain/%u/data/ch", domid);
    xs_watch(xs, base, "ch");
    put(xs, base, n, "start", "1");
    for (;;) {
        struct pollfd fds[2] = { { closed ? -1 : 0, POLLIN, 0 }, { xs_fileno(xs), POLLIN, 0 } };
        unsigned seq;
        int used;
        char *out;

        if (poll(fds, 2, 2000) < 0)
            return 1;
        if (fds[0].revents) {
            if (read_line(0, line)) {
                snprintf(message, sizeof message, "%u %s", ++sent, line);
                put(xs, base, n, "in", message);
            } else {
                closed = true;
                put(xs, base, n, "close", "1");
            }
        }
        if (fds[1].revents)
            free(xs_read_watch(xs, &count));
        out = get(xs, base, n, "out");
        if (!out) {
            char *start = get(xs, base, n, "start");

            if (!start)
                return 0;       /* the domain is gone */
            free(start);
            continue;
        }
        used = 0;
        if (sscanf(out, "%u %n", &seq, &used) == 1 && seq != seen) {
            seen = seq;
            if (!strcmp(out + used, "EOF")) {
                char path[128];

                snprintf(path, sizeof path, "%s/%u", base, n);
                xs_rm(xs, XBT_NULL, path);
                return 0;
            }
            printf("%s\n", out + used);
            fflush(stdout);
        }
        free(out);
    }
}

/* ---- domU ------------------------------------------------------------------------------------ */

struct channel {
    unsigned n, seen, sent;
    pid_t pid;
    int to, from;
};

static void start(struct channel *c, unsigned n, const char *actor)
{
    int down[2], up[2];

    if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
        exit(1);
    *c = (struct channel){ .n = n, .to = down[1], .from = up[0] };
    c->pid = fork();
    if (!c->pid) {
        dup2(down[0], 0);
        dup2(up[1], 1);
        execl(actor, actor, (char *)NULL);
        _exit(127);
    }
    close(down[0]);
    close(up[1]);
}

static void say(struct xs_handle *xs, struct channel *c, const char *line)
{
    static char message[LINE_SIZE + 32];

    snprintf(message, sizeof message, "%u %s", ++c->sent, line);
    put(xs, "data/ch", c->n, "out", message);
}

static void look(struct xs_handle *xs, struct channel *c)
{
    char *in = get(xs, "data/ch", c->n, "in"), *end = get(xs, "data/ch", c->n, "close");
    unsigned seq;
    int used = 0;

    if (in && sscanf(in, "%u %n", &seq, &used) == 1 && seq != c->seen) {
        c->seen = seq;
        dprintf(c->to, "%s\n", in + used);
    }
    if (end && c->to >= 0) {
        close(c->to);
        c->to = -1;
    }
    free(in);
    free(end);
}

static void look_all(struct xs_handle *xs, struct channel *channels, const char *actor)
{
    unsigned count = 0;
    char **names = xs_directory(xs, XBT_NULL, "data/ch", &count);

    for (unsigned i = 0; names && i < count; i++) {
        unsigned n = (unsigned)atoi(names[i]);
        struct channel *c = channels, *unused = NULL;
        char *done = get(xs, "data/ch", n, "out"), *started = get(xs, "data/ch", n, "start");

        while (c < channels + MAX_CHANNELS && (c->n != n || !c->pid)) {
            if (!c->pid && !unused)
                unused = c;
            c++;
        }
        if (c == channels + MAX_CHANNELS)
            c = NULL;
        if (!c && unused && started && !done) {
            start(unused, n, actor);
            c = unused;
        }
        if (c)
            look(xs, c);
        free(done);
        free(started);
    }
    free(names);
}

static int serve(const char *actor)
{
    static struct channel channels[MAX_CHANNELS];
    static char line[LINE_SIZE];
    struct xs_handle *xs = xs_open(0);
    unsigned count;

    if (!xs)
        return 1;
    signal(SIGPIPE, SIG_IGN);
    xs_mkdir(xs, XBT_NULL, "data/ch");
    xs_watch(xs, "data/ch", "ch");
    xs_write(xs, XBT_NULL, "data/actors", "ready", 5);
    for (;;) {
        struct pollfd fds[1 + MAX_CHANNELS] = { { xs_fileno(xs), POLLIN, 0 } };

        for (unsigned i = 0; i < MAX_CHANNELS; i++)
            fds[1 + i] = (struct pollfd){ channels[i].pid ? channels[i].from : -1, POLLIN, 0 };
        if (poll(fds, 1 + MAX_CHANNELS, -1) < 0 && errno != EINTR)
            return 1;
        for (unsigned i = 0; i < MAX_CHANNELS; i++) {
            struct channel *c = &channels[i];

            if (!fds[1 + i].revents)
                continue;
            if (read_line(c->from, line)) {
                say(xs, c, line);
                continue;
            }
            /* All of it is over, its mappings too, when it has been waited for. */
            waitpid(c->pid, NULL, 0);
            say(xs, c, "EOF");
            close(c->from);
            if (c->to >= 0)
                close(c->to);
            c->pid = 0;
        }
        if (fds[0].revents) {
            free(xs_read_watch(xs, &count));
            look_all(xs, channels, actor);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "start"))
        return be_actor((unsigned)atoi(argv[2]));
    if (argc == 3 && !strcmp(argv[1], "serve"))
        return serve(argv[2]);
    fputs("usage: remote start DOMID | remote serve ACTOR\n", stderr);
    return 2;
}
