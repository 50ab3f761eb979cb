#!/bin/sh
# The last event of every instance and group, as 01-ubus of the hotplug scripts has kept them.

STATE=${STATE:-/var/run/keepalived}

# events TYPE: the members of a JSON list.
events() {
	local dir name status time comma

	for dir in "$STATE"/*_"$1"; do
		[ -d "$dir" ] || continue
		name=${dir##*/}
		name=$(printf %s "${name%_*}" | sed 's/[\\"]/\\&/g')
		read -r status <"$dir/STATUS" || status=
		read -r time <"$dir/TIME" || time=0
		printf '%s{"name":"%s","event":%s,"status":"%s"}' "$comma" "$name" "${time:-0}" "$status"
		comma=,
	done
}

status() {
	printf '{"instance":[%s],"group":[%s]}\n' "$(events INSTANCE)" "$(events GROUP)"
}
