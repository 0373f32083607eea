#!/usr/bin/env bash
# Sees to it that Docker holds the image in which SAM runs the functions: AWS's own where it can be pulled, else one that
# stands in for it, made of Debian 12 and of the packages that the Lambda runtime brings along. Removes what SAM had
# built on an earlier one. Needs Docker; the stand-in also root, mmdebstrap and `make setup`.
set -euo pipefail
cd "$(dirname "$0")/../.."

# What `thumbs up` builds for.
read -r version architecture < <(.venv/bin/python -c 'from thumbs.stack.deploy import ARCHITECTURE, PYTHON_VERSION; print(PYTHON_VERSION, ARCHITECTURE)')
image=public.ecr.aws/lambda/python:$version-$architecture
rapid=public.ecr.aws/lambda/python:$version-rapid-$architecture

if docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image is there"
    exit
fi
docker image rm --force "$rapid" >/dev/null 2>&1 || true
# The wheels do not load on the glibc of AWS's image for Python 3.11 (Amazon Linux 2).
if [ "$version" != 3.11 ] && timeout 300 docker pull --quiet "$image" >/dev/null 2>&1; then
    echo "$image is pulled"
    exit
fi

[ "$version" = 3.11 ] || { echo "$image cannot be pulled, and a stand-in is built of Debian 12's Python 3.11 alone" >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo "$image cannot be pulled, and a stand-in needs mmdebstrap: apt-get install mmdebstrap" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log

# Containers need not trust what this machine trusts, so nothing is installed inside one.
mkdir "$work/runtime"
.venv/bin/python -c 'import sys; from pathlib import Path
from thumbs.localstack.runtime_packages import link_runtime_packages
link_runtime_packages(Path(sys.argv[1]))' "$work/links"
cp --recursive --dereference "$work/links/." "$work/runtime"
cat >"$work/runtime/bootstrap" <<'BOOTSTRAP'
#!/bin/sh
export PYTHONPATH="$LAMBDA_TASK_ROOT:/opt/python:$LAMBDA_RUNTIME_DIR"
exec /var/lang/bin/python3.11 -m awslambdaric "$_HANDLER"
BOOTSTRAP
chmod 755 "$work/runtime/bootstrap"

# The machine's own Debian sources, whichever form they have.
sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [ -f "$file" ] && grep -Eq '(^|[[:space:]])bookworm([[:space:]]|$)' "$file"; then sources+=("$file"); fi
done
if [ ${#sources[@]} = 0 ]; then
    echo "$image cannot be pulled, and a stand-in is built on Debian 12 (bookworm) alone" >&2
    exit 1
fi
mmdebstrap --variant=essential --include=python3,ca-certificates,libstdc++6 \
    --customize-hook='mkdir -p "$1/var/runtime" "$1/var/task" "$1/var/lang/bin"' \
    --customize-hook='ln -s /usr/bin/python3.11 "$1/var/lang/bin/python3.11"' \
    --customize-hook="sync-in $work/runtime /var/runtime" \
    bookworm "$work/image.tar" "${sources[@]}" >"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
docker import --change 'WORKDIR /var/task' \
    --change 'ENV LANG=en_US.UTF-8 TZ=:/etc/localtime LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime' \
    --change 'ENV PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin' \
    "$work/image.tar" "$image" >/dev/null
echo "$image has a stand-in"
