/* SPDX-License-Identifier: MIT */
/*
 * Plays scripts: starts actors in domains, has them do one step after the other, and prints a line
 * for each.
 *
 *   conduct HELPER SCRIPT...
 *
 * HELPER is a program that knows where the domains are:  HELPER start SLOT  becomes an actor of
 * that domain, HELPER domid SLOT  prints its number,  HELPER create SLOT  and  HELPER destroy SLOT
 * do that. Slot 0 is the privileged domain. The language of the scripts is in README.md. What is
 * printed has no number that differs from run to run.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 32768
#define MAX_ACTORS 8
#define MAX_VALUES 4096
#define MAX_SLOTS 4
#define STEP_PATIENCE 90        /* seconds: a paged-out grant is retried for half a minute */

struct played_actor {
    char name[16];
    unsigned slot;
    pid_t pid;
    int to, from;
};

struct value {
    char name[40], text[24];
};

/* The domain that is in a slot now. To ask takes a real Xen's toolstack seconds under emulation:
 * only once, and if a script wants it. */
struct slot {
    char domid[24];             /* "" until it is known */
    bool destroyed;
};

struct play {
    const char *helper, *script;
    char case_name[80];
    struct played_actor actors[MAX_ACTORS];
    struct value values[MAX_VALUES];
    unsigned nr_values;
    struct slot slots[MAX_SLOTS];
    unsigned line;
    bool broken;                /* the rest of the case makes no sense */
};

__attribute__((noreturn, format(printf, 2, 3)))
static void bad(struct play *p, const char *format, ...)
{
    va_list ap;

    fprintf(stderr, "conduct: %s:%u: ", p->script, p->line);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(2);
}

__attribute__((format(printf, 2, 3)))
static void print(struct play *p, const char *format, ...)
{
    va_list ap;

    printf("%s case=%s ", p->script, p->case_name);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void set_value(struct play *p, const char *name, const char *text)
{
    struct value *v = p->values;

    while (v < p->values + p->nr_values && strcmp(v->name, name))
        v++;
    if (v == p->values + p->nr_values) {
        if (p->nr_values == MAX_VALUES)
            bad(p, "too many values");
        p->nr_values++;
    }
    snprintf(v->name, sizeof v->name, "%s", name);
    snprintf(v->text, sizeof v->text, "%s", text);
}

static const struct value *find_value(const struct play *p, const char *name)
{
    for (const struct value *v = p->values; v < p->values + p->nr_values; v++)
        if (!strcmp(v->name, name))
            return v;
    return NULL;
}

/* HELPER verb SLOT, to its end; the first line that it prints. */
static int help(struct play *p, const char *verb, unsigned slot, char *line, size_t size)
{
    char command[1024];
    FILE *out;

    snprintf(command, sizeof command, "%s %s %u", p->helper, verb, slot);
    out = popen(command, "r");
    if (!out)
        bad(p, "%s: %s", p->helper, strerror(errno));
    line[0] = 0;
    if (fgets(line, (int)size, out))
        line[strcspn(line, "\n")] = 0;
    return pclose(out);
}

static const char *domid_of(struct play *p, unsigned slot)
{
    struct slot *s = &p->slots[slot];

    if (!s->domid[0] && help(p, "domid", slot, s->domid, sizeof s->domid))
        s->domid[0] = 0;
    return s->domid[0] ? s->domid : NULL;
}

/* $d0 to $d3 are the domains' numbers, all others what steps have left. */
static const char *text_of_value(struct play *p, const char *name)
{
    const struct value *v = find_value(p, name);
    unsigned slot = name[0] == 'd' && name[1] &&
        !name[2] ? (unsigned char)name[1] - (unsigned)'0' : MAX_SLOTS;

    return v ? v->text : slot < MAX_SLOTS ? domid_of(p, slot) : NULL;
}

/* Replaces each $NAME. */
static void substitute(struct play *p, const char *from, char *to, size_t size)
{
    size_t used = 0;

    while (*from && used + 1 < size) {
        const char *text;
        char name[40];
        size_t length;

        if (*from != '$') {
            to[used++] = *from++;
            continue;
        }
        length = strspn(from + 1,
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
        snprintf(name, sizeof name, "%.*s", (int)length, from + 1);
        text = text_of_value(p, name);
        if (!text)
            bad(p, "$%s has no value", name);
        used += (size_t)snprintf(to + used, size - used, "%s", text);
        from += 1 + length;
    }
    to[used < size ? used : size - 1] = 0;
}

/* "NAME=VALUE NAME=VALUE", of an actor: known to the script as $NAME. */
static void keep_values(struct play *p, char *hidden)
{
    for (char *w = strtok(hidden, " "); w; w = strtok(NULL, " ")) {
        char *equals = strchr(w, '=');

        if (!equals)
            bad(p, "an actor answered %s", w);
        *equals = 0;
        set_value(p, w, equals + 1);
    }
}

/* ---- Domains and actors ---------------------------------------------------------------------- */

static struct played_actor *find_actor(struct play *p, const char *name)
{
    for (struct played_actor *a = p->actors; a < p->actors + MAX_ACTORS; a++)
        if (a->name[0] && !strcmp(a->name, name))
            return a;
    return NULL;
}

static void start_actor(struct play *p, const char *name, unsigned slot)
{
    struct played_actor *a = p->actors;
    int down[2], up[2];
    char slot_text[8];

    while (a < p->actors + MAX_ACTORS && a->name[0])
        a++;
    if (a == p->actors + MAX_ACTORS || find_actor(p, name))
        bad(p, "too many actors, or two of one name");
    if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC))
        bad(p, "pipe: %s", strerror(errno));
    memcpy(a->name, name, sizeof a->name);
    snprintf(slot_text, sizeof slot_text, "%u", slot);
    a->slot = slot;
    a->to = down[1];
    a->from = up[0];
    a->pid = fork();
    if (!a->pid) {
        dup2(down[0], STDIN_FILENO);
        dup2(up[1], STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", "exec $0 start $1", p->helper, slot_text, (char *)NULL);
        _exit(127);
    }
    close(down[0]);
    close(up[1]);
}

/* In good order if there is time, and in any case. */
static void end_actor(struct played_actor *a)
{
    struct pollfd fd = { a->from, POLLIN, 0 };
    char rest[256];

    close(a->to);
    while (poll(&fd, 1, 20000) > 0 && read(a->from, rest, sizeof rest) > 0)
        ;
    kill(a->pid, SIGKILL);
    waitpid(a->pid, NULL, 0);
    close(a->from);
    a->name[0] = 0;
}

static void end_case(struct play *p)
{
    for (struct played_actor *a = p->actors; a < p->actors + MAX_ACTORS; a++)
        if (a->name[0])
            end_actor(a);
    for (struct slot *s = p->slots; s < p->slots + MAX_SLOTS; s++)
        if (s->destroyed)
            *s = (struct slot){ 0 };
    p->nr_values = 0;
    p->broken = false;
}

/* One line of answer, without its newline; false: the actor has ended, or says nothing. */
static bool read_answer(struct played_actor *a, char *line, size_t size)
{
    time_t end = time(NULL) + STEP_PATIENCE;
    size_t used = 0;

    while (used + 1 < size) {
        struct pollfd fd = { a->from, POLLIN, 0 };

        if (poll(&fd, 1, 1000) <= 0) {
            if (time(NULL) < end)
                continue;
            snprintf(line, size, "no answer");
            return false;
        }
        if (read(a->from, line + used, 1) <= 0) {
            snprintf(line, size, "ended");
            return false;
        }
        if (line[used] == '\n') {
            line[used] = 0;
            return true;
        }
        used++;
    }
    snprintf(line, size, "a long answer");
    return false;
}

/* quiet: a step that only prepares is an observation only if it fails. */
static void step(struct play *p, struct played_actor *a, const char *command, bool quiet)
{
    static char sent[LINE_SIZE], line[LINE_SIZE];
    size_t length;
    char *tab;

    substitute(p, command, sent, sizeof sent - 1);
    length = strlen(sent);
    sent[length++] = '\n';
    if (write(a->to, sent, length) != (ssize_t)length)
        line[0] = 0;
    if (!read_answer(a, line, sizeof line)) {
        print(p, "%s %s: %s", a->name, command, line);
        kill(a->pid, SIGKILL);
        end_actor(a);
        return;
    }
    tab = strchr(line, '\t');
    if (tab) {
        *tab = 0;
        keep_values(p, tab + 1);
    }
    if (!quiet || !strncmp(line, "rc=-1", 5) || !strncmp(line, "NULL", 4))
        print(p, "%s %s: %s", a->name, command, line);
}

static void change_domain(struct play *p, const char *verb, unsigned slot)
{
    bool created = !strcmp(verb, "create");
    char line[64];

    if (slot >= MAX_SLOTS)
        bad(p, "no slot %u", slot);
    if (!created)
        domid_of(p, slot);          /* its number stays known to the case */
    print(p, "%s %u: %s", verb, slot, help(p, verb, slot, line, sizeof line) ? "failed" : "ok");
    p->slots[slot].destroyed = !created;
    if (created)
        p->slots[slot].domid[0] = 0;
}

/* ---- Scripts --------------------------------------------------------------------------------- */

static void do_line(struct play *p, char *line)
{
    char name[40], actor[16], rest[LINE_SIZE];
    bool quiet = line[0] == '.';
    unsigned slot;
    int used = 0;

    line += quiet;
    if (sscanf(line, " case %79s", p->case_name) == 1) {
        end_case(p);
        return;
    }
    if (sscanf(line, " actor %15s %u", actor, &slot) == 2) {
        start_actor(p, actor, slot);
        return;
    }
    if (sscanf(line, " stop %15s", actor) == 1) {
        struct played_actor *a = find_actor(p, actor);

        if (a)
            end_actor(a);
        return;
    }
    if (sscanf(line, " sleep %u", &slot) == 1) {
        usleep(slot * 1000);
        return;
    }
    if (sscanf(line, " %39s %u", name, &slot) == 2 &&
        (!strcmp(name, "create") || !strcmp(name, "destroy"))) {
        change_domain(p, name, slot);
        return;
    }
    if (sscanf(line, " %39s %n%32767[^\n]", name, &used, rest) == 2) {
        struct played_actor *a = find_actor(p, name);

        if (a)
            step(p, a, rest, quiet);
        else
            print(p, "%s %s: has ended", name, rest);
        return;
    }
    bad(p, "not understood: %s", line);
}

static void play(struct play *p, const char *path)
{
    static char line[LINE_SIZE];
    FILE *file = fopen(path, "re");

    if (!file)
        bad(p, "%s: %s", path, strerror(errno));
    p->line = 0;
    while (fgets(line, sizeof line, file)) {
        p->line++;
        line[strcspn(line, "\n")] = 0;
        if (line[strspn(line, " ")] && line[0] != '#')
            do_line(p, line);
    }
    fclose(file);
    end_case(p);
}

int main(int argc, char **argv)
{
    static struct play p;

    if (argc < 3) {
        fputs("usage: conduct HELPER SCRIPT...\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    p.helper = argv[1];
    for (int i = 2; i < argc; i++) {
        const char *slash = strrchr(argv[i], '/');
        static char name[64];

        snprintf(name, sizeof name, "%s", slash ? slash + 1 : argv[i]);
        name[strcspn(name, ".")] = 0;
        p.script = name;
        play(&p, argv[i]);
        printf("%s EXIT=0\n", name);
    }
    return 0;
}
