/* SPDX-License-Identifier: MIT */
/* `gntsim exec`: becomes a command in a domain of a machine that is running, or waits for it and
 * says what --check found. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "child.h"
#include "cli.h"
#include "client.h"
#include "json_add.h"
#include "options.h"

static int become(const struct options *options, int fd)
{
    return client_exec(fd, &(struct client_program){
                               .domain = options->domain < 0 ? 0 : options->domain,
                               .profile = options->profile,
                               .way = options->way,
                               .argv = options->rest });
}

/* What the machine has found of this process and those below it. NULL after a message. */
static json_object *ask(int fd)
{
    json_object *request = json_object_new_object(), *list;

    json_add_text(request, "verb", "findings");
    json_add_bool(request, "mine", true);
    json_add_bool(request, "detail", true);
    list = client_result(fd, request);
    if (json_object_is_type(list, json_type_array))
        return list;
    json_object_put(list);
    return NULL;
}

/* How the command is to be told of a finding. */
static enum check_level level_of(const struct options *options, json_object *finding)
{
    const struct check_kind *kind;
    json_object *name, *level;

    if (!json_object_object_get_ex(finding, "kind", &name) ||
        !json_object_object_get_ex(finding, "level", &level) ||
        !(kind = check_kind_find(json_object_get_string(name))))
        return CHECK_OFF;
    if (options->checks.levels[kind - check_kinds] == CHECK_ERROR &&
        !strcmp(json_object_get_string(level), "warning"))
        return CHECK_WARNING;
    return options->checks.levels[kind - check_kinds];
}

/* Says what was found of the command; how many errors. The machine has said the rest. */
static unsigned tell(const struct options *options, json_object *findings)
{
    unsigned errors = 0, all = 0;
    char *kinds = NULL;
    size_t size;
    FILE *out = open_memstream(&kinds, &size);

    for (size_t i = 0; out && i < json_object_array_length(findings); i++) {
        json_object *finding = json_object_array_get_idx(findings, i), *name;
        enum check_level level = level_of(options, finding);

        if (level == CHECK_OFF)
            continue;
        errors += level == CHECK_ERROR;
        json_object_object_get_ex(finding, "kind", &name);
        fprintf(out, "%s%s", all++ ? ", " : "", json_object_get_string(name));
    }
    if (!out || fclose(out))
        return errors;
    if (all)
        fprintf(stderr,
                "gntsim: %u finding%s of this command (%s): the standard error of the machine's "
                "gntsim has more, or gntsim ctl --dir %s findings\n",
                all, all > 1 ? "s" : "", kinds, options->dir);
    free(kinds);
    return errors;
}

/* The command's processes stay below this one, which asks for their findings at the end. */
static int run_checked(const struct options *options, int fd, int asking)
{
    json_object *findings = ask(asking);
    struct child_signals signals;
    unsigned errors;
    pid_t child;
    int rc;

    if (!findings)
        return 1;
    json_object_put(findings);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    child_prepare(&signals);
    child = fork();
    if (!child) {
        child_begin(&signals);
        _exit(become(options, fd));
    }
    if (child < 0)
        return failure("cannot start a process: %s", strerror(errno));
    close(fd);
    rc = child_wait(child, &signals);
    findings = ask(asking);
    if (!findings)
        return rc ? rc : 1;
    errors = tell(options, findings);
    json_object_put(findings);
    return rc || !errors ? rc : options->check_exit;
}

int cmd_exec(int argc, char **argv)
{
    struct options options;
    int fd, asking;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (!options.dir)
        return usage_error("exec needs --dir DIR, the directory of a running machine");
    if (!options.nr_rest)
        return usage_error("exec needs a command: gntsim exec --dir DIR --domain N -- CMD...");
    fd = client_connect(options.dir);
    if (fd < 0)
        return 1;
    if (!options.check)
        return become(&options, fd);
    asking = client_connect(options.dir);
    return asking < 0 ? 1 : run_checked(&options, fd, asking);
}
