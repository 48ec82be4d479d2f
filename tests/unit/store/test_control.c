/* SPDX-License-Identifier: MIT */
/* CONTROL: its commands. */
#include "harness.h"

TEST(an_unknown_command_or_a_wrong_number_of_words_is_refused)
{
    static const char *const bad[] = { "",
                                       "help",
                                       "nothing|",
                                       "help|me|",
                                       "log|",
                                       "log|maybe|",
                                       "quota|set|nodes|",
                                       "quota|set|nodes|0|",
                                       "quota|set|nothing|5|",
                                       "quota|1|2|",
                                       "quota|set|nodes|5|6|",
                                       "print|",
                                       "check|x|" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EQ(tell(w.root, XS_CONTROL, bad[i]), EINVAL);
    EQ(tell(w.root, XS_CONTROL, "quota|77|"), ENOENT);
}

TEST(commands_that_need_nothing_of_the_model_say_ok)
{
    static const char *const good[] = { "check|",     "log|on|",      "log|off|",   "logfile|x|",
                                        "memreport|", "memreport|x|", "print|text|" };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        EQ(tell(w.root, XS_CONTROL, good[i]), 0);
        SAME(w.said, "OK|");
    }
    EQ(tell(w.root, XS_CONTROL, "help|"), 0);
    OK(strstr(w.said, "quota\n") != NULL);
}

TEST(quotas_are_told_and_set)
{
    EQ(tell(w.root, XS_CONTROL, "quota|set|nodes|2|"), 0);
    EQ(store_quota(w.store, STORE_QUOTA_NODES), 2);
    EQ(tell(w.root, XS_CONTROL, "quota|"), 0);
    OK(strstr(w.said, "nodes: 2\n") && strstr(w.said, "node-size: 2048\n") &&
       strstr(w.said, "memory: 2621440\n"));
    watched(w.d1, "data", "t");
    EQ(tell(w.root, XS_CONTROL, "quota|1|"), 0);
    OK(strstr(w.said, "nodes: 0\n") && strstr(w.said, "watches: 1\n"));
}

const struct test_suite suite_control = { "control", (const struct test_case[]){
    { "an unknown command, or a wrong number of words, is refused",
      an_unknown_command_or_a_wrong_number_of_words_is_refused },
    { "commands that need nothing of the model say OK",
      commands_that_need_nothing_of_the_model_say_ok },
    { "quotas are told and set", quotas_are_told_and_set },
    { NULL, NULL },
} };
