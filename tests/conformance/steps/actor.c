/* SPDX-License-Identifier: MIT */
/* The actor's loop: reads commands, dispatches them, and prints one line for each. */
#include "actor_i.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void append(char *to, const char *format, va_list ap)
{
    size_t used = strlen(to);

    vsnprintf(to + used, LINE_SIZE - used, format, ap);
}

void answer(struct actor *a, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    append(a->answer, format, ap);
    va_end(ap);
}

void hide(struct actor *a, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    append(a->hidden, format, ap);
    va_end(ap);
}

void answer_rc(struct actor *a, long rc)
{
    const char *name = rc < 0 ? strerrorname_np(errno) : NULL;

    if (rc < 0)
        answer(a, "rc=-1 errno=%s", name ? name : "?");
    else
        answer(a, "rc=%ld", rc);
}

void bad_script(const char *format, ...)
{
    va_list ap;

    fputs("actor: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    _exit(9);
}

const char *word(struct actor *a, int i)
{
    return i < a->nr_words ? a->words[i] : "0";
}

uint64_t number_of(const char *text)
{
    uint64_t sum = 0;
    char *end;

    for (;; text = end + 1) {
        sum += strtoull(text, &end, 0);
        if (end == text || (*end && *end != '+'))
            bad_script("%s is not a number", text);
        if (!*end)
            return sum;
    }
}

uint64_t number(struct actor *a, int i)
{
    return number_of(word(a, i));
}

int prot_of(const char *name)
{
    return (strchr(name, 'r') ? PROT_READ : 0) | (strchr(name, 'w') ? PROT_WRITE : 0) |
        (strchr(name, 'x') ? PROT_EXEC : 0);
}

struct thing *find(struct actor *a, enum kind kind, const char *name)
{
    for (struct thing *t = a->things; t < a->things + MAX_NAMES; t++)
        if (t->kind == kind && !strcmp(t->name, name))
            return t;
    return NULL;
}

struct thing *need(struct actor *a, enum kind kind, const char *name)
{
    struct thing *t = find(a, kind, name);

    if (!t)
        bad_script("nothing is called %s", name);
    return t;
}

struct thing *name_thing(struct actor *a, enum kind kind, const char *name)
{
    struct thing *t = find(a, kind, name);

    for (struct thing *free = a->things; !t && free < a->things + MAX_NAMES; free++)
        if (free->kind == FREE)
            t = free;
    if (!t)
        bad_script("too many names");
    memset(t, 0, sizeof *t);
    t->kind = kind;
    snprintf(t->name, sizeof t->name, "%s", name);
    return t;
}

/* A name that failed to come into being is answered as the kernel would: EBADF, EFAULT. */
int fd_of(struct actor *a, int i)
{
    struct thing *t = find(a, FD, word(a, i));

    return t ? (int)t->value : -1;
}

char *address_of(struct actor *a, const char *text)
{
    char name[24];
    size_t length = strcspn(text, "+");
    struct thing *t;

    if (text[0] >= '0' && text[0] <= '9')
        return (char *)number_of(text);
    snprintf(name, sizeof name, "%.*s", (int)length, text);
    t = need(a, REGION, name);
    return t->addr + (text[length] ? number_of(text + length + 1) : 0);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static sigjmp_buf fault_return;
static volatile sig_atomic_t fault_expected;

static void on_fault(int sig)
{
    if (!fault_expected) {
        signal(sig, SIG_DFL);
        return;
    }
    siglongjmp(fault_return, sig);
}

int try_access(void (*access)(void *ctx), void *ctx)
{
    int sig = sigsetjmp(fault_return, 1);

    if (!sig) {
        fault_expected = 1;
        access(ctx);
    }
    fault_expected = 0;
    return sig;
}

/* ---- Commands -------------------------------------------------------------------------------- */

static const struct command *lookup(const char *name)
{
    static const struct command *const tables[] = { device_commands, evtchn_commands,
                                                    library_commands, memory_commands,
                                                    process_commands };

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct command *c = tables[i]; c->name; c++)
            if (!strcmp(c->name, name))
                return c;
    bad_script("no command %s", name);
}

/* Not through stdio: what is not read yet must survive an exec. */
static bool read_line(struct actor *a)
{
    size_t used = 0;

    while (used + 1 < sizeof a->line) {
        ssize_t n = read(a->in, a->line + used, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        if (a->line[used] == '\n') {
            a->line[used] = 0;
            return true;
        }
        used++;
    }
    bad_script("a line is too long");
}

void serve(struct actor *a)
{
    while (read_line(a)) {
        size_t length;

        a->nr_words = 0;
        for (char *w = strtok(a->line, " "); w && a->nr_words < MAX_WORDS - 1;
             w = strtok(NULL, " "))
            a->words[a->nr_words++] = w;
        if (!a->nr_words)
            continue;
        a->answer[0] = a->hidden[0] = 0;
        errno = 0;
        lookup(a->words[0])->handler(a);
        length = strlen(a->answer);
        snprintf(a->answer + length, sizeof a->answer - length, "\t%s\n", a->hidden);
        length = strlen(a->answer);
        if (write(a->out, a->answer, length) != (ssize_t)length)
            _exit(8);
    }
}

int main(int argc, char **argv)
{
    static struct actor a;
    struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    a.in = STDIN_FILENO;
    a.out = STDOUT_FILENO;
    if (argc > 1 && !strcmp(argv[1], "executed") && write(a.out, "ok\t\n", 4) != 4)
        return 8;
    serve(&a);
    return 0;
}
