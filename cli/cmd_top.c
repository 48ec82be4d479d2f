/* SPDX-License-Identifier: MIT */
/* `gntsim top`: shows what a machine does and has, again and again on a terminal. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "client.h"
#include "options.h"
#include "top_view.h"
#include "wire.h"

#define PERIOD_NS UINT64_C(1000000000)
#define OTHER_SCREEN "\x1b[?1049h\x1b[?25l" /* and no cursor */
#define OWN_SCREEN "\x1b[?25h\x1b[?1049l"

struct top {
    const char *dir;
    struct wire wire;
    int signals;
    bool has_keys;              /* standard input is a terminal */
    struct termios terminal;    /* as it was */
    struct top_sample now, before, coming;
    bool is_asking;             /* a sample is coming */
    unsigned asked;             /* answers that came for it */
    uint64_t next;              /* when the next sample is due */
    int status;                 /* the exit status, -1: it goes on */
};

static uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void end(struct top *top, int status)
{
    if (top->status < 0)
        top->status = status;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static void ask(struct top *top)
{
    top->is_asking = true;
    if (wire_send(top->wire.fd, top_request((enum top_answer)top->asked), -1))
        end(top, EXIT_FAILURE);
}

/* All answers of a sample are there. */
static void take(struct top *top)
{
    top_free(&top->before);
    top->before = top->now;
    top->now = top->coming;
    top->now.ns = clock_ns();
    memset(&top->coming, 0, sizeof top->coming);
    top->asked = 0;
    top->is_asking = false;
    top->next = top->now.ns + PERIOD_NS;
}

/* The machine's next answer; true: with it a sample is whole. */
static bool receive(struct top *top)
{
    json_object *reply = client_receive(&top->wire), *result = NULL;

    if (!reply || !json_object_object_get_ex(reply, "result", &result) ||
        !top_is_good((enum top_answer)top->asked, result)) {
        if (reply)
            failure("what answers at %s is no gntsim machine", top->dir);
        json_object_put(reply);
        end(top, EXIT_FAILURE);
        return false;
    }
    top->coming.answers[top->asked++] = json_object_get(result);
    json_object_put(reply);
    if (top->asked < NR_TOP_ANSWERS) {
        ask(top);
        return false;
    }
    take(top);
    return true;
}

/* ---- The screen ------------------------------------------------------------------------------ */

/* As much of a text as fits, line by line. */
static void put_lines(const char *text, unsigned rows, unsigned columns)
{
    fputs("\x1b[H", stdout);
    for (unsigned row = 0; *text && row + 1 < rows; row++) {
        size_t size = strcspn(text, "\n");

        printf("%.*s\x1b[K\r\n", (int)(size < columns ? size : columns), text);
        text += size + (text[size] == '\n');
    }
    fputs("\x1b[J\x1b[7mq: end\x1b[0m", stdout);
    if (fflush(stdout))
        clearerr(stdout);
}

static void show(const struct top *top)
{
    struct winsize window = { .ws_row = 24, .ws_col = 80 };
    char *text = NULL;
    size_t size;
    FILE *out;

    if (!top->now.answers[0])
        return;
    out = open_memstream(&text, &size);
    if (!out)
        return;
    top_print(out, top->dir, &top->now, &top->before);
    fclose(out);
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
    if (text)
        put_lines(text, window.ws_row ? window.ws_row : 24, window.ws_col ? window.ws_col : 80);
    free(text);
}

static void begin_screen(struct top *top)
{
    struct termios raw;
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGQUIT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGWINCH);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    top->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    top->has_keys = !tcgetattr(STDIN_FILENO, &top->terminal);
    if (top->has_keys) {
        raw = top->terminal;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    fputs(OTHER_SCREEN, stdout);
}

static void end_screen(const struct top *top)
{
    fputs(OWN_SCREEN, stdout);
    fflush(stdout);
    if (top->has_keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &top->terminal);
    if (top->signals >= 0)
        close(top->signals);
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void hear_signal(struct top *top)
{
    struct signalfd_siginfo info;

    if (read(top->signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGWINCH)
        show(top);
    else
        end(top, 128 + (int)info.ssi_signo);
}

static void hear_key(struct top *top)
{
    char key;
    ssize_t n = read(STDIN_FILENO, &key, 1);

    if (n == 1 && (key == 'q' || key == 'Q'))
        end(top, 0);
    else if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        top->has_keys = false;
}

/* Waits for an answer, a key, a signal or the time of the next sample. */
static void turn(struct top *top)
{
    uint64_t now = clock_ns();
    int wait = top->is_asking ? -1 : now >= top->next ? 0 : (int)((top->next - now) / 1000000) + 1;
    struct pollfd fds[] = {
        { top->wire.fd, POLLIN, 0 },
        { top->signals, POLLIN, 0 },
        { top->has_keys ? STDIN_FILENO : -1, POLLIN, 0 },
    };

    if (poll(fds, sizeof fds / sizeof *fds, wait) < 0)
        return;
    if (fds[1].revents)
        hear_signal(top);
    if (fds[2].revents)
        hear_key(top);
    if (top->status < 0 && fds[0].revents && receive(top))
        show(top);
}

static void live(struct top *top)
{
    begin_screen(top);
    while (top->status < 0) {
        if (!top->is_asking && clock_ns() >= top->next)
            ask(top);
        turn(top);
    }
    end_screen(top);
    /* What was said before went away with the other screen. */
    if (top->status == EXIT_FAILURE)
        failure("the machine at %s answers no more: it ended", top->dir);
}

static void once(struct top *top, bool json)
{
    json_object *all;

    ask(top);
    while (top->status < 0 && !receive(top))
        ;
    if (top->status >= 0)
        return;
    if (json) {
        all = top_json(&top->now);
        puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN));
        json_object_put(all);
    } else {
        top_print(stdout, top->dir, &top->now, &top->before);
    }
    end(top, 0);
}

int cmd_top(int argc, char **argv)
{
    struct top top = { .status = -1, .signals = -1 };
    struct options options;
    int fd;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (options.nr_rest)
        return usage_error("unexpected argument '%s'; see gntsim top --help", options.rest[0]);
    if (!options.dir)
        return usage_error("top needs --dir DIR, the directory of a running machine");
    fd = client_connect(options.dir);
    if (fd < 0)
        return EXIT_FAILURE;
    top.dir = options.dir;
    wire_init(&top.wire, fd);
    if (options.json || options.once || !isatty(STDOUT_FILENO))
        once(&top, options.json);
    else
        live(&top);
    wire_clear(&top.wire);
    close(fd);
    top_free(&top.now);
    top_free(&top.before);
    top_free(&top.coming);
    return top.status;
}
