/* SPDX-License-Identifier: MIT */
/* `record`: runs a program and notes what it does with /dev/xen. */
#include "record.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "json_add.h"
#include "watch.h"

struct recorder {
    FILE *out;
    int rc;
};

static void write_line(struct recorder *r, json_object *json)
{
    if (fprintf(r->out, "%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN)) < 0 ||
        fflush(r->out))
        r->rc = -errno;
}

static void after(void *ctx, struct event *event)
{
    write_line(ctx, event->json);
}

/* The text of a small file without its newline, "" if there is none. */
static void read_text(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");

    text[0] = 0;
    if (file && fgets(text, (int)size, file))
        text[strcspn(text, "\n")] = 0;
    if (file)
        fclose(file);
}

static json_object *make_header(char **argv, int domain)
{
    json_object *header = json_object_new_object(), *command = json_object_new_array();
    char major[16], minor[16], extra[32], capabilities[32], xen[80];
    struct utsname name;

    json_add_int(header, "gntsim-record", RECORD_VERSION);
    for (; *argv; argv++)
        json_object_array_add(command, json_object_new_string(*argv));
    json_object_object_add(header, "command", command);
    if (!uname(&name))
        json_add_text(header, "linux", name.release);
    read_text("/sys/hypervisor/version/major", major, sizeof major);
    read_text("/sys/hypervisor/version/minor", minor, sizeof minor);
    read_text("/sys/hypervisor/version/extra", extra, sizeof extra);
    snprintf(xen, sizeof xen, "%s.%s%s", major, minor, extra);
    if (major[0])
        json_add_text(header, "xen", xen);
    read_text("/proc/xen/capabilities", capabilities, sizeof capabilities);
    if (domain < 0 && !strcmp(capabilities, "control_d"))
        domain = 0;
    if (domain >= 0)
        json_add_int(header, "domain", domain);
    return header;
}

int record_run(FILE *out, char **argv, int domain)
{
    struct recorder recorder = { .out = out };
    struct watch watch = { .after = after, .ctx = &recorder };
    json_object *header = make_header(argv, domain);
    int status;

    write_line(&recorder, header);
    json_object_put(header);
    status = recorder.rc ? recorder.rc : watch_run(&watch, argv);
    return recorder.rc ? recorder.rc : status;
}
