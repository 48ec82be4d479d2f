/* SPDX-License-Identifier: MIT */
/* Writes findings: as text for people, as JSON, and all of them into the file of --check-report. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "finding_i.h"
#include "json_add.h"
#include "suppress_i.h"
#include "unread_i.h"

#define NAME_COLUMN 42

/* ---- Text ------------------------------------------------------------------------------------ */

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

void finding_print_parts(const struct finding *finding, unsigned from, FILE *out)
{
    for (unsigned i = from; i < finding->nr_parts; i++) {
        const struct part *part = &finding->parts[i];

        fprintf(out, "  %s%s\n", part->text,
                part->approximate ? " (the stack is approximate)" : "");
        for (unsigned j = 0; j < part->nr_frames; j++)
            print_frame(out, j, &part->frames[j]);
    }
}

char *finding_text(const struct finding *finding)
{
    const struct check_kind *kind = &check_kinds[finding->kind];
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fprintf(out, "==gntsim== %s %s: %s\n", finding->level == CHECK_WARNING ? "WARNING" : "ERROR",
            kind->name, finding->title ? finding->title : "");
    finding_print_parts(finding, 0, out);
    fprintf(out, "  what to do: %s\n  more: gntsim explain %s\n", kind->repair, kind->name);
    fclose(out);
    return text;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_object *frames_json(const struct part *part)
{
    json_object *list = json_object_new_array();

    for (unsigned i = 0; i < part->nr_frames; i++) {
        const struct frame_text *frame = &part->frames[i];
        json_object *one = json_object_new_object();

        if (frame->function)
            json_object_object_add(one, "function", clean_text(frame->function));
        if (frame->file)
            json_object_object_add(one, "file", clean_text(frame->file));
        if (frame->line)
            json_add_int(one, "line", frame->line);
        if (frame->module)
            json_object_object_add(one, "module", clean_text(frame->module));
        json_add_int(one, "offset", (int64_t)frame->offset);
        json_object_array_add(list, one);
    }
    return list;
}

json_object *finding_parts_json(const struct finding *finding)
{
    json_object *list = json_object_new_array();

    for (unsigned i = 0; i < finding->nr_parts; i++) {
        const struct part *part = &finding->parts[i];
        json_object *one = json_object_new_object();

        json_object_object_add(one, "text", clean_text(part->text));
        if (part->event.order && part->event.traced)
            json_add_int(one, "event", (int64_t)part->event.number);
        json_object_object_add(one, "stack", frames_json(part));
        if (part->approximate)
            json_add_bool(one, "approximate", true);
        json_object_array_add(list, one);
    }
    return list;
}

json_object *finding_json(const struct finding *finding)
{
    const struct check_kind *kind = &check_kinds[finding->kind];
    json_object *one = json_object_new_object();

    json_add_text(one, "kind", kind->name);
    json_add_text(one, "level", finding->level == CHECK_WARNING ? "warning" : "error");
    json_object_object_add(one, "title", clean_text(finding->title));
    if (finding->program.number) {
        json_object_object_add(one, "command", clean_text(finding->program.command));
        json_add_int(one, "process", finding->program.number);
        json_add_int(one, "pid", finding->program.pid);
    }
    json_add_int(one, "times", finding->times);
    json_object_object_add(one, "parts", finding_parts_json(finding));
    json_add_text(one, "repair", kind->repair);
    if (finding->suppressed)
        json_add_int(one, "suppressed", finding->suppressed->line);
    json_object_object_add(one, "text", clean_text(finding->text));
    return one;
}

static json_object *suppressions_json(const struct suppression *list)
{
    json_object *array = json_object_new_array();

    for (; list; list = list->next) {
        json_object *one = json_object_new_object();

        json_add_text(one, "kind", list->kind < 0 ? "*" : check_kinds[list->kind].name);
        json_object_object_add(one, "pattern", clean_text(list->pattern));
        json_add_int(one, "line", list->line);
        json_add_int(one, "used", list->used);
        json_object_array_add(array, one);
    }
    return array;
}

static json_object *document(const struct checks *checks)
{
    json_object *all = json_object_new_object(), *list = json_object_new_array();

    json_add_int(all, "version", 1);
    json_add_text(all, "gntsim", GNTSIM_VERSION);
    for (const struct finding *finding = checks->findings; finding; finding = finding->next)
        json_object_array_add(list, finding_json(finding));
    json_object_object_add(all, "findings", list);
    json_object_object_add(all, "suppressions", suppressions_json(checks->suppressions));
    return all;
}

/* ---- The file -------------------------------------------------------------------------------- */

static void write_texts(const struct checks *checks)
{
    for (const struct finding *finding = checks->findings; finding; finding = finding->next)
        if (finding->text && !finding->suppressed)
            fputs(finding->text, checks->report);
}

/* 0 or negative errno. */
static int write_report(struct checks *checks)
{
    json_object *all = NULL;
    int rc = 0;

    if (!checks->report)
        return 0;
    errno = 0;
    if (checks->format == REPORT_TEXT)
        write_texts(checks);
    else
        all = checks->format == REPORT_JSON ? document(checks) : sarif_document(checks->findings);
    if (all)
        fprintf(checks->report, "%s\n",
                json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
                                                        JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(all);
    if (ferror(checks->report))
        rc = errno ? -errno : -EIO;
    if (fclose(checks->report) && !rc)
        rc = -errno;
    checks->report = NULL;
    return rc;
}

/* One line, however many there are. */
static void name_unused(const struct checks *checks)
{
    const struct suppression *first = NULL;
    char more[40] = "";
    unsigned nr = 0;

    for (const struct suppression *one = checks->suppressions; one; one = one->next) {
        if (one->used)
            continue;
        first = first ? first : one;
        nr++;
    }
    if (nr > 1)
        snprintf(more, sizeof more, ", and %u more", nr - 1);
    if (nr)
        machine_log(checks->machine, "%s:%u: no finding needed the suppression %s:%s%s",
                    checks->suppressions_path, first->line,
                    first->kind < 0 ? "*" : check_kinds[first->kind].name, first->pattern, more);
}

/* Programs are gone: what can be said of them is said now, and counted. */
static void look_a_last_time(struct checks *checks)
{
    struct machine *m = checks->machine;

    PARTS_TELL(m, see_closed, m);
    machine_lock(m);
    for (struct domain *d = m->domains; d; d = d->next)
        leaks_file_over(checks, d, 0);
    unread_drop(checks, NULL);
    machine_unlock(m);
}

int checks_conclude(struct machine *m)
{
    struct checks *checks = checks_of(m);
    int nr = 0, rc;

    if (!checks)
        return 0;
    look_a_last_time(checks);
    findings_settle(checks);
    pthread_mutex_lock(&checks->lock);
    for (const struct finding *finding = checks->findings; finding; finding = finding->next)
        nr += !finding->suppressed && finding->level == CHECK_ERROR;
    name_unused(checks);
    rc = write_report(checks);
    pthread_mutex_unlock(&checks->lock);
    return rc ? rc : nr;
}
