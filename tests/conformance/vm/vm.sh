# SPDX-License-Identifier: MIT
# What the domains' init scripts share (busybox sh, sourced).

# run_job ID SECONDS COMMAND: leaves /tmp/job/ID.out, .err, and then .rc
run_job() {
    timeout -s KILL "$2" sh -c "$3" > "/tmp/job/$1.out" 2> "/tmp/job/$1.err" < /dev/null 3>&-
    echo $? > "/tmp/job/$1.tmp"
    mv "/tmp/job/$1.tmp" "/tmp/job/$1.rc"
}

# domid NUMBER: of the first, second domU now. A second of the emulated processor: whoever waits for a domU asks it rarely, as that is the
# processor which the domU needs.
domid() { xl domid "d$1"; }

# domU: the output goes through xenstore, where no kernel message gets into it.
send_job() {
    local n=0 chunk
    { stat -c %s "/tmp/job/$1.out"; cat "/tmp/job/$1.out" "/tmp/job/$1.err"; } | gzip -1 | base64 -w 1800 > "/tmp/job/$1.b64"
    while read -r chunk || [ -n "$chunk" ]; do
        xenstore-write "data/out/$1/$n" "$chunk"
        n=$((n + 1))
    done < "/tmp/job/$1.b64"
    xenstore-write "data/done/$1" "$(cat "/tmp/job/$1.rc") $n"
    rm -f "/tmp/job/$1".*
}

# dom0: fetch_job ID NUMBER waits until the domU has sent it, or is gone (status 255)
fetch_job() {
    local domain at answer n=0 size
    domain=$(domid "$2") || domain=none
    at=/local/domain/$domain/data
    until answer=$(xenstore-read "$at/done/$1" 2> /dev/null); do
        n=$((n + 1))
        if [ $((n % 20)) = 0 ] && [ "$(domid "$2" 2> /dev/null)" != "$domain" ]; then
            echo "domU $2 is gone" > "/tmp/job/$1.err"; : > "/tmp/job/$1.out"; echo 255 > "/tmp/job/$1.rc"
            return
        fi
        sleep 0.3
    done
    n=0
    while [ $n -lt "${answer#* }" ]; do xenstore-read "$at/out/$1/$n"; n=$((n + 1)); done | base64 -d | gunzip > "/tmp/job/$1.all"
    read -r size < "/tmp/job/$1.all"
    tail -c +$((${#size} + 2)) "/tmp/job/$1.all" > "/tmp/job/$1.both"
    head -c "$size" "/tmp/job/$1.both" > "/tmp/job/$1.out"
    tail -c +$((size + 1)) "/tmp/job/$1.both" > "/tmp/job/$1.err"
    xenstore-rm "$at/out/$1"; xenstore-rm "$at/done/$1"; xenstore-rm "$at/job/$1"
    echo "${answer% *}" > "/tmp/job/$1.rc"
}
