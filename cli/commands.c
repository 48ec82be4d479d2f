/* SPDX-License-Identifier: MIT */
/* The table of the command's verbs: what each is for, and which options it takes. */
#include <string.h>

#include "cli.h"
#include "options.h"

/* clang-format off */
const struct command commands[] = {
    { "run", cmd_run,
      "Run a command as a process of a domain of a private machine, for as long as it lives",
      { { OPT_DOMAIN | OPT_MACHINE, 0, "-- CMD..." } } },
    { "serve", cmd_serve, "Run a machine that stays, until interrupted or told to shut down",
      { { OPT_DIR | OPT_MACHINE | OPT_OWNER, OPT_DIR, "" } } },
    { "exec", cmd_exec,
      "Run a command as a process of a domain (created if new) of the machine at DIR",
      { { OPT_DIR | OPT_DOMAIN | OPT_PROFILE | OPT_WAY | OPT_CHECK, OPT_DIR, "-- CMD..." } } },
    { "ctl", cmd_ctl, "Look into and steer the machine at DIR",
      { { OPT_DIR | OPT_JSON | OPT_PROFILE | OPT_TYPE | OPT_DEVICE | OPT_ANYWHERE, OPT_DIR,
          "VERB..." } },
      ctl_list_verbs, "Verbs" },
    { "scenario", cmd_scenario, "Play scenario files and say whether all was as they say",
      { { 0, 0, "run|check|schema [OPTIONS] [FILE...]" } } },
    { "record", cmd_record,
      "Run a command on a real Xen and note all that it does with /dev/xen, with every answer",
      { { OPT_OUTPUT | OPT_DOMAIN, 0, "-- CMD..." } } },
    { "replay-device", cmd_replay_device,
      "Run a command anywhere, with the answers of a record instead of /dev/xen",
      { { 0, 0, "FILE -- CMD..." } } },
    { "compare", cmd_compare, "Say where the simulator would have answered otherwise than a record",
      { { OPT_PROFILE | OPT_DOMAIN, 0, "FILE" } } },
    { "trace", cmd_trace,
      "Show what happens on the machine at DIR, or convert a recorded trace for Chrome and "
      "Perfetto",
      { { OPT_DIR | OPT_DETAIL | OPT_CHROME | OPT_ANYWHERE, OPT_DIR, "" },
        { OPT_EXPORT, OPT_EXPORT, "TRACE" } } },
    { "top", cmd_top,
      "Show what the machine at DIR does and has, live on a terminal: counters, domains, grants",
      { { OPT_DIR | OPT_JSON | OPT_ONCE | OPT_ANYWHERE, OPT_DIR, "" } } },
    { "report", cmd_report,
      "Make one HTML page of traces: bars of grants, mappings and ports, findings, each moment",
      { { OPT_OUTPUT | OPT_ANYWHERE, 0, "TRACE|DIR|FINDINGS.json..." } } },
    { "replay", cmd_replay,
      "Do again what a trace of a whole machine tells, and say where the model differs now",
      { { 0, 0, "TRACE" } } },
    { "names", cmd_names, "Print the names that fault rules, traces and scenario files may use",
      { { OPT_JSON, 0, "" } } },
    { "explain", cmd_explain,
      "Say what a finding of --check means and what to do, or list the kinds",
      { { 0, 0, "[KIND]" } } },
    { "doctor", cmd_doctor,
      "Say what this host allows, which way will be used, and what is missing",
      { { OPT_JSON, 0, "" } } },
    { .name = NULL },
};
/* clang-format on */

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name; command++)
        if (!strcmp(command->name, name))
            return command;
    return NULL;
}

unsigned command_options(const struct command *command)
{
    return command->usages[0].options | command->usages[1].options;
}
