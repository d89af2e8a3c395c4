#!/bin/sh
# Make the secrets of a deployment: write .env beside docker-compose.yml, or to the file that is named.
# What is in it already stays; what a newer version needs is added.
set -eu
umask 077
file="${1:-$(dirname "$0")/../.env}"
touch "$file"
chmod 600 "$file"

random() { LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 40; }
# A Fernet key: 32 random bytes in URL-safe base64.
key() { head -c 32 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }

added=0
add() {
  if ! grep -q "^$1=" "$file"; then
    printf '%s=%s\n' "$1" "$2" >>"$file"
    added=$((added + 1))
  fi
}

if [ ! -s "$file" ]; then
  echo "# Secrets of this deployment. Without MASTER_KEYS no stored credential can be read: back this file up." >>"$file"
fi
for name in ADMIN_TOKEN SERVICE_TOKEN POSTGRES_PASSWORD CATALOG_DATABASE_PASSWORD SYNC_DATABASE_PASSWORD \
  INTEGRITY_DATABASE_PASSWORD NATS_CATALOG_PASSWORD NATS_SYNC_PASSWORD NATS_ROUTER_PASSWORD NATS_INTEGRITY_PASSWORD \
  NATS_OPERATOR_PASSWORD NATS_SUBSCRIBER_PASSWORD NATS_CLUSTER_PASSWORD GRAFANA_PASSWORD; do
  add "$name" "$(random)"
done
add MASTER_KEYS "$(key)"
echo "$file: $added secrets added"
