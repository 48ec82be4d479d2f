/* SPDX-License-Identifier: MIT */
/* Findings: made under the machine's lock, published without it, when files are read for names and
 * lines. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "checks_i.h"
#include "container_of.h"

#define NAME_COLUMN 42

struct part {
    char *text;
    const struct witness *where;
};

struct finding {
    enum kind kind;
    char command[16];
    unsigned process;
    char *title;
    struct part parts[MAX_PARTS];
    unsigned nr_parts;
    char *text; /* once published */
    struct finding *next;
};

/* ---- Making ---------------------------------------------------------------------------------- */

struct finding *finding_new(struct checks *checks, enum kind kind, const struct program *program,
                            const char *format, ...)
{
    struct finding *finding = calloc(1, sizeof *finding);
    va_list ap;

    (void)checks;
    if (!finding)
        return NULL;
    finding->kind = kind;
    if (program) {
        finding->process = program->number;
        memcpy(finding->command, program->command, sizeof finding->command);
    }
    va_start(ap, format);
    if (vasprintf(&finding->title, format, ap) < 0)
        finding->title = NULL;
    va_end(ap);
    return finding;
}

void finding_add(struct finding *finding, const struct event *event, const char *format, ...)
{
    struct part *part;
    va_list ap;

    if (!finding || finding->nr_parts == MAX_PARTS)
        return;
    part = &finding->parts[finding->nr_parts];
    va_start(ap, format);
    if (vasprintf(&part->text, format, ap) >= 0) {
        part->where = event ? event->where : NULL;
        finding->nr_parts++;
    }
    va_end(ap);
}

static void publish_later(struct machine_later *later)
{
    struct checks *checks = container_of(later, struct checks, later);

    machine_lock_only(checks->machine);
    checks->publishing = false;
    machine_unlock_only(checks->machine);
    findings_publish(checks);
}

void finding_done(struct checks *checks, struct finding *finding)
{
    if (!finding)
        return;
    LL_APPEND(checks->new, finding);
    if (checks->publishing)
        return;
    checks->publishing = true;
    checks->later.run = publish_later;
    machine_later(checks->machine, &checks->later);
}

static void free_list(struct finding *finding)
{
    for (struct finding *next; finding; finding = next) {
        next = finding->next;
        for (unsigned i = 0; i < finding->nr_parts; i++)
            free(finding->parts[i].text);
        free(finding->title);
        free(finding->text);
        free(finding);
    }
}

/* ---- Publishing ------------------------------------------------------------------------------ */

#define MAX_FRAMES 256u

/* A stack as it is shown: without what is inside the libraries, and what is around main. */
struct shown {
    struct frame_text frames[MAX_FRAMES];
    unsigned nr;
    bool in_program; /* a frame of its own was seen */
    bool over;       /* main was seen, or its caller */
};

static bool begins(const char *text, const char *with)
{
    return text && !strncmp(text, with, strlen(with));
}

static bool is_inside(const struct frame_text *frame)
{
    return begins(frame->module, "libxengnttab.so") || begins(frame->module, "libxenevtchn.so") ||
           begins(frame->module, "libc.so") || begins(frame->module, "ld-linux");
}

/* The library's function that the program called stands for all that it called. */
static void show_frame(void *ctx, const struct frame_text *frame)
{
    struct shown *shown = ctx;

    if (shown->nr == MAX_FRAMES)
        return;
    shown->over |= begins(frame->function, "__libc_start") || begins(frame->function, "_start");
    if (shown->over)
        return;
    shown->over = frame->function && !strcmp(frame->function, "main");
    if (!shown->in_program && is_inside(frame))
        shown->nr = 0;
    else
        shown->in_program = true;
    shown->frames[shown->nr++] = *frame;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static void print_frame(FILE *out, unsigned number, const struct frame_text *frame)
{
    fprintf(out, "      #%-2u %-*s ", number, NAME_COLUMN,
            frame->function ? frame->function : "?");
    if (frame->file && frame->line)
        fprintf(out, "%s:%u\n", base_name(frame->file), frame->line);
    else if (frame->module)
        fprintf(out, "%s+0x%llx\n", frame->module, (unsigned long long)frame->offset);
    else
        fprintf(out, "0x%llx\n", (unsigned long long)frame->offset);
}

static char *render(struct checks *checks, const struct finding *finding)
{
    const struct check_kind *kind = &check_kinds[finding->kind];
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fprintf(out, "==gntsim== ERROR %s: %s\n", kind->name, finding->title ? finding->title : "");
    for (unsigned i = 0; i < finding->nr_parts; i++) {
        const struct part *part = &finding->parts[i];
        struct shown *shown = calloc(1, sizeof *shown);

        fprintf(out, "  %s%s\n", part->text,
                witness_is_approximate(part->where) ? " (the stack is approximate)" : "");
        if (shown)
            witness_read(checks->depot, part->where, show_frame, shown);
        for (unsigned j = 0; shown && j < shown->nr; j++)
            print_frame(out, j, &shown->frames[j]);
        free(shown);
    }
    fprintf(out, "  what to do: %s\n  more: gntsim explain %s\n", kind->repair, kind->name);
    fclose(out);
    return text;
}

/* What a loop does wrong again and again is said once. */
static bool is_known(const struct checks *checks, const struct finding *finding)
{
    for (const struct finding *known = checks->findings; known; known = known->next) {
        bool same = known->kind == finding->kind && known->process == finding->process &&
                    known->nr_parts == finding->nr_parts && known->parts[0].where;

        for (unsigned i = 0; same && i < known->nr_parts; i++)
            same = known->parts[i].where == finding->parts[i].where;
        if (same)
            return true;
    }
    return false;
}

static void publish(struct checks *checks, struct finding *finding)
{
    bool known;

    pthread_mutex_lock(&checks->lock);
    known = is_known(checks, finding);
    pthread_mutex_unlock(&checks->lock);
    if (known) {
        free_list(finding);
        return;
    }
    finding->text = render(checks, finding);
    if (finding->text)
        machine_say(checks->machine, finding->text, strlen(finding->text));
    pthread_mutex_lock(&checks->lock);
    LL_APPEND(checks->findings, finding);
    checks->nr++;
    pthread_mutex_unlock(&checks->lock);
}

void findings_publish(struct checks *checks)
{
    struct finding *finding, *next;

    machine_lock_only(checks->machine);
    finding = checks->new;
    checks->new = NULL;
    machine_unlock_only(checks->machine);
    for (; finding; finding = next) {
        next = finding->next;
        finding->next = NULL;
        publish(checks, finding);
    }
}

void findings_free(struct checks *checks)
{
    free_list(checks->findings);
    free_list(checks->new);
    checks->findings = checks->new = NULL;
}

unsigned checks_count(struct machine *m)
{
    struct checks *checks = checks_of(m);
    unsigned nr;

    if (!checks)
        return 0;
    pthread_mutex_lock(&checks->lock);
    nr = checks->nr;
    pthread_mutex_unlock(&checks->lock);
    return nr;
}

void checks_texts(struct machine *m, void (*tell)(void *ctx, const char *text), void *ctx)
{
    struct checks *checks = checks_of(m);

    if (!checks)
        return;
    pthread_mutex_lock(&checks->lock);
    for (const struct finding *finding = checks->findings; finding; finding = finding->next)
        if (finding->text)
            tell(ctx, finding->text);
    pthread_mutex_unlock(&checks->lock);
}
