/* SPDX-License-Identifier: MIT */
/* Checks that the machine's server is somebody whom this client may trust. */
#include "trust.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <nss.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "embedded.h"
#include "wire.h"

const char *trust_user_name(uid_t uid, char *space, size_t size)
{
    const struct passwd *user;

    /* A program of one file must not load libraries of the host for that. */
    if (embedded_files[0].name)
        __nss_configure_lookup("passwd", "files");
    user = getpwuid(uid);
    if (user)
        snprintf(space, size, "%s", user->pw_name);
    else
        snprintf(space, size, "%u", uid);
    return space;
}

bool trust_server(const char *path, int fd)
{
    struct ucred peer;
    char name[64];

    if (!wire_peer(fd, &peer)) {
        failure("cannot tell whose machine is at %s: %s", path, strerror(errno));
        return false;
    }
    if (wire_trusts(&peer))
        return true;
    trust_user_name(peer.uid, name, sizeof name);
    failure("the machine at %s is served by user %s, who could have anything done by whoever joins "
            "it: use it as that user "
            "(runuser -u %s -- gntsim …)",
            path, name, name);
    return false;
}

/* ---- Namespaces ------------------------------------------------------------------------------ */

static bool is_same(int a, int b)
{
    struct stat first, second;

    return !fstat(a, &first) && !fstat(b, &second) && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* Whether a mount namespace belongs to the user namespace. */
static bool belongs(int mount_ns_fd, int user_ns_fd)
{
    int own = user_ns_fd < 0 ? open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC) : -1;
    int owner = ioctl(mount_ns_fd, NS_GET_USERNS);
    bool so = owner >= 0 && is_same(owner, user_ns_fd < 0 ? own : user_ns_fd);

    if (owner >= 0)
        close(owner);
    if (own >= 0)
        close(own);
    return so;
}

static bool is_of_user(int user_ns_fd, uid_t uid)
{
    uid_t owner;

    return ioctl(user_ns_fd, NS_GET_NSTYPE) == CLONE_NEWUSER &&
           !ioctl(user_ns_fd, NS_GET_OWNER_UID, &owner) && owner == uid;
}

bool trust_namespaces(int fd, int user_ns_fd, int mount_ns_fd)
{
    struct ucred peer;

    if (wire_peer(fd, &peer) && mount_ns_fd >= 0 &&
        ioctl(mount_ns_fd, NS_GET_NSTYPE) == CLONE_NEWNS &&
        (user_ns_fd < 0 || is_of_user(user_ns_fd, peer.uid)) && belongs(mount_ns_fd, user_ns_fd))
        return true;
    failure("what the machine gave is no namespace of its own: nothing was run");
    return false;
}
