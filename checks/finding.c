/* SPDX-License-Identifier: MIT */
/* Findings: made under the machine's lock, published without it, when files are read for names and
 * lines. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "container_of.h"
#include "finding_i.h"
#include "suppress_i.h"

#define MAX_FRAMES 256u

/* ---- Making ---------------------------------------------------------------------------------- */

struct finding *finding_new(struct checks *checks, enum kind kind, const struct program *program,
                            const char *format, ...)
{
    struct finding *finding = calloc(1, sizeof *finding);
    va_list ap;

    if (!finding)
        return NULL;
    finding->kind = kind;
    finding->level = checks->choice.levels[kind];
    finding->times = 1;
    if (program)
        finding->program = *program;
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
        part->event = event ? *event : (struct event){ .order = 0 };
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

void finding_free(struct finding *finding)
{
    for (struct finding *next; finding; finding = next) {
        next = finding->next;
        for (unsigned i = 0; i < finding->nr_parts; i++) {
            free(finding->parts[i].text);
            free(finding->parts[i].frames);
        }
        free(finding->title);
        free(finding->text);
        free(finding);
    }
}

void finding_done(struct checks *checks, struct finding *finding)
{
    if (!finding)
        return;
    if (finding->level == CHECK_OFF) {
        finding_free(finding);
        return;
    }
    LL_APPEND(checks->new, finding);
    if (checks->publishing)
        return;
    checks->publishing = true;
    checks->later.run = publish_later;
    machine_later(checks->machine, &checks->later);
}

/* ---- Publishing ------------------------------------------------------------------------------ */

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

bool frame_is_inside(const struct frame_text *frame)
{
    return begins(frame->module, "libxengnttab.so") || begins(frame->module, "libxenevtchn.so") ||
           begins(frame->module, "libc.so") || begins(frame->module, "ld-linux");
}

const struct frame_text *finding_place(const struct finding *finding)
{
    for (unsigned i = 0; i < finding->nr_parts; i++)
        for (unsigned j = 0; j < finding->parts[i].nr_frames; j++)
            if (!frame_is_inside(&finding->parts[i].frames[j]))
                return &finding->parts[i].frames[j];
    return NULL;
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
    if (!shown->in_program && frame_is_inside(frame))
        shown->nr = 0;
    else
        shown->in_program = true;
    shown->frames[shown->nr++] = *frame;
}

static void read_stack(struct depot *depot, struct part *part)
{
    struct shown *shown = calloc(1, sizeof *shown);

    part->approximate = witness_is_approximate(part->event.where);
    if (shown)
        witness_read(depot, part->event.where, show_frame, shown);
    part->frames = shown && shown->nr ? calloc(shown->nr, sizeof *part->frames) : NULL;
    if (part->frames) {
        memcpy(part->frames, shown->frames, shown->nr * sizeof *part->frames);
        part->nr_frames = shown->nr;
    }
    free(shown);
}

void finding_read(struct checks *checks, struct finding *finding)
{
    for (unsigned i = 0; i < finding->nr_parts; i++)
        read_stack(checks->depot, &finding->parts[i]);
}

/* What a loop does wrong again and again is said once. */
static struct finding *find_known(const struct checks *checks, const struct finding *finding)
{
    for (struct finding *known = checks->findings; known; known = known->next) {
        bool same = known->kind == finding->kind &&
                    known->program.number == finding->program.number &&
                    known->nr_parts == finding->nr_parts && known->parts[0].event.where;

        for (unsigned i = 0; same && i < known->nr_parts; i++)
            same = known->parts[i].event.where == finding->parts[i].event.where;
        if (same)
            return known;
    }
    return NULL;
}

static void publish(struct checks *checks, struct finding *finding)
{
    struct finding *known;

    pthread_mutex_lock(&checks->lock);
    known = find_known(checks, finding);
    if (known)
        known->times++;
    pthread_mutex_unlock(&checks->lock);
    if (known) {
        finding_free(finding);
        return;
    }
    finding_read(checks, finding);
    finding->text = finding_text(finding);
    pthread_mutex_lock(&checks->lock);
    finding->suppressed = suppressions_find(checks->suppressions, finding);
    LL_APPEND(checks->findings, finding);
    pthread_mutex_unlock(&checks->lock);
    if (finding->text && !finding->suppressed)
        machine_say(checks->machine, finding->text, strlen(finding->text));
}

void findings_publish(struct checks *checks)
{
    struct finding *finding, *next;

    machine_lock_only(checks->machine);
    finding = checks->new;
    checks->new = NULL;
    pthread_mutex_lock(&checks->lock);
    checks->publishers++;
    pthread_mutex_unlock(&checks->lock);
    machine_unlock_only(checks->machine);
    for (; finding; finding = next) {
        next = finding->next;
        finding->next = NULL;
        publish(checks, finding);
    }
    pthread_mutex_lock(&checks->lock);
    if (!--checks->publishers)
        pthread_cond_broadcast(&checks->calm);
    pthread_mutex_unlock(&checks->lock);
}

void findings_settle(struct checks *checks)
{
    findings_publish(checks);
    pthread_mutex_lock(&checks->lock);
    while (checks->publishers)
        pthread_cond_wait(&checks->calm, &checks->lock);
    pthread_mutex_unlock(&checks->lock);
}

void findings_free(struct checks *checks)
{
    finding_free(checks->findings);
    finding_free(checks->new);
    checks->findings = checks->new = NULL;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* Whether the process is pid, or was started by it or by what it started. */
static bool is_below(const struct program *program, pid_t pid)
{
    bool below = program->pid == pid;

    for (unsigned i = 0; i < MOST_PARENTS; i++)
        below |= program->parents[i] == pid;
    return below;
}

json_object *checks_list(struct machine *m, const struct checks_asked *asked)
{
    struct checks *checks = checks_of(m);
    json_object *list = json_object_new_array();

    if (!checks)
        return list;
    PARTS_TELL(m, see_closed, m);
    findings_settle(checks);
    pthread_mutex_lock(&checks->lock);
    for (const struct finding *finding = checks->findings; finding; finding = finding->next) {
        if (finding->suppressed || !finding->text ||
            (asked->below && !is_below(&finding->program, asked->below)))
            continue;
        json_object_array_add(list, asked->detail ? finding_json(finding)
                                                  : clean_text(finding->text));
    }
    pthread_mutex_unlock(&checks->lock);
    return list;
}
