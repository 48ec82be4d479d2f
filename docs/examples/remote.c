/* SPDX-License-Identifier: MIT */
/*
 * Domain 2's kernel as a process of its own: grants a page to domain 1, and ends the grant at the
 * next line of input.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <gntsim/gnttab.h>
#include <gntsim/hv_remote.h>

int main(int argc, char **argv)
{
    struct kernel_pv_space *space = kernel_pv_space_create();
    struct hv_remote_config config = { .dir = argv[argc - 1], .domid = 2 };
    struct kernel_config kernel = { .domid = 2 };
    struct kernel *k;
    char error[200];

    /* The domain, and this process as its kernel. */
    kernel_domain_config(&config.domain, &kernel_profile_pv, space);
    if (hv_remote_attach(&kernel.hv, &config, error, sizeof error) || kernel_create(&k, &kernel, space)) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }

    /* What a driver does. */
    struct kernel_page *page = kernel_page_alloc(k);
    int64_t ref = gnttab_grant_foreign_access(k, 1, kernel_page_frame(page), false);
    strcpy(kernel_page_address(k, page), "hello");
    printf("reference %d\n", (int)ref);
    fflush(stdout);

    getchar();
    while (!gnttab_try_end_foreign_access(k, (grant_ref_t)ref))
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);      /* domain 1 has it mapped */
    printf("it says: %s\n", (char *)kernel_page_address(k, page));
    kernel_page_put(k, page);
    kernel_destroy(k);
    hv_remote_detach(kernel.hv);
}
