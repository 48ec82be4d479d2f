/* SPDX-License-Identifier: MIT */
/* Pages of this process that its auto-translated domain has lost, because it mapped them itself. */
#ifndef GNTSIM_LIBGNTTAB_SOCK_LOST_I_H
#define GNTSIM_LIBGNTTAB_SOCK_LOST_I_H

struct sock_client;

/*
 * After a request: if the machine had news of lost pages, finds those of this process. From then on
 * they read ones and lose what is written.
 */
void sock_lost_learn(struct sock_client *client);

#endif
