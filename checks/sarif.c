/* SPDX-License-Identifier: MIT */
/* Writes findings as SARIF 2.1.0, which GitHub and GitLab show beside the lines of code. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "finding_i.h"
#include "json_add.h"
#include "suppress_i.h"

#define ROOT "SRCROOT" /* the directory in which gntsim was started */

struct sarif {
    char *root; /* ends with a / */
};

static json_object *text_of(const char *text)
{
    json_object *one = json_object_new_object();

    json_object_object_add(one, "text", clean_text(text));
    return one;
}

/* ---- Places ---------------------------------------------------------------------------------- */

/* A path as (part of) a URI. The caller frees it; NULL: no memory. */
static char *uri_of(const char *before, const char *path)
{
    char *uri = NULL;
    size_t size;
    FILE *out = open_memstream(&uri, &size);

    if (!out)
        return NULL;
    fputs(before, out);
    for (; *path; path++) {
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/", *path))
            fputc(*path, out);
        else
            fprintf(out, "%%%02X", (unsigned char)*path);
    }
    fclose(out);
    return uri;
}

/* A file below the root is named from there, so that it is found in a checkout elsewhere. */
static json_object *artifact(const struct sarif *sarif, const char *path)
{
    size_t length = strlen(sarif->root);
    bool below = !strncmp(path, sarif->root, length), absolute = path[0] == '/';
    json_object *one = json_object_new_object();
    char *uri = uri_of(absolute && !below ? "file://" : "", below ? path + length : path);

    json_add_text(one, "uri", uri ? uri : "");
    if (below)
        json_add_text(one, "uriBaseId", ROOT);
    free(uri);
    return one;
}

static json_object *location(const struct sarif *sarif, const struct frame_text *frame)
{
    json_object *one = json_object_new_object(), *physical, *region, *names, *logical;
    char room[64];

    if (frame->file && frame->line) {
        physical = json_object_new_object();
        json_object_object_add(physical, "artifactLocation", artifact(sarif, frame->file));
        region = json_object_new_object();
        json_add_int(region, "startLine", frame->line);
        json_object_object_add(physical, "region", region);
        json_object_object_add(one, "physicalLocation", physical);
    }
    names = json_object_new_array();
    logical = json_object_new_object();
    snprintf(room, sizeof room, "0x%llx", (unsigned long long)frame->offset);
    json_object_object_add(logical, "name", clean_text(frame->function ? frame->function : room));
    json_add_text(logical, "kind", "function");
    json_object_array_add(names, logical);
    json_object_object_add(one, "logicalLocations", names);
    return one;
}

static json_object *stack(const struct sarif *sarif, const struct part *part)
{
    json_object *one = json_object_new_object(), *frames = json_object_new_array();

    json_object_object_add(one, "message", text_of(part->text));
    for (unsigned i = 0; i < part->nr_frames; i++) {
        json_object *frame = json_object_new_object();

        json_object_object_add(frame, "location", location(sarif, &part->frames[i]));
        if (part->frames[i].module)
            json_object_object_add(frame, "module", clean_text(part->frames[i].module));
        json_object_array_add(frames, frame);
    }
    json_object_object_add(one, "frames", frames);
    return one;
}

/* ---- Results --------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const char *text)
{
    while (text && *text)
        hash = (hash ^ (unsigned char)*text++) * 1099511628211u;
    return (hash ^ '\n') * 1099511628211u;
}

/* The same finding has the same one in another run, also when lines have moved. */
static json_object *fingerprints(const struct finding *finding)
{
    json_object *one = json_object_new_object();
    uint64_t hash = mix(14695981039346656037u, check_kinds[finding->kind].name);
    char room[20];

    for (unsigned i = 0; i < finding->nr_parts; i++)
        for (unsigned j = 0; j < finding->parts[i].nr_frames; j++)
            hash = mix(hash, finding->parts[i].frames[j].function);
    snprintf(room, sizeof room, "%016llx", (unsigned long long)hash);
    json_add_text(one, "functions/v1", room);
    return one;
}

static json_object *message(const struct finding *finding)
{
    json_object *one;
    char *text;

    if (asprintf(&text, "%s. %s. What to do: %s.", finding->title ? finding->title : "",
                 finding->nr_parts ? finding->parts[0].text : "",
                 check_kinds[finding->kind].repair) < 0)
        return text_of("");
    one = text_of(text);
    free(text);
    return one;
}

static json_object *list_of(json_object *one)
{
    json_object *list = json_object_new_array();

    if (one)
        json_object_array_add(list, one);
    return list;
}

static json_object *result(const struct sarif *sarif, const struct finding *finding)
{
    const struct frame_text *place = finding_place(finding);
    json_object *one = json_object_new_object(), *stacks = json_object_new_array(), *more;

    json_add_text(one, "ruleId", check_kinds[finding->kind].name);
    json_add_int(one, "ruleIndex", finding->kind);
    json_add_text(one, "level", finding->level == CHECK_WARNING ? "warning" : "error");
    json_object_object_add(one, "message", message(finding));
    json_object_object_add(one, "locations", list_of(place ? location(sarif, place) : NULL));
    for (unsigned i = 0; i < finding->nr_parts; i++)
        if (finding->parts[i].nr_frames)
            json_object_array_add(stacks, stack(sarif, &finding->parts[i]));
    json_object_object_add(one, "stacks", stacks);
    json_object_object_add(one, "partialFingerprints", fingerprints(finding));
    json_add_int(one, "occurrenceCount", finding->times);
    more = json_object_new_object();
    if (finding->suppressed) {
        json_add_text(more, "kind", "external");
        json_object_object_add(one, "suppressions", list_of(more));
    } else {
        json_object_object_add(more, "command", clean_text(finding->program.command));
        json_add_int(more, "process", finding->program.number);
        json_object_object_add(one, "properties", more);
    }
    return one;
}

/* ---- The document ---------------------------------------------------------------------------- */

static json_object *sentence(const char *text)
{
    json_object *one;
    char *whole;

    if (asprintf(&whole, "%s.", text) < 0)
        return text_of(text);
    one = text_of(whole);
    free(whole);
    return one;
}

static json_object *driver(void)
{
    json_object *one = json_object_new_object(), *rules = json_object_new_array();

    json_add_text(one, "name", "gntsim");
    json_add_text(one, "version", GNTSIM_VERSION);
    for (const struct check_kind *kind = check_kinds; kind->name; kind++) {
        json_object *rule = json_object_new_object();

        json_add_text(rule, "id", kind->name);
        json_object_object_add(rule, "shortDescription", sentence(kind->says));
        json_object_object_add(rule, "help", sentence(kind->repair));
        json_object_array_add(rules, rule);
    }
    json_object_object_add(one, "rules", rules);
    return one;
}

static json_object *run(const struct sarif *sarif, const struct finding *findings)
{
    json_object *one = json_object_new_object(), *tool = json_object_new_object(),
                *bases = json_object_new_object(), *root = json_object_new_object(),
                *results = json_object_new_array();
    char *uri = uri_of("file://", sarif->root);

    json_object_object_add(tool, "driver", driver());
    json_object_object_add(one, "tool", tool);
    json_add_text(root, "uri", uri ? uri : "file:///");
    json_object_object_add(bases, ROOT, root);
    json_object_object_add(one, "originalUriBaseIds", bases);
    for (; findings; findings = findings->next)
        json_object_array_add(results, result(sarif, findings));
    json_object_object_add(one, "results", results);
    free(uri);
    return one;
}

json_object *sarif_document(const struct finding *findings)
{
    char *here = getcwd(NULL, 0);
    struct sarif sarif = { .root = NULL };
    json_object *all = json_object_new_object();

    if (asprintf(&sarif.root, "%s/", here && strcmp(here, "/") ? here : "") < 0)
        sarif.root = NULL;
    free(here);
    if (!sarif.root)
        return all;
    json_add_text(all, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
    json_add_text(all, "version", "2.1.0");
    json_object_object_add(all, "runs", list_of(run(&sarif, findings)));
    free(sarif.root);
    return all;
}
